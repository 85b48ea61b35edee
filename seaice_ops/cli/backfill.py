"""The verb that rebuilds a past season of a region."""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from seaice_ops.cli.common import app, err, load_settings, out, progress_bar, readable_errors
from seaice_ops.settings import Settings

if TYPE_CHECKING:
    from seaice_ops.backfill.drive import Progress
    from seaice_ops.backfill.estimate import Estimate
    from seaice_ops.backfill.season import BackfillRequest

#: Seconds between two requests for Airflow's state.
LOOK = 5.0


@app.command()
def backfill(
    region: Annotated[str, typer.Argument(help="A region of the configuration.")],
    season: Annotated[
        str | None, typer.Option(help="Such as 2025-26: from October in the north, from March in the south.")
    ] = None,
    start: Annotated[datetime | None, typer.Option("--from", help="First sensing day, instead of a season.")] = None,
    end: Annotated[datetime | None, typer.Option("--to", help="Last sensing day, included.")] = None,
    redo: Annotated[str, typer.Option(help="Days to run again: nothing, failed or everything.")] = "nothing",
    at_once: Annotated[int, typer.Option(help="Days worked on at a time.")] = 2,
    run: Annotated[bool, typer.Option("--run/--dry-run", help="Start it, or only estimate.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Rebuild a season of a region by an Airflow backfill, oldest days first. By default only estimate it.

    Interrupting this command stops nothing that Airflow has begun; the same command again goes on.
    """
    from seaice_ops.backfill import season as seasons

    settings = load_settings()
    with readable_errors(as_json):
        request = seasons.BackfillRequest(region, season, _day(start), _day(end), redo, at_once)  # type: ignore[arg-type]
        first, last = seasons.days(settings, request, datetime.now(UTC).date())
        found = _estimate(settings, region, first, last)
        if not as_json:
            out.print(found.sentence())
        if not run:
            if not as_json:
                out.print("nothing was started: add --run to start it")
            return _json(as_json, {"estimate": found.to_dict()})
        progress = _drive(settings, request, found)
        _json(as_json, {"estimate": found.to_dict(), "progress": progress.to_dict()})
        if not as_json:
            out.print(progress.sentence())
    if progress.failed:
        raise typer.Exit(2)


def _estimate(settings: Settings, region: str, first: date, last: date) -> Estimate:
    from seaice_ops.backfill.estimate import estimate

    with progress_bar("counting") as bar:
        return estimate(
            settings, region, first, last, lambda day: bar((day - first).days + 1, (last - first).days + 1, f"{day}")
        )


def _drive(settings: Settings, request: BackfillRequest, found: Estimate) -> Progress:
    from seaice_ops.airflow import rest
    from seaice_ops.backfill.drive import step
    from seaice_ops.errors import TransientError

    # The same command given again today goes on where this one stopped.
    owner = f"cli {found.first} {found.last} {request.redo} {datetime.now(UTC):%Y-%m-%d}"
    with progress_bar("backfill") as bar:
        while True:
            try:
                with rest.find(settings) as client:
                    progress = step(settings, client, request, found, owner)
            except TransientError as reason:
                err.print(Text("waiting:", "yellow"), str(reason))
            else:
                bar(progress.done + progress.failed, progress.days, progress.sentence())
                if progress.state == "done":
                    return progress
            time.sleep(LOOK)


def _json(as_json: bool, data: object) -> None:
    if as_json:
        sys.stdout.write(json.dumps(data) + "\n")


def _day(moment: datetime | None) -> date | None:
    return moment.date() if moment else None

"""The tasks of `seaice_backfill_season`: its form, the estimate, and one look at Airflow after the other."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import Param, PokeReturnValue

from seaice_ops.airflow.connections import airflow_client, lend_archive
from seaice_ops.airflow.outcome import TaskRun, task_run, wait_for_archive
from seaice_ops.errors import ConfigError, ExpectedSkip, SeaIceError, TransientError
from seaice_ops.settings import Settings

if TYPE_CHECKING:
    from seaice_ops.backfill.season import BackfillRequest

log = logging.getLogger(__name__)

DAG_ID = "seaice_backfill_season"

#: A season may take months: the driver looks once a minute and holds no worker in between.
LOOKING: dict[str, object] = {
    "mode": "reschedule",
    "poke_interval": float(os.environ.get("SEAICE_RETRY_SECONDS", 60)),
    "timeout": 400 * 86400.0,
}


def form() -> dict[str, Param]:
    """The fields of the trigger form."""
    try:
        names = list(Settings.load().regions)
    except ConfigError as error:  # the form stays; the run says what is wrong
        log.warning("the form cannot list the regions: %s", error)
        names = []
    region: dict[str, Any] = {"type": "string", "title": "Region"} | ({"enum": names} if names else {})
    day: dict[str, Any] = {"type": ["null", "string"], "format": "date"}
    return {
        "region": Param(names[0] if names else "", **region),
        "season": Param(
            None,
            type=["null", "string"],
            pattern=r"^(\d{4}-\d{2})?$",
            title="Season",
            description="2025-26 is 1 October 2025 to 30 September 2026 in the north, 1 March 2025 to the end of "
            "February 2026 in the south. Leave it empty to give dates.",
        ),
        "start": Param(None, **day, title="First day", description="Sensing day, UTC. Leave it empty with a season."),
        "end": Param(None, **day, title="Last day", description="Included."),
        "redo": Param(
            "nothing",
            type="string",
            enum=["nothing", "failed", "everything"],
            title="Do again",
            description="nothing: only days that have not run for this region; failed: also those that failed; "
            "everything: all days. A scene that is ready is never fetched again.",
        ),
        "at_once": Param(2, type="integer", minimum=1, maximum=16, title="Days at once"),
        "dry_run": Param(
            True, type="boolean", title="Dry run", description="Only estimate. Switch it off to start the work."
        ),
    }


def estimate() -> PokeReturnValue:
    """Sensor: count what the archive holds for the days that the form means, and say what fetching it takes."""
    from seaice_ops.backfill.estimate import estimate as count
    from seaice_ops.backfill.season import days

    with task_run() as run, refusal_noted(run):
        settings, request = run.settings, asked(run.context["params"])
        lend_archive(settings)
        first, last = days(settings, request, datetime.now(UTC).date())

        def look() -> dict[str, object]:
            found = count(settings, request.region, first, last, progress=lambda day: log.info("counted to %s", day))
            log.info("%s", found.sentence())
            return {**found.to_dict(), "said": found.sentence()}

        return wait_for_archive(settings, look)


def drive(found: dict[str, Any]) -> PokeReturnValue:
    """Sensor: one look. Wait for the seasons that were asked for earlier, then give Airflow this season's next piece.

    The answer when all is done is the last progress. On the way it is the XCom `progress` and the run's note.
    """
    with task_run() as run, refusal_noted(run):
        if run.context["params"]["dry_run"]:
            note(run, f"dry run: {found['said']}")
            raise ExpectedSkip(f"dry run; {found['said']}")
        try:
            progress = _look(run, found)
        except TransientError as reason:  # a season takes longer than any outage of Airflow or the ledger
            log.warning("waiting: %s", reason)
            return PokeReturnValue(False)
        run.context["ti"].xcom_push("progress", progress)
        return PokeReturnValue(progress["state"] == "done", progress)


def _look(run: TaskRun, found: dict[str, Any]) -> dict[str, object]:
    from seaice_ops.airflow import rest
    from seaice_ops.backfill.drive import ahead, step
    from seaice_ops.backfill.estimate import Estimate

    run_id = run.context["dag_run"].run_id
    with airflow_client(run.settings) as client:
        earlier = ahead(client, DAG_ID, run_id)
        if earlier:
            words = f"waiting for {earlier[0]}; {found['said']}"
            progress: dict[str, object] = {"state": "waiting", "why": earlier[0]}
        else:
            made = step(run.settings, client, asked(run.context["params"]), Estimate.from_dict(found), run_id)
            words, progress = made.sentence(), made.to_dict()
        log.info("%s", words)
        rest.note(client, DAG_ID, run_id, words)
    return progress


@contextmanager
def refusal_noted(run: TaskRun) -> Iterator[None]:
    """Show in the run's note, too, why the form's request is refused."""
    try:
        yield
    except ConfigError as reason:
        try:
            note(run, f"refused: {reason}")
        except SeaIceError as silence:  # the reason is in the task's log in any case
            log.warning("the run has no note: %s", silence)
        raise


def note(run: TaskRun, text: str) -> None:
    """Set the note that Airflow shows beside the run."""
    from seaice_ops.airflow import rest

    with airflow_client(run.settings) as client:
        rest.note(client, DAG_ID, run.context["dag_run"].run_id, text)


def asked(params: Mapping[str, Any]) -> BackfillRequest:
    """The form's fields as a request; raises `ConfigError` where they mean no days."""
    from seaice_ops.backfill.season import BackfillRequest

    return BackfillRequest(
        region=params["region"],
        season=params["season"] or None,
        start=_day(params["start"]),
        end=_day(params["end"]),
        redo=params["redo"],
        at_once=params["at_once"],
    )


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise ConfigError(f"{text!r} is not a day; write 2026-02-01") from None

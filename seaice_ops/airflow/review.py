"""The tasks of `seaice_review_changes`: find changes, ask people about each, and announce whose maps are due."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Context, Param, conf, task

from seaice_ops.airflow.assets import CHANGES
from seaice_ops.airflow.outcome import report, task_run
from seaice_ops.errors import DecidedMeanwhile, ExpectedSkip
from seaice_ops.settings import Settings

log = logging.getLogger(__name__)

APPROVE, REJECT, LATER = "Approve", "Reject", "Later"

#: Answers of the field for the class after a change; the first one keeps the class that was found.
AS_FOUND = "as found"
CLASSES = (AS_FOUND, "open water", "thin ice", "thick ice")

#: Who does not answer within this time is asked again by the next daily run.
PATIENCE = timedelta(seconds=float(os.environ.get("SEAICE_REVIEW_SECONDS", 20 * 3600)))

#: Questions of one run, at most: the largest changes first, confirmed ones before provisional ones.
MOST = 50


def questions() -> list[dict[str, str]]:
    """Find changes; a question about each that nobody has decided: its id, a subject, and a text with pictures."""
    from seaice_ops.ledger.changes import OPEN, changes_of
    from seaice_ops.ledger.session import open_ledger
    from seaice_ops.mapping.change import stage

    with task_run() as run:
        report(stage.run(run.settings, stage.FindRequest(), caller=run.caller))
        with open_ledger(run.settings).begin() as session:
            rows = changes_of(session, run.settings.tiles, OPEN)
        if not rows:
            raise ExpectedSkip("no change waits for a decision")
        rows.sort(key=lambda row: (OPEN.index(row.state), -row.pixels, row.id))
        return [question(row, _root()) for row in rows[:MOST]]


def question(row: Any, root: str) -> dict[str, str]:
    """The question about a change that a person is asked; `root` is the path below which Airflow is served."""
    from seaice_ops.classes.legend import NAMES

    before, after = NAMES[row.before_class], NAMES[row.after_class]
    path = f"{root}/seaice/changes/{row.id}"
    dates = f"{row.at:%Y-%m-%d %H:%M} UTC"
    if row.first_at != row.last_at:
        dates += f" (eight tenths of it between {row.first_at:%Y-%m-%d} and {row.last_at:%Y-%m-%d})"
    body = f"""Did this part of tile {row.tile} turn from **{before}** to **{after}**, and stay so?

| | |
|---|---|
| first seen | {dates} |
| last seen as {before} | {row.since:%Y-%m-%d %H:%M} UTC |
| area | {row.area_km2:.2f} km2 ({row.pixels} pixels) |
| acquisitions that agree | {row.confidence} % |
| state | {row.state} |
| place | {_place(row.box)} |

**Before** ({row.scene_ids[0]}): true colour, and classes

![before]({path}/before.png)

**After** ({row.scene_ids[1]})

![after]({path}/after.png)

[Polygon (GeoJSON)]({path}/change.geojson). The edge is drawn in magenta. Dark blue is open water, blue thin
ice, white thick ice, grey not known.
"""
    subject = f"{row.tile}, {row.at:%Y-%m-%d}: {before} -> {after}, {row.area_km2:.2f} km2"
    return {"change": row.id, "subject": subject, "body": body}


class ChangeReview(HITLOperator):
    """Ask a person about one change and apply the answer through the same function as `seaice changes`."""

    template_fields: Collection[str] = ("subject", "body", "change")

    def __init__(self, *, change: str, **kwargs: Any) -> None:
        field = Param(
            AS_FOUND, type="string", enum=list(CLASSES), title="Class after the change", description="To correct it."
        )
        super().__init__(
            options=[APPROVE, REJECT, LATER],
            defaults=LATER,
            params={"class_after": field},
            response_timeout=PATIENCE,
            **kwargs,
        )
        self.change = change

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        answer = super().execute_complete(context, event)
        by = answer["responded_by_user"]
        told = apply(
            Settings.load(), self.change, answer["chosen_options"][0], str(answer["params_input"].get("class_after")),
            by["name"] if by else "",
        )  # fmt: skip
        log.info("%s %s", self.change, told)
        return told


def apply(settings: Settings, change: str, option: str, class_after: str, who: str) -> str:
    """Record an answer in the ledger; what came of it, in words.

    An answer that comes second changes nothing. Raises `ConfigError` where the change is not known or not found any
    more.
    """
    from seaice_ops.ledger.changes import APPROVED, REJECTED, decide, get_change
    from seaice_ops.ledger.session import open_ledger

    if option == LATER or not who:
        return "is left for later"
    code = CLASSES.index(class_after) if class_after in CLASSES[1:] else None
    try:
        with open_ledger(settings).begin() as session:
            row = get_change(session, change)
            if option == APPROVE:
                decide(session, row, APPROVED, who=who, code=code)
            else:
                decide(session, row, REJECTED, who=who)
            return f"is {row.state}"
    except DecidedMeanwhile as error:
        return f"stays as it is: {error}"


def announce(change: str) -> str:
    """Emit the asset `seaice_changes` for the change's tile, where its maps are due."""
    from seaice_ops.ledger.changes import get_change
    from seaice_ops.ledger.session import open_ledger
    from seaice_ops.mapping.due.tile_state import Rules, tile_state

    with task_run() as run:
        ledger = open_ledger(run.settings)
        with ledger.begin() as session:
            tile = get_change(session, change).tile
        if not tile_state(ledger, tile, Rules.of(run.settings)).due:
            raise ExpectedSkip(f"the maps of {tile} are up to date")
        run.context["outlet_events"][CHANGES].add_partitions([tile])
        return tile


def review(change: str, subject: str, body: str) -> None:
    """The tasks about one change: ask, then announce."""
    asked = ChangeReview(task_id="ask", change=change, subject=subject, body=body)
    announced = task(task_id="announce", outlets=[CHANGES])(announce)(change)
    asked >> announced


def _root() -> str:
    """The path below which this Airflow is served, without a slash at its end."""
    return urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")


def _place(box: list[float]) -> str:
    west, south, east, north = box
    middle = (west + (east - west) % 360 / 2 + 180) % 360 - 180
    latitude = (south + north) / 2
    return f"{abs(latitude):.3f} {'S' if latitude < 0 else 'N'}, {abs(middle):.3f} {'W' if middle < 0 else 'E'}"

"""The season played through a running Airflow, by its REST API only.

Airflow's scheduler, its API and a command beside them would fight for one SQLite file. So the API is the only writer
here, each request may be repeated, and what an earlier Airflow left unfinished is finished, not set aside.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock

import httpx

from seaice_ops.airflow import rest
from seaice_ops.backfill import drive
from seaice_ops.backfill.estimate import estimate
from seaice_ops.backfill.season import BackfillRequest
from seaice_ops.demo.progress import IDLE, Tell, Waiting, step, watch
from seaice_ops.errors import SeaIceError
from seaice_ops.ledger.operations import unlabelled_scenes
from seaice_ops.ledger.session import open_ledger
from seaice_ops.settings import Settings

DAY = timedelta(days=1)
DAGS = {"seaice_ingest", "seaice_autolabel", "seaice_retrain", "seaice_update_maps"}

#: Its runs wait for people.
REVIEW = "seaice_review_changes"


@dataclass(frozen=True)
class Season:
    """What the demo plays."""

    first: date
    """The first day that is rebuilt by a backfill, by sensing time."""
    last: date
    """The last such day."""
    advance: tuple[date, ...]
    """Days after that, each played as the daily run of its day."""
    publish: Callable[[datetime], object]
    """Lets the archive publish its products up to a moment."""


def play(settings: Settings, client: httpx.Client, season: Season, started: datetime) -> None:
    """Backfill, train, and advance day by day, each until everything that follows from it is done.

    Raises `SeaIceError` where a run fails, `TransientError` where nothing moves any more.
    """
    with step("Airflow reads the DAGs") as tell:
        watch(lambda: _unread(client), tell)
    with step(f"backfill {season.first} .. {season.last}: search, fetch, decode, label") as tell:
        for region in settings.regions:
            _backfill(settings, client, region, season, started, tell)
        _settle(settings, client, started, tell)
    if season.advance:
        with step("retrain: snapshot, Horovod, evaluate, gate; then the first maps") as tell:
            run_id = f"demo__{started:%Y-%m-%dT%H:%M:%SZ}"
            rest.start_run(client, "seaice_retrain", run_id)
            _finish(client, "seaice_retrain", run_id, started, tell)
            _settle(settings, client, started, tell)
    for day in season.advance:
        with step(f"day {day}: what was published, its labels, its maps") as tell:
            season.publish(midnight(day + DAY))
            run_id = f"day__{day}"
            rest.run_once(client, "seaice_ingest", run_id, midnight(day), midnight(day + DAY))
            _finish(client, "seaice_ingest", run_id, started, tell)
            _settle(settings, client, started, tell)


def _unread(client: httpx.Client) -> Waiting | None:
    missing = DAGS - rest.known_dags(client)
    return Waiting(f"not read yet: {', '.join(sorted(missing))}") if missing else None


def _backfill(
    settings: Settings, client: httpx.Client, region: str, season: Season, started: datetime, tell: Tell
) -> None:
    """Rebuild the days of one region as the season's form does it; a backfill that is under way comes first."""
    request = BackfillRequest(region, start=season.first, end=season.last, redo="everything")
    found = estimate(settings, region, season.first, season.last)
    owner = f"demo {started:%Y-%m-%dT%H:%M:%SZ}"
    failed = 0

    def look() -> Waiting | None:
        nonlocal failed
        progress = drive.step(settings, client, request, found, owner)
        failed = progress.failed
        return None if progress.state == "done" else Waiting(progress.sentence())

    watch(look, tell)
    if failed:
        raise SeaIceError(f"{failed} days of the backfill failed: {_failed(client, started)}")


def _finish(client: httpx.Client, dag_id: str, run_id: str, started: datetime, tell: Tell) -> None:
    """Wait for one run; raises `SeaIceError` with its failed tasks where it fails."""
    state = ""

    def look() -> Waiting | None:
        nonlocal state
        state = rest.run_state(client, dag_id, run_id)
        return None if state in ("success", "failed") else Waiting(f"{dag_id} is {state}")

    watch(look, tell)
    if state == "failed":
        raise SeaIceError(f"{dag_id} {run_id} failed: {_failed(client, started)}")


def _settle(settings: Settings, client: httpx.Client, started: datetime, tell: Tell) -> None:
    """Wait until the chain behind ingest is done: no run active, every scene labelled, every due map published."""

    def look() -> Waiting | None:
        runs = [run["dag_id"] for run in rest.active_runs(client)]
        active, missing = Counter(dag_id for dag_id in runs if dag_id != REVIEW), _missing(settings)
        if active:
            words = ", ".join(f"{n} of {dag_id}" for dag_id, n in sorted(active.items()))
            return Waiting(f"active runs: {words}; {missing or 'nothing is missing'}")
        if missing:
            return Waiting(f"no run is active, but {missing}; failed tasks: {_failed(client, started)}", IDLE)
        return None

    watch(look, tell)


def _missing(settings: Settings) -> str:
    from seaice_ops.mapping.due.tile_state import tiles_due

    method = settings.labels.method
    with open_ledger(settings).begin() as session:
        unlabelled = len(unlabelled_scenes(session, method, settings.label_version(method)))
    if unlabelled:
        return f"{unlabelled} scenes have no labels"
    due = tiles_due(settings)
    return f"maps of {', '.join(due)} are due" if due else ""


def _failed(client: httpx.Client, started: datetime) -> str:
    return ", ".join(rest.failed_tasks(client, started)) or "none"


def midnight(day: date) -> datetime:
    """The start of the day, UTC."""
    return datetime.combine(day, clock(), UTC)

"""Rebuild days through Airflow, one look at a time.

Airflow keeps one run of `seaice_ingest` for each day and works on one backfill of it at a time. A look reads Airflow's
runs and gives it the next piece of work where it is free for one. Nothing else is remembered between two looks: each
run's conf names the region and the request that it was made for. So a driver that was killed finds its place again, and
a backfill that is under way is waited for, never started twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal

import httpx
from sqlalchemy import ColumnElement, func, select

from seaice_ops.airflow import rest
from seaice_ops.archive.limits import breaker, quota
from seaice_ops.backfill.estimate import DAY, Estimate, midnight, piece_end
from seaice_ops.backfill.season import BackfillRequest
from seaice_ops.errors import ConfigError, SeaIceError
from seaice_ops.ledger.operations import now
from seaice_ops.ledger.session import Ledger, open_ledger
from seaice_ops.ledger.tables import Scene, SceneState
from seaice_ops.settings import Settings

DAG = "seaice_ingest"

#: How often a day is run for one request while scenes of it are put off (an outage, a quota used up).
ATTEMPTS = 3

Kind = Literal["absent", "failed", "again", "done", "active"]
Behaviour = Literal["none", "failed", "completed"]


@dataclass(frozen=True)
class Day:
    """A day of the request; `kind` says whether it is to run, `ran` is the state of its run for this region."""

    day: date
    kind: Kind
    ran: str | None
    attempt: int


@dataclass(frozen=True)
class Progress:
    """The progress of a request."""

    state: Literal["running", "waiting", "done"]
    why: str
    """The work that it runs or waits for, in words."""
    days: int
    """All days of the request; the next three count some of them."""
    done: int
    failed: int
    running: int
    scenes: int
    """Scenes of these days that are ready."""
    expected: int
    """Products that the archive held when the request was estimated."""

    def sentence(self) -> str:
        """For people, on one line."""
        return (
            f"{self.state}: {self.why}; {self.done} of {self.days} days done, {self.failed} failed, {self.running} "
            f"running; {self.scenes} of {self.expected} scenes ready"
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)


def step(settings: Settings, client: httpx.Client, request: BackfillRequest, found: Estimate, owner: str) -> Progress:
    """Look at Airflow once, and give it the next piece of work where it is free for one.

    `owner` names this request in the runs' conf: the same owner goes on where it stopped. Raises `SeaIceError` where
    Airflow refuses, `ConfigError` for a day larger than the whole quota.
    """
    ledger, tiles = open_ledger(settings), settings.region(found.region).tiles
    first, last = date.fromisoformat(found.first), date.fromisoformat(found.last)

    def progress(state: Literal["running", "waiting", "done"], why: str) -> Progress:
        return _progress(ledger, tiles, found, table, state, why)

    active = active_backfill(client)
    table = list(plan_days(request, owner, first, last, _runs(client, first, last), _unfinished(ledger, tiles, found)))
    if active:
        return progress("running", _words(client, active, request.region))
    if any(day.kind == "active" for day in table):
        return progress("running", "single days run again by hand")
    if not any(day.kind in ("absent", "failed", "again") for day in table):
        return progress("done", "every day has run")
    start, end, behaviour = next_piece(table, found, settings.archive.quota.bytes_per_30_days)
    obstacle = _obstacle(settings, found, start, end)
    if obstacle:
        return progress("waiting", obstacle)
    attempt = 1 + max(day.attempt for day in table if start <= day.day <= end)
    conf = {"region": request.region, "request": owner, "attempt": attempt}
    if not _create(client, start, end, behaviour, request.at_once, conf):
        return progress("waiting", "another backfill was started at this moment")
    return progress("running", f"{start} to {end} given to Airflow")


def plan_days(
    request: BackfillRequest,
    owner: str,
    first: date,
    last: date,
    runs: dict[date, dict[str, Any]],
    unfinished: frozenset[date],
) -> Iterator[Day]:
    """Say of each day whether it is to run, by Airflow's run of it and the ledger's `unfinished` days (`season.Redo`).

    A run without this region in its conf (a daily run, another region's) has not searched the region by sensing time.
    """
    day = first
    while day <= last:
        run = runs.get(day)
        conf = (run or {}).get("conf") or {}
        if run is None:
            yield Day(day, "absent", None, 0)
        elif run["state"] in ("queued", "running"):
            yield Day(day, "active", run["state"], 0)
        elif conf.get("region") != request.region:
            yield Day(day, "again", None, 0)
        else:
            mine = conf.get("request") == owner
            attempt = int(conf.get("attempt", 1)) if mine else 0
            yield Day(day, _kind(request, run["state"], mine, attempt, day in unfinished), run["state"], attempt)
        day += DAY


def _kind(request: BackfillRequest, state: str, mine: bool, attempt: int, unfinished: bool) -> Kind:
    if mine:  # this request has run the day already
        return "again" if unfinished and state == "success" and attempt < ATTEMPTS else "done"
    if request.redo == "everything":
        return "again"
    if state == "failed":
        return "failed" if request.redo == "failed" else "done"
    return "again" if unfinished else "done"


def next_piece(table: list[Day], found: Estimate, limit: int) -> tuple[date, date, Behaviour]:
    """The oldest days that can be one backfill of Airflow: first day, last day, and its reprocess behaviour.

    `completed` runs every day again that has run: a piece of such days has no other days in it. `none` and `failed`
    leave out days that are done.
    """
    position = next(i for i, day in enumerate(table) if day.kind in ("absent", "failed", "again"))
    end = piece_end(found, table[position].day, limit)
    ahead = [day for day in table[position:] if day.day <= end]
    wanted = {"again"} if ahead[0].kind == "again" else {"absent", "failed"}
    allowed = wanted if ahead[0].kind == "again" else wanted | {"done"}
    piece = []
    for day in ahead:
        if day.kind not in allowed or (day.kind == "done" and day.ran == "failed"):
            break
        piece.append(day)
    while piece[-1].kind not in wanted:
        piece.pop()
    kinds = {day.kind for day in piece}
    behaviour: Behaviour = "completed" if "again" in kinds else "failed" if "failed" in kinds else "none"
    return piece[0].day, piece[-1].day, behaviour


def active_backfill(client: httpx.Client) -> dict[str, Any] | None:
    """The backfill of `seaice_ingest` that has not ended, if there is one."""
    query: dict[str, Any] = {"dag_id": DAG, "order_by": "-id", "limit": 50}
    found = rest.ask(client, "GET", "/backfills", params=query)["backfills"]
    return next((each for each in found if each["completed_at"] is None), None)


def ahead(client: httpx.Client, dag_id: str, run_id: str) -> list[str]:
    """Runs of the season's DAG that were asked for earlier, want to write, and have not ended: seasons queue."""
    query: dict[str, Any] = {"state": ["queued", "running"], "order_by": "id", "limit": 100}
    runs = rest.ask(client, "GET", f"/dags/{dag_id}/dagRuns", params=query)["dag_runs"]
    before = []
    for run in runs:
        if run["dag_run_id"] == run_id:
            break
        if not (run["conf"] or {}).get("dry_run", True):
            before.append(run["dag_run_id"])
    return before


def _words(client: httpx.Client, active: dict[str, Any], region: str) -> str:
    """Which backfill is under way, and what keeps it from moving where a person must act."""
    conf = active["dag_run_conf"] or {}
    dates = f"{active['from_date'][:10]} to {active['to_date'][:10]}"
    stopped = ", which is paused: unpause it in Airflow" if active["is_paused"] else ""
    if rest.ask(client, "GET", f"/dags/{DAG}")["is_paused"]:
        stopped = f", but {DAG} is paused: unpause it in Airflow"
    if conf.get("region") == region:
        return f"backfill {active['id']} of {dates}{stopped}"
    return f"backfill {active['id']} of {conf.get('region') or 'all regions'}, {dates}, comes first{stopped}"


def _obstacle(settings: Settings, found: Estimate, start: date, end: date) -> str | None:
    """Why the piece cannot begin now: the archive does not answer, or the quota has no room for it yet."""
    ledger = open_ledger(settings)
    state = breaker.current(ledger, settings.archive.kind)
    if state.opened_at is not None and state.retry_at and state.retry_at > now():
        return breaker.sentence(settings.archive.kind, state)
    products = sum(n for day, n in found.products.items() if start.isoformat() <= day <= end.isoformat())
    need, moment = int(products * found.scene_bytes), now()
    room = quota.room_for(ledger, settings.archive, settings.work, need, moment)
    if room is None:
        raise ConfigError(
            f"{start} to {end} need {quota.size(need)}, more than archive.quota.bytes_per_30_days ever allows"
        )
    if room > moment:
        return f"the quota has room for the {quota.size(need)} of {start} to {end} from {room:%Y-%m-%dT%H:%MZ} on"
    return None


def _create(
    client: httpx.Client, start: date, end: date, behaviour: Behaviour, at_once: int, conf: dict[str, Any]
) -> bool:
    """Start a backfill; False where another is under way (also one that an unanswered attempt of ours has made)."""
    body = {
        "dag_id": DAG,
        "from_date": midnight(start).isoformat(),
        "to_date": midnight(end).isoformat(),
        "reprocess_behavior": behaviour,
        "max_active_runs": at_once,
        "dag_run_conf": conf,
    }
    answer = rest.send(client, "POST", "/backfills", json=body)
    if answer.status_code == httpx.codes.CONFLICT:
        return False
    if answer.is_error:
        raise SeaIceError(f"Airflow refused a backfill of {start} to {end}: {answer.status_code} {answer.text[:500]}")
    return True


def _runs(client: httpx.Client, first: date, last: date) -> dict[date, dict[str, Any]]:
    """Airflow's run of each day (its logical date is the start of the day that it ingests)."""
    found: dict[date, dict[str, Any]] = {}
    interval = {"logical_date_gte": midnight(first).isoformat(), "logical_date_lte": midnight(last).isoformat()}
    while True:
        query: dict[str, Any] = {**interval, "order_by": "logical_date", "limit": 100, "offset": len(found)}
        page = rest.ask(client, "GET", f"/dags/{DAG}/dagRuns", params=query)
        for run in page["dag_runs"]:
            found[datetime.fromisoformat(run["logical_date"]).astimezone(UTC).date()] = run
        if not page["dag_runs"] or len(found) >= page["total_entries"]:
            return found


def _in_period(tiles: Sequence[str], found: Estimate) -> ColumnElement[bool]:
    first, last = date.fromisoformat(found.first), date.fromisoformat(found.last)
    return Scene.tile.in_(tiles) & (Scene.sensed_at >= midnight(first)) & (Scene.sensed_at < midnight(last + DAY))


def _unfinished(ledger: Ledger, tiles: Sequence[str], found: Estimate) -> frozenset[date]:
    """Days on which scenes of the region were found that are neither ready nor given up."""
    waiting = Scene.state.in_((SceneState.DISCOVERED, SceneState.FETCHED))
    query = select(Scene.sensed_at).where(waiting & _in_period(tiles, found))
    with ledger.begin() as session:
        return frozenset(moment.date() for moment in session.scalars(query))


def _progress(
    ledger: Ledger,
    tiles: Sequence[str],
    found: Estimate,
    table: list[Day],
    state: Literal["running", "waiting", "done"],
    why: str,
) -> Progress:
    with ledger.begin() as session:
        ready = select(func.count()).where(Scene.state == SceneState.READY, _in_period(tiles, found))
        scenes = session.scalar(ready) or 0
    ran = Counter(day.ran for day in table)
    running = ran["running"] + ran["queued"]
    return Progress(state, why, len(table), ran["success"], ran["failed"], running, scenes, found.found)

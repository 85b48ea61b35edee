"""The page *Now*: every tile in one row, the worst first: what came, what is mapped, what is late and why."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from urllib.parse import quote

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from seaice_ops.archive.limits import breaker
from seaice_ops.archive.limits.quota import usage
from seaice_ops.ledger.operations import now
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Map, Run, Scene, SceneState
from seaice_ops.ops.account.facts import Line
from seaice_ops.ops.account.late import why_late
from seaice_ops.ops.account.reasons import Reason
from seaice_ops.settings import Settings

#: Days of the strip; days for which a reason is looked for.
DAYS, LOOKED = 60, 14

#: The states of a day, the one to act on first, with what a legend says.
STATES = {
    "failed": "an acquisition failed",
    "waiting": "an acquisition is not mapped yet",
    "mapped": "mapped",
    "dark": "taken at night",
    "nothing": "no acquisition",
}

#: The stages whose newest run says more about a reason, the first that ran.
_STAGES = {
    Reason.LABELS: ("label",),
    Reason.MODEL: ("encode",),
    Reason.NOT_YET: ("publish", "decode", "fetch"),
    Reason.OUTAGE: ("search", "fetch"),
    Reason.QUOTA: ("search", "fetch"),
    Reason.FILE: ("fetch",),
    Reason.DATA: ("decode", "label", "publish"),
    Reason.UNEXPLAINED: ("publish", "decode", "fetch", "search"),
}

_SENSED = re.compile(r"_(\d{8}T\d{6})_T")
_CALLER = re.compile(r"(?P<dag>\w+)\.(?P<task>[\w.]+) (?P<run>\S.*)")


@dataclass(frozen=True)
class TileNow:
    """One tile at this moment; times are aware UTC."""

    tile: str
    newest: datetime | None
    """Sensing time of the newest acquisition that the ledger knows and that was not withdrawn."""
    mapped: datetime | None
    """Window end of the newest map."""
    late: float | None
    """Hours beyond the promise (`mapping.late_after_hours`) of the newest acquisition that is no map; None: in time."""
    reason: str
    """Why it is no map; empty where everything is published."""
    words: str
    """The same with what is known, in a sentence."""
    stage: str
    """The stage whose newest run tells more; empty without one."""
    task: str
    """The address of that run's task in the Airflow UI, relative to this page; empty where no task ran it."""
    strip: tuple[tuple[date, str], ...]
    """The last `DAYS` days, oldest first, each with its state."""


def tiles_now(settings: Settings) -> list[TileNow]:
    """All tiles of all regions, the worst first."""
    at, tiles = now(), settings.tiles
    start = at - timedelta(days=DAYS)
    with open_ledger(settings).begin() as session:
        scenes = [(row.tile, row.sensed_at, row.state, row.reason) for row in session.execute(_scenes(tiles, start))]
        maps = [(row.tile, row.window_end) for row in session.execute(_maps(tiles, start))]
        runs = _newest_runs(session)
    promise = timedelta(hours=settings.mapping.late_after_hours)
    return ordered(rows(tiles, at, promise, scenes, maps, why_late(settings, tiles, LOOKED), runs))


def held_up(settings: Settings) -> tuple[str, str]:
    """The archive's outage and the use of its quota, in words; empty where there is none."""
    ledger, archive = open_ledger(settings), settings.archive
    used, state = usage(ledger, archive, settings.work), breaker.current(ledger, archive.kind)
    return breaker.sentence(archive.kind, state) if state.opened_at else "", used.sentence() if used else ""


def rows(
    tiles: Sequence[str],
    at: datetime,
    promise: timedelta,
    scenes: Iterable[tuple[str, datetime, SceneState, str | None]],
    maps: Iterable[tuple[str, datetime]],
    missing: Mapping[str, Line],
    runs: Mapping[str, str],
) -> list[TileNow]:
    """One row for each of `tiles`, in their order.

    `scenes` are (tile, sensing time, state, reason), `maps` (tile, window end), `missing` the newest acquisition of a
    tile that is no map, `runs` the caller of each stage's newest run.
    """
    seen: dict[str, datetime] = {}
    mapped: dict[str, datetime] = {}
    days: dict[tuple[str, date], set[str]] = {}
    done = set(maps)
    for tile, end in done:
        mapped[tile] = max(mapped.get(tile, end), end)
        days.setdefault((tile, end.date()), set()).add("mapped")
    for tile, sensed, state, reason in scenes:
        if state is SceneState.WITHDRAWN or state is SceneState.SUPERSEDED:
            continue
        seen[tile] = max(seen.get(tile, sensed), sensed)
        if (tile, sensed) not in done:
            days.setdefault((tile, sensed.date()), set()).add(_state(state, reason))
    last = at.date()
    strip_days = [last - timedelta(days=number) for number in range(DAYS - 1, -1, -1)]
    found = []
    for tile in tiles:
        line = missing.get(tile)
        stage, task = _task(line, runs)
        strip = tuple((day, _worst(days.get((tile, day), set()))) for day in strip_days)
        late = _late(line, at, promise)
        reason, words = (str(line.reason), line.words) if line else ("", "")
        found.append(TileNow(tile, seen.get(tile), mapped.get(tile), late, reason, words, stage, task, strip))
    return found


def ordered(found: Iterable[TileNow]) -> list[TileNow]:
    """The worst first: unexplained, then the latest, then what waits, then by name."""
    return sorted(
        found, key=lambda each: (each.reason != Reason.UNEXPLAINED, -(each.late or 0), not each.reason, each.tile)
    )


def task_address(caller: str) -> str:
    """The address of a task run in the Airflow UI, relative to a page below /seaice/; empty for other callers."""
    match = _CALLER.fullmatch(caller)
    if match is None:
        return ""
    dag, task, run = (quote(match[name], safe="") for name in ("dag", "task", "run"))
    return f"../dags/{dag}/runs/{run}/tasks/{task}"


def _task(line: Line | None, runs: Mapping[str, str]) -> tuple[str, str]:
    stages = _STAGES.get(line.reason, ()) if line and line.reason else ()
    stage = next((each for each in stages if each in runs), "")
    return stage, task_address(runs[stage]) if stage else ""


def _late(line: Line | None, at: datetime, promise: timedelta) -> float | None:
    match = _SENSED.search(line.identity) if line else None
    if match is None or line is None or line.reason in (Reason.LOW_SUN, Reason.NO_SEA, Reason.WITHDRAWN):
        return None
    sensed = datetime.strptime(match[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    beyond = at - sensed - promise
    return beyond / timedelta(hours=1) if beyond > timedelta(0) else None


def _state(state: SceneState, reason: str | None) -> str:
    if state is not SceneState.FAILED:
        return "waiting"
    return "dark" if (reason or "").startswith("night") else "failed"


def _worst(states: set[str]) -> str:
    return next((state for state in STATES if state in states), "nothing")


def _scenes(tiles: Sequence[str], start: datetime) -> Select[str, datetime, SceneState, str | None]:
    return select(Scene.tile, Scene.sensed_at, Scene.state, Scene.reason).where(
        Scene.tile.in_(tiles), Scene.sensed_at >= start
    )


def _maps(tiles: Sequence[str], start: datetime) -> Select[str, datetime]:
    return select(Map.tile, Map.window_end).where(Map.tile.in_(tiles), Map.window_end >= start).distinct()


def _newest_runs(session: Session) -> dict[str, str]:
    """The caller of the newest run of each stage."""
    newest: dict[str, str] = {}
    for stage in {stage for stages in _STAGES.values() for stage in stages}:
        query = select(Run.caller).where(Run.stage == stage).order_by(Run.id.desc()).limit(1)
        caller = session.scalar(query)
        if caller is not None:
            newest[stage] = caller
    return newest

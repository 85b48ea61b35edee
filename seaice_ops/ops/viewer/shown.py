"""Which maps a view shows: of each tile the newest map up to a moment, each in its newest revision."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from seaice_ops.geo.grid import Grid
from seaice_ops.ledger.tables import Map, Scene, SceneState

#: A map is shown for this long. No class in it rests on older evidence at its end (docs/maps.md, Expiry).
LONGEST = timedelta(days=15)


@dataclass(frozen=True)
class Shown:
    """One map as a view needs it."""

    id: str
    """The map's id."""
    tile: str
    """Its tile."""
    at: datetime
    """The end of its window: the moment that it is of."""
    folder: str
    """Key prefix of its layers in the store."""
    scenes: tuple[str, ...]
    """The acquisitions of its window, oldest first."""


def shown_on(session: Session, tiles: Sequence[str], day: date) -> list[Shown]:
    """Of each tile the newest map up to the end of `day` (UTC), at most `LONGEST` old; the newest first."""
    end = datetime.combine(day, time(), UTC) + timedelta(days=1)
    rows = session.execute(_maps(tiles, end - LONGEST, end)).all()
    newest: dict[str, Shown] = {}
    for id_, tile, at, folder, scenes, withdrawn in rows:
        if withdrawn is None:
            newest.setdefault(tile, Shown(id_, tile, at, folder, tuple(scenes)))
    return list(newest.values())


def history_of(session: Session, tiles: Sequence[str], end: date, count: int) -> list[Shown]:
    """The newest `count` maps of `tiles` up to the end of the day `end`, newest first."""
    until = datetime.combine(end, time(), UTC) + timedelta(days=1)
    rows = session.execute(_maps(tiles, datetime.min.replace(tzinfo=UTC), until).limit(count)).all()
    return [Shown(id_, tile, at, folder, tuple(scenes)) for id_, tile, at, folder, scenes, gone in rows if gone is None]


def days_of(session: Session, tiles: Sequence[str]) -> dict[date, int]:
    """The days (UTC) with maps of `tiles`, in order, and how many tiles each has."""
    found = session.execute(select(Map.tile, Map.window_end).where(Map.tile.in_(tiles)).distinct())
    return _counted({(tile, at.date()) for tile, at in found})


def grids_of(session: Session, tiles: Sequence[str]) -> dict[str, Grid]:
    """The grid of each of `tiles` that has a ready scene: its newest one's."""
    last = (
        select(Scene.tile, func.max(Scene.sensed_at).label("sensed_at"))
        .where(Scene.tile.in_(tiles), Scene.state == SceneState.READY)
        .group_by(Scene.tile)
        .subquery()
    )
    rows = session.scalars(
        select(Scene)
        .join(last, (Scene.tile == last.c.tile) & (Scene.sensed_at == last.c.sensed_at))
        .where(Scene.state == SceneState.READY)
    )
    return {row.tile: _grid(row) for row in rows if row.crs and row.transform}


def _grid(scene: Scene) -> Grid:
    a, b, c, d, e, f = scene.transform or (1, 0, 0, 0, 1, 0)
    return Grid(scene.crs or "", (a, b, c, d, e, f), scene.width or 0, scene.height or 0)


def _counted(tile_days: Iterable[tuple[str, date]]) -> dict[date, int]:
    counts: dict[date, int] = {}
    for _, day in sorted(tile_days, key=lambda each: each[1]):
        counts[day] = counts.get(day, 0) + 1
    return counts


def _maps(tiles: Sequence[str], start: datetime, end: datetime) -> Select[Any]:
    """Newest revisions of the maps of `tiles` with start < window's end < end, the newest first."""
    last = (
        select(Map.tile, Map.window_end, func.max(Map.revision).label("revision"))
        .where(Map.tile.in_(tiles), Map.window_end > start, Map.window_end < end)
        .group_by(Map.tile, Map.window_end)
        .subquery()
    )
    same = (Map.tile == last.c.tile) & (Map.window_end == last.c.window_end) & (Map.revision == last.c.revision)
    withdrawn = Map.statistics["withdrawn"].as_string()
    return (
        select(Map.id, Map.tile, Map.window_end, Map.folder, Map.scene_ids, withdrawn)
        .join(last, same)
        .order_by(Map.window_end.desc(), Map.tile)
    )

"""What the catalogue asks the ledger. No question reads more rows as the catalogue grows: all go through an index."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.orm import Session

from seaice_ops.ledger.tables import Map, Scene

#: Ids in one statement: below what every database takes.
_MANY = 500


def month_of(time: datetime) -> str:
    """The month of a map's window end, ``yyyy-mm``: a map and its revisions lie in one month."""
    return f"{time:%Y-%m}"


def collections(session: Session) -> list[str]:
    """The collections that list a map, sorted."""
    return list(_distinct(session, Map.catalogued))


def tiles_in(session: Session, collection: str) -> list[str]:
    """The tiles of which `collection` lists a map, sorted."""
    return list(_distinct(session, Map.tile, Map.catalogued == collection))


def months_in(session: Session, collection: str, tile: str) -> list[str]:
    """The months of which `collection` lists a map of `tile`, sorted."""
    found: list[str] = []
    where = [Map.catalogued == collection, Map.tile == tile]
    end = session.scalar(select(func.min(Map.window_end)).where(*where))
    while end is not None:
        found.append(month_of(end))
        end = session.scalar(select(func.min(Map.window_end)).where(*where, Map.window_end >= _next_month(end)))
    return found


def pending(session: Session, place: Callable[[str], str]) -> list[Map]:
    """The maps that no collection lists yet, or another one than ``place(tile)``."""
    found = list(session.scalars(select(Map).where(Map.catalogued.is_(None))))
    for collection in collections(session):
        for tile in tiles_in(session, collection):
            if place(tile) != collection:
                found += session.scalars(select(Map).where(Map.catalogued == collection, Map.tile == tile))
    return found


def every(session: Session) -> list[Map]:
    """All maps."""
    return list(session.scalars(select(Map)))


def of_month(session: Session, tile: str, month: str, new: Collection[str]) -> list[Map]:
    """The maps of `tile` in `month` that are listed or `new`: the newest first, and the newest revision first."""
    start = datetime.fromisoformat(f"{month}-01T00:00:00+00:00")
    query = select(Map).where(Map.tile == tile, Map.window_end >= start, Map.window_end < _next_month(start))
    rows = session.scalars(query.order_by(Map.window_end.desc(), Map.revision.desc()))
    return [row for row in rows if row.catalogued or row.id in new]


def newest(session: Session, collection: str, tile: str, new: Collection[str]) -> Iterator[Map]:
    """The newest revision of each map of `tile` that `collection` lists or that is `new`: the newest map first."""
    query = select(Map).where(Map.tile == tile).order_by(Map.window_end.desc(), Map.revision.desc()).limit(1)
    row, told = session.scalar(query), None
    while row is not None:
        if (row.catalogued == collection or row.id in new) and row.window_end != told:
            told = row.window_end
            yield row
        older = and_(Map.window_end == row.window_end, Map.revision < row.revision)
        row = session.scalar(query.where(or_(Map.window_end < row.window_end, older)))


def first_end(session: Session, collection: str, tile: str) -> datetime | None:
    """The earliest window end of the maps of `tile` that `collection` lists."""
    query = select(func.min(Map.window_end)).where(Map.catalogued == collection, Map.tile == tile)
    return session.scalar(query)


def sensed(session: Session, scene_ids: Iterable[str]) -> dict[str, datetime]:
    """The sensing time of each scene that the ledger knows."""
    ids, found = sorted(set(scene_ids)), dict[str, datetime]()
    for start in range(0, len(ids), _MANY):
        query = select(Scene.id, Scene.sensed_at).where(Scene.id.in_(ids[start : start + _MANY]))
        found |= {row.id: row.sensed_at for row in session.execute(query)}
    return found


def mark(session: Session, map_ids: Iterable[str], collection: str) -> None:
    """Note that `collection` lists these maps."""
    ids = sorted(map_ids)
    for start in range(0, len(ids), _MANY):
        session.execute(update(Map).where(Map.id.in_(ids[start : start + _MANY])).values(catalogued=collection))


def _distinct(session: Session, column: Any, *where: Any) -> Iterator[str]:
    """The values of an indexed column, one look-up each: DISTINCT would read every row."""
    value = session.scalar(select(func.min(column)).where(*where))
    while value is not None:
        yield value
        value = session.scalar(select(func.min(column)).where(*where, column > value))


def _next_month(time: datetime) -> datetime:
    first = time.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)

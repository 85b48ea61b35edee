"""Up to where the ledger knows an archive: its watermarks. Each operation takes an open session."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from seaice_ops.ledger.operations import now
from seaice_ops.ledger.tables import Run, Scene, Watermark

log = logging.getLogger(__name__)

#: The watermark row of an archive's list of withdrawn products.
WITHDRAWN = "withdrawn"


def watermarks(session: Session, archive: str, tiles: Iterable[str]) -> dict[str, datetime]:
    """Up to which publication time the ledger holds what `archive` published, by tile; unknown tiles are left out."""
    query = select(Watermark).where(Watermark.archive == archive, Watermark.tile.in_(list(tiles)))
    return {row.tile: row.published_until for row in session.scalars(query)}


def trusted_watermarks(session: Session, archive: str, tiles: Iterable[str], present: datetime) -> dict[str, datetime]:
    """`watermarks`; one beyond `present` is replaced by what is known without it, or left out where that is nothing.

    Such a watermark was written by a run whose clock was ahead. A warning says so.
    """
    marks = watermarks(session, archive, tiles)
    for tile in [tile for tile, mark in marks.items() if mark > present]:
        known = _known_without_it(session, tile, present)
        log.warning(
            "the watermark of %s in the archive %s is %s, which is yet to come: a clock was wrong; "
            "what was published since %s is searched for again; check the clocks of all machines",
            tile,
            archive,
            f"{marks.pop(tile):%Y-%m-%dT%H:%M:%SZ}",
            f"{known:%Y-%m-%dT%H:%M:%SZ}" if known else "this run's interval began",
        )
        if known:
            marks[tile] = known
    return marks


def _known_without_it(session: Session, tile: str, present: datetime) -> datetime | None:
    """Up to when all that was published of `tile` is surely in the ledger, by other witnesses than its watermark.

    These are the newest publication in the ledger, and the last search before clocks were wrong: the searches after it
    found everything up to then. The earlier one counts, because a backfill can have brought a newer publication.
    """
    newest = select(func.max(Scene.published_at)).where(Scene.tile == tile, Scene.published_at <= present)
    # Runs are numbered in the order in which they ended, whatever their clocks said.
    wrong = select(func.min(Run.id)).where(Run.stage == "search", Run.started_at > present).scalar_subquery()
    last = select(func.max(Run.started_at)).where(Run.stage == "search", Run.id < wrong)
    return min((found for query in (newest, last) if (found := session.scalar(query))), default=None)


def advance_watermarks(session: Session, archive: str, tiles: Iterable[str], until: datetime) -> None:
    """Bring the watermarks of `tiles` forward to `until`; one that is further already stays, unless yet to come."""
    dialect: Any = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    for tile in sorted(set(tiles)):  # in one order: two writers never wait for each other
        insert = dialect.insert(Watermark).values(archive=archive, tile=tile, published_until=until, updated_at=now())
        behind = or_(Watermark.published_until < insert.excluded.published_until, Watermark.published_until > now())
        session.execute(
            insert.on_conflict_do_update(
                index_elements=["archive", "tile"],
                set_={"published_until": insert.excluded.published_until, "updated_at": insert.excluded.updated_at},
                where=behind,
            )
        )

"""Up to where the ledger knows an archive: its watermarks. Each operation takes an open session."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from seaice_ops.ledger.operations import now
from seaice_ops.ledger.tables import Watermark

#: The watermark row of an archive's list of withdrawn products.
WITHDRAWN = "withdrawn"


def watermarks(session: Session, archive: str, tiles: Iterable[str]) -> dict[str, datetime]:
    """Up to which publication time the ledger holds what `archive` published, by tile; unknown tiles are left out."""
    query = select(Watermark).where(Watermark.archive == archive, Watermark.tile.in_(list(tiles)))
    return {row.tile: row.published_until for row in session.scalars(query)}


def advance_watermarks(session: Session, archive: str, tiles: Iterable[str], until: datetime) -> None:
    """Bring the watermarks of `tiles` forward to `until`; one that is further already stays (never backwards)."""
    dialect: Any = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    for tile in sorted(set(tiles)):  # in one order: two writers never wait for each other
        insert = dialect.insert(Watermark).values(archive=archive, tile=tile, published_until=until, updated_at=now())
        session.execute(
            insert.on_conflict_do_update(
                index_elements=["archive", "tile"],
                set_={"published_until": insert.excluded.published_until, "updated_at": insert.excluded.updated_at},
                where=Watermark.published_until < insert.excluded.published_until,
            )
        )

"""What the ledger remembers of an archive: watermarks, transfers, its breaker. Each operation takes an open session.

All are single statements, so that workers that write at the same moment lose nothing on either database.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from seaice_ops.ledger.operations import now
from seaice_ops.ledger.tables import Base, Breaker, TransferUsage, Watermark

#: The watermark row of an archive's list of withdrawn products.
WITHDRAWN = "withdrawn"


def watermarks(session: Session, archive: str, tiles: Iterable[str]) -> dict[str, datetime]:
    """Up to which publication time the ledger holds what `archive` published, by tile; unknown tiles are left out."""
    query = select(Watermark).where(Watermark.archive == archive, Watermark.tile.in_(list(tiles)))
    return {row.tile: row.published_until for row in session.scalars(query)}


def advance_watermarks(session: Session, archive: str, tiles: Iterable[str], until: datetime) -> None:
    """Bring the watermarks of `tiles` forward to `until`; one that is further already stays (never backwards)."""
    for tile in sorted(set(tiles)):  # in one order: two writers never wait for each other
        insert = _insert(session, Watermark, archive=archive, tile=tile, published_until=until, updated_at=now())
        session.execute(
            insert.on_conflict_do_update(
                index_elements=["archive", "tile"],
                set_={"published_until": insert.excluded.published_until, "updated_at": insert.excluded.updated_at},
                where=Watermark.published_until < insert.excluded.published_until,
            )
        )


def add_usage(session: Session, archive: str, at: datetime, n_bytes: int = 0, n_requests: int = 0) -> None:
    """Count bytes received and requests sent within the hour of `at` (aware)."""
    hour = at.replace(minute=0, second=0, microsecond=0)
    insert = _insert(session, TransferUsage, archive=archive, hour=hour, bytes=n_bytes, requests=n_requests)
    session.execute(
        insert.on_conflict_do_update(
            index_elements=["archive", "hour"],
            set_={
                "bytes": TransferUsage.bytes + insert.excluded.bytes,
                "requests": TransferUsage.requests + insert.excluded.requests,
            },
        )
    )


def usage_since(session: Session, archive: str, since: datetime) -> tuple[int, int]:
    """(bytes, requests) of the hours that begin at `since` or later."""
    total = select(func.coalesce(func.sum(TransferUsage.bytes), 0), func.coalesce(func.sum(TransferUsage.requests), 0))
    n_bytes, requests = session.execute(
        total.where(TransferUsage.archive == archive, TransferUsage.hour >= since)
    ).one()
    return int(n_bytes), int(requests)


def breaker(session: Session, archive: str) -> Breaker | None:
    """The archive's breaker; None where it never failed."""
    return session.get(Breaker, archive, populate_existing=True)


def count_failure(session: Session, archive: str, reason: str) -> int:
    """One more failure in a row; how many there are now."""
    insert = _insert(session, Breaker, archive=archive, failures=1, reason=reason[:2048], updated_at=now())
    changed = {"reason": insert.excluded.reason, "updated_at": insert.excluded.updated_at}
    statement = insert.on_conflict_do_update(
        index_elements=["archive"], set_={"failures": Breaker.failures + 1, **changed}
    )
    failures: int = session.execute(statement.returning(Breaker.failures)).scalar_one()
    return failures


def open_breaker(session: Session, archive: str, retry_at: datetime, reason: str) -> None:
    """Leave the archive alone until `retry_at`; `opened_at` stays that of the outage's beginning."""
    moment = now()
    insert = _insert(
        session,
        Breaker,
        archive=archive,
        failures=1,
        opened_at=moment,
        retry_at=retry_at,
        reason=reason[:2048],
        updated_at=moment,
    )
    changed = {name: insert.excluded[name] for name in ("retry_at", "reason", "updated_at")}
    opened = func.coalesce(Breaker.opened_at, insert.excluded.opened_at)
    session.execute(insert.on_conflict_do_update(index_elements=["archive"], set_={"opened_at": opened, **changed}))


def close_breaker(session: Session, archive: str) -> None:
    """The archive answers: no failures in a row, nothing to wait for. Writes nothing where that was so already."""
    row = breaker(session, archive)
    if row is not None and (row.failures or row.opened_at):
        row.failures, row.opened_at, row.retry_at, row.reason, row.updated_at = 0, None, None, None, now()


def _insert(session: Session, table: type[Base], **values: Any) -> Any:
    dialect: Any = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    return dialect.insert(table).values(**values)

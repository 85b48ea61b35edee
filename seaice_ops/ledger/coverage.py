"""What of each tile was searched: since when it is followed, and which sensing times backfills covered.

Written in the transaction that records what a search found. So the account can tell what no search has looked for from
what a search should have found. Each operation takes an open session, alone on the ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from seaice_ops.ledger.scenes import chunks
from seaice_ops.ledger.tables import Searched

Span = tuple[datetime, datetime, datetime]
"""Start and end of an interval of sensing time, and when it was searched."""


def note_followed(session: Session, archive: str, tiles: Iterable[str], since: datetime) -> None:
    """Note that all of `tiles` published from `since` until their watermarks was searched for."""
    for row in _rows(session, archive, tiles):
        if row.published_from is None or since < row.published_from:
            row.published_from = since


def note_sensed(
    session: Session, archive: str, tiles: Iterable[str], between: tuple[datetime, datetime], at: datetime
) -> None:
    """Note that all of `tiles` sensed in `between` was searched for at `at`."""
    for row in _rows(session, archive, tiles):
        start, end = between
        others = [span for span in spans_of(row) if not (start <= span[0] and span[1] <= end)]
        spans = joined([*others, (start, end, at)])
        row.sensed = [[moment.astimezone(UTC).isoformat() for moment in span] for span in spans]


def joined(spans: Iterable[Span]) -> list[Span]:
    """`spans` in order, those that touch or overlap as one, which counts as searched when the first of them was.

    So the account may expect less than was searched for, never more.
    """
    result: list[Span] = []
    for start, end, at in sorted(spans):
        if result and start <= result[-1][1]:
            first, last, before = result[-1]
            result[-1] = (first, max(last, end), min(before, at))
        else:
            result.append((start, end, at))
    return result


def spans_of(row: Searched) -> list[Span]:
    """The intervals of sensing time of a row."""
    return [(*map(datetime.fromisoformat, span),) for span in row.sensed]  # type: ignore[misc]


def searched(session: Session, archive: str, tiles: Iterable[str]) -> dict[str, Searched]:
    """What of each of `tiles` was searched; those that were never searched are left out."""
    found: dict[str, Searched] = {}
    for some in chunks(sorted(set(tiles))):
        query = select(Searched).where(Searched.archive == archive, Searched.tile.in_(some))
        found |= {row.tile: row for row in session.scalars(query)}
    return found


def _rows(session: Session, archive: str, tiles: Iterable[str]) -> Iterator[Searched]:
    wanted = sorted(set(tiles))
    known = searched(session, archive, wanted)
    for tile in wanted:
        if tile not in known:
            known[tile] = Searched(archive=archive, tile=tile, published_from=None, sensed=[])
            session.add(known[tile])
        yield known[tile]

"""Asks the archive's catalogue what it offers, in bounded requests."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from seaice_ops.archive.intervals import SLICE, earlier, slices
from seaice_ops.archive.product import Product
from seaice_ops.archive.source import Archive
from seaice_ops.ledger.session import Ledger
from seaice_ops.ledger.watermarks import WITHDRAWN, trusted_watermarks
from seaice_ops.ops.account.facts import Acquisition, Circumstances
from seaice_ops.ops.account.rows import Span

#: Tiles of one question at most; it is about a week at most.
TILES = 250

_QUARTER = timedelta(days=91)


def offered(archive: Archive, span: Span) -> list[Product]:
    """The products of `span` that the archive offers. Raises what its search raises."""
    found: dict[str, Product] = {}
    for left in range(0, len(span.tiles), TILES):
        for start, end in slices(span.start, span.end, SLICE):
            products = archive.search(span.tiles[left : left + TILES], "sensed", start, end)
            found |= {product.id: product for product in products}
    return list(found.values())


def withdrawn_since(
    archive: Archive, ledger: Ledger, kind: str, found: Iterable[Acquisition], now: Circumstances
) -> dict[str, str]:
    """Why the archive withdrew what the ledger has not taken note of yet, by id.

    It is asked only where the catalogue lacks something that is held.
    """
    gone = [each for each in found if each.ready and each.offered is None]
    if not gone or not (now.asked and now.lists_withdrawals):
        return {}
    with ledger.begin() as session:
        since = trusted_watermarks(session, kind, [WITHDRAWN], now.at).get(WITHDRAWN, min(e.sensed_at for e in gone))
    return {
        each.id: each.cause
        for start, end in slices(earlier(since, now.overlap), now.at, _QUARTER)
        for each in archive.withdrawn(start, end)
    }

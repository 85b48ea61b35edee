"""Times as archives write them, and the filter that keeps a search's interval."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from seaice_ops.archive.product import By, Product
from seaice_ops.errors import CorruptProduct
from seaice_ops.pixels.checks import check_time

#: A product's name gives its sensing start to the second, a catalogue to the microsecond. Services are therefore asked
#: for an interval that is wider by this much on both sides, and `inside` decides.
MARGIN = timedelta(seconds=1)


def parse_time(text: object) -> datetime:
    """An aware UTC time from ISO 8601 with any number of decimals, UTC where no offset is given.

    Raises `CorruptProduct` where it is none, or where its year is none that a product has.
    """
    if isinstance(text, str):
        micros = re.sub(r"\.(\d+)", lambda match: f".{match[1][:6]:0<6}", text.strip(), count=1)
        try:
            moment = datetime.fromisoformat(micros)
            return check_time(moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment)
        except ValueError:
            pass
    raise CorruptProduct(f"{str(text)[:64]!r} is not a time")


def iso(moment: datetime) -> str:
    """``2026-02-01T20:15:29.000000Z``, which sorts as text like the times it stands for."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


def inside(found: Iterable[Product], tiles: Iterable[str], by: By, start: datetime, end: datetime) -> list[Product]:
    """The products in `found` of `tiles` that were published (or sensed) in [start, end), each once, by sensing time.

    The sensing time is that of the product's name. Of two entries of one product the usable one counts, then the one
    published last. A product whose name cannot be read has no time: it is kept with its problem.
    """
    wanted = set(tiles)
    best: dict[str, Product] = {}
    for product in found:
        moment = product.published_at if by == "published" else product.sensed_at
        known = best.get(product.id)
        if product.tile in wanted and (start <= moment < end or not product.platform):
            best[product.id] = max(known or product, product, key=_order)
    return sorted(best.values(), key=lambda p: (p.sensed_at, p.id))


def _order(product: Product) -> tuple[bool, datetime, str]:
    return (product.problem is None, product.published_at, product.href)

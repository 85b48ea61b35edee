"""Times as archives write them, and the rule by which a search's interval is kept."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from seaice_ops.archive.product import By, Product
from seaice_ops.errors import CorruptProduct

#: A product's name gives its sensing start to the second, a catalogue to the microsecond: services are asked for an
#: interval so much wider on both sides, and `inside` decides.
MARGIN = timedelta(seconds=1)


def parse_time(text: object) -> datetime:
    """An aware UTC time from ISO 8601 with any number of decimals, UTC where no offset is given.

    Raises `CorruptProduct` where it is none.
    """
    if isinstance(text, str):
        micros = re.sub(r"\.(\d+)", lambda match: f".{match[1][:6]:0<6}", text.strip(), count=1)
        try:
            moment = datetime.fromisoformat(micros)
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise CorruptProduct(f"{str(text)[:64]!r} is not a time")


def iso(moment: datetime) -> str:
    """``2026-02-01T20:15:29.000000Z``, which sorts as text like the times it stands for."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


def inside(found: Iterable[Product], tiles: Iterable[str], by: By, start: datetime, end: datetime) -> list[Product]:
    """Of the products found, each once, those of `tiles` published (or sensed) in [start, end), by sensing time.

    The sensing time is that of the product's name. Of two entries of one product the usable one counts, then the one
    published last.
    """
    wanted = set(tiles)
    best: dict[str, Product] = {}
    for product in found:
        moment = product.published_at if by == "published" else product.sensed_at
        known = best.get(product.id)
        if product.tile in wanted and (start <= moment < end or not product.platform):  # a name that tells no time
            best[product.id] = max(known or product, product, key=_order)
    return sorted(best.values(), key=lambda p: (p.sensed_at, p.id))


def _order(product: Product) -> tuple[bool, datetime, str]:
    return (product.problem is None, product.published_at, product.href)

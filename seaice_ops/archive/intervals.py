"""The intervals of publication time that a scheduled search covers, however long none ran before it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

#: The longest interval of one search: a catch-up over months is many answers of a service, each safely kept.
SLICE = timedelta(days=7)


@dataclass(frozen=True)
class Part:
    """One search: these tiles in [start, end)."""

    tiles: tuple[str, ...]
    start: datetime
    end: datetime


def parts(
    tiles: Iterable[str], start: datetime, end: datetime, marks: Mapping[str, datetime], overlap: timedelta
) -> list[Part]:
    """The searches of a scheduled run over [start, end); those that begin earliest come first.

    Each tile is searched from its watermark in `marks` or from `start`, whichever is earlier, less `overlap`. A tile
    without a watermark is new: a backfill brings its earlier products.
    """
    together: defaultdict[datetime, list[str]] = defaultdict(list)
    for tile in sorted(set(tiles)):
        together[earlier(min(marks.get(tile, start), start), overlap)].append(tile)
    return [
        Part(tuple(together[first]), left, right) for first in sorted(together) for left, right in slices(first, end)
    ]


def slices(start: datetime, end: datetime, longest: timedelta = SLICE) -> Iterator[tuple[datetime, datetime]]:
    """[start, end) cut into intervals of at most `longest`, oldest first."""
    while end - start > longest:
        yield start, start + longest
        start += longest
    if start < end:
        yield start, end


def earlier(moment: datetime, by: timedelta) -> datetime:
    """`moment` less `by`, or the first moment that there is."""
    first = datetime.min.replace(tzinfo=UTC)
    return moment - by if moment - first >= by else first

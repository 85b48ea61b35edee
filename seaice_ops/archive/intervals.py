"""Which intervals of publication time a scheduled search covers, however long none ran before it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

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
    """The searches of a scheduled run over [start, end), those that reach furthest back first.

    Each tile is searched from its watermark in `marks` or from `start`, whichever is earlier, and from `overlap` before
    that. A tile without a watermark is new: what was published of it before comes by a backfill.
    """
    together: defaultdict[datetime, list[str]] = defaultdict(list)
    for tile in sorted(set(tiles)):
        together[min(marks.get(tile, start), start) - overlap].append(tile)
    return [
        Part(tuple(together[first]), left, right) for first in sorted(together) for left, right in slices(first, end)
    ]


def slices(start: datetime, end: datetime, longest: timedelta = SLICE) -> Iterator[tuple[datetime, datetime]]:
    """[start, end) cut into intervals of at most `longest`, oldest first."""
    while start < end:
        yield start, min(start + longest, end)
        start += longest

"""The days that a backfill request covers: a season of one hemisphere, or the days from a first to a last date."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from seaice_ops.errors import ConfigError
from seaice_ops.geo.regions import Region
from seaice_ops.settings import Settings

#: The first day of Sentinel-2 in the archives, and of `seaice_ingest`.
FIRST_DAY = date(2015, 7, 1)

Redo = Literal["nothing", "failed", "everything"]
REDO: tuple[Redo, ...] = ("nothing", "failed", "everything")


@dataclass(frozen=True)
class BackfillRequest:
    """A request to rebuild past days of a region, from the form or the command line.

    Give either `season`, or both `start` and `end`. Scenes that are ready are not fetched again. Raises `ConfigError`
    where the fields contradict each other or are out of range.
    """

    region: str
    """Its name in the configuration."""
    season: str | None = None
    """For example ``2025-26``."""
    start: date | None = None
    """The first day."""
    end: date | None = None
    """The last day, included."""
    redo: Redo = "nothing"
    """Which of the days that were rebuilt before are rebuilt again: none, those that failed, or all."""
    at_once: int = 2
    """Days that are rebuilt at the same time, 1 to 16."""

    def __post_init__(self) -> None:
        if self.redo not in REDO:
            raise ConfigError(f"redo is one of {', '.join(REDO)}, not {self.redo!r}")
        if not 1 <= self.at_once <= 16:
            raise ConfigError(f"at_once is 1 to 16 days, not {self.at_once}")
        if bool(self.season) == bool(self.start or self.end) or bool(self.start) != bool(self.end):
            raise ConfigError("give either a season such as 2025-26, or both the first and the last day")


def season_days(season: str, hemisphere: str) -> tuple[date, date]:
    """First and last day of a season such as ``2025-26``, which begins in 2025.

    A season begins when the ice has its smallest extent, and ends a year later: in the north it is 1 October to
    30 September, in the south 1 March to the end of February. `hemisphere` is ``north`` or ``south``. Raises
    `ConfigError` where `season` has another form, or its second year is not the next one.
    """
    match = re.fullmatch(r"(\d{4})-(\d{2})", season.strip())
    if not match or (int(match[1]) + 1) % 100 != int(match[2]):
        raise ConfigError(f"{season!r} is not a season; write 2025-26 for the one that begins in 2025")
    month, year = (10 if hemisphere == "north" else 3), int(match[1])
    return date(year, month, 1), date(year + 1, month, 1) - timedelta(days=1)


def hemisphere(region: Region) -> str:
    """``north`` or ``south``; raises `ConfigError` where the region's tiles lie in both."""
    found = {"north" if tile[2] >= "N" else "south" for tile in region.tiles}
    if len(found) > 1:
        raise ConfigError(f"{region.title} has tiles in both hemispheres, whose seasons differ; give dates instead")
    return found.pop()


def days(settings: Settings, request: BackfillRequest, today: date) -> tuple[date, date]:
    """First and last day to rebuild. Days before Sentinel-2 (1 July 2015), and `today` and later, are left out.

    Raises `ConfigError` where no day remains, where the region is unknown, or where its tiles lie in both hemispheres
    and a season was asked for.
    """
    region = settings.region(request.region)
    if request.season:
        first, last = season_days(request.season, hemisphere(region))
    elif request.start and request.end:
        first, last = request.start, request.end
    if first > last:
        raise ConfigError(f"the first day {first} is after the last day {last}")
    kept = max(first, FIRST_DAY), min(last, today - timedelta(days=1))
    if kept[0] > kept[1]:
        raise ConfigError(f"{first} to {last} has no day between {FIRST_DAY} and yesterday")
    return kept

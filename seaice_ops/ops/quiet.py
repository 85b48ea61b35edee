"""Regions of which nothing new was published for a week although the sun is up: told once, when the week is over.

An empty day is normal (Antarctica is acquired on request), an empty week in season may be an incident.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile

from sqlalchemy import func, select

from seaice_ops.ledger.operations import now
from seaice_ops.ledger.runs import recorded
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Run, Scene
from seaice_ops.ops.notify import notify
from seaice_ops.settings import Settings

LONG = timedelta(days=7)

#: Degrees from the zenith: where the noon sun stands lower than this, nothing is expected.
LOWEST_SUN = 80.0

_STAGE = "watch"
_BANDS = "CDEFGHJKLMNPQRSTUVWX"


@dataclass(frozen=True)
class Quiet:
    """A region and since when it is quiet: its tiles' newest product, or the season's first day if that is later."""

    title: str
    since: datetime

    def sentence(self) -> str:
        return f"{self.title}: nothing new since {self.since:%Y-%m-%dT%H:%MZ}, and the sun is up there"


def tell_quiet(settings: Settings, tell: Callable[..., None] = notify, *, caller: str = "") -> list[Quiet]:
    """Tell, in one notification, of the regions whose empty week ended since this was last asked; returns them."""
    with recorded(settings, _STAGE, caller) as stage:
        summary = stage.summary
        at = now()
        asked = _asked(settings, at)
        found = [region for region in _regions(settings, at) if asked < region.since + LONG <= at]
        if found:
            text = "\n".join(each.sentence() for each in found)
            tell(settings, subject="no new scenes for a week", text=text, level="warning")
        summary.done["told"] += len(found)
    return found


def noon_zenith(tile: str, at: datetime) -> float:
    """Degrees of the noon sun from the zenith over the middle of an MGRS tile's latitude band, to about a degree."""
    latitude = -76.0 + 8.0 * _BANDS.index(tile[2])
    declination = -23.44 * math.cos(2 * math.pi * (at.timetuple().tm_yday + 10) / 365.24)
    return abs(latitude - declination)


def _regions(settings: Settings, at: datetime) -> list[Quiet]:
    """The regions in season that ever had a product."""
    found = []
    for region in settings.regions.values():
        newest, began = _newest(settings, region.tiles), season_began(region.tiles, at)
        if newest and began:
            found.append(Quiet(region.title, max(newest, began)))
    return found


def season_began(tiles: Iterable[str], at: datetime) -> datetime | None:
    """The first day, a year back at most, since when the noon sun stood high enough over any of `tiles`; None now."""
    tiles, midnight = tuple(tiles), at.replace(hour=0, minute=0, second=0, microsecond=0)
    days = (midnight - timedelta(days=n) for n in range(366))
    return min(takewhile(lambda day: min(noon_zenith(t, day) for t in tiles) < LOWEST_SUN, days), default=None)


def _newest(settings: Settings, tiles: Iterable[str]) -> datetime | None:
    with open_ledger(settings).begin() as session:
        return session.scalar(select(func.max(Scene.published_at)).where(Scene.tile.in_(list(tiles))))


def _asked(settings: Settings, at: datetime) -> datetime:
    with open_ledger(settings).begin() as session:
        last = session.scalar(select(func.max(Run.started_at)).where(Run.stage == _STAGE))
    return last or at - LONG

"""Regions and tiles of which nothing new came for a week although the sun is up.

An empty day is normal (Antarctica is acquired on request), an empty week in season may be an incident. Of a region
people are told once, when the week is over; a tile is shown in the overview for as long as it is inactive.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import takewhile

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from seaice_ops.geo.regions import Region
from seaice_ops.ledger.operations import now
from seaice_ops.ledger.runs import recorded
from seaice_ops.ledger.tables import Run, Scene, SceneState
from seaice_ops.ops.notify import notify
from seaice_ops.settings import Settings

LONG = timedelta(days=7)

#: Zenith angle of the noon sun, degrees, beyond which nothing is expected.
LOWEST_SUN = 80.0

_STAGE = "watch"
_BANDS = "CDEFGHJKLMNPQRSTUVWX"


@dataclass(frozen=True)
class Inactive:
    """A tile whose newest acquisition was sensed at `newest`; the sun has been up there since `sun_since`."""

    newest: datetime
    sun_since: datetime

    def sentence(self, at: datetime) -> str:
        """``no acquisition since 2026-02-18 (286 days), and the sun has been up since 2026-09-20``."""
        days = (at - self.newest).days
        sun = f", and the sun has been up since {self.sun_since:%Y-%m-%d}" if self.sun_since > self.newest else ""
        return f"no acquisition since {self.newest:%Y-%m-%d} ({days} days){sun or ', and the sun is up'}"


@dataclass(frozen=True)
class InactiveRegion:
    """A region by its title, and since when: its newest product's publication, or the season's first day if later."""

    title: str
    since: datetime

    def sentence(self) -> str:
        """For people: ``Ross Sea: no new product since 2026-02-01T20:15Z, and the sun is up there``."""
        return f"{self.title}: no new product since {self.since:%Y-%m-%dT%H:%MZ}, and the sun is up there"


def tell_inactive(settings: Settings, tell: Callable[..., None] = notify, *, caller: str = "") -> list[InactiveRegion]:
    """Tell, in one notification, of the regions whose empty week ended since this was last asked; returns them."""
    with recorded(settings, _STAGE, caller) as stage:
        at = now()
        with stage.ledger.begin() as session:
            asked = session.scalar(select(func.max(Run.started_at)).where(Run.stage == _STAGE)) or at - LONG
            known = inactive_regions(session, settings.regions.values(), at)
        found = [region for region in known if asked < region.since + LONG <= at]
        if found:
            text = "\n".join(each.sentence() for each in found)
            tell(settings, subject="no new scenes for a week", text=text, level="warning")
        stage.summary.done["told"] += len(found)
    return found


def inactive_regions(session: Session, regions: Iterable[Region], at: datetime) -> list[InactiveRegion]:
    """The regions in season at `at` that ever had a product, and since when they have none."""
    found = []
    for region in regions:
        newest = session.scalar(select(func.max(Scene.published_at)).where(Scene.tile.in_(region.tiles)))
        began = season_began(region.tiles, at)
        if newest and began:
            found.append(InactiveRegion(region.title, max(newest, began)))
    return found


def inactive_tiles(session: Session, tiles: Iterable[str], at: datetime) -> dict[str, Inactive]:
    """Those of `tiles` that were acquired before, but not in the last week of sunshine until `at`."""
    query = select(Scene.tile, func.max(Scene.sensed_at)).where(Scene.state != SceneState.WITHDRAWN)
    found = {}
    for tile, newest in session.execute(query.where(Scene.tile.in_(list(tiles))).group_by(Scene.tile)):
        began = season_began((tile,), at)
        if began and max(newest, began) + LONG <= at:
            found[tile] = Inactive(newest, began)
    return found


def season_began(tiles: Iterable[str], at: datetime) -> datetime | None:
    """The first day since when the noon sun has stood high enough over any of `tiles`, at most a year before `at`;
    None while it does not."""
    bands = frozenset(tile[2] for tile in tiles)
    return _season_began(bands, at.replace(hour=0, minute=0, second=0, microsecond=0))


@lru_cache(maxsize=256)
def _season_began(bands: frozenset[str], midnight: datetime) -> datetime | None:
    days = (midnight - timedelta(days=n) for n in range(366))
    return min(takewhile(lambda day: min(noon_zenith(band, day) for band in bands) < LOWEST_SUN, days), default=None)


def noon_zenith(band: str, at: datetime) -> float:
    """Zenith angle of the noon sun, degrees, over the middle of an MGRS latitude band (`C` to `X`), to about 1."""
    latitude = -76.0 + 8.0 * _BANDS.index(band)
    declination = -23.44 * math.cos(2 * math.pi * (at.timetuple().tm_yday + 10) / 365.24)
    return abs(latitude - declination)

"""What a simulated season holds: when each tile is seen, what is published when, and where the traps lie.

A season has a first part (half as many days as there are acquisitions a tile, three quarters of the acquisitions) and
an advance (the rest, about one a day). Everything here is decided without rendering a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np

from seaice_ops.errors import ConfigError
from seaice_ops.geo.tiles import tile_of
from seaice_ops.sensors.sentinel2 import TILE_PIXELS
from seaice_ops.settings import Settings
from seaice_ops.simulate.noise import derive
from seaice_ops.simulate.passes import Pass, passes

BASELINE, OLD_BASELINE = "05.11", "03.01"

#: The traps. `older` and `newer` are two baselines of one acquisition, `late` is published days after its sensing,
#: `truncated` has a band whose file ends early although the catalogue lists the whole file's size and checksum.
PLAIN, LATE, OLDER, NEWER, TRUNCATED = "plain", "late", "older", "newer", "truncated"


@dataclass(frozen=True)
class SimulateRequest:
    """What to simulate: None means the archive folder and the tiles of the settings.

    `size` is the edge of a tile in 10 m pixels (even, from its real upper-left corner), `acquisitions` counts a
    tile's looks from the day `start`; products published after `publish_until` are not written (None: all are).
    """

    out: Path | None = None
    tiles: tuple[str, ...] | None = None
    seed: int = 1
    size: int = 1024
    acquisitions: int = 24
    start: date = date(2026, 2, 1)
    publish_until: datetime | None = None

    def resolved(self, settings: Settings) -> SimulateRequest:
        """The request with the settings' folder and tiles filled in."""
        return replace(self, out=self.out or settings.archive_path, tiles=self.tiles or settings.tiles)


@dataclass(frozen=True)
class Season:
    """The days of a season and the dates of what happens to the ice."""

    start: date
    first_days: int
    advance_days: int
    first_acquisitions: int
    advance_acquisitions: int

    @property
    def days(self) -> int:
        """Length of the season, days."""
        return self.first_days + self.advance_days

    @property
    def begins(self) -> datetime:
        """Midnight at the start."""
        return datetime(self.start.year, self.start.month, self.start.day, tzinfo=UTC)

    @property
    def breakup(self) -> datetime:
        """When the outer fast ice breaks away, for good."""
        return self._at(0.55)

    @property
    def lead(self) -> tuple[datetime, datetime]:
        """When a lead through the pack opens and closes again."""
        return self._at(0.3), self._at(0.5)

    def day(self, number: int) -> date:
        """The calendar day of day 0, 1, ..."""
        return self.start + timedelta(days=number)

    def _at(self, share: float) -> datetime:
        return self.begins + timedelta(hours=round(share * self.days * 24))


@dataclass(frozen=True)
class Planned:
    """One product of the season; `kind` says which trap it is, if any."""

    id: str
    identity: str
    tile: str
    platform: str
    sensed: datetime
    generated: datetime
    published: datetime
    baseline: str
    relative_orbit: int
    absolute_orbit: int
    kind: str


def season_of(request: SimulateRequest) -> Season:
    """The season of a request; raises `ConfigError` where it cannot be."""
    if request.acquisitions < 1 or request.size < 64 or request.size % 2 or request.size > TILE_PIXELS:
        raise ConfigError(
            f"cannot simulate {request.acquisitions} acquisitions of {request.size} px: "
            f"at least one is needed, and an even size from 64 to {TILE_PIXELS}"
        )
    advance = round(request.acquisitions / 4)
    return Season(
        request.start,
        first_days=max(1, round(request.acquisitions / 2)),
        advance_days=round(advance * 5 / 6),
        first_acquisitions=request.acquisitions - advance,
        advance_acquisitions=advance,
    )


def plan(request: SimulateRequest) -> list[Planned]:
    """All products of the season by publication time, whatever `publish_until` says. `request.tiles` must be given."""
    if not request.tiles:
        raise ConfigError("a plan needs its tiles; use SimulateRequest.resolved(settings)")
    season = season_of(request)
    products = [
        product
        for number, tile in enumerate(request.tiles)
        for product in _of_tile(request, season, tile, first=number == 0, last=number == len(request.tiles) - 1)
    ]
    return sorted(products, key=lambda product: (product.published, product.id))


def publication_days(request: SimulateRequest) -> list[date]:
    """The UTC days on which something is published, in order."""
    return sorted({product.published.date() for product in plan(request)})


def _of_tile(request: SimulateRequest, season: Season, tile: str, *, first: bool, last: bool) -> list[Planned]:
    looks = _looks(request, season, tile)
    kinds = _kinds(season, first, last)
    products = []
    for number, look in enumerate(looks):
        lag = timedelta(minutes=35 + derive(request.seed, tile, look.sensed, "lag") % 40)
        kind = kinds.get(number, PLAIN)
        if kind == OLDER:
            products.append(_product(tile, look, look.sensed + lag, OLD_BASELINE, OLDER))
            products.append(_product(tile, look, _later(season, look, lag, 2), BASELINE, NEWER))
        else:
            published = _later(season, look, lag, 1) if kind == LATE else look.sensed + lag
            products.append(_product(tile, look, published, BASELINE, kind))
    return products


def _kinds(season: Season, first: bool, last: bool) -> dict[int, str]:
    """Which acquisition of a tile is which trap; the first tile has the late and the truncated one, the last the
    reprocessed one. A season without room for a trap goes without it."""
    boundary, extra = season.first_acquisitions, season.advance_acquisitions
    kinds = {}
    if first and extra and boundary > 1:
        kinds[boundary // 2] = LATE
    if first and extra > 1:
        kinds[boundary + extra // 2] = TRUNCATED
    if last and season.advance_days > 1:
        kinds[boundary] = OLDER
    return kinds


def _later(season: Season, look: Pass, lag: timedelta, day: int) -> datetime:
    """The look's hour of publication on the advance's day 0, 1, ... (the last one where there are fewer)."""
    target = season.day(season.first_days + min(day, season.advance_days - 1))
    return look.sensed + lag + (target - look.sensed.date()) * 1


def _looks(request: SimulateRequest, season: Season, tile: str) -> list[Pass]:
    """A tile's acquisitions: two, one or no pass a day, in time order."""
    latitude, longitude = tile_of(tile).centre()
    counts = _counts(season.first_acquisitions, season.first_days) + _counts(
        season.advance_acquisitions, season.advance_days
    )
    looks: list[Pass] = []
    for number, count in enumerate(counts):
        offered = passes(latitude, longitude, season.day(number))
        rng = np.random.default_rng(derive(request.seed, tile, number, "passes"))
        chosen = rng.permutation(len(offered))[:count]
        looks += [offered[index] for index in sorted(chosen)]
    return looks


def _counts(acquisitions: int, days: int) -> list[int]:
    """Looks a day, at most two: spread evenly, and with a day without one where three days or more leave room."""
    counts = [0] * days
    open_days = [day for day in range(days) if days < 3 or acquisitions > 2 * (days - 1) or day != days // 3]
    for number in range(acquisitions):
        counts[open_days[number * len(open_days) // acquisitions]] += 1
    return counts


def _product(tile: str, look: Pass, published: datetime, baseline: str, kind: str) -> Planned:
    generated = published - timedelta(minutes=20)
    sensed, orbit = f"{look.sensed:%Y%m%dT%H%M%S}", f"R{look.relative_orbit:03d}"
    name = f"{look.platform}_MSIL1C_{sensed}_N{baseline.replace('.', '')}_{orbit}_T{tile}_{generated:%Y%m%dT%H%M%S}"
    identity = f"{look.platform}_{sensed}_T{tile}_{orbit}"
    return Planned(
        name, identity, tile, look.platform, look.sensed, generated, published, baseline,
        look.relative_orbit, look.absolute_orbit, kind,
    )  # fmt: skip

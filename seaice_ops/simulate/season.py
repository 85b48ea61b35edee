"""The plan of a simulated season: acquisitions of each tile, publication times, and traps; no pixel is rendered.

A season has a first part and an advance. The first part has half as many days as a tile has acquisitions, and three
quarters of the acquisitions. The advance has the rest, about one a day.
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
    """A request to simulate a season."""

    out: Path | None = None
    """Folder to write to; None: the archive folder of the settings."""
    tiles: tuple[str, ...] | None = None
    """MGRS tiles; None: those of the settings."""
    seed: int = 1
    """The same request with the same seed gives the same bytes."""
    size: int = 1024
    """Edge of a tile in 10 m pixels from its real upper left corner; an even number."""
    acquisitions: int = 24
    """Acquisitions of each tile."""
    start: date = date(2026, 2, 1)
    """First day, UTC."""
    publish_until: datetime | None = None
    """Products published later are not written; None: all are."""

    def resolved(self, settings: Settings) -> SimulateRequest:
        """The request with the settings' folder and tiles filled in."""
        return replace(self, out=self.out or settings.archive_path, tiles=self.tiles or settings.tiles)


@dataclass(frozen=True)
class Season:
    """Length and acquisitions of a season's two parts, and the dates of its ice events."""

    start: date
    """First day, UTC."""
    first_days: int
    """Days of the first part."""
    advance_days: int
    """Days of the advance."""
    first_acquisitions: int
    """Acquisitions of each tile in the first part."""
    advance_acquisitions: int
    """Acquisitions of each tile in the advance."""

    @property
    def days(self) -> int:
        """Length of the season, days."""
        return self.first_days + self.advance_days

    @property
    def begins(self) -> datetime:
        """Midnight UTC at the start."""
        return datetime(self.start.year, self.start.month, self.start.day, tzinfo=UTC)

    @property
    def breakup(self) -> datetime:
        """The time at which the outer fast ice breaks away for good."""
        return self._at(0.55)

    @property
    def lead(self) -> tuple[datetime, datetime]:
        """The times at which a lead through the pack opens and closes."""
        return self._at(0.3), self._at(0.5)

    def day(self, number: int) -> date:
        """The calendar date of day `number`, counted from 0."""
        return self.start + timedelta(days=number)

    def _at(self, share: float) -> datetime:
        return self.begins + timedelta(hours=round(share * self.days * 24))


@dataclass(frozen=True)
class Planned:
    """One product of the season; times are UTC."""

    id: str
    """Product name, without .SAFE."""
    identity: str
    """Name of the acquisition, the same for all of its baselines."""
    tile: str
    """MGRS tile."""
    platform: str
    """S2A or S2B."""
    sensed: datetime
    """Sensing time."""
    generated: datetime
    """Processing time, part of the product name."""
    published: datetime
    """Time from which on the catalogue lists it."""
    baseline: str
    """Processing baseline, for example 05.11."""
    relative_orbit: int
    """Number of the orbit in the repeat cycle, 1..143."""
    absolute_orbit: int
    """Number of the orbit since launch."""
    kind: str
    """PLAIN, or the trap that it is."""


def season_of(request: SimulateRequest) -> Season:
    """The season of a request; raises `ConfigError` for a size or number of acquisitions that cannot be simulated."""
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
    """All products of the season in order of publication, regardless of `publish_until`.

    Raises `ConfigError` for a request without tiles.
    """
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
    """Traps of a tile by the number of the acquisition.

    The first tile has the late and the truncated one, the last tile the reprocessed one. A season too short for a trap
    has none.
    """
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
    """The usual time of day of publication, on day `day` (from 0) of the advance or on its last day if earlier."""
    target = season.day(season.first_days + min(day, season.advance_days - 1))
    return look.sensed + lag + (target - look.sensed.date()) * 1


def _looks(request: SimulateRequest, season: Season, tile: str) -> list[Pass]:
    """A tile's acquisitions in time order: none, one or two passes a day."""
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
    """Acquisitions of each day, at most two, spread evenly; one day of three or more has none where there is room."""
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

"""The ocean: what lies at each pixel of a tile at a time. A pure function of (seed, tile, season, time).

From the coast outwards: an ice shelf, fast ice along part of it, a polynya kept open by wind off the coast, a belt
kilometres wide of young ice that thickens outwards, and pack whose floes drift by hundreds of metres an hour. Shelf
and fast ice stand still; the outer fast ice breaks away once, for good; a lead through the pack opens and closes.
The tile shows about 10 km x 10 km; a smaller one shows the same in less space.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from math import cos, pi, sin
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seaice_ops import legend
from seaice_ops.simulate.noise import Cells, Field, Point, cells, derive, smooth
from seaice_ops.simulate.season import Season

_PIXEL_M = 10.0
_FULL = 1024  # the edge, in pixels, that the layout was drawn for


@dataclass(frozen=True)
class Surface:
    """(rows, columns) of one moment: class codes (u8: 1, 2, 3 or 254) and what decides the spectrum.

    `thickness` of water and thin ice, metres; `snow` of thick ice and shelf, 0 bare to 1 cold dry snow; `dusting`, the
    share of snow or frost flowers on thin ice; `slope` towards the sun, about unit spread, of thick ice.
    """

    codes: NDArray[np.uint8]
    thickness: Field
    snow: Field
    dusting: Field
    slope: Field


@dataclass(frozen=True)
class _View:
    """One tile at one time: its seed, size and scale, and how far the pack has drifted."""

    seed: int
    shape: tuple[int, int]
    scale: float
    drift: Point
    days: float

    def fixed(self, name: str, spacing: float, octaves: int = 4, stretch: Point = (1.0, 1.0)) -> Field:
        return smooth(derive(self.seed, name), (0.0, 0.0), self.shape, max(spacing * self.scale, 8), octaves, stretch)

    def moving(self, name: str, spacing: float, octaves: int = 4, stretch: Point = (1.0, 1.0)) -> Field:
        return smooth(derive(self.seed, name), self._origin, self.shape, max(spacing * self.scale, 8), octaves, stretch)

    def floes(self, name: str, spacing: float) -> Cells:
        return cells(derive(self.seed, name), self._origin, self.shape, spacing, bend=0.22)

    @property
    def _origin(self) -> Point:
        return -self.drift[0], -self.drift[1]


def drift(seed: int, tile: str, days: float) -> tuple[float, float]:
    """(east, south) displacement of the pack, metres, `days` after the season's start.

    A westward coastal current of about 0.1 m/s, weather over days, and loops of half a day (tide and inertia).
    """
    phase = [2 * pi * (derive(seed, tile, "phase", k) % 1000) / 1000 for k in range(4)]
    weather = 1800 * sin(2 * pi * days / 6.3 + phase[0])
    loop = 2 * pi * days / 0.518
    east = -7500 * days + weather + 450 * cos(loop + phase[2])
    south = 700 * sin(2 * pi * days / 4.1 + phase[1]) + 450 * sin(loop + phase[2])
    return east, south


def surface(seed: int, tile: str, size: int, season: Season, when: datetime) -> Surface:
    """The ocean of `tile` at `when`, `size` x `size` pixels."""
    days = (when - season.begins).total_seconds() / 86400
    east, south = drift(seed, tile, days)
    view = _View(derive(seed, tile, "ocean"), (size, size), size / _FULL, (east / _PIXEL_M, south / _PIXEL_M), days)
    shelf, fast, broken, offshore = _coast(view, season, when)
    floe, floe_snow = _floes(view, offshore)
    thickness = _new_ice(view, offshore)
    lead, lead_thickness = _lead(view, season, when)
    floe &= ~lead
    thickness = np.where(lead, lead_thickness, thickness)
    thickness = np.where(broken, _refreeze(view, season, when), thickness)
    thick = (floe & ~broken) | fast | shelf
    codes = np.where(thick, legend.THICK, np.where(thickness > 0, legend.THIN, legend.WATER)).astype(np.uint8)
    codes[shelf] = legend.LAND
    still = fast | shelf
    snow = np.where(still, 0.86 + 0.07 * view.fixed("fast snow", 90), floe_snow)
    snow = np.where(fast & ~shelf, snow - _fast_cracks(view), snow).astype(np.float32)
    dusting = _dusting(view, thickness)
    slope = np.where(
        still, view.fixed("sastrugi", 14, 2, stretch=(2.0, 0.6)), view.moving("sastrugi", 14, 2, stretch=(2.0, 0.6))
    ).astype(np.float32)
    return Surface(codes, np.maximum(thickness, 0).astype(np.float32), np.clip(snow, 0, 1), dusting, slope)


def shelf(seed: int, tile: str, size: int) -> NDArray[np.bool_]:
    """(size, size) where the ice shelf lies: the same at all times, and not where the tile's real coast is."""
    return _shelf(_View(derive(seed, tile, "ocean"), (size, size), size / _FULL, (0.0, 0.0), 0.0))[0]


def _coast(
    view: _View, season: Season, when: datetime
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_], Field]:
    """Masks of shelf, fast ice and broken fast ice, and the distance seaward of the old front, in tile heights."""
    shelf, shelf_front, down, across, ragged = _shelf(view)
    reach = np.maximum(0.19 / (1 + np.exp((across - 0.47) * 14)) - 0.02, 0)
    fast_front = shelf_front - reach * (1 - 10 * ragged)
    fast = ~shelf & (down > fast_front)
    outer = (
        fast & (down < fast_front + 0.62 * reach + ragged) & (across > 0.05 + 0.5 * (down - fast_front) + 2 * ragged)
    )
    broken = outer & (when >= season.breakup)
    return shelf, fast & ~broken, broken, (fast_front - down).astype(np.float32)


def _shelf(view: _View) -> tuple[NDArray[np.bool_], Field, NDArray[Any], NDArray[Any], NDArray[Any]]:
    """The shelf's mask and front, the rows and columns that it is drawn in (tile heights), how ragged the front is."""
    height, width = view.shape
    down = (np.arange(height, dtype=np.float32) / height)[:, None]
    across = (np.arange(width, dtype=np.float32) / width)[None, :]
    if derive(view.seed, "side") % 2:
        across = 1 - across
    ragged = view.fixed("front", 330, 5) * np.float32(0.012)
    front = (0.925 + 0.02 * np.sin(5 * across + view.seed % 7) + ragged).astype(np.float32)
    return down > front, front, np.asarray(down), np.asarray(across), np.asarray(ragged)


def _floes(view: _View, offshore: Field) -> tuple[NDArray[np.bool_], Field]:
    """Where floes of three sizes lie, and the snow on them. They thin out across the young-ice belt."""
    big = view.floes("big", max(210 * view.scale, 40))
    middle = view.floes("middle", max(62 * view.scale, 22))
    small = view.floes("small", max(20 * view.scale, 11))
    ragged = view.moving("edge", 36, 3)
    pack = _ramp(offshore + 0.035 * view.fixed("pack edge", 300, 4), 0.335, 0.42)
    gap = np.maximum(7.5 + 5 * view.moving("gap", 300, 3), 1.5) * max(view.scale, 0.4)
    mask_big = (big.edge > gap + 1.5 * ragged) & (big.value < 0.06 + 0.80 * pack)
    mask_middle = (middle.edge > 2.5 + 1.2 * ragged) & (middle.value < 0.03 + 0.54 * pack)
    mask_small = (small.edge > 1.6 + 0.6 * ragged) & (small.value < 0.02 + 0.36 * pack)
    away = offshore > 0.02 * (1 + ragged)
    crack = view.floes("crack", max(330 * view.scale, 60))
    cracked = crack.edge < 1.2 + 1.4 * view.moving("crack width", 240, 3)
    age = np.where(mask_big, big.value / 0.86, np.where(mask_middle, middle.value / 0.57, small.value / 0.38))
    blown = _ramp(view.moving("bare", 180, 6), 0.9, 2.0)
    rim = 0.35 * (big.edge < gap + 3 + 1.5 * ragged)
    snow = 0.97 - 0.90 * age**4 + 0.07 * view.moving("snow", 90, 5) - 0.75 * blown - np.where(mask_big, rim, 0)
    return (mask_big | mask_middle | mask_small) & away & ~cracked, snow.astype(np.float32)


def _new_ice(view: _View, offshore: Field) -> Field:
    """Thickness, metres, between the floes (0 and less: open water): polynya, young-ice belt, leads in the pack."""
    breath = 0.02 * sin(2 * pi * view.days / 5.2 + view.seed % 6)
    frazil = view.moving("streaks", 40, 3, stretch=(0.5, 3.0))
    edge = offshore - 0.10 - breath + 0.025 * view.fixed("polynya", 260, 5) + 0.006 * frazil
    belt = 0.010 + 1.25 * np.maximum(edge, 0) + 0.03 * view.moving("belt", 210, 5) * _ramp(edge, 0.0, 0.06)
    rafted = 0.05 * (view.moving("rafts", 46, 3) > 1.3)
    belt = np.where(edge > 0, np.maximum(belt + rafted, 0.006), 0)
    leads = 0.10 + 0.085 * view.moving("leads", 150, 4)
    pack = _ramp(offshore, 0.335, 0.44)
    thickness = belt * (1 - pack) + leads * pack
    return np.where((edge > 0) & (thickness > 0), np.clip(thickness, 0.006, 0.28), 0).astype(np.float32)


def _lead(view: _View, season: Season, when: datetime) -> tuple[NDArray[np.bool_], Field]:
    """The lead that opens for a few acquisitions: where it is, and the new ice at its rim."""
    opens, closes = season.lead
    height, width = view.shape
    open_share = 0.0
    if opens <= when < closes:
        open_share = min(1.0, 4 * (when - opens) / (closes - opens), 4 * (closes - when) / (closes - opens))
    across = (np.arange(width, dtype=np.float32) / width)[None, :]
    down = (np.arange(height, dtype=np.float32) / height)[:, None]
    centre = 0.24 + 0.10 * (across - 0.5) + 0.012 * view.fixed("lead", 260, 4)
    taper = np.sqrt(np.clip(1 - (2 * across - 1) ** 4, 0, 1))
    half = max(0.013 * open_share + 0.004, 1.5 / height) * taper * (open_share > 0)
    depth = 1 - np.abs(down - centre) / np.maximum(half, 1e-6)
    return depth > 0, np.where(depth < 0.35, 0.03, 0).astype(np.float32)


def _refreeze(view: _View, season: Season, when: datetime) -> Field:
    """Thickness, metres, where the fast ice broke away: open water that slowly gathers patches of new ice."""
    age = max((when - season.breakup).total_seconds() / 86400, 0.0)
    patches = view.fixed("refreeze", 90, 4, stretch=(1.5, 0.7))
    return np.where(patches > 1.3 - 0.13 * age, 0.008 + 0.006 * age, 0).astype(np.float32)


def _fast_cracks(view: _View) -> Field:
    """Tide cracks and bare patches in the fast ice, as a loss of snow."""
    crack = np.abs(view.fixed("tide cracks", 260, 3)) < 0.012
    return (0.5 * crack + 0.6 * _ramp(view.fixed("fast bare", 150, 6), 1.0, 2.4)).astype(np.float32)


def _dusting(view: _View, thickness: Field) -> Field:
    """Share of the thin ice under frost flowers, drifted snow or slush: more on the thicker."""
    patch = np.clip(0.36 + 0.38 * view.moving("dusting", 130, 6), 0, 0.85)
    return np.asarray(patch * _ramp(thickness, 0.03, 0.22), np.float32)


def _ramp(value: Field, low: float, high: float) -> Field:
    """0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((value - np.float32(low)) / np.float32(high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)

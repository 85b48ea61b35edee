"""The ocean: the surface at each pixel of a tile at one time, a pure function of (seed, tile, season, time, world).

From the coast outwards: an ice shelf, fast ice along part of it, a polynya kept open by wind off the coast, a belt
kilometres wide of young ice that thickens outwards, and pack whose floes drift by hundreds of metres an hour. Shelf
and fast ice stand still; the outer fast ice breaks away once, for good; a lead through the pack opens and closes.
The tile shows about 10 km x 10 km; a smaller one shows the same in less space. Worlds without a coast show one of
these zones, at its natural size.

The true class of a pixel is the one of its greatest share:

- Thick: floes and fast ice (0.3 m and more, WMO's first-year ice), bare or under snow, and small pieces of them;
  younger ice under snow deep enough to hide it; melt ponds, which belong to the ice they lie on (WMO Sea-Ice
  Nomenclature: puddle).
- Thin: ice below 0.3 m, also where frost flowers or a dusting brighten it.
- Water: the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from math import cos, pi, sin

import numpy as np
from numpy.typing import NDArray

from seaice_ops.classes import legend
from seaice_ops.simulate import pack
from seaice_ops.simulate.coast import Coast, bare_patches, coast, lead, refreeze
from seaice_ops.simulate.coast import shelf as shelf_of
from seaice_ops.simulate.noise import Field, derive
from seaice_ops.simulate.season import Season
from seaice_ops.simulate.view import PIXEL_M, View
from seaice_ops.simulate.world import World

FULL = 1024  # edge, in pixels, of the tile that the layout is designed for

#: A pixel is mixed where no class has at least this share of it.
PURE = 0.9


@dataclass(frozen=True)
class Surface:
    """The surface at one time: (rows, columns) arrays, float32 except `land`."""

    shares: tuple[Field, Field]
    """Shares of water and of thick ice; the rest is thin ice."""
    land: NDArray[np.bool_]
    """The ice shelf, whose share of thick ice is 1."""
    thickness: Field
    """Thickness of the thin ice, metres."""
    frost: Field
    """Cover of the thin ice by frost flowers or a dusting, 0..1."""
    smooth: Field
    """Smoothness or wetness of the thin ice's surface, 0..1."""
    grain: Field
    """Effective grain radius of the snow on thick ice, millimetres."""
    bare: Field
    """Share of the thick ice without snow."""
    pond: Field
    """Share of the thick ice under melt ponds."""
    height: Field
    """Relief of snow and thick ice, metres."""
    tone: Field
    """Brightness of water and bare ice relative to their kind's mean; higher means shallower melt ponds."""

    @property
    def codes(self) -> NDArray[np.uint8]:
        """(rows, columns) u8: 1, 2, 3 by the greatest share, ties to the thinner class; 254 on land."""
        codes = np.asarray(np.argmax(np.stack(self._shares), axis=0) + legend.WATER, np.uint8)
        codes[self.land] = legend.LAND
        return codes

    @property
    def mixed(self) -> NDArray[np.bool_]:
        """(rows, columns) bool: pixels of which no class has nine tenths."""
        return np.asarray(np.maximum.reduce(self._shares) < PURE, np.bool_)

    @property
    def _shares(self) -> tuple[Field, Field, Field]:
        water, thick = self.shares
        return water, 1 - water - thick, thick


def uniform(codes: NDArray[np.uint8], *, thickness: float = 0.1, grain: float = 0.2) -> Surface:
    """A surface of pure pixels of class `codes`, with thin ice of one `thickness` (m) and snow of one `grain` (mm)."""
    zero, one = np.zeros(codes.shape, np.float32), np.ones(codes.shape, np.float32)
    land = codes == legend.LAND
    water, thick = (mask.astype(np.float32) for mask in (codes == legend.WATER, land | (codes == legend.THICK)))
    return Surface(
        (water, thick), land, one * np.float32(thickness), zero, zero, one * np.float32(grain), zero, zero, zero, one
    )


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


def shelf(seed: int, tile: str, size: int, world: World | None = None) -> NDArray[np.bool_]:
    """(size, size) bool: the ice shelf. It never changes, and does not follow the tile's real coast."""
    return shelf_of(_view(seed, tile, size, 0.0, world or World()))


def surface(seed: int, tile: str, size: int, season: Season, when: datetime, world: World | None = None) -> Surface:
    """The ocean of `tile` at `when`, `size` x `size` pixels."""
    view = _view(seed, tile, size, (when - season.begins).total_seconds() / 86400, world or World())
    shore = coast(view, season, when)
    floes = pack.floes(view, shore.offshore)
    frozen, thickness = pack.new_ice(view, shore.offshore)
    opening, opening_ice = lead(view, season, when)
    inside = opening > 0
    frozen, thickness = np.where(inside, opening_ice > 0, frozen), np.where(inside, opening_ice, thickness)
    healed = refreeze(view, season, when)
    frozen, thickness = np.where(shore.broken, healed > 0, frozen), np.where(shore.broken, healed, thickness)
    still = shore.fast + shore.shelf
    loose = floes.share * (1 - opening) * ~shore.broken
    floe = np.maximum(loose, still)
    pieces = pack.brash(view) * ~(inside | shore.broken)
    shares = _shares(view.world, floe, frozen.astype(np.float32), pack.drifts(view, thickness), pieces)
    return Surface(
        shares,
        shore.shelf,
        thickness.astype(np.float32),
        pack.frost(view, thickness),
        np.clip(view.world.wet + 0.8 * view.moving("smooth", 40, 3), 0, 1).astype(np.float32),
        *_cover(view, shore, floes.snowy, still > 0),
        height=np.where(still > 0, 0.16 * view.fixed("sastrugi", 14, 2, stretch=(2.0, 0.6)), pack.relief(view)).astype(
            np.float32
        ),
        tone=(1 + 0.10 * view.moving("tone", 26, 3)).astype(np.float32),
    )


def _shares(world: World, floe: Field, frozen: Field, snowed: Field, pieces: Field) -> tuple[Field, Field]:
    """(rows, columns) shares of water and of thick ice, without the class that the world lacks, if any."""
    if world.without == legend.WATER:
        frozen = np.ones_like(frozen)
    if world.without == legend.THIN:
        frozen = np.zeros_like(frozen)
    if world.without == legend.THICK:
        floe, snowed, pieces = np.zeros_like(floe), np.zeros_like(floe), np.zeros_like(floe)
    rest = (1 - floe) * (1 - pieces)
    thick = 1 - rest * (1 - frozen * snowed)
    return (rest * (1 - frozen)).astype(np.float32), thick.astype(np.float32)


def _cover(view: View, shore: Coast, snowy: Field, still: NDArray[np.bool_]) -> tuple[Field, Field, Field]:
    """(rows, columns) grain radius of the snow in mm, share without snow, share under melt ponds."""
    resting = 0.86 + 0.07 * view.fixed("fast snow", 90) - np.where(shore.shelf, 0, bare_patches(view))
    snowy = np.where(still, resting, snowy)
    new, old = np.log(view.world.grain_mm)
    grain = np.exp(old + (new - old) * np.clip(snowy, 0, 1) + 0.15 * view.moving("grain", 60, 3))
    bare = np.clip(1 - snowy / 0.5, 0, 1)
    pond = np.zeros(view.shape)
    if view.world.ponds:
        pond = np.clip(2.5 * (view.moving("ponds", 26, 4) - 2.2 + view.world.ponds), 0, 1) * ~shore.shelf
    return grain.astype(np.float32), bare.astype(np.float32), pond.astype(np.float32)


def _view(seed: int, tile: str, size: int, days: float, world: World) -> View:
    east, south = drift(seed, tile, days)
    scale = size / FULL if world.coast else 1.0
    return View(derive(seed, tile, "ocean"), (size, size), scale, (east / PIXEL_M, south / PIXEL_M), days, world)

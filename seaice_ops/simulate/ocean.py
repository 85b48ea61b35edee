"""The ocean: what lies at each pixel of a tile at a time. A pure function of (seed, tile, season, time, world).

From the coast outwards: an ice shelf, fast ice along part of it, a polynya kept open by wind off the coast, a belt
kilometres wide of young ice that thickens outwards, and pack whose floes drift by hundreds of metres an hour. Shelf
and fast ice stand still; the outer fast ice breaks away once, for good; a lead through the pack opens and closes.
The tile shows about 10 km x 10 km; a smaller one shows the same in less space. Worlds without a coast show one of
these zones, at its natural size.

What is true of a pixel: it holds shares of water, thin and thick ice, and the greatest share names it. Thick is floes
and fast ice (0.3 m and more, WMO's first-year ice) under snow or bare, small pieces of them, and snow on younger ice
where it is deep enough to hide it, and melt ponds on them: a pond is part of the ice it lies on (WMO Sea-Ice
Nomenclature: puddle). Thin is ice below 0.3 m, also where frost flowers or a dusting brighten it. Water is what is
left.
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

FULL = 1024  # the edge, in pixels, that the layout was drawn for

#: A pixel is mixed where no class has this share of it.
PURE = 0.9


@dataclass(frozen=True)
class Surface:
    """(rows, columns) of one moment; all but `land` float32.

    `shares`: of water and of thick ice, the rest is thin; `land`: shelf (its share of thick is 1). Of thin ice:
    `thickness`, metres, `frost`, how far it is brightened, and `smooth`, 0..1, how smooth or wet its surface is. Of
    thick ice: `grain`, snow's radius in mm, `bare` and `pond`, the shares of it without snow and under melt water.
    `height`, metres, of its relief; `tone`, the brightness of water and bare ice relative to their kind's mean, and of
    ponds, how shallow they are.
    """

    shares: tuple[Field, Field]
    land: NDArray[np.bool_]
    thickness: Field
    frost: Field
    smooth: Field
    grain: Field
    bare: Field
    pond: Field
    height: Field
    tone: Field

    @property
    def codes(self) -> NDArray[np.uint8]:
        """u8: 1, 2, 3 by the greatest share, a tie to the thinner; 254 on land."""
        codes = np.asarray(np.argmax(np.stack(self._shares), axis=0) + legend.WATER, np.uint8)
        codes[self.land] = legend.LAND
        return codes

    @property
    def mixed(self) -> NDArray[np.bool_]:
        """Where no class has nine tenths of the pixel."""
        return np.asarray(np.maximum.reduce(self._shares) < PURE, np.bool_)

    @property
    def _shares(self) -> tuple[Field, Field, Field]:
        water, thick = self.shares
        return water, 1 - water - thick, thick


def uniform(codes: NDArray[np.uint8], *, thickness: float = 0.1, grain: float = 0.2) -> Surface:
    """A plain surface of whole pixels of `codes`, its thin ice and its snow alike everywhere."""
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
    """(size, size) where the ice shelf lies: the same at all times, and not where the tile's real coast is."""
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
    """Shares of water and thick ice, where a world goes without a class."""
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
    """Grain of the snow, share without snow, share under melt water."""
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

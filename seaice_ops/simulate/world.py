"""Worlds: the layout, weather and season of a tile's ocean. An archive's season has one; examples draw theirs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from seaice_ops.classes import legend
from seaice_ops.simulate.noise import derive


@dataclass(frozen=True)
class World:
    """The kind of ocean that a tile shows."""

    coast: bool = True
    """True for a coast at the lower edge."""
    shore: tuple[float, float] = (0.4, 0.1)
    """Without a coast: apparent distance of the tile's middle from one, in tile heights (0 open water, 0.2 young ice,
    0.5 and more pack), and its variation across the tile."""
    growth: float = 1.0
    """Factor on the thickness of new ice."""
    grain_mm: tuple[float, float] = (0.12, 0.6)
    """Effective grain radii of new and of old snow, millimetres."""
    frost: float = 0.5
    """Amount of frost flowers, 0..1."""
    drifts: float = 0.0
    """Amount of snow drifts on young ice; 0 is usual, negative is less."""
    ponds: float = 0.0
    """Amount of melt ponds; 0 is none."""
    wet: float = 0.3
    """Mean smoothness or wetness of young ice, 0..1."""
    leads: float = 1.0
    """Factor on the width of leads."""
    without: int | None = None
    """Class that does not occur; None: all do."""


#: Snow grains: new 0.05 to 0.1 mm, old dry 0.2 to 0.5 mm, wet clusters 0.5 to 2 mm (Wiscombe and Warren 1980;
#: Grenfell, Warren and Mullen 1994, J. Geophys. Res. 99; Massom et al. 2001, Rev. Geophys. 39, for snow on sea ice).
SEASONS = {
    "winter's end": World(growth=1.25, grain_mm=(0.07, 0.35), frost=0.9, drifts=0.5, leads=0.8),
    "melt": World(growth=0.6, grain_mm=(0.4, 1.6), frost=0.1, drifts=-0.5, ponds=0.7, wet=0.8, leads=1.5),
    "freeze-up": World(growth=1.0, grain_mm=(0.10, 0.8), frost=0.6, drifts=0.0, leads=1.2),
}

#: Frequency of each layout, and the fields of `World` that make it.
_LAYOUTS: tuple[tuple[float, dict[str, object]], ...] = (
    (0.40, {}),  # the coast with its polynya and young-ice belt
    (0.14, {"coast": False, "shore": (0.75, 0.12)}),  # closed pack
    (0.10, {"coast": False, "shore": (0.36, 0.10)}),  # pack and young ice, mixed
    (0.12, {"coast": False, "shore": (0.24, 0.06)}),  # new ice for kilometres
    (0.10, {"coast": False, "shore": (0.05, 0.06)}),  # open water, a few streaks and floes
    (0.05, {"coast": False, "shore": (0.50, 0.15), "without": legend.WATER}),
    (0.05, {"coast": False, "shore": (0.40, 0.20), "without": legend.THIN}),
    (0.04, {"coast": False, "shore": (0.16, 0.08), "without": legend.THICK}),
)


def any_world(seed: int) -> World:
    """The world of an example, its season and layout drawn from `seed`."""
    rng = np.random.default_rng(derive(seed, "world"))
    season = list(SEASONS.values())[int(rng.integers(len(SEASONS)))]
    chances = np.array([share for share, _ in _LAYOUTS])
    layout = _LAYOUTS[int(rng.choice(len(_LAYOUTS), p=chances / chances.sum()))][1]
    return replace(season, **layout)  # type: ignore[arg-type]

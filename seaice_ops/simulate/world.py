"""What kind of ocean a tile shows: its layout, weather and season. The archive's season has one; examples differ."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from seaice_ops.classes import legend
from seaice_ops.simulate.noise import derive


@dataclass(frozen=True)
class World:
    """A coast below, or none and then `shore`: how far from a coast, in tile heights, the middle of the picture seems
    to lie (0 open water, 0.2 young ice, 0.5 and more pack) and how much that changes across it.

    `growth` scales the thickness of new ice; `grain_mm` are the radii of snow grains from new to old; `frost`, `drifts`
    and `ponds` say how much frost flowers, snow drifts and melt ponds there are, `wet` how smooth or wet young ice is
    (0..1); `leads` scales the width of leads;
    `without` is a class that does not occur.
    """

    coast: bool = True
    shore: tuple[float, float] = (0.4, 0.1)
    growth: float = 1.0
    grain_mm: tuple[float, float] = (0.12, 0.6)
    frost: float = 0.5
    drifts: float = 0.0
    ponds: float = 0.0
    wet: float = 0.3
    leads: float = 1.0
    without: int | None = None


#: Snow grains: new 0.05 to 0.1 mm, old dry 0.2 to 0.5 mm, wet clusters 0.5 to 2 mm (Wiscombe and Warren 1980;
#: Grenfell, Warren and Mullen 1994, J. Geophys. Res. 99; Massom et al. 2001, Rev. Geophys. 39, for snow on sea ice).
SEASONS = {
    "winter's end": World(growth=1.25, grain_mm=(0.07, 0.35), frost=0.9, drifts=0.5, leads=0.8),
    "melt": World(growth=0.6, grain_mm=(0.4, 1.6), frost=0.1, drifts=-0.5, ponds=0.7, wet=0.8, leads=1.5),
    "freeze-up": World(growth=1.0, grain_mm=(0.10, 0.8), frost=0.6, drifts=0.0, leads=1.2),
}

#: How often a layout occurs, and what it is.
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
    """The world of an example: a season and a layout."""
    rng = np.random.default_rng(derive(seed, "world"))
    season = list(SEASONS.values())[int(rng.integers(len(SEASONS)))]
    chances = np.array([share for share, _ in _LAYOUTS])
    layout = _LAYOUTS[int(rng.choice(len(_LAYOUTS), p=chances / chances.sum()))][1]
    return replace(season, **layout)  # type: ignore[arg-type]

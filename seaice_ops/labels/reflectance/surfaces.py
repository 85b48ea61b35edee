"""Our own picture of what lies below: surfaces drawn evenly from published ranges.

Reflectance in B02, B04, B08, B11 (Brandt et al. 2005, J. Climate 18; Zatko & Warren 2015, Annals of Glaciology 56(69);
Grenfell & Perovich 1984, JGR 89; snow grains: Wiscombe & Warren 1980, J. Atmos. Sci. 37): water 0.02-0.08 with foam;
young ice 0.06 (dark nilas) to 0.45 (grey-white), darker in the infrared the thicker the light's way through ice; bare
first-year and older ice 0.5-0.77; snow 0.8-1.0 whose grains of 0.05-1 mm set 1.6 um (0.03-0.25) and part of the near
infrared. Patches of snow on young ice raise it towards snow, frost flowers on it towards 0.7, and 0.07-0.12 at 1.6 um
(Zatko & Warren 2015). At 1.6 um ice lets no light through: what is seen is its surface,
0.02-0.07 where brine and salt make it rough, 0.02-0.04 where it is older, 0.004-0.02 where it is smooth or wet (an
albedo measured at the ground counts the mirrored sun, 0.02 and more; a satellite looks past it), and next to nothing
on water. Where sources
differ, a number within their spread was chosen on development seeds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seaice_ops.classes.legend import THICK, THIN, WATER
from seaice_ops.labels.reflectance import optics

BANDS = ("B02", "B04", "B08", "B11")

#: Visible albedo of snow, to whose brightest a scene is brought.
SNOW = 0.95

#: Young ice under patches of snow counts as thin up to this share of full snow cover: legend.py's optical classes. On
#: this share of it lies none.
SNOWED_IN, WITHOUT_SNOW = 0.57, 0.6

#: Frost flowers, or snow too thin to hide it, lie on young ice but for this share of it, and bring it up to the second
#: share of the way to their own reflectance; it stays thin ice.
WITHOUT_FROST, FROSTED = 0.3, 0.6

#: Dark nilas, in the blue-green.
DARKEST = 0.056

#: Nilas is hours old and wet with brine. All snow and frost stays on young ice that is this much brighter than the
#: darkest.
SNOW_BEARING = 0.19

#: Share of the draws whose pixel of 20 m at 1.6 um reaches into another surface.
COARSE = 0.15

#: Shares of melt ponds and of bare melting ice, whose surface is wet and granular, among thick ice: both belong to it
#: (WMO Sea-Ice Nomenclature: a puddle lies on ice; rotten ice is a stage of melting, not of development).
PONDS, MELTING = 0.08, 0.08

#: Ice melts where the sun stands high: all of these where it is less than the first zenith distance from the zenith,
#: none beyond the second (noon at 80 degrees latitude from May to August, and in April and September).
MELT_SEASON = 66.0, 76.0

#: Share of young ice whose surface is smooth or wet.
SMOOTH = 0.4

#: Shares of the draws of water, young ice and thick ice that hold another surface, too.
MIXED = np.array([0.23, 0.12, 0.2])

Floats = NDArray[np.float64]


def surfaces(
    kind: NDArray[np.int64], sun_zenith: float, rng: np.random.Generator
) -> tuple[Floats, Floats, NDArray[np.uint8]]:
    """(4, n) surface albedo, (n,) what a satellite sees of it in the direct beam relative to that, and the class: kind
    0 water, 1 young ice with or without snow, 2 thick ice. Some hold another surface too, up to half of it: edges,
    brash.
    """
    fine, shade, covered, bright, wet, rough, other_ice = rng.random((7, kind.size))
    mixed, part, reaching, reach, frosted, tall = rng.random((6, kind.size))
    snow = snow_spectrum(fine, SNOW * (0.92 + 0.12 * shade))
    level = DARKEST * (0.5 / DARKEST) ** bright
    bears = np.minimum(1.0, (level - DARKEST) / SNOW_BEARING)
    cover, frost = (_beyond(*pair) * bears for pair in ((covered, WITHOUT_SNOW), (frosted, WITHOUT_FROST)))
    young = young_spectrum(level, wet, rough, other_ice < SMOOTH)
    young += FROSTED * frost * (frost_spectrum(tall) - young)
    old = old_spectrum(0.52 + 0.25 * bright, wet, rough)
    open_sea = water_spectrum(bright, 0.03 * wet**3)
    whole = np.minimum(1.0, (1 - covered) / 0.25)
    thin = young + cover * (snow - young)
    season = float(np.interp(sun_zenith, MELT_SEASON, (1, 0)))
    pond, melting = (other_ice < season * share for share in (PONDS, PONDS + MELTING))
    thick = np.select([pond, melting], [pond_spectrum(bright, wet), melting_spectrum(bright, wet, rough)], old)
    whole = np.where(pond | melting, 0.0, whole)
    thick = thick + whole * (snow - thick)
    surface = np.select([kind == 0, kind == 1], [open_sea, thin], thick)
    other = np.select([kind == 0, kind == 1], [thick, np.where(mixed < MIXED[1] / 2, open_sea, thick)], open_sea)
    surface += np.where(mixed < MIXED[kind], 0.5 * part, 0.0) * (other - surface)
    # B11 comes from pixels of 20 m: at edges part of it is the other surface's.
    surface[3] += np.where(reaching < COARSE, 0.75 * reach, 0.0) * (other[3] - surface[3])
    of_snow, of_smooth = optics.snow_seen(sun_zenith), optics.smooth_seen(sun_zenith)
    of_young = np.where(other_ice < SMOOTH, of_smooth, (1 + of_smooth) / 2)
    of_old = (1 + of_snow) / 2
    beam = np.select(
        [kind == 0, kind == 1, pond],
        [1.0, of_young + cover * (of_snow - of_young), of_smooth],
        of_old + whole * (of_snow - of_old),
    )
    classes = np.select([kind == 0, (kind == 1) & (cover < SNOWED_IN)], [WATER, THIN], THICK)
    return surface, beam, classes.astype(np.uint8)


def _beyond(drawn: Floats, without: float) -> Floats:
    """How much there is, evenly from 0 to 1, of what the share `without` of the draws (0..1, even) has none of."""
    return np.asarray(np.maximum(0.0, (drawn - without) / (1 - without)), np.float64)


def water_spectrum(blue: Floats, foam: Floats) -> Floats:
    """(4, n) reflectance of the sea straight down: `blue` 0..1 how much light comes back up, `foam` flat on top."""
    up = np.array([[0.02], [0.004], [0.001], [0.0]]) * (0.5 + blue)
    return np.asarray(up + np.array([[0.006], [0.005], [0.004], [0.0045]]) + foam, np.float64)


def young_spectrum(visible: Floats, wet: Floats, rough: Floats, smooth: NDArray[np.bool_]) -> Floats:
    """(4, n) reflectance of bare young ice: `visible` in the blue-green; `wet` 0..1 how steeply it falls to the near
    infrared, `rough` 0..1 what its surface scatters at 1.6 um, where it is not `smooth`: a smooth or wet surface
    mirrors the sun past the zenith, and next to nothing comes back from below it."""
    red = visible * (1.0 - 0.14 * wet)
    short = 0.021 + 0.014 * rough + np.minimum(visible, 0.3) * (0.04 + 0.056 * rough)
    short = np.where(smooth, 0.004 + 0.012 * rough + 0.012 * visible, short)
    return np.stack([visible, red, red * (0.94 - 0.40 * wet), short])


def old_spectrum(visible: Floats, wet: Floats, rough: Floats) -> Floats:
    """(4, n) reflectance of bare first-year and older ice, as `young_spectrum`: full of air, it falls less steeply."""
    red = visible * (0.99 - 0.11 * wet)
    return np.stack([visible, red, red * (0.87 - 0.19 * wet), 0.025 + 0.010 * rough])


def melting_spectrum(bright: Floats, wet: Floats, rough: Floats) -> Floats:
    """(4, n) reflectance of bare melting ice, its crumbled surface more (`wet` 1) or less (0) full of water: 0.5 to
    0.75 in the blue, falling as water takes the red, 0.2 to 0.5 in the near infrared (Perovich et al. 2002, JGR 107;
    Light et al. 2022, Elementa 10)."""
    blue = 0.5 + 0.25 * bright
    red = blue * (0.94 - 0.24 * wet)
    return np.stack([blue, red, red * (0.76 - 0.28 * wet), 0.004 + 0.02 * rough])


def pond_spectrum(deep: Floats, pale: Floats) -> Floats:
    """(4, n) reflectance of a melt pond: `deep` 0..1 how far light goes down in it, `pale` how bright its bottom is. It
    is bright in the blue, which water lets through, and dark beyond 0.8 um (Grenfell & Perovich 1984; Malinka et al.
    2018, Cryosphere 12)."""
    blue = 0.18 + 0.47 * pale
    red = blue * (0.72 - 0.54 * deep)
    return np.stack([blue, red, 0.006 + red * (0.42 - 0.34 * deep), np.full_like(blue, 0.006)])


def frost_spectrum(tall: Floats) -> Floats:
    """(4, n) reflectance of frost flowers or a dusting of snow: `tall` 0..1 how thick it lies."""
    spectrum = np.stack([np.ones_like(tall), 0.96 + 0.02 * tall, 0.78 + 0.06 * tall, 0.10 + 0.05 * tall])
    return np.asarray((0.66 + 0.12 * tall) * spectrum, np.float64)


def snow_spectrum(fine: Floats, level: Floats) -> Floats:
    """(4, n) reflectance of snow: `fine` 0 (old, 1 mm) .. 1 (new, 0.05 mm), `level` in the visible (sun, slope)."""
    return level * np.stack([np.ones_like(fine), 0.97 + 0.02 * fine, 0.90 + 0.09 * fine, 0.026 + 0.215 * fine])

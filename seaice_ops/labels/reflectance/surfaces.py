"""Surface reflectance of water, young ice, thick ice and snow, drawn evenly from published ranges.

Bands B02, B04, B08, B11. Sources: Brandt et al. 2005, J. Climate 18; Zatko & Warren 2015, Annals of Glaciology 56(69);
Grenfell & Perovich 1984, JGR 89; snow grains: Wiscombe & Warren 1980, J. Atmos. Sci. 37.

- Water: 0.02-0.08 with foam, next to nothing at 1.6 um.
- Young ice: 0.06 (dark nilas) to 0.45 (grey-white), darker in the infrared the longer the light's path through ice.
  Patches of snow raise it towards snow, frost flowers towards 0.7, and to 0.07-0.12 at 1.6 um.
- Bare first-year and older ice: 0.5-0.77.
- Snow: 0.8-1.0. Its grains of 0.05-1 mm set 1.6 um (0.03-0.25) and part of the near infrared.
- Ice at 1.6 um: no light passes through it, only its surface shows. 0.02-0.07 where brine and salt make it rough,
  0.02-0.04 where it is older, 0.004-0.02 where it is smooth or wet. (An albedo measured at the ground includes the
  mirrored sun, 0.02 and more, which a satellite does not see.)

Where sources differ, a number within their spread was chosen on development seeds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seaice_ops.classes.legend import THICK, THIN, WATER
from seaice_ops.labels.reflectance import optics

BANDS = ("B02", "B04", "B08", "B11")

#: Visible albedo of snow; `levels` brings a scene's brightest snow to it.
SNOW = 0.95

#: Snow cover (0..1) up to which young ice counts as thin (the optical classes of classes/legend.py); share of young ice
#: without snow.
SNOWED_IN, WITHOUT_SNOW = 0.57, 0.6

#: Share of young ice without frost flowers or a dusting of snow; how far these bring its reflectance towards their own,
#: at most. It stays thin ice.
WITHOUT_FROST, FROSTED = 0.3, 0.6

#: Reflectance of dark nilas in the blue-green.
DARKEST = 0.056

#: Excess of reflectance over dark nilas from which on young ice bears all its snow and frost: nilas is hours old and
#: wet with brine.
SNOW_BEARING = 0.19

#: Share of the draws whose 20 m pixel at 1.6 um reaches into another surface.
COARSE = 0.15

#: Shares of melt ponds and of bare melting ice (wet and granular) among thick ice, to which both belong (WMO Sea-Ice
#: Nomenclature: a puddle lies on ice; rotten ice is a stage of melting, not of development).
PONDS, MELTING = 0.08, 0.08

#: Sun zenith angles in degrees between which these shares fall from full to 0 (at noon at 80 degrees latitude: May to
#: August, and April and September).
MELT_SEASON = 66.0, 76.0

#: Share of young ice whose surface is smooth or wet.
SMOOTH = 0.4

#: Shares of mixed pixels among the draws of water, young ice and thick ice.
MIXED = np.array([0.23, 0.12, 0.2])

Floats = NDArray[np.float64]


def surfaces(
    kind: NDArray[np.int64], sun_zenith: float, rng: np.random.Generator
) -> tuple[Floats, Floats, NDArray[np.uint8]]:
    """(4, n) surface albedo in BANDS, (n,) direct-beam factor, (n,) u8 class code of a drawn surface for each `kind`.

    `kind` (n,): 0 water, 1 young ice with or without snow, 2 thick ice. The factor is the nadir reflectance for the
    direct beam relative to the albedo. Some pixels are mixed, with up to half of another surface: edges, brash.
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
    """(n,) amounts: 0 for the share `without` of the draws (uniform in 0..1), uniform from 0 to 1 for the rest."""
    return np.asarray(np.maximum(0.0, (drawn - without) / (1 - without)), np.float64)


def water_spectrum(blue: Floats, foam: Floats) -> Floats:
    """(4, n) nadir reflectance of open water: `blue` 0..1 scales the water-leaving part, `foam` adds to all bands."""
    up = np.array([[0.02], [0.004], [0.001], [0.0]]) * (0.5 + blue)
    return np.asarray(up + np.array([[0.006], [0.005], [0.004], [0.0045]]) + foam, np.float64)


def young_spectrum(visible: Floats, wet: Floats, rough: Floats, smooth: NDArray[np.bool_]) -> Floats:
    """(4, n) reflectance of bare young ice.

    `visible`: reflectance in the blue-green; `wet` 0..1: steepness of the fall to the near infrared; `rough` 0..1:
    scattering of its surface at 1.6 um; `smooth`: smooth or wet surface, which mirrors the sun past the zenith, so that
    next to nothing is seen at 1.6 um.
    """
    red = visible * (1.0 - 0.14 * wet)
    short = 0.021 + 0.014 * rough + np.minimum(visible, 0.3) * (0.04 + 0.056 * rough)
    short = np.where(smooth, 0.004 + 0.012 * rough + 0.012 * visible, short)
    return np.stack([visible, red, red * (0.94 - 0.40 * wet), short])


def old_spectrum(visible: Floats, wet: Floats, rough: Floats) -> Floats:
    """(4, n) reflectance of bare first-year and older ice; arguments as for `young_spectrum`.

    It holds more air than young ice, so its spectrum falls less steeply.
    """
    red = visible * (0.99 - 0.11 * wet)
    return np.stack([visible, red, red * (0.87 - 0.19 * wet), 0.025 + 0.010 * rough])


def melting_spectrum(bright: Floats, wet: Floats, rough: Floats) -> Floats:
    """(4, n) reflectance of bare melting ice; `wet` 0..1 is the water content of its granular surface.

    0.5 to 0.75 in the blue; water absorbs in the red, and 0.2 to 0.5 remain in the near infrared (Perovich et al. 2002,
    JGR 107; Light et al. 2022, Elementa 10).
    """
    blue = 0.5 + 0.25 * bright
    red = blue * (0.94 - 0.24 * wet)
    return np.stack([blue, red, red * (0.76 - 0.28 * wet), 0.004 + 0.02 * rough])


def pond_spectrum(deep: Floats, pale: Floats) -> Floats:
    """(4, n) reflectance of a melt pond of relative depth `deep` and bottom brightness `pale`, both 0..1.

    It is bright in the blue, where water is transparent, and dark beyond 0.8 um (Grenfell & Perovich 1984; Malinka et
    al. 2018, Cryosphere 12).
    """
    blue = 0.18 + 0.47 * pale
    red = blue * (0.72 - 0.54 * deep)
    return np.stack([blue, red, 0.006 + red * (0.42 - 0.34 * deep), np.full_like(blue, 0.006)])


def frost_spectrum(tall: Floats) -> Floats:
    """(4, n) reflectance of frost flowers or a dusting of snow of relative thickness `tall`, 0..1."""
    spectrum = np.stack([np.ones_like(tall), 0.96 + 0.02 * tall, 0.78 + 0.06 * tall, 0.10 + 0.05 * tall])
    return np.asarray((0.66 + 0.12 * tall) * spectrum, np.float64)


def snow_spectrum(fine: Floats, level: Floats) -> Floats:
    """(4, n) reflectance of snow: grains from `fine` 0 (old, 1 mm) to 1 (new, 0.05 mm), `level` in the visible."""
    return level * np.stack([np.ones_like(fine), 0.97 + 0.02 * fine, 0.90 + 0.09 * fine, 0.026 + 0.215 * fine])

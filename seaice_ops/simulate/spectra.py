"""How bright each surface is in each band, from published measurements.

Values are spectral reflectances at Sentinel-2's B02 (492 nm), B03 (560), B04 (665), B08 (833) and B11 (1610),
rounded and representative of the cited sources, not digitised from them. No value was chosen by looking at what a
labelling method does with it, and nothing here knows a labelling threshold.

- Brandt, Warren, Worby and Grenfell 2005, "Surface albedo of the Antarctic sea ice zone" (J. Climate 18): all-wave
  albedos by ice type: grease 0.09, nilas 0.14, grey 0.25, grey-white 0.35, bare first-year 0.49, snow-covered 0.81.
  `ALL_WAVE` keeps them; the spectra below agree with them within 0.06 when weighted with a solar spectrum.
- Zatko and Warren 2015, "East Antarctic sea ice in spring: spectral albedo of snow, nilas, frost flowers and slush"
  (Ann. Glaciol. 56): nearly flat visible spectra of young ice falling towards the near infrared, close to the
  surface's own (Fresnel) reflection beyond 1.4 um.
- Grenfell and Perovich 1984 and Perovich 1996 (CRREL Monograph 96-1): shape of bare and wet ice spectra.
- Wiscombe and Warren 1980 (J. Atmos. Sci. 37), Warren and Brandt 2008 (JGR 113): snow: near one in the visible, falling
  with grain size in the near infrared, and at 1.6 um from about 0.2 (100 um grains) to 0.05 (500 um and coarser).
- Open water seen from above without sun glint: the sky's reflection and what clear water scatters back, a few per
  cent in blue and almost nothing beyond 0.8 um (Pope and Fry 1997 for water's absorption; Mobley 1994).
- Clouds keep most of their brightness at 1.6 um while snow loses it: Platnick et al. 2001 (JGR 106), King et al. 2004
  (J. Geophys. Res. 109).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BANDS = ("B02", "B03", "B04", "B08", "B11")
WAVELENGTH_UM = (0.492, 0.560, 0.665, 0.833, 1.610)

#: Reflectance per band of bare surfaces, dark to bright.
WATER = (0.030, 0.026, 0.018, 0.010, 0.004)
GREASE = (0.11, 0.11, 0.10, 0.07, 0.02)
NILAS = (0.18, 0.18, 0.17, 0.13, 0.03)
GREY = (0.34, 0.34, 0.31, 0.22, 0.035)
GREY_WHITE = (0.47, 0.47, 0.44, 0.33, 0.045)
FIRST_YEAR = (0.65, 0.65, 0.60, 0.47, 0.05)
OLD_SNOW = (0.90, 0.90, 0.88, 0.78, 0.06)
SNOW = (0.97, 0.97, 0.96, 0.90, 0.17)

#: Published all-wave albedo of the types above, for the check that they agree.
ALL_WAVE = {"GREASE": 0.09, "NILAS": 0.14, "GREY": 0.25, "GREY_WHITE": 0.35, "FIRST_YEAR": 0.49, "SNOW": 0.81}

#: Thickness, metres, at which bare new ice looks like the types WATER .. GREY_WHITE (WMO stages: nilas to 0.10, grey
#: 0.10-0.15, grey-white 0.15-0.30).
THICKNESS_M = (0.0, 0.015, 0.06, 0.125, 0.25)
_THIN = (WATER, GREASE, NILAS, GREY, GREY_WHITE)
_THICK = (FIRST_YEAR, OLD_SNOW, SNOW)

#: Reflectance of a very deep cloud per band (water and ice clouds mixed), and how forward its particles scatter.
DEEP_CLOUD = (0.86, 0.86, 0.86, 0.85, 0.52)
CLOUD_ASYMMETRY = 0.85

_STEPS = 1024


def thin_ice(thickness: NDArray[np.float32]) -> NDArray[np.float32]:
    """(5, rows, columns) reflectance of water (0 m) and bare new ice up to 0.25 m; thicker looks like 0.25 m."""
    return _table(np.asarray(THICKNESS_M), _THIN, thickness)


def thick_ice(snow: NDArray[np.float32]) -> NDArray[np.float32]:
    """(5, rows, columns) reflectance of older ice: snow 0 = bare first-year ice, 0.5 = old wet snow, 1 = cold snow."""
    return _table(np.asarray((0.0, 0.5, 1.0)), _THICK, snow)


def _table(
    knots: NDArray[np.float64], spectra: tuple[tuple[float, ...], ...], value: NDArray[np.float32]
) -> NDArray[np.float32]:
    points = np.linspace(knots[0], knots[-1], _STEPS)
    index = np.clip(value * np.float32((_STEPS - 1) / knots[-1]) + 0.5, 0, _STEPS - 1).astype(np.intp)
    tables = [np.interp(points, knots, band).astype(np.float32) for band in zip(*spectra, strict=True)]
    return np.stack([table[index] for table in tables])

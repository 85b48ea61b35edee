"""Spectral reflectance of each surface from published measurements.

Values are spectral reflectances at Sentinel-2's B02 (492 nm), B03 (560), B04 (665), B08 (833) and B11 (1610),
rounded and representative of the cited sources, not digitised from them. No value was chosen by looking at what a
labelling method does with it, and nothing here knows a labelling threshold.

- Brandt, Warren, Worby and Grenfell 2005, "Surface albedo of the Antarctic sea ice zone" (J. Climate 18): all-wave
  albedos by ice type: grease 0.09, nilas 0.14, grey 0.25, grey-white 0.35, bare first-year 0.49, snow-covered 0.81.
  `ALL_WAVE` keeps them; the spectra below agree with them within 0.06 when weighted with a solar spectrum. Allison,
  Brandt and Warren 1993 (J. Geophys. Res. 98) give the same order, and the brightening by a dusting of snow.
- Zatko and Warren 2015, "East Antarctic sea ice in spring: spectral albedo of snow, nilas, frost flowers and slush"
  (Ann. Glaciol. 56): nearly flat visible spectra of young ice falling towards the near infrared, close to the
  surface's own (Fresnel) reflection beyond 1.4 um; frost flowers brighten nilas to between itself and snow.
- Grenfell and Perovich 1984 (J. Geophys. Res. 89) and Perovich 1996 (CRREL Monograph 96-1): shape of bare and wet ice
  spectra; Perovich, Grenfell, Light and Hobbs 2002 (J. Geophys. Res. 107): ponded and flooded ice, dark beyond 0.8 um.
- Wiscombe and Warren 1980 (J. Atmos. Sci. 37), Dozier and Warren 1982, Warren and Brandt 2008 (J. Geophys. Res. 113):
  snow: near one in the visible, falling with grain size in the near infrared; at 1.6 um, where grains absorb too much
  for the formula below, read from their curves: from about 0.3 (new snow) to 0.02 (wet snow and firn).
- Kokhanovsky and Zege 2004 (Appl. Opt. 43) and Kokhanovsky et al. 2019 (Remote Sens. 11, 2280): reflectance of snow
  from its grains and the geometry.
- Open water seen from above without sun glint: the sky's reflection and what clear water scatters back, a few per
  cent in blue and almost nothing beyond 0.8 um (Pope and Fry 1997 for water's absorption; Mobley 1994).
"""

from __future__ import annotations

from math import atan, cos, exp, pi, radians, sqrt, tan

import numpy as np
from numpy.typing import NDArray

from seaice_ops.simulate.geometry import Geometry

WAVELENGTH_UM = (0.492, 0.560, 0.665, 0.833, 1.610)

#: Reflectance per band of bare surfaces, dark to bright.
WATER = (0.030, 0.026, 0.018, 0.010, 0.004)
GREASE = (0.11, 0.11, 0.10, 0.07, 0.02)
NILAS = (0.18, 0.18, 0.17, 0.13, 0.03)
GREY = (0.34, 0.34, 0.31, 0.22, 0.035)
GREY_WHITE = (0.47, 0.47, 0.44, 0.33, 0.045)
FIRST_YEAR = (0.65, 0.65, 0.60, 0.47, 0.05)

#: Melt ponds, shallow ones on pale ice and deep ones on blue ice (Grenfell and Perovich 1984; Malinka et al. 2018,
#: Cryosphere 12).
POND = (0.45, 0.41, 0.26, 0.08, 0.008)
DEEP_POND = (0.38, 0.30, 0.09, 0.012, 0.006)

#: Smooth or wet young ice: factor on its reflectance in B11 at nadir, because the albedo at the ground is mostly
#: mirrored sky and sun; and how far B08 is brought to a flat spectrum, 0.93 of B04 (flat grey ice).
SMOOTH_B11, FLAT = 0.35, 0.5

#: Published all-wave albedo of the types above and of snow (0.2 mm grains); a test compares the spectra with it.
ALL_WAVE = {"GREASE": 0.09, "NILAS": 0.14, "GREY": 0.25, "GREY_WHITE": 0.35, "FIRST_YEAR": 0.49, "SNOW": 0.81}

#: Thickness, metres, at which bare new ice has the spectra WATER .. GREY_WHITE (WMO stages: nilas to 0.10, grey
#: 0.10-0.15, grey-white 0.15-0.30).
THICKNESS_M = (0.0, 0.015, 0.06, 0.125, 0.25)
_THIN = (WATER, GREASE, NILAS, GREY, GREY_WHITE)

#: Imaginary part of ice's refractive index at the first four bands (Warren and Brandt 2008).
_ICE_ABSORBS = (4.9e-10, 2.6e-9, 1.7e-8, 1.75e-7)
#: Diffuse albedo of snow at 1.61 um for grain radii in mm (Wiscombe and Warren 1980; Dozier and Warren 1982).
_SWIR_RADII = (0.03, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
_SWIR_ALBEDO = (0.33, 0.28, 0.19, 0.11, 0.05, 0.025, 0.012)

_STEPS = 1024


def thin_ice(thickness: NDArray[np.float32]) -> NDArray[np.float32]:
    """(5, rows, columns) reflectance of water (0 m) and bare new ice; above 0.25 m it is that of 0.25 m."""
    points = np.linspace(0, THICKNESS_M[-1], _STEPS)
    index = np.clip(thickness * np.float32((_STEPS - 1) / THICKNESS_M[-1]) + 0.5, 0, _STEPS - 1).astype(np.intp)
    tables = [np.interp(points, THICKNESS_M, band).astype(np.float32) for band in zip(*_THIN, strict=True)]
    return np.stack([table[index] for table in tables])


def smoothed(bare: NDArray[np.float32], smooth: NDArray[np.float32]) -> NDArray[np.float32]:
    """(5, ...) reflectance of thin ice whose surface is `smooth` or wet to the degree 0..1, from that of `bare` ice."""
    out = bare.copy()
    out[3] += smooth * np.float32(FLAT) * (np.float32(0.93) * bare[2] - bare[3])
    out[4] *= 1 - smooth * np.float32(1 - SMOOTH_B11)
    return out


def mirrored_beam(mu: float) -> float:
    """Fresnel reflectance of smooth ice (n = 1.31) for a beam of zenith cosine `mu`, in Schlick's approximation."""
    return float(0.018 + 0.982 * (1 - mu) ** 5)


def snow_albedo(radius_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """(5, n) diffuse albedo of deep clean snow for n effective grain radii in mm.

    exp(-sqrt(absorption x path)) with a path of 16 grain diameters (Kokhanovsky et al. 2019); at 1.61 um from the
    published curves.
    """
    path = 16 * 2e-3 * radius_mm
    seen = zip(_ICE_ABSORBS, WAVELENGTH_UM, strict=False)
    bands = [np.exp(-np.sqrt(4 * pi * k / (um * 1e-6) * path)) for k, um in seen]
    swir = np.exp(np.interp(np.log(radius_mm), np.log(_SWIR_RADII), np.log(_SWIR_ALBEDO)))
    return np.stack([*bands, swir])


def snow(radius_mm: NDArray[np.float32], geometry: Geometry) -> NDArray[np.float32]:
    """(5, rows, columns) float32 reflectance factor of deep snow of effective grain radius `radius_mm` (0.03..2 mm).

    R = R0 albedo^(u(sun) u(view) / R0) with u(mu) = 3 (1 + 2 mu) / 7; R0 is `Geometry.bright` (non-absorbing grains).
    """
    low, high = np.log(_SWIR_RADII[0]), np.log(_SWIR_RADII[-1])
    points = np.exp(np.linspace(low, high, _STEPS))
    index = np.clip((np.log(radius_mm) - low) * ((_STEPS - 1) / (high - low)) + 0.5, 0, _STEPS - 1).astype(np.intp)
    escape = (3 / 7) ** 2 * (1 + 2 * geometry.mu_sun) * (1 + 2 * geometry.mu_view)
    tables = geometry.bright * snow_albedo(points) ** (escape / geometry.bright)
    return np.stack([table[index] for table in tables.astype(np.float32)])


def glint(geometry: Geometry, wind: float) -> float:
    """Reflectance of sun glint under `wind` m/s, the same in all bands (Cox and Munk 1954, J. Opt. Soc. Am. 44)."""
    spread = 0.003 + 0.00512 * wind
    half = radians((180 - geometry.scattering) / 2)
    tilt = _tilt(geometry)
    waves = exp(-(tan(tilt) ** 2) / spread) / (pi * spread)
    mirror = 0.0204 + 0.9796 * (1 - cos(half)) ** 5  # Schlick's form of Fresnel's reflection, index 1.333
    return pi * mirror * waves / (4 * geometry.mu_sun * geometry.mu_view * cos(tilt) ** 4)


def _tilt(geometry: Geometry) -> float:
    """Tilt, radians, of the wave that mirrors the sun into the sensor."""
    half = radians((180 - geometry.scattering) / 2)
    upright = (geometry.mu_sun + geometry.mu_view) / (2 * cos(half))
    return atan(sqrt(max(1 / min(upright, 1.0) ** 2 - 1, 0.0)))

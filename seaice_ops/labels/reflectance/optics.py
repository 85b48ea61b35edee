"""What a nadir-looking Sentinel-2 band sees through air, thin cloud and a cloud's shadow: closed formulas on arrays.

Rayleigh optical depths: Hansen & Travis 1974 (Space Sci. Rev. 16, eq. 2.30) at sea level. Ozone: absorption in the
Chappuis bands (Bogumil et al. 2003) times 0.3 atm cm. Path reflectance: single scattering, half attenuated. Surface,
air and cloud throw light at each other any number of times (Vermote et al. 1997, IEEE TGRS 35, eq. 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seaice_ops.sensors.sentinel2 import MICROMETRES

Floats = NDArray[np.float64]

#: The sun's zenith distance where it is not known: the middle of the polar season.
USUAL_ZENITH = 66.0

#: Vertical optical depth of 0.3 atm cm of ozone.
_OZONE = {"B02": 0.006, "B04": 0.014, "B08": 0.0, "B11": 0.0}

#: Marine polar background aerosol at 550 nm, with its Angstrom exponent (Tomasi et al. 2007, JGR 112).
_AEROSOL, _ANGSTROM = 0.05, 1.2


@dataclass(frozen=True)
class Air:
    """Cloudless air in one band under one sun: `path` its own reflectance, `transmittance` down and up together
    (scattering and ozone), `back` what it throws back of the light from below, `diffuse` the share of the light at
    the surface that comes from the sky."""

    path: float
    transmittance: float
    back: float
    diffuse: float


def air(band: str, sun_zenith: float) -> Air:
    """The air in `band` with the sun `sun_zenith` degrees from the zenith, seen straight down."""
    mu = _height(sun_zenith)
    rayleigh, aerosol = rayleigh_depth(MICROMETRES[band]), _aerosol_depth(MICROMETRES[band])
    slant = 1 + 1 / mu
    scatter = 0.75 * (1 + mu * mu) * rayleigh + 0.15 * aerosol  # phase functions near 180 degrees less the zenith
    depth = rayleigh + aerosol
    lost = depth * slant / 2  # half of what single scattering loses on its way comes back by further scattering
    path = scatter / (4 * mu) * (1 - math.exp(-lost)) / lost
    forward = rayleigh / 2 + aerosol / 5  # what scattering takes out of the light, both ways
    ozone = math.exp(-_OZONE[band] * slant)
    total = math.exp(-forward / mu)
    back = 0.92 * rayleigh * math.exp(-rayleigh) + 0.2 * aerosol  # isotropic light from below (Kaufman 1989)
    return Air(path * ozone, total * math.exp(-forward) * ozone, back, float(sky_share(band, sun_zenith)))


def sky_share(band: str, sun_zenith: float, haze: Floats | float = 1.0) -> Floats:
    """Share of the light at the surface that comes from the sky, with `haze` times as much aerosol as usual."""
    turned = rayleigh_depth(MICROMETRES[band]) / 2 + 0.8 * haze * _aerosol_depth(MICROMETRES[band])
    return np.asarray(1 - np.exp(-turned / _height(sun_zenith)), np.float64)


def _height(sun_zenith: float) -> float:
    """Cosine of the sun's zenith distance, and no less than where the air's curvature would count."""
    return max(math.cos(math.radians(sun_zenith)), 0.05)


def _aerosol_depth(wavelength: float) -> float:
    return float(_AEROSOL * (wavelength / 0.55) ** -_ANGSTROM)


def rayleigh_depth(wavelength: float) -> float:
    """Vertical Rayleigh optical depth at sea level; `wavelength` in micrometres."""
    square = wavelength**-2
    return 0.008569 * square * square * (1 + 0.0113 * square + 0.00013 * square * square)


def lit(surface: Floats, diffuse: Floats | float, sunlight: Floats) -> Floats:
    """Apparent reflectance of a surface that gets the share `sunlight` (0..1) of the direct beam, and all the sky."""
    return surface * ((1 - diffuse) * sunlight + diffuse)


def thrown_back(depth: Floats, mu: float) -> Floats:
    """Reflectance of a cloud of optical depth `depth` for light that comes at the cosine `mu`: single scattering whose
    share thrown back grows from 6 % (straight down) to a half (grazing), saturating as two-stream layers do (Coakley &
    Chylek 1975, J. Atmos. Sci. 32; Wiscombe & Grams 1976, 33)."""
    back = depth * (0.06 + 0.44 * (1 - mu) ** 2.6) / mu
    return np.asarray(back / (1 + back), np.float64)


def let_down(depth: Floats, absorbs: float, mu: float) -> Floats:
    """Share of the sun's light, coming at the cosine `mu`, that a cloud of optical depth `depth` lets pass, turned or
    not; it takes the share `absorbs` for each unit of depth, of three at most."""
    return np.asarray(np.maximum(1 - thrown_back(depth, mu) - absorbs * np.minimum(depth, 3), 0), np.float64)


def under_cloud(ground: Floats, around: Floats, depth: Floats, absorbs: float, mu: float, towards_us: Floats) -> Floats:
    """Reflectance above a cloud of optical depth `depth`, seen straight down, of lit `ground` amid ground `around`;
    `towards_us`: the cloud's own radiance to the zenith over its mean radiance upwards.

    Light that the cloud turns on its way up comes from around. What it turns by a few degrees counts as not turned: a
    third of the optical depth is left (asymmetry 0.77 to 0.85: Joseph et al. 1976, J. Atmos. Sci. 33).
    """
    up, diffuse = let_down(depth, absorbs, 1.0), thrown_back(depth, 0.6)
    straight = np.minimum(np.exp(-0.33 * depth) * (1 + 0.12 * depth), 1.0)
    below = straight * ground + (1 - straight) * around
    return np.asarray(thrown_back(depth, mu) * towards_us + up * below / (1 - diffuse * around), np.float64)


def from_beside(band: str) -> float:
    """Share of the light from below in `band` that clear air turns on its way up, so that it comes from around."""
    return 1 - math.exp(-rayleigh_depth(MICROMETRES[band]) / 2 - 0.1 * _AEROSOL)


def at_satellite(surface: Floats, through: Air) -> Floats:
    """Top-of-atmosphere reflectance of what lies below the air."""
    return through.path + through.transmittance * surface / (1 - through.back * surface)


def at_surface(seen: Floats, through: Air) -> Floats:
    """The inverse of `at_satellite`."""
    above_path = seen - through.path
    return above_path / (through.transmittance + through.back * above_path)

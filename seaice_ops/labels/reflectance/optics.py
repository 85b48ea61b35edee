"""What a nadir-looking Sentinel-2 band sees through air, thin cloud and a cloud's shadow: closed formulas on arrays.

Air: one plane layer of molecules and aerosol over a bright surface, in Sobolev's approximation (Sobolev 1975, Light
Scattering in Planetary Atmospheres; Katsev et al. 2010, Atmos. Meas. Tech. 3): light scattered once is exact, light
scattered more often has the closed form of two streams, whose transmittance is also that of the 6S model (Vermote et
al. 1997, IEEE TGRS 35). The direct beam crosses curved air (Kasten & Young 1989, Appl. Opt. 28) and ozone 22 km high
(Robinson 1966, Solar Radiation). Rayleigh optical depth: Hansen & Travis 1974 (Space Sci. Rev. 16, eq. 2.30), sea
level. Ozone: the Chappuis bands (Bogumil et al. 2003, J. Photochem. Photobiol. A 157). Surface, air and cloud reflect
light to each other any number of times (Vermote et al. 1997, eq. 1).

Symbols: `mu` cosine of a zenith distance, `depth` optical depth, `mass` air mass (1 straight up); reflectances and
shares 0..1, wavelengths in micrometres, angles in degrees.
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

#: Vertical absorption depth of 1 atm cm (1000 Dobson units) of ozone, and how much there is usually: polar autumn has
#: 0.28 atm cm, Arctic spring 0.4 to 0.48 (Fioletov 2008, Atmos.-Ocean 46).
_OZONE = {"B02": 0.021, "B03": 0.101, "B04": 0.053, "B08": 0.003, "B11": 0.0}
USUAL_OZONE = 0.35
_OZONE_KM, _EARTH_KM = 22.0, 6371.0

#: Marine polar background aerosol at 550 nm, with its Angstrom exponent and asymmetry (Tomasi et al. 2007, JGR 112).
_AEROSOL, _ANGSTROM, _ASYMMETRY = 0.05, 1.2, 0.65

#: Refractive index of ice in the visible (Warren & Brandt 2008, J. Geophys. Res. 113).
_ICE = 1.31

#: Zenith cosines, and their weights, that the spherical albedo is integrated with (Gauss-Legendre).
_MU, _WEIGHTS = (np.array([0.0694, 0.3300, 0.6700, 0.9306]), np.array([0.1739, 0.3261, 0.3261, 0.1739]))


@dataclass(frozen=True)
class Air:
    """Cloudless air in one band under one sun: `path` its own reflectance, `transmittance` down and up together
    (scattering and ozone), `spherical_albedo` its reflectance for light from below, `diffuse` the share of the light at
    the surface that comes from the sky."""

    path: float
    transmittance: float
    spherical_albedo: float
    diffuse: float


def air(band: str, sun_zenith: float) -> Air:
    """The air in `band` with the sun `sun_zenith` degrees from the zenith, seen straight down."""
    depth, x1, phase = _layer(band, sun_zenith)
    mu, inward = _cosine(sun_zenith), air_mass(sun_zenith)
    single = (1 - math.exp(-depth * (inward + 1))) / (4 * mu * (inward + 1))
    down, up = _fluxes(depth, mu, inward), _fluxes(depth, 1.0, 1.0)
    multiple = 1 - down * up / (4 + (3 - x1) * depth) + ((3 + x1) * mu - 2 * (mu + 1)) * single
    passed = 2 / (4 + (3 - x1) * depth)
    spherical = 1 - float(np.sum(2 * _MU * _WEIGHTS * passed * [_fluxes(depth, each, 1 / each) for each in _MU]))
    absorbed = math.exp(-_OZONE[band] * USUAL_OZONE * (ozone_mass(sun_zenith) + 1))
    path = phase * single + max(multiple, 0.0)
    return Air(path * absorbed, down * up * passed**2 * absorbed, spherical, float(sky_share(band, sun_zenith)))


def sky_share(band: str, sun_zenith: float, haze: Floats | float = 1.0) -> Floats:
    """Share of the light at the surface that comes from the sky, with `haze` times as much aerosol as usual."""
    mu, mass = _cosine(sun_zenith), air_mass(sun_zenith)
    dust, asymmetry = _aerosol(band)
    depth = rayleigh_depth(MICROMETRES[band]) + haze * dust
    x1 = 3 * asymmetry * haze * dust / depth
    direct = np.exp(-depth * mass)
    down = 2 * (1 + 1.5 * mu + (1 - 1.5 * mu) * direct) / (4 + (3 - x1) * depth)
    return np.asarray(1 - direct / down, np.float64)


def air_mass(sun_zenith: float) -> float:
    """Air that the direct beam crosses, 1 straight up: Kasten & Young 1989."""
    return float(1 / (math.cos(math.radians(sun_zenith)) + 0.50572 * (96.07995 - sun_zenith) ** -1.6364))


def ozone_mass(sun_zenith: float) -> float:
    """Ozone that the direct beam crosses, 1 straight up, in a thin shell."""
    sine = math.sin(math.radians(sun_zenith)) / (1 + _OZONE_KM / _EARTH_KM)
    return 1 / math.sqrt(1 - sine * sine)


def ozone_change(band: str, sun_zenith: float, ozone: Floats) -> Floats:
    """What `ozone` atm cm instead of the usual multiplies a top-of-atmosphere reflectance by."""
    return np.exp((USUAL_OZONE - ozone) * _OZONE[band] * (ozone_mass(sun_zenith) + 1))


def _layer(band: str, sun_zenith: float) -> tuple[float, float, float]:
    """Optical depth of molecules and aerosol, three times its asymmetry, and its phase function towards the zenith."""
    gas, (dust, asymmetry) = rayleigh_depth(MICROMETRES[band]), _aerosol(band)
    mu, square = _cosine(sun_zenith), asymmetry * asymmetry
    of_gas = 0.75 * (1 + mu * mu)
    of_dust = (1 - square) / (1 + square + 2 * asymmetry * mu) ** 1.5  # Henyey & Greenstein, backwards
    depth = gas + dust
    return depth, 3 * asymmetry * dust / depth, (of_gas * gas + of_dust * dust) / depth


def _aerosol(band: str) -> tuple[float, float]:
    """Optical depth and asymmetry of aerosol whose forward peak counts as not scattered (Joseph et al. 1976)."""
    depth = _AEROSOL * (MICROMETRES[band] / 0.55) ** -_ANGSTROM
    return depth * (1 - _ASYMMETRY**2), _ASYMMETRY / (1 + _ASYMMETRY)


def _fluxes(depth: float, mu: float, mass: float) -> float:
    """Sobolev's R(depth, mu)."""
    return 1 + 1.5 * mu + (1 - 1.5 * mu) * math.exp(-depth * mass)


def _cosine(sun_zenith: float) -> float:
    """Cosine of the sun's zenith distance; no less than one degree above the horizon has."""
    return max(math.cos(math.radians(sun_zenith)), 0.0175)


def snow_seen(sun_zenith: float) -> float:
    """Reflectance of snow straight down, relative to its albedo, for the direct beam alone.

    Grains scatter a low sun's light onwards, away from the zenith: 1.0 at 50 degrees, 0.79 at 82 (a fit, within 0.02,
    of Kokhanovsky et al. 2019, Remote Sens. 11, 2280; measured by Hudson et al. 2006, J. Geophys. Res. 111). Of the
    sky's light the whole albedo is seen.
    """
    return float(1.03 - 0.34 * (1 - _cosine(sun_zenith)) ** 2.4)


def rayleigh_depth(wavelength: float) -> float:
    """Vertical Rayleigh optical depth at sea level; `wavelength` in micrometres."""
    square = wavelength**-2
    return 0.008569 * square * square * (1 + 0.0113 * square + 0.00013 * square * square)


def lit(surface: Floats, diffuse: Floats | float, sunlight: Floats) -> Floats:
    """Apparent reflectance of a surface that gets the share `sunlight` (0..1) of the direct beam, and all the sky."""
    return surface * ((1 - diffuse) * sunlight + diffuse)


def smooth_seen(sun_zenith: float) -> float:
    """What a smooth surface of ice lets into it of the direct beam, relative to the sky's light: Fresnel's reflection,
    of 6 % of the sky's light and of 42 % of the beam at 82 degrees, mirrors the rest away from the zenith."""
    mu = _cosine(sun_zenith)
    inside = math.sqrt(1 - (1 - mu * mu) / _ICE**2)
    across, along = (mu - _ICE * inside) / (mu + _ICE * inside), (_ICE * mu - inside) / (_ICE * mu + inside)
    return (1 - (across**2 + along**2) / 2) / (1 - 0.06)


def cloud_reflectance(depth: Floats, mu: float) -> Floats:
    """Reflectance of a cloud of optical depth `depth` for light that comes at the cosine `mu`: single scattering whose
    share scattered back grows from 6 % (straight down) to a half (grazing), saturating as two-stream layers do (Coakley
    & Chylek 1975, J. Atmos. Sci. 32; Wiscombe & Grams 1976, 33)."""
    back = depth * (0.06 + 0.44 * (1 - mu) ** 2.6) / mu
    return np.asarray(back / (1 + back), np.float64)


def cloud_transmittance(depth: Floats, absorbs: float, mu: float) -> Floats:
    """Share of the sun's light, coming at the cosine `mu`, that a cloud of optical depth `depth` lets pass, scattered
    or not; it takes the share `absorbs` for each unit of depth, of three at most."""
    return np.asarray(np.maximum(1 - cloud_reflectance(depth, mu) - absorbs * np.minimum(depth, 3), 0), np.float64)


def under_cloud(ground: Floats, around: Floats, depth: Floats, absorbs: float, mu: float, towards_us: Floats) -> Floats:
    """Reflectance above a cloud of optical depth `depth`, seen straight down, of lit `ground` amid ground `around`;
    `towards_us`: the cloud's own radiance to the zenith over its mean radiance upwards.

    Light that the cloud turns on its way up comes from around. What it turns by a few degrees counts as not turned: a
    third of the optical depth is left (asymmetry 0.77 to 0.85: Joseph et al. 1976, J. Atmos. Sci. 33).
    """
    up, diffuse = cloud_transmittance(depth, absorbs, 1.0), cloud_reflectance(depth, 0.6)
    straight = np.minimum(np.exp(-0.33 * depth) * (1 + 0.12 * depth), 1.0)
    below = straight * ground + (1 - straight) * around
    return np.asarray(cloud_reflectance(depth, mu) * towards_us + up * below / (1 - diffuse * around), np.float64)


def adjacency_share(band: str) -> float:
    """Share of the light from below in `band` that clear air turns on its way up, so that it comes from around."""
    return 1 - math.exp(-rayleigh_depth(MICROMETRES[band]) / 2 - 0.1 * _AEROSOL)


def at_satellite(surface: Floats, through: Air, around: Floats | None = None) -> Floats:
    """Top-of-atmosphere reflectance of what lies below the air, amid reflectance `around` (its own if None), which
    the air's own reflectance sends light back onto."""
    bounced = through.spherical_albedo * (surface if around is None else around)
    return through.path + through.transmittance * surface / (1 - bounced)


def at_surface(seen: Floats, through: Air) -> Floats:
    """The inverse of `at_satellite`."""
    above_path = seen - through.path
    return above_path / (through.transmittance + through.spherical_albedo * above_path)

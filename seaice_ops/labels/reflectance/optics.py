"""Radiative transfer in closed form: reflectance in a nadir-looking Sentinel-2 band through air, thin cloud and shadow.

- Air: one plane layer of molecules and aerosol over a bright surface, in Sobolev's approximation (Sobolev 1975, Light
  Scattering in Planetary Atmospheres; Katsev et al. 2010, Atmos. Meas. Tech. 3). Single scattering is exact; multiple
  scattering has a two-stream form, whose transmittance is also that of the 6S model (Vermote et al. 1997, IEEE TGRS
  35).
- Air mass of the curved atmosphere: Kasten & Young 1989 (Appl. Opt. 28). Ozone lies 22 km high (Robinson 1966, Solar
  Radiation) and absorbs in the Chappuis bands (Bogumil et al. 2003, J. Photochem. Photobiol. A 157).
- Rayleigh optical depth at sea level: Hansen & Travis 1974 (Space Sci. Rev. 16, eq. 2.30).
- Multiple reflection between surface, air and cloud: Vermote et al. 1997, eq. 1.

Symbols: `mu` cosine of a zenith angle, `depth` optical depth, `mass` air mass (1 straight up); reflectances and
shares 0..1, wavelengths in micrometres, angles in degrees.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seaice_ops.sensors.sentinel2 import MICROMETRES

Floats = NDArray[np.float64]

#: Sun zenith angle, degrees, assumed where it is not known: the middle of the polar season.
USUAL_ZENITH = 66.0

#: Vertical absorption depth of 1 atm cm (1000 Dobson units) of ozone, and the usual column in atm cm: polar autumn has
#: 0.28, Arctic spring 0.4 to 0.48 (Fioletov 2008, Atmos.-Ocean 46).
_OZONE = {"B02": 0.021, "B03": 0.101, "B04": 0.053, "B08": 0.003, "B11": 0.0}
USUAL_OZONE = 0.35
_OZONE_KM, _EARTH_KM = 22.0, 6371.0

#: Marine polar background aerosol: optical depth at 550 nm, Angstrom exponent, asymmetry (Tomasi et al. 2007, JGR 112).
_AEROSOL, _ANGSTROM, _ASYMMETRY = 0.05, 1.2, 0.65

#: Refractive index of ice in the visible (Warren & Brandt 2008, J. Geophys. Res. 113).
_ICE = 1.31

#: Gauss-Legendre nodes (zenith cosines) and weights for the integral of the spherical albedo.
_MU, _WEIGHTS = (np.array([0.0694, 0.3300, 0.6700, 0.9306]), np.array([0.1739, 0.3261, 0.3261, 0.1739]))


@dataclass(frozen=True)
class Air:
    """Cloudless air in one band under one sun, all 0..1.

    `path`: path reflectance of the air itself; `transmittance`: down and up together, of scattering and ozone;
    `spherical_albedo`: reflectance of the air for light from below; `diffuse`: share of skylight in the light at the
    surface.
    """

    path: float
    transmittance: float
    spherical_albedo: float
    diffuse: float


def air(band: str, sun_zenith: float) -> Air:
    """The air in `band` for a sun zenith angle of `sun_zenith` degrees and a nadir view."""
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
    """Share of skylight in the light at the surface, 0..1, with `haze` times the usual aerosol."""
    mu, mass = _cosine(sun_zenith), air_mass(sun_zenith)
    dust, asymmetry = _aerosol(band)
    depth = rayleigh_depth(MICROMETRES[band]) + haze * dust
    x1 = 3 * asymmetry * haze * dust / depth
    direct = np.exp(-depth * mass)
    down = 2 * (1 + 1.5 * mu + (1 - 1.5 * mu) * direct) / (4 + (3 - x1) * depth)
    return np.asarray(1 - direct / down, np.float64)


def air_mass(sun_zenith: float) -> float:
    """Relative air mass of the direct beam, 1 straight up: Kasten & Young 1989."""
    return float(1 / (math.cos(math.radians(sun_zenith)) + 0.50572 * (96.07995 - sun_zenith) ** -1.6364))


def ozone_mass(sun_zenith: float) -> float:
    """Relative ozone mass of the direct beam, 1 straight up, for a thin shell of ozone 22 km high."""
    sine = math.sin(math.radians(sun_zenith)) / (1 + _OZONE_KM / _EARTH_KM)
    return 1 / math.sqrt(1 - sine * sine)


def ozone_change(band: str, sun_zenith: float, ozone: Floats) -> Floats:
    """Factor on the top-of-atmosphere reflectance when the ozone column is `ozone` atm cm instead of the usual."""
    return np.exp((USUAL_OZONE - ozone) * _OZONE[band] * (ozone_mass(sun_zenith) + 1))


def _layer(band: str, sun_zenith: float) -> tuple[float, float, float]:
    """Optical depth, three times the asymmetry, and phase function to the zenith, of molecules and aerosol together."""
    gas, (dust, asymmetry) = rayleigh_depth(MICROMETRES[band]), _aerosol(band)
    mu, square = _cosine(sun_zenith), asymmetry * asymmetry
    of_gas = 0.75 * (1 + mu * mu)
    of_dust = (1 - square) / (1 + square + 2 * asymmetry * mu) ** 1.5  # Henyey & Greenstein, backwards
    depth = gas + dust
    return depth, 3 * asymmetry * dust / depth, (of_gas * gas + of_dust * dust) / depth


def _aerosol(band: str) -> tuple[float, float]:
    """Delta-scaled optical depth and asymmetry of the aerosol: the forward peak counts as not scattered (Joseph et al.
    1976)."""
    depth = _AEROSOL * (MICROMETRES[band] / 0.55) ** -_ANGSTROM
    return depth * (1 - _ASYMMETRY**2), _ASYMMETRY / (1 + _ASYMMETRY)


def _fluxes(depth: float, mu: float, mass: float) -> float:
    """Sobolev's R(depth, mu)."""
    return 1 + 1.5 * mu + (1 - 1.5 * mu) * math.exp(-depth * mass)


def _cosine(sun_zenith: float) -> float:
    """Cosine of the sun's zenith angle, at least that of a sun one degree above the horizon."""
    return max(math.cos(math.radians(sun_zenith)), 0.0175)


def snow_seen(sun_zenith: float) -> float:
    """Nadir reflectance of snow for the direct beam alone, relative to its albedo.

    Grains scatter the light of a low sun forwards, away from the zenith: 1.0 at a sun zenith of 50 degrees, 0.79 at 82
    (a fit, within 0.02, of Kokhanovsky et al. 2019, Remote Sens. 11, 2280; measured by Hudson et al. 2006, J. Geophys.
    Res. 111). For skylight the factor is 1.
    """
    return float(1.03 - 0.34 * (1 - _cosine(sun_zenith)) ** 2.4)


def rayleigh_depth(wavelength: float) -> float:
    """Vertical Rayleigh optical depth at sea level; `wavelength` in micrometres."""
    square = wavelength**-2
    return 0.008569 * square * square * (1 + 0.0113 * square + 0.00013 * square * square)


def lit(surface: Floats, diffuse: Floats | float, sunlight: Floats) -> Floats:
    """Apparent reflectance of a surface that receives the share `sunlight` (0..1) of the direct beam and all skylight.

    `diffuse` is the share of skylight in the light of a clear sky.
    """
    return surface * ((1 - diffuse) * sunlight + diffuse)


def smooth_seen(sun_zenith: float) -> float:
    """Fresnel transmittance of a smooth ice surface for the direct beam, relative to that for skylight.

    The surface mirrors 6 % of the skylight, and 42 % of the direct beam at a sun zenith of 82 degrees, away from the
    zenith.
    """
    mu = _cosine(sun_zenith)
    inside = math.sqrt(1 - (1 - mu * mu) / _ICE**2)
    across, along = (mu - _ICE * inside) / (mu + _ICE * inside), (_ICE * mu - inside) / (_ICE * mu + inside)
    return (1 - (across**2 + along**2) / 2) / (1 - 0.06)


def cloud_reflectance(depth: Floats, mu: float) -> Floats:
    """Reflectance of a cloud of optical depth `depth` for light that arrives at the zenith cosine `mu`.

    R = b / (1 + b) with b = depth x backscatter / mu, as for two-stream layers. The backscattered share grows from 6 %
    (mu 1) to a half (mu 0) (Coakley & Chylek 1975, J. Atmos. Sci. 32; Wiscombe & Grams 1976, 33).
    """
    back = depth * (0.06 + 0.44 * (1 - mu) ** 2.6) / mu
    return np.asarray(back / (1 + back), np.float64)


def cloud_transmittance(depth: Floats, absorbs: float, mu: float) -> Floats:
    """Total transmittance (direct and scattered) of a cloud of optical depth `depth` at the zenith cosine `mu`.

    The cloud absorbs the share `absorbs` for each unit of optical depth, up to a depth of three.
    """
    return np.asarray(np.maximum(1 - cloud_reflectance(depth, mu) - absorbs * np.minimum(depth, 3), 0), np.float64)


def under_cloud(ground: Floats, around: Floats, depth: Floats, absorbs: float, mu: float, towards_us: Floats) -> Floats:
    """Nadir reflectance above a cloud of optical depth `depth`, over lit `ground` with surroundings `around`.

    `absorbs` and `mu` as in `cloud_transmittance`; `towards_us` is the cloud's radiance to the zenith over its mean
    upward radiance. Light that the cloud scatters on its way up comes from the surroundings (adjacency effect).
    Scattering by a few degrees counts as none, which leaves a third of the optical depth (asymmetry 0.77 to 0.85:
    Joseph et al. 1976, J. Atmos. Sci. 33).
    """
    up, diffuse = cloud_transmittance(depth, absorbs, 1.0), cloud_reflectance(depth, 0.6)
    straight = np.minimum(np.exp(-0.33 * depth) * (1 + 0.12 * depth), 1.0)
    below = straight * ground + (1 - straight) * around
    return np.asarray(cloud_reflectance(depth, mu) * towards_us + up * below / (1 - diffuse * around), np.float64)


def adjacency_share(band: str) -> float:
    """Adjacency share: the part of the upward light in `band` that clear air scatters into the view from around."""
    return 1 - math.exp(-rayleigh_depth(MICROMETRES[band]) / 2 - 0.1 * _AEROSOL)


def at_satellite(surface: Floats, through: Air, around: Floats | None = None) -> Floats:
    """Top-of-atmosphere reflectance: path + transmittance x surface / (1 - spherical albedo x around).

    `surface` is the reflectance below the air, `around` that of its surroundings (None: `surface` itself).
    """
    bounced = through.spherical_albedo * (surface if around is None else around)
    return through.path + through.transmittance * surface / (1 - bounced)


def at_surface(seen: Floats, through: Air) -> Floats:
    """Reflectance below the air from that `seen` above it: the inverse of `at_satellite` with `around` None."""
    above_path = seen - through.path
    return above_path / (through.transmittance + through.spherical_albedo * above_path)

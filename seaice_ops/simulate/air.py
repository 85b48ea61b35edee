"""The air between ground and satellite: molecules, a little aerosol, ozone, and light from beside the pixel.

- Rayleigh optical depth: Hansen and Travis 1974 (Space Sci. Rev. 16). Its scattering lights shadows blue.
- Aerosol of polar coasts: optical depth 0.015 to 0.06 at 0.5 um, falling with the wavelength to the power 1.3, forward
  scattering with asymmetry 0.65 (Tomasi et al. 2007, J. Geophys. Res. 112).
- Light scattered on its way up comes from the surroundings, about a kilometre wide (adjacency; Vermote et al. 1997, the
  6S model, IEEE Trans. Geosci. Remote Sens. 35): water beside ice looks brighter, in blue above all.
- Path through the curved air at a low sun: Kasten and Young 1989 (Appl. Opt. 28).
"""

from __future__ import annotations

from math import cos, exp, radians, sin

import numpy as np

from seaice_ops.simulate.geometry import Geometry
from seaice_ops.simulate.noise import Field
from seaice_ops.simulate.spectra import WAVELENGTH_UM

#: Optical depth of 300 Dobson units of ozone (Chappuis bands: Bogumil et al. 2003, J. Photochem. Photobiol. A 157).
_OZONE = (0.006, 0.030, 0.016, 0.001, 0.0)

#: Ozone of acquisitions, atm cm: from polar autumn to Arctic spring (Fioletov 2008, Atmos.-Ocean 46). It lies some
#: 22 km high, where a low sun's way is shorter than through the air below.
OZONE = (0.27, 0.45)
_SHELL = 1 + 22 / 6371
_ASYMMETRY = 0.65

#: Reach of the light from beside, pixels.
ADJACENCY_PX = 60.0


def molecules(band: int) -> float:
    """Rayleigh optical depth at sea level."""
    um = WAVELENGTH_UM[band]
    return float(0.008569 * um**-4 * (1 + 0.0113 * um**-2 + 0.00013 * um**-4))


def aerosol(band: int, depth: float) -> float:
    """Aerosol optical depth, `depth` being that at 0.5 um."""
    return depth * float((WAVELENGTH_UM[band] / 0.5) ** -1.3)


def mass(zenith: float) -> float:
    """Air on the way from a zenith in degrees, 1 straight up."""
    return float(1 / (cos(radians(zenith)) + 0.50572 * (96.07995 - zenith) ** -1.6364))


def sky_light(band: int, haze: float, geometry: Geometry) -> float:
    """Share of a clear sky's light that does not come straight from the sun."""
    tau, air = molecules(band) + aerosol(band, haze), mass(geometry.sun_zenith)
    passed = _passed(band, haze, air)
    return (passed - exp(-tau * air)) / passed


def ozone_mass(zenith: float) -> float:
    """Ozone on the way from a zenith in degrees, 1 straight up (Robinson 1966)."""
    return float(1 / (1 - (sin(radians(zenith)) / _SHELL) ** 2) ** 0.5)


def through_air(band: int, below: Field, around: Field, haze: float, geometry: Geometry, ozone: float) -> Field:
    """Top-of-atmosphere reflectance over ground of reflectance `below`, `around` being its wide mean; `haze` is aerosol
    optical depth at 0.5 um, `ozone` in atm cm."""
    gas, dust = molecules(band), aerosol(band, haze)
    inward, outward = mass(geometry.sun_zenith), mass(geometry.view_zenith)
    path = _once(gas, _rayleigh(geometry), inward, outward) + _once(dust, _forward(geometry), inward, outward)
    down, up = _passed(band, haze, inward), _passed(band, haze, outward)
    straight = exp(-(gas + dust) * outward)
    back = gas / (1 + gas) + 0.2 * dust
    lit = np.float32(straight) * below + np.float32(up - straight) * around
    seen = np.float32(path) + np.float32(down) * lit / (1 - np.float32(back) * around)
    way = ozone_mass(geometry.sun_zenith) + ozone_mass(geometry.view_zenith)
    return np.asarray(np.float32(exp(-_OZONE[band] * ozone / 0.3 * way)) * seen, np.float32)


def _passed(band: int, haze: float, air: float) -> float:
    """Share of light, turned or not, that passes the air on a way of `air` masses."""
    backward = 0.5 * molecules(band) + 0.5 * (1 - _ASYMMETRY) * aerosol(band, haze)
    return 1 / (1 + backward * air)


def _once(tau: float, phase: float, inward: float, outward: float) -> float:
    """Light turned once towards the sensor, in units of reflectance."""
    return phase * inward * outward / (4 * (inward + outward)) * (1 - exp(-tau * (inward + outward)))


def _rayleigh(geometry: Geometry) -> float:
    return 0.75 * (1 + cos(radians(geometry.scattering)) ** 2)


def _forward(geometry: Geometry) -> float:
    """Henyey and Greenstein's phase function."""
    g = _ASYMMETRY
    return float((1 - g * g) / (1 + g * g - 2 * g * cos(radians(geometry.scattering))) ** 1.5)

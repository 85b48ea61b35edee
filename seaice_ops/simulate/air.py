"""The air between ground and satellite: Rayleigh scattering, a little aerosol, ozone, and the adjacency effect.

- Rayleigh optical depth: Hansen and Travis 1974 (Space Sci. Rev. 16). Its scattered light makes shadows blue.
- Aerosol of polar coasts: optical depth 0.015 to 0.06 at 0.5 um, Angstrom exponent 1.3, asymmetry 0.65 (Tomasi et al.
  2007, J. Geophys. Res. 112).
- Adjacency effect: light scattered on its way up comes from surroundings about a kilometre wide (Vermote et al. 1997,
  the 6S model, IEEE Trans. Geosci. Remote Sens. 35). Water beside ice looks brighter, above all in blue.
- Air mass of the curved atmosphere at a low sun: Kasten and Young 1989 (Appl. Opt. 28).
"""

from __future__ import annotations

from math import cos, exp, radians, sin

import numpy as np

from seaice_ops.simulate.geometry import Geometry
from seaice_ops.simulate.noise import Field
from seaice_ops.simulate.spectra import WAVELENGTH_UM

#: Optical depth of 300 Dobson units of ozone (Chappuis bands: Bogumil et al. 2003, J. Photochem. Photobiol. A 157).
_OZONE = (0.006, 0.030, 0.016, 0.001, 0.0)

#: Range of the ozone column, atm cm, from polar autumn to Arctic spring (Fioletov 2008, Atmos.-Ocean 46). Ozone lies
#: some 22 km high, where the slant path of a low sun is shorter than in the air below.
OZONE = (0.27, 0.45)
_SHELL = 1 + 22 / 6371
_ASYMMETRY = 0.65

#: Standard deviation of the adjacency effect's Gaussian kernel, pixels.
ADJACENCY_PX = 60.0


def molecules(band: int) -> float:
    """Vertical Rayleigh optical depth at sea level in `band` (index in BANDS)."""
    um = WAVELENGTH_UM[band]
    return float(0.008569 * um**-4 * (1 + 0.0113 * um**-2 + 0.00013 * um**-4))


def aerosol(band: int, depth: float) -> float:
    """Aerosol optical depth in `band` (index in BANDS); `depth` is that at 0.5 um."""
    return depth * float((WAVELENGTH_UM[band] / 0.5) ** -1.3)


def mass(zenith: float) -> float:
    """Relative air mass at the zenith angle `zenith` in degrees, 1 straight up."""
    return float(1 / (cos(radians(zenith)) + 0.50572 * (96.07995 - zenith) ** -1.6364))


def sky_light(band: int, haze: float, geometry: Geometry) -> float:
    """Share of skylight (0..1) in the light of a clear sky; `haze` is the aerosol optical depth at 0.5 um."""
    tau, air = molecules(band) + aerosol(band, haze), mass(geometry.sun_zenith)
    transmitted = _transmittance(band, haze, air)
    return (transmitted - exp(-tau * air)) / transmitted


def ozone_mass(zenith: float) -> float:
    """Relative ozone mass at the zenith angle `zenith` in degrees, 1 straight up (Robinson 1966)."""
    return float(1 / (1 - (sin(radians(zenith)) / _SHELL) ** 2) ** 0.5)


def through_air(band: int, below: Field, around: Field, haze: float, geometry: Geometry, ozone: float) -> Field:
    """(rows, columns) float32 top-of-atmosphere reflectance in `band` (index in BANDS).

    `below`: reflectance under the air, `around` its mean over the reach of the adjacency effect; `haze`: aerosol
    optical depth at 0.5 um; `ozone`: column in atm cm.
    """
    gas, dust = molecules(band), aerosol(band, haze)
    inward, outward = mass(geometry.sun_zenith), mass(geometry.view_zenith)
    path = _single_scattering(gas, _rayleigh(geometry), inward, outward) + _single_scattering(
        dust, _henyey_greenstein(geometry), inward, outward
    )
    down, up = _transmittance(band, haze, inward), _transmittance(band, haze, outward)
    straight = exp(-(gas + dust) * outward)
    spherical_albedo = gas / (1 + gas) + 0.2 * dust
    lit = np.float32(straight) * below + np.float32(up - straight) * around
    seen = np.float32(path) + np.float32(down) * lit / (1 - np.float32(spherical_albedo) * around)
    way = ozone_mass(geometry.sun_zenith) + ozone_mass(geometry.view_zenith)
    return np.asarray(np.float32(exp(-_OZONE[band] * ozone / 0.3 * way)) * seen, np.float32)


def _transmittance(band: int, haze: float, air: float) -> float:
    """Total transmittance (direct and scattered) of the air at air mass `air`: 1 / (1 + backscatter x air)."""
    backward = 0.5 * molecules(band) + 0.5 * (1 - _ASYMMETRY) * aerosol(band, haze)
    return 1 / (1 + backward * air)


def _single_scattering(tau: float, phase: float, inward: float, outward: float) -> float:
    """Single-scattering path reflectance of optical depth `tau`; `inward` and `outward` are air masses."""
    return phase * inward * outward / (4 * (inward + outward)) * (1 - exp(-tau * (inward + outward)))


def _rayleigh(geometry: Geometry) -> float:
    return 0.75 * (1 + cos(radians(geometry.scattering)) ** 2)


def _henyey_greenstein(geometry: Geometry) -> float:
    """Henyey-Greenstein phase function of the aerosol at the scattering angle."""
    g = _ASYMMETRY
    return float((1 - g * g) / (1 + g * g - 2 * g * cos(radians(geometry.scattering))) ** 1.5)

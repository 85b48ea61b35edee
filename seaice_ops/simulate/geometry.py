"""Sun and view geometry, and the anisotropy of bright scattering surfaces."""

from __future__ import annotations

from dataclasses import dataclass
from math import acos, cos, degrees, exp, radians, sin, tan

import numpy as np

from seaice_ops.simulate.noise import derive

#: Largest sun zenith angle, degrees, that the formulas of a flat earth are used with; beyond it the path is curved.
_LOWEST = 87.0

#: Largest view zenith angle, degrees: the instrument's field of view of 20.6 degrees on a round earth.
_WIDEST_VIEW = 11.5


@dataclass(frozen=True)
class Geometry:
    """Sun and view angles at the ground, degrees; azimuths clockwise from north, towards sun and sensor."""

    sun_zenith: float
    sun_azimuth: float = 70.0
    view_zenith: float = 0.0
    view_azimuth: float = 100.0

    @property
    def mu_sun(self) -> float:
        """Cosine of the sun's zenith angle."""
        return cos(radians(min(self.sun_zenith, _LOWEST)))

    @property
    def mu_view(self) -> float:
        """Cosine of the view zenith angle."""
        return cos(radians(self.view_zenith))

    @property
    def slant(self) -> float:
        """Metres of shadow for each metre of height."""
        return tan(radians(min(self.sun_zenith, _LOWEST)))

    @property
    def away(self) -> tuple[float, float]:
        """(east, south) unit vector in which shadows fall."""
        return -sin(radians(self.sun_azimuth)), cos(radians(self.sun_azimuth))

    @property
    def scattering(self) -> float:
        """Scattering angle from sun to sensor, degrees: 180 is straight back."""
        across = sin(radians(self.sun_zenith)) * sin(radians(self.view_zenith))
        turned = -self.mu_sun * self.mu_view - across * cos(radians(self.view_azimuth - self.sun_azimuth))
        return degrees(acos(max(-1.0, min(1.0, turned))))

    @property
    def bright(self) -> float:
        """R0: reflectance factor, in this geometry, of a deep layer of non-absorbing grains or droplets (albedo 1).

        Such layers scatter forwards. At nadir R0 is therefore below 1, the more so the lower the sun: 0.95 at a sun
        zenith of 63 degrees, 0.80 at 80, as Warren, Brandt and O'Rawe Hinton 1998 (J. Geophys. Res. 103) and Hudson et
        al. 2006 (J. Geophys. Res. 111) measured on Antarctic snow. The formula is the fit of Kokhanovsky et al. 2019
        (Remote Sens. 11, 2280).
        """
        a, b = self.mu_sun, self.mu_view
        phase = 11.1 * exp(-0.087 * self.scattering) + 1.1 * exp(-0.014 * self.scattering)
        return (1.247 + 1.186 * (a + b) + 5.157 * a * b + phase) / (4 * (a + b))


def seen_from(seed: int, sun_zenith: float, sun_azimuth: float) -> Geometry:
    """The geometry of one acquisition, angles in degrees. The tile's place across the swath is drawn from `seed`."""
    rng = np.random.default_rng(derive(seed, "view"))
    offset = float(rng.uniform(-_WIDEST_VIEW, _WIDEST_VIEW))
    return Geometry(sun_zenith, sun_azimuth, abs(offset), 100.0 if offset > 0 else 280.0)

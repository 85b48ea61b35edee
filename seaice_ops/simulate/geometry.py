"""Where sun and sensor stand, and how far a bright scattering surface then is from reflecting evenly."""

from __future__ import annotations

from dataclasses import dataclass
from math import acos, cos, degrees, exp, radians, sin, tan

import numpy as np

from seaice_ops.simulate.noise import derive

#: Zenith beyond which a flat earth's cosine stops making sense; light then still comes in along a curved path.
_LOWEST = 87.0

#: Largest view zenith of the instrument's 20.6 degree field of view, on the round earth.
_WIDEST_VIEW = 11.5


@dataclass(frozen=True)
class Geometry:
    """Angles in degrees; azimuths clockwise from north, from the ground towards sun and sensor."""

    sun_zenith: float
    sun_azimuth: float = 70.0
    view_zenith: float = 0.0
    view_azimuth: float = 100.0

    @property
    def mu_sun(self) -> float:
        """Cosine of the sun's zenith."""
        return cos(radians(min(self.sun_zenith, _LOWEST)))

    @property
    def mu_view(self) -> float:
        """Cosine of the view zenith."""
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
        """Angle, degrees, by which light is turned from sun to sensor: 180 straight back."""
        across = sin(radians(self.sun_zenith)) * sin(radians(self.view_zenith))
        turned = -self.mu_sun * self.mu_view - across * cos(radians(self.view_azimuth - self.sun_azimuth))
        return degrees(acos(max(-1.0, min(1.0, turned))))

    @property
    def bright(self) -> float:
        """Reflectance of a deep layer of grains or droplets that absorb nothing, albedo 1, in this geometry.

        Below 1 at nadir, the more so the lower the sun, because such layers scatter forwards: 0.95 at a zenith of 63,
        0.80 at 80, as Warren, Brandt and O'Rawe Hinton 1998 (J. Geophys. Res. 103) and Hudson et al. 2006 (J. Geophys.
        Res. 111) measured on Antarctic snow. The formula is the fit of Kokhanovsky et al. 2019 (Remote Sens. 11, 2280).
        """
        a, b = self.mu_sun, self.mu_view
        phase = 11.1 * exp(-0.087 * self.scattering) + 1.1 * exp(-0.014 * self.scattering)
        return (1.247 + 1.186 * (a + b) + 5.157 * a * b + phase) / (4 * (a + b))


def seen_from(seed: int, sun_zenith: float, sun_azimuth: float) -> Geometry:
    """The geometry of one acquisition: the tile lies anywhere in the swath, which runs about north to south."""
    rng = np.random.default_rng(derive(seed, "view"))
    offset = float(rng.uniform(-_WIDEST_VIEW, _WIDEST_VIEW))
    return Geometry(sun_zenith, sun_azimuth, abs(offset), 100.0 if offset > 0 else 280.0)

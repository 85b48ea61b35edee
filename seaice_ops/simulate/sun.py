"""The sun's position, by the low-precision formulas of the Astronomical Almanac (about 0.01 degree)."""

from __future__ import annotations

from datetime import UTC, datetime
from math import asin, atan2, cos, degrees, radians, sin

_J2000 = datetime(2000, 1, 1, 12, tzinfo=UTC)


def sun_angles(latitude: float, longitude: float, when: datetime) -> tuple[float, float]:
    """(zenith, azimuth) in degrees at a place (degrees north, east) and time; azimuth clockwise from north."""
    days = (when - _J2000).total_seconds() / 86400
    anomaly = radians(357.528 + 0.9856003 * days)
    ecliptic = radians(280.460 + 0.9856474 * days + 1.915 * sin(anomaly) + 0.020 * sin(2 * anomaly))
    obliquity = radians(23.439 - 4e-7 * days)
    declination = asin(sin(obliquity) * sin(ecliptic))
    ascension = atan2(cos(obliquity) * sin(ecliptic), cos(ecliptic))
    hour = radians(15 * (18.697375 + 24.065709824279 * days) + longitude) - ascension
    phi = radians(latitude)
    elevation = asin(sin(phi) * sin(declination) + cos(phi) * cos(declination) * cos(hour))
    azimuth = atan2(
        -sin(hour) * cos(declination), sin(declination) * cos(phi) - cos(declination) * sin(phi) * cos(hour)
    )
    return 90 - degrees(elevation), degrees(azimuth) % 360

"""Overpass times of Sentinel-2A and 2B on their repeating orbit, counted from one real acquisition.

Both fly the same 143 orbits in 10 days, half an orbit apart, in a sun-synchronous orbit inclined by 98.62 degrees that
crosses the equator southwards at 10:30 local solar time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from math import asin, ceil, degrees, radians, sin, tan

_CYCLE, _ORBITS = timedelta(days=10), 143
_PERIOD = _CYCLE / _ORBITS
_INCLINATION = radians(98.62)
_NODE_HOUR = 10.5

#: Sentinel-2A over T60CWS (79.7 S) on relative orbit 41, absolute orbit 44654; 2B was there five days later.
_ANCHOR, _ANCHOR_LATITUDE, _ANCHOR_ORBIT = datetime(2024, 1, 9, 18, 47, 51, tzinfo=UTC), -79.7, 41
_SATELLITES = {"S2A": (timedelta(0), 44654), "S2B": (_CYCLE / 2, 35817)}

#: Passes within this many hours of the nominal local solar time are offered. The 290 km swath allows fewer at 72 S;
#: with this many every polar tile can be acquired twice a day, so that a short season holds enough.
_WINDOW_HOURS = 1.3


@dataclass(frozen=True, order=True)
class Pass:
    """One flight over a tile."""

    sensed: datetime
    platform: str
    relative_orbit: int
    absolute_orbit: int


def local_hour(latitude: float) -> float:
    """Local solar time, hours, at which the descending track crosses `latitude` (spherical geometry)."""
    return _NODE_HOUR - degrees(asin(max(-1.0, min(1.0, tan(radians(latitude)) / tan(_INCLINATION))))) / 15


def passes(latitude: float, longitude: float, day: date) -> list[Pass]:
    """The overpasses from which a place (degrees north, east) is seen on a UTC day, in time order, to the second."""
    nominal = local_hour(latitude)
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    found = [p for platform in _SATELLITES for p in _orbits(platform, latitude, start)]
    return sorted(p for p in found if _apart(_solar_hour(p.sensed, longitude), nominal) <= _WINDOW_HOURS)


def _orbits(platform: str, latitude: float, start: datetime) -> Iterator[Pass]:
    """All orbits of a satellite that cross `latitude` southwards in the 24 hours from `start`."""
    delay, absolute = _SATELLITES[platform]
    first = _ANCHOR + delay + _PERIOD * ((_along(latitude) - _along(_ANCHOR_LATITUDE)) / 360)
    number = ceil((start - first) / _PERIOD)
    while (when := first + number * _PERIOD) < start + timedelta(days=1):
        relative = (_ANCHOR_ORBIT - 1 + number) % _ORBITS + 1
        yield Pass(when.replace(microsecond=0), platform, relative, absolute + number)
        number += 1


def _along(latitude: float) -> float:
    """Angle along the orbit from the descending node to the crossing of `latitude`, degrees."""
    return -degrees(asin(max(-1.0, min(1.0, sin(radians(latitude)) / sin(_INCLINATION)))))


def _solar_hour(when: datetime, longitude: float) -> float:
    return (when.hour + when.minute / 60 + when.second / 3600 + longitude / 15) % 24


def _apart(a: float, b: float) -> float:
    return abs((a - b + 12) % 24 - 12)

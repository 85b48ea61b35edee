"""Rings of longitudes and latitudes as areas of the globe, cut at the antimeridian as GeoJSON requires.

A ring takes the shorter way from point to point, so it may cross the antimeridian or run around a pole.
"""

from __future__ import annotations

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry


def unwrapped(ring: np.ndarray) -> np.ndarray:
    """The ring (n, 2) closed and without jumps: longitudes may exceed +-180. Around a pole its ends are 360 apart."""
    if np.array_equal(ring[0], ring[-1]):
        ring = ring[:-1]
    ring = _poles_doubled(ring)
    closed = np.vstack([ring, ring[:1]])
    return np.column_stack([np.unwrap(closed[:, 0], period=360), closed[:, 1]])


def _poles_doubled(ring: np.ndarray) -> np.ndarray:
    """A pole has no longitude: a single point there becomes two, with the longitudes of the points before and after."""
    pole = np.abs(ring[:, 1]) > 90 - 1e-9
    single = pole & ~np.roll(pole, 1) & ~np.roll(pole, -1)
    doubled = np.repeat(ring, 1 + single, axis=0)
    first = np.flatnonzero(single) + np.arange(single.sum())
    doubled[first, 0], doubled[first + 1, 0] = np.roll(ring[:, 0], 1)[single], np.roll(ring[:, 0], -1)[single]
    return doubled


def cut(ring: np.ndarray) -> BaseGeometry:
    """The area within a ring (n, 2), in longitudes -180..180: more than one polygon where it crosses 180 degrees.

    A ring around a pole holds the pole of its own hemisphere.
    """
    points = unwrapped(ring)
    if abs(points[-1, 0] - points[0, 0]) > 180:
        pole = np.copysign(90.0, points[:, 1].mean())
        points = np.vstack([points, [[points[-1, 0], pole], [points[0, 0], pole]]])
    whole = shapely.make_valid(shapely.Polygon(points))
    first, last = (int(np.floor((edge + 180) / 360)) for edge in (points[:, 0].min(), points[:, 0].max()))
    turns = [_turn(whole, turn) for turn in range(first, last + 1)]
    return shapely.union_all([part for part in turns if part.area > 0])


def _turn(whole: BaseGeometry, turn: int) -> BaseGeometry:
    """The part of `whole` in one turn of 360 degrees, shifted to -180..180."""
    within = shapely.intersection(whole, shapely.box(360 * turn - 180, -90, 360 * turn + 180, 90))
    return shapely.transform(within, lambda points: points - [360 * turn, 0])


def polygons_of(shape: BaseGeometry) -> list[shapely.Polygon]:
    """The polygons of any geometry, without points and lines."""
    parts = [part for piece in shapely.get_parts(shape) for part in shapely.get_parts(piece)]
    return [part for part in parts if part.geom_type == "Polygon" and part.area > 0]

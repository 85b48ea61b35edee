"""A grid's outline in longitude and latitude, as GeoJSON (RFC 7946) asks for it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import shapely

from seaice_ops.geo.globe import cut, polygons_of, unwrapped
from seaice_ops.geo.grid import Grid

#: Decimal places of a degree: about a decimetre.
PLACES = 6

Ring = list[tuple[float, float]]


def outline(grid: Grid) -> tuple[dict[str, Any], list[float]]:
    """The grid's outline as a GeoJSON geometry (WGS 84) and its bounding box [west, south, east, north].

    Rings run counter-clockwise. A grid across the antimeridian is a MultiPolygon cut at 180 degrees, and its box has
    west > east. A grid that holds a pole is a polygon from -180 to 180.
    """
    rings = sorted((_tidy(ring) for ring in _rings(grid.border())), reverse=True)
    if len(rings) == 1:
        return {"type": "Polygon", "coordinates": [rings[0]]}, _box(rings)
    return {"type": "MultiPolygon", "coordinates": [[ring] for ring in rings]}, _box(rings)


def _rings(border: np.ndarray) -> list[np.ndarray]:
    whole = unwrapped(border)
    if np.array_equal(whole[0], whole[-1]) and np.abs(whole[:, 0]).max() <= 180:
        return [whole]
    # To the last place first: a sliver beyond 180 degrees that is narrower vanishes.
    parts = polygons_of(shapely.set_precision(cut(border), 10.0**-PLACES))
    return [shapely.get_coordinates(part.exterior) for part in parts]


def _tidy(ring: np.ndarray) -> Ring:
    points = [(round(float(x), PLACES), round(float(y), PLACES)) for x, y in ring]
    area = sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in pairwise(points))
    return points if area > 0 else points[::-1]


def _box(rings: list[Ring]) -> list[float]:
    """The box around all rings; of several, from the west of those that end at 180 to the east of the others."""
    low, high = ([[pick(axis) for axis in zip(*ring, strict=True)] for ring in rings] for pick in (min, max))
    several = len(rings) > 1
    west = min(x for (x, _), (end, _) in zip(low, high, strict=True) if not several or end == 180)
    east = max(x for (x, _), (start, _) in zip(high, low, strict=True) if not several or start == -180)
    return [west, min(y for _, y in low), east, max(y for _, y in high)]

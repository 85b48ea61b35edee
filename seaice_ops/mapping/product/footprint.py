"""A tile's outline in longitude and latitude, valid also where it crosses the antimeridian or nears a pole."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from rasterio.transform import Affine
from rasterio.warp import transform_geom

from seaice_ops.storage.rasters import Grid

#: Points an edge: a tile's straight edge in UTM is a curve in longitude and latitude.
POINTS = 32

#: Decimal places of a degree: about a decimetre.
PLACES = 6

Ring = list[tuple[float, float]]


def outline(grid: Grid) -> tuple[dict[str, Any], list[float]]:
    """The grid's outline as a GeoJSON geometry (WGS 84) and its bounding box [west, south, east, north].

    As RFC 7946 asks: counter-clockwise rings, a MultiPolygon cut at 180 degrees where the tile crosses the
    antimeridian, whose box then has west > east.
    """
    shape = {"type": "Polygon", "coordinates": [_ring(grid)]}
    cut = transform_geom(grid.crs, "EPSG:4326", shape, antimeridian_cutting=True, antimeridian_offset=360)
    parts = cut["coordinates"] if cut["type"] == "MultiPolygon" else [cut["coordinates"]]
    rings = sorted((_tidy(part[0]) for part in parts), reverse=True)
    box = _box(rings)
    if len(rings) == 1:
        return {"type": "Polygon", "coordinates": [rings[0]]}, box
    return {"type": "MultiPolygon", "coordinates": [[ring] for ring in rings]}, box


def _ring(grid: Grid) -> Ring:
    steps = [i / POINTS for i in range(POINTS)]
    corners = [
        *((s, 0.0) for s in steps),
        *((1.0, s) for s in steps),
        *((1.0 - s, 1.0) for s in steps),
        *((0.0, 1.0 - s) for s in steps),
        (0.0, 0.0),
    ]
    affine = Affine(*grid.transform)
    return [affine @ (x * grid.width, y * grid.height) for x, y in corners]


def _tidy(ring: Ring) -> Ring:
    points = [(round(x, PLACES), round(y, PLACES)) for x, y in ring]
    area = sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in pairwise(points))
    return points if area > 0 else points[::-1]


def _box(rings: list[Ring]) -> list[float]:
    """West of the easternmost-starting part to east of the other, where the antimeridian cuts the outline."""
    south, north = min(y for ring in rings for _, y in ring), max(y for ring in rings for _, y in ring)
    crosses = len(rings) > 1
    west = min(x for ring in rings for x, _ in ring if x > 0 or not crosses)
    east = max(x for ring in rings for x, _ in ring if x < 0 or not crosses)
    return [west, south, east, north]

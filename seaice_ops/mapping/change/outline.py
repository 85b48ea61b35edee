"""The polygons of a dated change, as GeoJSON (RFC 7946) asks for them: longitude and latitude, cut at 180 degrees."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import shapes

from seaice_ops.geo.globe import cut, polygons_of
from seaice_ops.geo.grid import Grid

#: Decimal places of a degree: about a decimetre.
PLACES = 6

#: Longest straight edge, pixels: a straight edge in UTM is a curve in longitude and latitude.
EDGE = 16


def polygons(mask: NDArray[np.bool_], top: int, left: int, grid: Grid) -> dict[str, Any]:
    """The GeoJSON MultiPolygon around the pixels of `mask`, whose first pixel is (`top`, `left`) of `grid`.

    Rings follow the pixels' edges; outer rings run counter-clockwise. Raises `CorruptProduct` where the pixels lie
    nowhere on the globe.
    """
    parts = [
        part
        for shape, value in shapes(mask.astype(np.uint8), mask=mask, connectivity=4)
        if value
        for part in _on_globe(shape["coordinates"], top, left, grid)
    ]
    rings = [shapely.orient_polygons(part) for part in parts]
    return {"type": "MultiPolygon", "coordinates": [_coordinates(part) for part in rings]}


def box_of(geometry: dict[str, Any]) -> list[float]:
    """[west, south, east, north] of a MultiPolygon; west > east where it lies on both sides of 180 degrees."""
    rings = [np.array(part[0]) for part in geometry["coordinates"]]
    low, high = np.array([ring.min(axis=0) for ring in rings]), np.array([ring.max(axis=0) for ring in rings])
    across = (high[:, 0] == 180).any() and (low[:, 0] == -180).any()
    east_side = low[:, 0] >= 0
    if across and east_side.any() and not east_side.all():
        west, east = low[east_side, 0].min(), high[~east_side, 0].max()
    else:
        west, east = low[:, 0].min(), high[:, 0].max()
    return [float(west), float(low[:, 1].min()), float(east), float(high[:, 1].max())]


def _on_globe(rings: Any, top: int, left: int, grid: Grid) -> list[shapely.Polygon]:
    outer, *holes = (cut(_places(ring, top, left, grid)) for ring in rings)
    whole = shapely.difference(outer, shapely.union_all(holes)) if holes else outer
    return polygons_of(shapely.set_precision(whole, 10.0**-PLACES))


def _places(ring: Any, top: int, left: int, grid: Grid) -> NDArray[np.float64]:
    line = shapely.segmentize(shapely.LineString(ring), EDGE)
    points = shapely.get_coordinates(line)
    return np.column_stack(grid.places(points[:, 0] + left, points[:, 1] + top))


def _coordinates(part: shapely.Polygon) -> list[list[list[float]]]:
    rings = [part.exterior, *part.interiors]
    return [[[round(float(x), PLACES), round(float(y), PLACES)] for x, y in ring.coords] for ring in rings]

"""Polygons projected to a grid's CRS, with their edges kept straight in longitude and latitude."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from seaice_ops.geo.globe import cut, polygons_of
from seaice_ops.geo.grid import Grid
from seaice_ops.geo.projections import from_globe

#: Longest step along an edge, degrees; a straight line between two such points is off by less than a metre.
STEP = 0.02

#: Margin around the grid, degrees, within which polygons are projected; far from it a projection would fold them.
MARGIN = 0.5


def onto_grid(rings: Sequence[np.ndarray], grid: Grid) -> list[shapely.Polygon]:
    """The parts of one polygon near `grid`, in the grid's CRS; empty for a polygon that lies elsewhere.

    `rings` are its outer ring and its holes, (n, 2) longitudes and latitudes, as `area.polygons` returns them.
    """
    outer, *holes = map(cut, rings)
    whole = shapely.difference(outer, shapely.union_all(holes))
    near = shapely.segmentize(shapely.intersection(whole, _surroundings(grid)), STEP)
    project = from_globe(grid.crs)
    return [
        shapely.transform(part, lambda points: np.column_stack(project.transform(points[:, 0], points[:, 1])))
        for part in polygons_of(near)
    ]


def _surroundings(grid: Grid) -> BaseGeometry:
    """Boxes of longitude and latitude around the grid's outline."""
    boxes = [shapely.box(*part.bounds) for part in polygons_of(cut(grid.border()))]
    return shapely.union_all([shapely.buffer(box, MARGIN, join_style="mitre") for box in boxes])

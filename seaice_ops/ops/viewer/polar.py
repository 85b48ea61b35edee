"""The polar planes that maps are shown in, cut into picture tiles of 256 pixels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import morecantile
import numpy as np
import pyproj

from seaice_ops.geo.grid import Grid
from seaice_ops.geo.projections import from_globe
from seaice_ops.geo.tiles import tile_of

#: Half the plane's edge in metres: 10 m pixels at zoom 12, and all ice of either pole.
HALF = 256 * 10 * 2**12 / 2

#: The deepest zoom with pixels of its own: 10 m. The browser enlarges further.
DEEPEST = 12

NORTH, SOUTH = 3413, 3031
"""EPSG codes of the polar stereographic planes."""

Box = tuple[float, float, float, float]


def plane_of(tiles: Sequence[str]) -> int:
    """The EPSG code of the pole that most of `tiles` lie nearer to."""
    north = sum(tile[2] >= "N" for tile in tiles)
    return NORTH if 2 * north > len(tiles) else SOUTH


@lru_cache(maxsize=2)
def matrix(epsg: int) -> morecantile.TileMatrixSet:
    """The plane's tile matrix set: one tile at zoom 0, twice as many along each edge at every further one."""
    whole: morecantile.TileMatrixSet = morecantile.TileMatrixSet.custom(
        [-HALF, -HALF, HALF, HALF], pyproj.CRS.from_epsg(epsg), minzoom=0, maxzoom=DEEPEST, id=f"polar{epsg}"
    )
    return whole


@lru_cache(maxsize=8192)
def box(tile: str, epsg: int) -> Box:
    """(west, south, east, north) of an MGRS tile in the plane, metres."""
    x, y = from_globe(epsg).transform(*np.asarray(tile_of(tile).ring()).T)
    return float(np.min(x)), float(np.min(y)), float(np.max(x)), float(np.max(y))


def box_of(grid: Grid, epsg: int) -> Box:
    """(west, south, east, north) of a raster in the plane, metres."""
    x, y = from_globe(epsg).transform(*grid.border().T)
    return float(np.min(x)), float(np.min(y)), float(np.max(x)), float(np.max(y))


def meeting(tiles: Sequence[str], bounds: Box, epsg: int) -> list[str]:
    """Those of `tiles` whose box meets `bounds` (west, south, east, north in metres)."""
    west, south, east, north = bounds
    boxes = ((tile, box(tile, epsg)) for tile in tiles)
    return [tile for tile, (w, s, e, n) in boxes if w <= east and e >= west and s <= north and n >= south]

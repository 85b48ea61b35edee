"""Where the map is land or ice shelf (254): the coastline of the whole world, or a raster or vector file instead."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.features import rasterize
from rasterio.transform import Affine
from rasterio.warp import Resampling, reproject, transform_geom

from seaice_ops.errors import ConfigError
from seaice_ops.storage.rasters import Grid

#: The setting that means the polygons of OpenStreetMap and GSHHG, ice shelves among the land (package
#: roaring-landmask).
COASTLINE = "coastline"

#: Pixels between the points at which the coastline is asked first; every pixel is asked only near a difference.
_STEP = 16

Mask = NDArray[np.bool_]


def land(mask: str, grid: Grid, home: Path, tile: str) -> Mask:
    """(rows, columns) bool: pixels of `grid` whose centre is land or ice shelf according to `mask`.

    `mask`: "coastline", or a file, relative to `home`, in which {tile} stands for the tile: a raster (not zero is
    land) or GeoJSON polygons in longitude and latitude. Raises `ConfigError` for a file that cannot be read and a
    grid without a CRS.
    """
    if not grid.crs:
        raise ConfigError("the pixels have no CRS, so nothing tells which are land; set labels.mask to nothing")
    if mask == COASTLINE:
        return near_edges(_on_coastline(grid), grid.height, grid.width)
    path = home / mask.replace("{tile}", tile)
    try:
        if path.suffix.lower() in {".json", ".geojson"}:
            return from_polygons(json.loads(path.read_text()), grid)
        return from_raster(path, grid)
    except (OSError, ValueError, KeyError, RasterioError) as error:
        raise ConfigError(f"the land mask {path} (labels.mask) cannot be used: {error}") from error


def from_raster(path: Path, grid: Grid) -> Mask:
    """Pixels of `grid` where the nearest pixel of a raster's first band is neither 0 nor its no-data value."""
    found = np.zeros((grid.height, grid.width), np.uint8)
    with rasterio.open(path) as source:
        if source.crs is None:
            raise ValueError("it has no CRS")
        marked = ((source.read(1) != 0) & (source.read_masks(1) != 0)).astype(np.uint8)
        reproject(
            marked,
            found,
            src_transform=source.transform,
            src_crs=source.crs,
            dst_transform=Affine(*grid.transform),
            dst_crs=grid.crs,
            resampling=Resampling.nearest,
        )
    return found > 0


def from_polygons(features: dict[str, Any], grid: Grid) -> Mask:
    """Pixels of `grid` whose centre lies in a polygon of a GeoJSON feature collection (longitude and latitude)."""
    shapes = [transform_geom("EPSG:4326", grid.crs, feature["geometry"]) for feature in features["features"]]
    size = grid.height, grid.width
    return (
        rasterize(shapes, size, transform=Affine(*grid.transform), dtype="uint8") > 0
        if shapes
        else np.zeros(size, bool)
    )


def near_edges(inside: Callable[[NDArray[np.intp], NDArray[np.intp]], Mask], rows: int, columns: int) -> Mask:
    """(rows, columns) bool of `inside(rows, columns)` for every pixel, asking few of them.

    Every 16th pixel is asked first. Squares whose corners, and whose neighbours' corners, agree are filled; in the
    others each pixel is asked. What is smaller than 16 pixels and more than 16 from any edge may be missed.
    """
    at = [np.unique(np.append(np.arange(0, size, _STEP), size - 1)) for size in (rows, columns)]
    corners = inside(*(index.ravel() for index in np.meshgrid(*at, indexing="ij"))).reshape(len(at[0]), len(at[1]))
    mixed = _dilated(_varies(corners))
    row_cell, column_cell = (
        np.minimum(np.arange(size) // _STEP, max(len(index) - 2, 0))
        for size, index in zip((rows, columns), at, strict=True)
    )
    answer: Mask = corners[np.ix_(row_cell, column_cell)]
    for cell in np.flatnonzero(mixed.any(axis=1)):
        of_row = np.flatnonzero(row_cell == cell)
        of_column = np.flatnonzero(mixed[cell][column_cell])
        row, column = (index.ravel() for index in np.meshgrid(of_row, of_column, indexing="ij"))
        answer[row, column] = inside(row, column)
    return answer


def _varies(corners: Mask) -> Mask:
    """Squares between 2 x 2 corners that do not agree; one square at least in each direction."""
    padded = np.pad(corners, [(0, 1 if size == 1 else 0) for size in corners.shape], mode="edge")
    sums = sum(
        padded[i : padded.shape[0] - 1 + i, j : padded.shape[1] - 1 + j].astype(int) for i in (0, 1) for j in (0, 1)
    )
    return np.asarray((sums > 0) & (sums < 4))


def _dilated(squares: Mask) -> Mask:
    wide = np.pad(squares, 1)
    rows, columns = squares.shape
    return np.asarray(np.any([wide[i : i + rows, j : j + columns] for i in range(3) for j in range(3)], axis=0))


def _on_coastline(grid: Grid) -> Callable[[NDArray[np.intp], NDArray[np.intp]], Mask]:
    from pyproj import Transformer

    transformer, transform = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True), Affine(*grid.transform)

    def inside(row: NDArray[np.intp], column: NDArray[np.intp]) -> Mask:
        longitude, latitude = transformer.transform(*(transform * (column + 0.5, row + 0.5)))
        longitude = (np.asarray(longitude) + 180) % 360 - 180
        return np.asarray(_coastline().contains_many_par(longitude, np.asarray(latitude)), np.bool_)

    return inside


@lru_cache(maxsize=1)
def _coastline() -> Any:
    from roaring_landmask import RoaringLandmask  # type: ignore[import-not-found,import-untyped,unused-ignore]

    return RoaringLandmask.new()  # seconds, and more than a gigabyte: only for who asks

"""The land mask of labels and maps (land or ice shelf, 254): the world's coastline, or a raster or vector file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.errors import RasterioError
from rasterio.features import rasterize
from rasterio.transform import Affine
from rasterio.warp import Resampling, reproject

from seaice_ops.errors import ConfigError
from seaice_ops.geo import area
from seaice_ops.geo.grid import Grid
from seaice_ops.geo.onto_grid import onto_grid
from seaice_ops.pixels.coastline import Mask, coastline
from seaice_ops.storage.store import ObjectStore

#: Value of `scenes.land_mask` for the polygons of `coastline`.
COASTLINE = "coastline"


def land(mask: str, home: Path, store: ObjectStore, grid: Grid, tile: str) -> Mask:
    """(rows, columns) bool: pixels of `grid` whose centre is land or ice shelf.

    `mask` is `COASTLINE`, or the name of a file below `home`, in which {tile} is replaced by the tile's name. Raises
    `ConfigError` for a file that cannot be used or a grid without a CRS, and `TransientError` where the coastline
    cannot be drawn.
    """
    if not grid.crs:
        raise ConfigError("the pixels have no CRS, so nothing tells which are land; set scenes.land_mask to nothing")
    if mask == COASTLINE:
        return coastline(store, grid, tile)
    path = mask_file(mask, home, tile)
    try:
        if path.suffix.lower() in {".json", ".geojson"}:
            return from_polygons(json.loads(path.read_text("utf-8-sig")), grid)
        return from_raster(path, grid)
    except (OSError, ValueError, KeyError, RasterioError) as error:
        raise ConfigError(f"the land mask {path} (scenes.land_mask) cannot be used: {error}") from error


def mask_file(mask: str, home: Path, tile: str) -> Path:
    """The tile's file of a mask that is not the coastline."""
    return home / mask.replace("{tile}", tile)


def from_raster(path: Path, grid: Grid) -> Mask:
    """(rows, columns) bool: the nearest pixel of the raster's first band is neither 0 nor no-data."""
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


def from_polygons(data: dict[str, Any], grid: Grid) -> Mask:
    """(rows, columns) bool: pixels of `grid` whose centre lies in a polygon of a GeoJSON object.

    Edges are straight in longitude and latitude and take the shorter way, as in `geo.area`. Raises `ConfigError` for
    other geometries than polygons.
    """
    shapes = [part for polygon in area.polygons(data) for part in onto_grid(polygon, grid)]
    size = grid.height, grid.width
    if not shapes:
        return np.zeros(size, bool)
    return np.asarray(rasterize(shapes, size, transform=Affine(*grid.transform), dtype="uint8") > 0)

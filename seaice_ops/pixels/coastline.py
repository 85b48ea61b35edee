"""The world's coastline with its ice shelves: the raster of each tile is drawn once and kept in the store.

The polygons of OpenStreetMap and GSHHG (package roaring-landmask) take seconds and more than a gigabyte to load. A
separate process loads them, so that the memory is freed when it ends, and all workers read the raster that it draws.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray
from rasterio.transform import Affine

from seaice_ops.errors import ObjectMissing, TransientError
from seaice_ops.storage import keys
from seaice_ops.storage.rasters import RASTER_ERRORS, Grid, cog_bytes, read_raster
from seaice_ops.storage.store import ObjectStore

log = logging.getLogger(__name__)

#: Distance in pixels of the points that are tested first; every pixel is tested only near a difference.
_STEP = 16

Mask = NDArray[np.bool_]


def coastline(store: ObjectStore, grid: Grid, tile: str) -> Mask:
    """(rows, columns) bool: pixels of the tile's `grid` whose centre is land or ice shelf.

    It is read from the store, and drawn where the raster for this grid and edition of the polygons is missing or
    unreadable. Raises `TransientError` where the process that draws it ends early.
    """
    made_by = json.dumps([asdict(grid), edition()], sort_keys=True)
    key = keys.coastline(tile, hashlib.sha256(made_by.encode()).hexdigest()[:8])
    with suppress(ObjectMissing, *RASTER_ERRORS):
        return np.asarray(read_raster(store, key)[0][0] != 0)
    drawn = _drawn(grid, tile)
    store.put(key, cog_bytes([drawn.view(np.uint8)], grid, nodata=None, names=["land"]))
    return drawn


def edition() -> str:
    """Edition of the polygons: the version of their package."""
    return version("roaring-landmask")


def _drawn(grid: Grid, tile: str) -> Mask:
    log.info("drawing the coastline of %s: once, for all workers", tile)
    # On Spark the package is found only through this process's sys.path.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-P", "-m", "seaice_ops.pixels.coastline"]
    done = subprocess.run(command, input=json.dumps(asdict(grid)).encode(), stdout=subprocess.PIPE, env=environment)
    pixels = grid.height * grid.width
    if done.returncode or len(done.stdout) != -(-pixels // 8):
        raise TransientError(
            f"the coastline of {tile} (scenes.land_mask) was not drawn: its process ended with {done.returncode}; "
            "its log says why, and it takes more than a gigabyte of memory"
        )
    bits = np.unpackbits(np.frombuffer(done.stdout, np.uint8), count=pixels)
    return bits.reshape(grid.height, grid.width).view(np.bool_)


def main() -> None:
    """Draw the coastline on the grid of standard input (JSON); one bit a pixel on standard output."""
    grid = Grid(**json.load(sys.stdin))
    found = near_edges(_on_land(grid), grid.height, grid.width)
    sys.stdout.buffer.write(np.packbits(found).tobytes())


def near_edges(inside: Callable[[NDArray[np.intp], NDArray[np.intp]], Mask], rows: int, columns: int) -> Mask:
    """(rows, columns) bool: `inside(rows, columns)` of every pixel, with few pixels tested.

    Every 16th pixel is tested first. Squares whose corners and neighbours' corners agree are filled; in the others each
    pixel is tested. Islands smaller than 16 pixels and more than 16 pixels from any other coast may be missed.
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
    """Squares whose 2 x 2 corners differ; at least one square in each direction."""
    padded = np.pad(corners, [(0, 1 if size == 1 else 0) for size in corners.shape], mode="edge")
    sums = sum(
        padded[i : padded.shape[0] - 1 + i, j : padded.shape[1] - 1 + j].astype(int) for i in (0, 1) for j in (0, 1)
    )
    return np.asarray((sums > 0) & (sums < 4))


def _dilated(squares: Mask) -> Mask:
    wide = np.pad(squares, 1)
    rows, columns = squares.shape
    return np.asarray(np.any([wide[i : i + rows, j : j + columns] for i in range(3) for j in range(3)], axis=0))


def _on_land(grid: Grid) -> Callable[[NDArray[np.intp], NDArray[np.intp]], Mask]:
    from pyproj import Transformer
    from roaring_landmask import RoaringLandmask  # type: ignore[import-not-found,import-untyped,unused-ignore]

    polygons = RoaringLandmask.new()
    transformer, transform = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True), Affine(*grid.transform)

    def inside(row: NDArray[np.intp], column: NDArray[np.intp]) -> Mask:
        longitude, latitude = transformer.transform(*(transform * (column + 0.5, row + 0.5)))
        longitude = (np.asarray(longitude) + 180) % 360 - 180
        return np.asarray(polygons.contains_many_par(longitude, np.asarray(latitude)), np.bool_)

    return inside


if __name__ == "__main__":
    main()

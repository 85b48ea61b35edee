"""A scene to decode, whatever its file format: its grid, its pixels in strips, and checks of both."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import Window

from seaice_ops.errors import ConfigError, CorruptProduct
from seaice_ops.geo.projections import from_globe
from seaice_ops.geo.tiles import tile_of
from seaice_ops.pixels.checks import LONGEST_CRS, check_crs, check_size, check_transform
from seaice_ops.sensors.sentinel2 import TILE_METRES, tile_names
from seaice_ops.storage.rasters import RASTER_ERRORS, Grid

#: Rows of a strip: a multiple of the rows of a JPEG 2000 tile and of a COG block.
STRIP = 1024

#: Accepted image formats by their first bytes. Other formats of GDAL are refused: a VRT can refer to any address.
_FORMATS = {
    b"\x00\x00\x00\x0cjP": "JP2OpenJPEG",
    b"\xff\x4f\xff\x51": "JP2OpenJPEG",
    b"II*\x00": "GTiff",
    b"MM\x00*": "GTiff",
    b"II+\x00": "GTiff",
    b"MM\x00+": "GTiff",
    b"\x89PNG": "PNG",
}


@dataclass(frozen=True)
class Source:
    """A scene about to be decoded."""

    grid: Grid
    """Place of its pixels."""
    bands: tuple[str, ...]
    """Names of its bands, in their order."""
    sun_zenith: float | None
    """Sun zenith angle, degrees; None where unknown."""
    tags: Mapping[str, str]
    """Tags for the COG."""
    details: Mapping[str, Any]
    """Facts for the scene's row in the ledger."""
    strips: Callable[[], Iterator[tuple[int, NDArray[np.int16]]]]
    """Yields, from top to bottom, the first row of a strip and its (bands, rows, columns) int16 reflectance x 10000,
    `UNOBSERVED` where not observed."""


def open_image(path: Path, grid: Grid | None = None) -> Any:
    """The rasterio dataset of `path`; raises `CorruptProduct` where it cannot be opened or does not lie on `grid`."""
    with decoding(path), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # a PNG's place is in its sidecar
        dataset = rasterio.open(path, driver=_format(path))
    try:
        if grid is not None:
            _check_grid(path, dataset, grid)
    except CorruptProduct:
        dataset.close()
        raise
    return dataset


def _format(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            start = stream.read(16)
    except OSError as error:
        raise CorruptProduct(f"{path} cannot be decoded: {error.strerror}") from error
    for magic, driver in _FORMATS.items():
        if start.startswith(magic):
            return driver
    raise CorruptProduct(f"{path} cannot be decoded: it is no JPEG 2000, TIFF or PNG")


def read_rows(path: Path, dataset: Any, band: int, first: int, rows: int) -> NDArray[Any]:
    """(rows, columns) of one band of `dataset`, from row `first` on; raises `CorruptProduct` where they are damaged.

    Block by block, because GDAL's JPEG 2000 reader answers longer reads of a truncated file with arbitrary numbers
    instead of an error (seen with GDAL 3.10).
    """
    out = np.empty((rows, dataset.width), dataset.dtypes[band - 1])
    height, width = dataset.block_shapes[band - 1]
    row = first
    with decoding(path):
        while row < first + rows:
            end = min(first + rows, (row // height + 1) * height)
            for left in range(0, dataset.width, width):
                right = min(dataset.width, left + width)
                window = Window(left, row, right - left, end - row)
                out[row - first : end - first, left:right] = dataset.read(band, window=window)
            row = end
    return out


@contextmanager
def decoding(path: Path) -> Iterator[None]:
    """Turn the raster library's errors in the block into a `CorruptProduct` that names the file."""
    try:
        yield
    except RASTER_ERRORS as error:
        raise CorruptProduct(f"{path} cannot be decoded: {error.__cause__ or error}") from error


def check_place(grid: Grid, where: Path, tile: str = "") -> None:
    """Raise `CorruptProduct` unless `grid` can be a scene's: north-up, in metres, of a size that fits into memory.

    `where` is the folder of the scene's files, for the message. With `tile`, the grid must meet that MGRS tile.
    """
    a, b, c, d, e, f = grid.transform
    if len(grid.crs) > LONGEST_CRS:
        raise CorruptProduct(f"its coordinate reference system has more than {LONGEST_CRS} letters: {where}")
    for what, check in (
        ("coordinate reference system", lambda: check_crs(grid.crs)),
        ("transform", lambda: check_transform((a, b, c, d, e, f))),
        ("width", lambda: check_size(grid.width)),
        ("height", lambda: check_size(grid.height)),
    ):
        try:
            check()
        except ConfigError:  # the machine's fault; it is a ValueError too
            raise
        except ValueError as error:
            raise CorruptProduct(f"its {what} {error}: {where}") from error
    if tile in tile_names() and not _meets(grid, tile):
        raise CorruptProduct(f"its pixels lie outside the tile {tile}; its metadata name another place: {where}")


def _meets(grid: Grid, tile: str) -> bool:
    """Whether the grid has a place in common with the tile."""
    square = tile_of(tile)
    x, y = from_globe(square.epsg).transform(*grid.border().T)
    left, top = square.ulx, square.uly
    inside = np.isfinite(x) & np.isfinite(y)
    if not inside.any():
        return False
    x, y = x[inside], y[inside]
    return bool(x.min() < left + TILE_METRES and x.max() > left and y.min() < top and y.max() > top - TILE_METRES)


def _check_grid(path: Path, dataset: Any, grid: Grid) -> None:
    if (dataset.width, dataset.height) != (grid.width, grid.height):
        raise CorruptProduct(
            f"{path} has {dataset.width} x {dataset.height} pixels, its metadata say {grid.width} x {grid.height}"
        )
    if dataset.crs is None:
        return
    if dataset.crs != CRS.from_string(grid.crs):
        raise CorruptProduct(f"{path} is in {dataset.crs.to_string()}, its metadata say {grid.crs}")
    if not np.allclose(tuple(dataset.transform)[:6], grid.transform, rtol=0, atol=grid.pixel_size / 100):
        raise CorruptProduct(f"{path} lies at {tuple(dataset.transform)[:6]}, its metadata say {grid.transform}")

"""A scene to decode, whatever its file format: its grid, its pixels in strips, and checks of both."""

from __future__ import annotations

import math
import os
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
from rasterio.errors import CRSError, NotGeoreferencedWarning
from rasterio.windows import Window

from seaice_ops.errors import ConfigError, CorruptProduct
from seaice_ops.storage.rasters import RASTER_ERRORS, Grid

#: Rows of a strip: a multiple of the rows of a JPEG 2000 tile and of a COG block.
STRIP = 1024

#: Shortest and longest edge of a scene's pixel in metres.
PIXEL = (0.1, 10_000.0)
#: Farthest edge of a scene from its projection's origin in metres: half the Earth's circumference.
FARTHEST = 20_037_508.4
#: Longest edge of a scene in pixels; a Sentinel-2 tile has 10,980.
LONGEST_EDGE = 30_000
#: Longest text of a coordinate reference system that the ledger holds.
LONGEST_CRS = 2048

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
    """A scene about to be decoded.

    `strips()` yields (first row, (bands, rows, columns) int16 reflectance x 10000 with `UNOBSERVED`) from top to
    bottom; `tags` go into the COG, `details` into the ledger; `sun_zenith` is in degrees, None where unknown.
    """

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
    """Yields (first row, (bands, rows, columns) int16 reflectance x 10000 or `imagery.NODATA`) from top to bottom."""


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


def check_place(grid: Grid, where: Path) -> None:
    """Raise `CorruptProduct` unless `grid` can be a scene's: north-up, in metres, of a size that fits into memory.

    `where` is the folder of the scene's files, for the message.
    """
    crs = _known_crs(grid.crs, where)
    a, b, left, d, e, top = grid.transform
    if not crs.is_projected or crs.linear_units_factor[1] != 1.0:
        raise CorruptProduct(f"{where}: the coordinate reference system {grid.crs[:64]} is not one in metres")
    if not (all(map(math.isfinite, grid.transform)) and b == d == 0 and a > 0 > e):
        raise CorruptProduct(f"{where}: the transform {grid.transform} is not north-up")
    if not all(PIXEL[0] <= size <= PIXEL[1] for size in (a, -e)) or max(abs(left), abs(top)) > FARTHEST:
        raise CorruptProduct(f"{where}: pixels of {a:g} by {-e:g} m at {left:g}, {top:g} cannot be a scene's")
    if not all(1 <= edge <= LONGEST_EDGE for edge in (grid.width, grid.height)):
        raise CorruptProduct(
            f"{where}: {grid.width} x {grid.height} pixels cannot be a scene's; up to {LONGEST_EDGE} a side can"
        )


def _known_crs(text: str, where: Path) -> CRS:
    try:
        if len(text) > LONGEST_CRS:
            raise CRSError(f"{len(text)} characters are too many")
        return CRS.from_string(text)
    except (CRSError, ValueError) as error:  # ValueError: "EPSG:" and no number
        _require_proj()
        raise CorruptProduct(f"{where}: {text[:64]!r} is not a coordinate reference system: {error}") from error


def _require_proj() -> None:
    """Raise `ConfigError` where no coordinate reference system is known at all."""
    try:
        CRS.from_epsg(32701)
    except CRSError as error:
        variables = {name: os.environ[name] for name in ("PROJ_DATA", "PROJ_LIB") if name in os.environ}
        raise ConfigError(f"PROJ has no usable database ({error}); unset {variables or 'PROJ_DATA'}") from error


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

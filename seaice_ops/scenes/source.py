"""What the decoder needs of a scene's files, whatever they are: where the pixels lie, and the pixels in strips."""

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

from seaice_ops.errors import CorruptProduct
from seaice_ops.storage.rasters import RASTER_ERRORS, Grid

#: Rows of a strip: a multiple of a JPEG 2000 tile's and of a COG block's rows.
STRIP = 1024

#: What images may be, by their first bytes: the library knows formats (VRT) that lead to any other file or address.
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
    bands: tuple[str, ...]
    sun_zenith: float | None
    tags: Mapping[str, str]
    details: Mapping[str, Any]
    strips: Callable[[], Iterator[tuple[int, NDArray[np.int16]]]]


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
    """Turn the raster library's errors into `CorruptProduct` naming the file that is read inside."""
    try:
        yield
    except RASTER_ERRORS as error:
        raise CorruptProduct(f"{path} cannot be decoded: {error.__cause__ or error}") from error


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

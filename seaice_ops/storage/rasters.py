"""Write and open GeoTIFFs. Stored rasters whose SHA-256 is known are opened by `storage.verified`."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import RasterioError, RasterioIOError
from rasterio.shutil import copy as rio_copy
from rasterio.transform import Affine

from seaice_ops.errors import ObjectMissing, TransientError
from seaice_ops.geo.grid import Grid as Grid
from seaice_ops.geo.projections import require_projections
from seaice_ops.storage.layout import BLOCK
from seaice_ops.storage.scratch import scratch_folder
from seaice_ops.storage.store import ObjectStore

#: ZSTD level. Higher ones store little less and take twice as long and more.
_LEVEL = 1

#: What the raster library raises; copying lets GDAL's own errors through, which have no public name.
RASTER_ERRORS = (RasterioError, CPLE_BaseError)


def threads() -> str:
    """Threads that pack and unpack blocks, as GDAL takes them: all cores, or GDAL_NUM_THREADS where that is set."""
    return os.environ.get("GDAL_NUM_THREADS", "ALL_CPUS")


@contextmanager
def cog_writer(
    path: Path,
    grid: Grid,
    *,
    count: int,
    dtype: Any,
    nodata: float | None,
    names: Sequence[str] = (),
    tags: Mapping[str, str] | None = None,
    colours: Mapping[int, tuple[int, int, int, int]] | None = None,
    resampling: str = "nearest",
) -> Iterator[Any]:
    """Write the file `path` as a cloud-optimised GeoTIFF (ZSTD, 512-px blocks, overviews) of any size.

    Yields a rasterio dataset to fill, best in windows of whole blocks; `path` appears on leaving, from a scratch
    file beside it. The same pixels give the same bytes: no dates, and blocks in one order however many cores compress
    them. Raises `TransientError` where it cannot be written.
    """
    require_projections()
    plain = path.with_name(f"{path.name}.plain")
    profile = {
        "driver": "GTiff",
        "count": count,
        "height": grid.height,
        "width": grid.width,
        "dtype": dtype,
        "nodata": nodata,
        "crs": CRS.from_string(grid.crs) if grid.crs else None,
        "transform": Affine(*grid.transform),
        "tiled": True,
        "blockxsize": BLOCK,
        "blockysize": BLOCK,
        "BIGTIFF": "IF_SAFER",
        "INTERLEAVE": "BAND",
    }
    try:
        with rasterio.open(plain, "w", **profile) as target:
            if colours:  # before the first pixel: what a TIFF's values mean cannot be changed after it
                target.write_colormap(1, dict(colours))
            yield target
            for index, name in enumerate(names, 1):
                target.set_band_description(index, name)
            if tags:
                target.update_tags(**tags)
            # The COG driver would make its own from a compressed copy of the whole, in ten times the time.
            if factors := _overviews(grid):
                target.build_overviews(factors, Resampling[resampling])
        rio_copy(
            plain,
            path,
            driver="COG",
            COMPRESS="ZSTD",
            LEVEL=_LEVEL,
            PREDICTOR="NO" if colours else "YES",
            BLOCKSIZE=BLOCK,
            BIGTIFF="IF_SAFER",
            NUM_THREADS=threads(),
        )
    except RASTER_ERRORS as error:
        raise TransientError(f"cannot write {path}: {error}; is the disk full, or was its folder removed?") from error
    finally:
        plain.unlink(missing_ok=True)


def _overviews(grid: Grid) -> list[int]:
    """2, 4, 8 ... until an overview fits into one block."""
    longest, factors = max(grid.width, grid.height), [1]
    while -(-longest // factors[-1]) > BLOCK:
        factors.append(2 * factors[-1])
    return factors[1:]


def cog_bytes(
    bands: NDArray[Any] | Sequence[NDArray[Any]],
    grid: Grid,
    *,
    nodata: float | None,
    names: Sequence[str] = (),
    tags: Mapping[str, str] | None = None,
    colours: Mapping[int, tuple[int, int, int, int]] | None = None,
    resampling: str = "nearest",
) -> bytes:
    """The bytes of a COG of `bands`, (rows, columns) each, as `cog_writer` writes it."""
    with scratch_folder(Path(tempfile.gettempdir()), "seaice-raster-") as folder:
        path = folder / "cog.tif"
        with cog_writer(
            path,
            grid,
            count=len(bands),
            dtype=bands[0].dtype,
            nodata=nodata,
            names=names,
            tags=tags,
            colours=colours,
            resampling=resampling,
        ) as target:
            for index, band in enumerate(bands, 1):
                target.write(band, index)
        return path.read_bytes()


@contextmanager
def open_raster(store: ObjectStore, key: str) -> Iterator[Any]:
    """Open the raster `key` for windowed reading; raises `ObjectMissing`."""
    with store.gdal_env(), rasterio.Env(GDAL_NUM_THREADS=threads()):
        try:
            dataset = rasterio.open(store.gdal_path(key))
        except RasterioIOError as error:
            if not store.exists(key):
                raise ObjectMissing(f"{store.url}/{key} does not exist") from None
            raise error
        with dataset:
            yield dataset


def read_raster(store: ObjectStore, key: str) -> tuple[NDArray[Any], Grid]:
    """All bands (bands, rows, columns) of the raster `key` and its grid."""
    with open_raster(store, key) as dataset:
        return dataset.read(), Grid.of(dataset)


def png_bytes(rgba: NDArray[np.uint8]) -> bytes:
    """Encode (rows, columns, 3 or 4) as PNG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(rgba).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()

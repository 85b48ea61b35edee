"""Objects that are read only if they are what was written."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image

from seaice_ops.errors import ObjectDamaged, ObjectMissing, TransientError
from seaice_ops.storage.rasters import RASTER_ERRORS, threads
from seaice_ops.storage.store import ObjectStore


def is_as_written(store: ObjectStore, key: str, sha256: str) -> bool:
    """True if the object `key` has the SHA-256 (hex) `sha256` that the ledger kept; raises `ObjectMissing`."""
    with store.as_file(key) as (_, found):
        return found == sha256


@contextmanager
def open_verified(store: ObjectStore, key: str, sha256: str) -> Iterator[Any]:
    """Open the raster `key`, whose SHA-256 (hex) in the ledger is `sha256`, for windowed reading.

    Raises `ObjectMissing` where it is not there, `ObjectDamaged` where it is not what was written, `ConfigError` where
    it is not there because this is not the store that it was written to, and `TransientError` where it is whole and
    this machine cannot read it now.
    """
    try:
        with store.as_file(key) as (path, found):
            if found != sha256:
                raise ObjectDamaged(
                    f"damaged since it was written (SHA-256 {found[:12]}... in place of {sha256[:12]}...): "
                    f"{store.url}/{key}"
                )
            with (
                readable(f"{store.url}/{key}"),
                rasterio.Env(GDAL_NUM_THREADS=threads(), GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"),
                rasterio.open(path) as dataset,
            ):
                yield dataset
    except ObjectMissing:
        store.check()
        raise


def read_mask(store: ObjectStore, key: str, sha256: str) -> NDArray[np.bool_]:
    """The (rows, columns) bool of a PNG that is not 0 where it is True; raises `ObjectMissing` or `ObjectDamaged`."""
    data = store.get(key)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ObjectDamaged(f"damaged since it was written: {store.url}/{key}; put it back from a copy of the store")
    return np.asarray(Image.open(io.BytesIO(data))) > 0


@contextmanager
def readable(name: str) -> Iterator[None]:
    """Raise `TransientError` where a verified raster, called `name`, cannot be read: the machine is at fault."""
    try:
        yield
    except (*RASTER_ERRORS, MemoryError) as error:
        raise TransientError(
            f"{name} is whole but could not be read: {error}; is there enough memory, and are too many files open?"
        ) from error

"""Objects that are read only if they are what was written."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from seaice_ops.errors import CorruptProduct
from seaice_ops.storage.rasters import open_raster
from seaice_ops.storage.store import ObjectStore


def is_as_written(store: ObjectStore, key: str, sha256: str) -> bool:
    """True if the object `key` has the SHA-256 (hex) `sha256` that the ledger kept; raises `ObjectMissing`."""
    return hashlib.sha256(store.get(key)).hexdigest() == sha256


@contextmanager
def open_verified(store: ObjectStore, key: str, sha256: str) -> Iterator[Any]:
    """Open the raster `key` for windowed reading if it is what was written.

    Raises `ObjectMissing`, and `CorruptProduct` where its SHA-256 is not `sha256` (hex).
    """
    if not is_as_written(store, key, sha256):
        raise CorruptProduct(f"{store.url}/{key} is not what was written: its SHA-256 is not the ledger's")
    with open_raster(store, key) as dataset:
        yield dataset

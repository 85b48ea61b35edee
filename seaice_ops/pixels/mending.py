"""Rasters that are missing or damaged are made again: a scene is fetched again, labels are made again.

Read a raster inside one of these blocks. The error goes on to the caller, with what will happen in its message.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from seaice_ops.errors import ObjectMissing
from seaice_ops.ledger.operations import forget_labels
from seaice_ops.ledger.scenes import fetch_scene_again
from seaice_ops.ledger.session import Ledger
from seaice_ops.ledger.tables import LabelSet, Scene
from seaice_ops.storage.store import ObjectStore
from seaice_ops.storage.verified import open_verified


@contextmanager
def scene_fetched_again(ledger: Ledger, scene: Scene, caller: str) -> Iterator[None]:
    """Have a ready `scene` fetched again where the block finds its raster missing or damaged (`ObjectMissing`)."""
    try:
        yield
    except ObjectMissing as error:
        reason = f"{error}; the scene will be fetched again"
        with ledger.begin() as session:
            fetch_scene_again(session, scene, reason, caller=caller)
        raise type(error)(reason) from error


@contextmanager
def open_labels(ledger: Ledger, store: ObjectStore, row: LabelSet) -> Iterator[Any]:
    """Open a label raster (rasterio; band 1 is the class) and have it made again where it is missing or damaged.

    Raises as `storage.verified.open_verified` does.
    """
    try:
        with open_verified(store, row.key, row.sha256) as dataset:
            yield dataset
    except ObjectMissing as error:
        with ledger.begin() as session:
            forget_labels(session, row)
        raise type(error)(f"{error}; `seaice label` will make these labels again") from error

"""A raster is read as it was written: any changed byte is found, and nothing else is the raster's fault."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from seaice_ops.errors import ConfigError, ObjectDamaged, ObjectMissing, TransientError
from seaice_ops.ledger.stores import known_store, open_ledger
from seaice_ops.settings import Settings
from seaice_ops.storage import keys
from seaice_ops.storage.rasters import Grid, cog_bytes
from seaice_ops.storage.store import ObjectStore, open_store
from seaice_ops.storage.verified import open_verified

GRID = Grid("EPSG:32701", (10.0, 0.0, 399960.0, 0.0, -10.0, 1600020.0), 64, 48)
KEY = "scenes/a.tif"


def values(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 9000, (2, 48, 64)).astype(np.int16)


def written(store: ObjectStore, seed: int = 1) -> str:
    return store.put(KEY, cog_bytes(values(seed), GRID, nodata=None))


def test_a_whole_raster_is_read(settings: Settings) -> None:
    store = open_store(settings.store)
    with open_verified(store, KEY, written(store)) as dataset:
        assert np.array_equal(dataset.read(), values(1)) and Grid.of(dataset) == GRID


@given(share=st.floats(0, 0.999999), bit=st.integers(0, 7))
@examples(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_every_flipped_bit_is_found(settings: Settings, share: float, bit: int) -> None:
    store = open_store(settings.store)
    sha256 = written(store)
    data = bytearray(store.get(KEY))
    data[int(share * len(data))] ^= 1 << bit
    store.put(KEY, bytes(data))
    with pytest.raises(ObjectDamaged, match="damaged since it was written"), open_verified(store, KEY, sha256):
        pass


def test_a_cut_raster_and_a_whole_other_one_are_found(settings: Settings) -> None:
    store = open_store(settings.store)
    sha256 = written(store)
    for data in (store.get(KEY)[:700], b"", cog_bytes(values(2), GRID, nodata=None)):
        store.put(KEY, data)
        with pytest.raises(ObjectDamaged), open_verified(store, KEY, sha256):
            pass


def test_a_missing_raster_is_the_stores_fault_where_the_store_is_gone(settings: Settings) -> None:
    store = known_store(open_ledger(settings), settings.store)
    with pytest.raises(ObjectMissing), open_verified(store, KEY, "0" * 64):
        pass
    (Path(settings.store) / keys.MARKER).unlink()
    with pytest.raises(ConfigError, match="not the object store of this ledger"), open_verified(store, KEY, "0" * 64):
        pass


def test_too_many_open_files_are_not_the_rasters_fault(settings: Settings) -> None:
    store = open_store(settings.store)
    sha256 = written(store)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    probe = os.open(os.devnull, os.O_RDONLY)
    os.close(probe)
    failed = 0
    try:
        for spare in range(3):  # none to hash it by, one to hash it by, ...
            resource.setrlimit(resource.RLIMIT_NOFILE, (probe + spare, before[1]))
            try:
                with open_verified(store, KEY, sha256) as dataset:
                    dataset.read()
            except TransientError:
                failed += 1
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert failed >= 1
    with open_verified(store, KEY, sha256) as dataset:
        assert np.array_equal(dataset.read(), values(1))

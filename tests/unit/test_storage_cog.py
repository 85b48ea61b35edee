"""COGs written through a file: the bytes of those made in memory, strip by strip, and errors that are named."""

from __future__ import annotations

import hashlib
import shutil

import numpy as np
import pytest

from seaice_ops.errors import TransientError
from seaice_ops.storage.rasters import Grid, cog_bytes, cog_writer
from seaice_ops.storage.store import open_store

GRID = Grid("EPSG:32701", (10.0, 0.0, 399960.0, 0.0, -10.0, 1600020.0), 700, 1100)
PIXELS = np.arange(2 * 1100 * 700, dtype=np.int32).reshape(2, 1100, 700).astype(np.int16)


def test_strips_give_the_bytes_of_the_whole(tmp_path):
    path = tmp_path / "cog.tif"
    with cog_writer(path, GRID, count=2, dtype=np.int16, nodata=-32768, names=("A", "B"), tags={"X": "1"}) as target:
        for row in range(0, 1100, 512):
            strip = PIXELS[:, row : row + 512]
            target.write(strip, window=((row, row + strip.shape[1]), (0, 700)))
    assert path.read_bytes() == cog_bytes(PIXELS, GRID, nodata=-32768, names=("A", "B"), tags={"X": "1"})
    assert [p.name for p in tmp_path.iterdir()] == ["cog.tif"]


def test_nothing_is_left_of_a_cog_that_was_given_up(tmp_path):
    with (
        pytest.raises(KeyError),
        cog_writer(tmp_path / "cog.tif", GRID, count=2, dtype=np.int16, nodata=None) as target,
    ):
        target.write(PIXELS)
        raise KeyError("given up")
    assert list(tmp_path.iterdir()) == []


def test_folder_that_vanishes_is_a_transient_error_that_names_it(tmp_path):
    folder = tmp_path / "gone"
    folder.mkdir()
    with (
        pytest.raises(TransientError, match=str(folder)),
        cog_writer(folder / "cog.tif", GRID, count=2, dtype=np.int16, nodata=None) as target,
    ):
        target.write(PIXELS)
        shutil.rmtree(folder)


def test_put_file_is_put(settings, tmp_path):
    data = np.random.default_rng(0).bytes(12_000_000)
    path = tmp_path / "large"
    path.write_bytes(data)
    store = open_store(settings)
    assert store.put_file("scenes/large.tif", path) == hashlib.sha256(data).hexdigest()
    assert store.get("scenes/large.tif") == data
    assert store.put_file("scenes/large.tif", path) == store.put("scenes/large.tif", data)

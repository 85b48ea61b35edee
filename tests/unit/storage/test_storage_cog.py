"""COGs written through a file: the bytes of those made in memory, strip by strip, and errors that are named."""

from __future__ import annotations

import hashlib
import shutil

import numpy as np
import pytest
import rasterio
from rio_cogeo import cog_validate

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


@pytest.mark.parametrize("dtype", [np.int16, np.uint8])
def test_the_number_of_cores_changes_no_byte(monkeypatch, dtype):
    pixels = np.random.default_rng(1).integers(0, 200, (3, 1500, 1300)).astype(dtype)
    grid = Grid(GRID.crs, GRID.transform, 1300, 1500)
    made = []
    for threads in ("1", "2", "7", "ALL_CPUS"):
        monkeypatch.setenv("GDAL_NUM_THREADS", threads)
        made.append(cog_bytes(pixels, grid, nodata=None))
    assert made[0] == made[1] == made[2] == made[3]


@pytest.mark.parametrize("size", [(1, 1), (512, 512), (513, 40), (1100, 700), (1025, 2049)])
def test_what_is_written_is_a_valid_cog_with_overviews_down_to_a_block(tmp_path, size):
    path, (height, width) = tmp_path / "cog.tif", size
    pixels = np.random.default_rng(2).integers(0, 9, (1, height, width), np.uint8)
    colours = {code: (code, code, code, 255) for code in range(9)}
    path.write_bytes(cog_bytes(pixels, Grid(GRID.crs, GRID.transform, width, height), nodata=255, colours=colours))
    assert cog_validate(path) == (True, [], [])
    with rasterio.open(path) as dataset:
        factors = dataset.overviews(1)
        assert np.array_equal(dataset.read(), pixels)
    expected = [2**k for k in range(1, 9) if max(size) > 512 * 2 ** (k - 1)]
    assert len(factors) == len(expected)
    for level, factor in enumerate(expected):
        with rasterio.open(path, overview_level=level) as overview:
            assert overview.shape == tuple(-(-edge // factor) for edge in size)
            assert overview.colormap(1)[7] == (7, 7, 7, 255)
            assert set(np.unique(overview.read())) <= set(range(9))


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
    store = open_store(settings.store)
    assert store.put_file("scenes/large.tif", path) == hashlib.sha256(data).hexdigest()
    assert store.get("scenes/large.tif") == data
    assert store.put_file("scenes/large.tif", path) == store.put("scenes/large.tif", data)


def test_a_file_that_another_worker_removes_while_it_is_put_is_put(settings, tmp_path, monkeypatch):
    """A faster worker's sweep: as soon as its own copy of the scene is ready it clears the scene's folder."""
    data = np.random.default_rng(1).bytes(12_000_000)
    path = tmp_path / "scene.tif"
    path.write_bytes(data)
    digest_of = hashlib.file_digest

    def removed_meanwhile(file, name):
        digest = digest_of(file, name)
        path.unlink()
        return digest

    monkeypatch.setattr(hashlib, "file_digest", removed_meanwhile)
    store = open_store(settings.store)
    assert store.put_file("scenes/large.tif", path) == hashlib.sha256(data).hexdigest()
    assert store.get("scenes/large.tif") == data

"""The real coastline: drawn once for a tile, by a process of its own, then read from the store."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
from rasterio.warp import transform

from seaice_ops.errors import TransientError
from seaice_ops.pixels import coastline as module
from seaice_ops.pixels.coastline import coastline
from seaice_ops.settings import Settings
from seaice_ops.storage.rasters import Grid, cog_bytes, read_raster
from seaice_ops.storage.store import open_store

#: The Ross Sea and its shelf, south polar stereographic, pixels of 5 km.
ROSS = Grid("EPSG:3031", (5000.0, 0.0, -600_000.0, 0.0, -5000.0, -900_000.0), 240, 220)

PLACES = {  # longitude, latitude: land or shelf
    "Ross Island": (168.0, -77.6, True),
    "Ross Ice Shelf": (-175.0, -80.0, True),
    "Victoria Land": (162.0, -76.0, True),
    "Ross Sea": (-175.0, -75.0, False),
    "off the shelf's front": (175.0, -76.5, False),
}


def at(found: np.ndarray, longitude: float, latitude: float) -> bool:
    xs, ys = transform("EPSG:4326", ROSS.crs, [longitude], [latitude])
    return bool(found[int((ROSS.transform[5] - ys[0]) // 5000), int((xs[0] - ROSS.transform[2]) // 5000)])


def test_a_tile_is_drawn_once_and_kept_for_all(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(settings.store)
    before = psutil.Process().memory_info().rss
    drawn = coastline(store, ROSS, "ross")
    assert drawn.dtype == bool and drawn.shape == (220, 240)
    assert {name: at(drawn, *place[:2]) for name, place in PLACES.items()} == {
        name: place[2] for name, place in PLACES.items()
    }
    assert psutil.Process().memory_info().rss - before < 300e6, "the polygons are not this process's"
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss > 800_000, "a child had them"
    [key] = store.list("land")
    np.testing.assert_array_equal(read_raster(store, key)[0][0], drawn)

    monkeypatch.setattr(sys, "executable", "/nowhere/python")  # nothing can be drawn any more
    np.testing.assert_array_equal(coastline(store, ROSS, "ross"), drawn)
    store.put(key, cog_bytes([(~drawn).view(np.uint8)], ROSS, nodata=None))
    np.testing.assert_array_equal(coastline(store, ROSS, "ross"), ~drawn)
    monkeypatch.undo()
    store.put(key, b"not a raster")
    np.testing.assert_array_equal(coastline(store, ROSS, "ross"), drawn)
    assert list(store.list("land")) == [key]


@pytest.mark.parametrize("program", ["import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "print(end='half')"])
def test_a_process_that_ends_early_is_told_and_leaves_nothing(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    shadow = tmp_path / "shadow" / "seaice_ops" / "pixels"
    shadow.mkdir(parents=True)
    for package in (shadow, shadow.parent):
        (package / "__init__.py").touch()
    (shadow / "coastline.py").write_text(program)
    monkeypatch.setattr(module.sys, "path", [str(tmp_path / "shadow"), *sys.path])
    store = open_store(settings.store)
    with pytest.raises(TransientError, match=r"the coastline of ross .* was not drawn"):
        coastline(store, ROSS, "ross")
    assert not list(store.list())

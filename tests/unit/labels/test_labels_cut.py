"""However a scene is stored, read and cut, its labels are the same bytes: blocks, strips, threads, memory layout."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import cv2
import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from rasterio.transform import Affine

from seaice_ops.labels.published import colour
from seaice_ops.labels.scene import label_raster
from seaice_ops.labels.stage import labelling
from seaice_ops.ledger.tables import Scene
from seaice_ops.pixels import imagery, radiometry
from seaice_ops.sensors.sentinel2 import BANDS
from seaice_ops.settings import Settings
from seaice_ops.storage.store import open_store
from seaice_ops.versions import METHODS, Method

ROWS, COLUMNS = 331, 290


def ice() -> np.ndarray:
    """(5, 331, 290) int16: smooth patches of water, thin and thick ice with noise, and a no-data wedge."""
    random = np.random.default_rng(6)
    level = cv2.resize(random.random((23, 20), np.float32), (COLUMNS, ROWS), interpolation=cv2.INTER_CUBIC)
    grey = np.select([level < 0.2, level < 0.45], [250, 700 + 3000 * level], 6000 + 1000 * level)
    dark_in_b11 = np.array([1, 1, 1, 0.9, 0.1])[:, None, None]
    values = (grey * dark_in_b11 + random.normal(0, 40, (5, ROWS, COLUMNS))).astype(np.int16)
    values[:, np.add.outer(np.arange(ROWS), 2 * np.arange(COLUMNS)) < 150] = radiometry.UNOBSERVED
    return values


def stored(layout: dict) -> bytes:
    """`ice()` as a GeoTIFF of that layout."""
    profile = {
        "driver": "GTiff", "count": 5, "dtype": "int16", "height": ROWS, "width": COLUMNS,
        "nodata": radiometry.UNOBSERVED,
        "crs": "EPSG:32701", "transform": Affine(10, 0, 399960, 0, -10, 1600020), **layout,
    }  # fmt: skip
    with rasterio.MemoryFile() as file:
        with file.open(**profile) as target:
            target.write(ice())
            for index, band in enumerate(BANDS, 1):
                target.set_band_description(index, band)
        return bytes(file.getbuffer())


@contextmanager
def opencv_threads(count: int) -> Iterator[None]:
    before = cv2.getNumThreads()
    cv2.setNumThreads(count)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


layouts = st.fixed_dictionaries(
    {"compress": st.sampled_from(["none", "deflate", "zstd"]), "interleave": st.sampled_from(["band", "pixel"])}
).flatmap(
    lambda layout: st.one_of(
        st.builds(lambda rows: layout | {"tiled": False, "blockysize": rows}, st.integers(1, ROWS)),
        st.builds(
            lambda rows, columns: layout | {"tiled": True, "blockysize": 16 * rows, "blockxsize": 16 * columns},
            st.integers(1, 21),
            st.integers(1, 21),
        ),
    )
)


@pytest.mark.parametrize("method", METHODS)
def test_labels_are_the_same_bytes(settings: Settings, add_scene: Callable[..., Scene], method: Method):
    scene, store = add_scene(ice()), open_store(settings.store)
    expected, _ = label_raster(store, scene, labelling(settings, method))

    @given(layouts, st.integers(1, ROWS + 1), st.integers(1, ROWS * COLUMNS + 1), st.integers(1, 4))
    @hypothesis_settings(max_examples=20, deadline=None)
    def cut_otherwise(layout: dict, rows_read: int, strip: int, threads: int) -> None:
        scene.sha256 = store.put(scene.key or "", stored(layout))
        with pytest.MonkeyPatch.context() as patch, opencv_threads(threads):
            patch.setattr(imagery, "_ROWS", rows_read)
            patch.setattr(colour, "_STRIP", strip)
            again, _ = label_raster(store, scene, labelling(settings, method))
        assert again == expected

    cut_otherwise()

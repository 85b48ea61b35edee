"""Read a ready scene's pixels: int16 reflectance x 10000, or scaled to 8 bits. Every read checks the file's SHA-256."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from seaice_ops.errors import UnknownSensor
from seaice_ops.ledger.tables import Scene
from seaice_ops.pixels.radiometry import UNOBSERVED, true_colour
from seaice_ops.sensors.known import true_colour_of
from seaice_ops.sensors.sentinel2 import BANDS
from seaice_ops.storage.rasters import Grid
from seaice_ops.storage.store import ObjectStore
from seaice_ops.storage.verified import open_verified

#: Rows read at a time: a few rows of blocks.
_ROWS = 2048


def read_bands(
    store: ObjectStore, scene: Scene, bands: Sequence[str] = BANDS
) -> tuple[NDArray[np.int16], NDArray[np.bool_], Grid]:
    """A ready scene's (bands, rows, columns) int16 reflectance x 10000, (rows, columns) where all were observed, grid.

    Raises `ObjectMissing` or `ObjectDamaged` where the stored raster is not there or not what was written, and
    `ValueError` where the scene lacks a band. So do all functions of this module.
    """
    with _pixels(store, scene) as dataset:
        values = dataset.read(_indexes(scene, bands))
        return values, (values != UNOBSERVED).all(axis=0), Grid.of(dataset)


@contextmanager
def strips(
    store: ObjectStore, scene: Scene, bands: Sequence[str]
) -> Iterator[tuple[Callable[[int, int], NDArray[np.int16]], Grid]]:
    """A function (first row, row after the last) -> (bands, rows, columns) int16 reflectance x 10000, and the grid.

    For scenes that do not fit into memory. The function can be called inside the `with` block.
    """
    with _pixels(store, scene) as dataset:
        indexes = _indexes(scene, bands)

        def read(top: int, bottom: int) -> NDArray[np.int16]:
            window = Window.from_slices((top, bottom), (0, dataset.width))
            return np.asarray(dataset.read(indexes, window=window), np.int16)

        yield read, Grid.of(dataset)


def read_true_colour(
    store: ObjectStore, scene: Scene, ceiling: float
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], Grid]:
    """(rows, columns, 3) u8 RGB of a ready scene, the (rows, columns) mask of observed pixels, and the grid.

    Raises `UnknownSensor` where no known sensor has the scene's bands.
    """
    return read_scaled(store, scene, colours_of(scene), ceiling)


def read_scaled(
    store: ObjectStore, scene: Scene, bands: Sequence[str], ceiling: float
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], Grid]:
    """(rows, columns, bands) u8 of a ready scene, scaled as the true colour is, and 0 where one of `bands` was not
    observed; (rows, columns) bool where all were; the grid."""
    with _pixels(store, scene) as dataset:
        grid, indexes = Grid.of(dataset), _indexes(scene, bands)
        image = np.empty((grid.height, grid.width, len(bands)), np.uint8)
        valid = np.empty((grid.height, grid.width), np.bool_)
        for top in range(0, grid.height, _ROWS):  # a whole tile's reflectance would take more than its true colour
            rows = slice(top, min(top + _ROWS, grid.height))
            values = dataset.read(indexes, window=Window.from_slices(rows, slice(0, grid.width)))
            valid[rows] = (values != UNOBSERVED).all(axis=0)
            image[rows] = true_colour(values, ceiling)
            image[rows][~valid[rows]] = 0
        return image, valid, grid


def colours_of(scene: Scene) -> tuple[str, str, str]:
    """The names of a scene's red, green and blue; raises `UnknownSensor` where no known sensor has its bands."""
    bands = scene.bands or ()
    if (found := true_colour_of(bands)) is None:
        raise UnknownSensor(
            f"no known sensor has the bands of {scene.id} ({', '.join(bands)}): name its sensor's module in `sensors`"
        )
    return found


@contextmanager
def _pixels(store: ObjectStore, scene: Scene) -> Iterator[Any]:
    if scene.key is None or scene.sha256 is None or scene.bands is None:
        raise ValueError(f"scene {scene.id} is {scene.state}, it has no pixels yet")
    with open_verified(store, scene.key, scene.sha256) as dataset:
        yield dataset


def _indexes(scene: Scene, bands: Sequence[str]) -> list[int]:
    return [(scene.bands or []).index(band) + 1 for band in bands]

"""A scene's pixels as every stage reads them: int16 reflectance x 10000, and the true colour derived from it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rasterio.windows import Window

from seaice_ops.errors import CorruptProduct
from seaice_ops.ledger.tables import Scene
from seaice_ops.sensors.known import true_colour_of
from seaice_ops.sensors.sentinel2 import BANDS
from seaice_ops.storage.rasters import Grid, open_raster
from seaice_ops.storage.store import ObjectStore

#: Reflectance 1.0 in a scene COG, and the value of a pixel that was not observed (in any band).
SCALE = 10_000
NODATA = -32_768

#: Pixels from which on a connected region of exact (0, 0, 0) at a picture's border is taken for no-data where its file
#: says nothing. Very dark water has real zeros, but scattered ones.
BLACK_REGION = 1024

#: Rows read at a time: a few rows of blocks.
_ROWS = 2048


def true_colour(reflectance: NDArray[np.int16], ceiling: float) -> NDArray[np.uint8]:
    """8-bit true colour of (3, rows, columns) red, green, blue reflectance; (rows, columns, 3), 0 where not observed.

    Or, for a network, of as many bands as it takes, scaled alike.

    V = round(255 * reflectance / ceiling), clipped to 0..255; ceiling 0.3558 is the L1C true colour's.
    """
    stored = np.arange(65_536, dtype=np.uint16).view(np.int16)
    table = np.clip(np.rint(stored * (255.0 / (ceiling * SCALE))), 0, 255).astype(np.uint8)
    image = cv2.merge([cv2.LUT(band.view(np.uint16), table) for band in reflectance])
    return np.asarray(image, np.uint8).reshape(*reflectance.shape[1:], len(reflectance))


def black_border(rgb: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where 4-connected regions of exact (0, 0, 0) of `BLACK_REGION` pixels or more touch the border of a
    (rows, columns, 3) u8 picture: no-data, where a file says nothing of it."""
    regions = cv2.inRange(rgb, (0, 0, 0), (0, 0, 0))  # 255: black, not looked at yet
    rows, columns = regions.shape
    border = np.zeros((rows, columns), np.bool_)
    border[[0, -1]] = border[:, [0, -1]] = True
    for row, column in np.argwhere(border & (regions == 255)).tolist():
        if regions[row, column] == 255:
            area = cv2.floodFill(regions, None, (column, row), 1)[0]
            if area < BLACK_REGION:
                cv2.floodFill(regions, None, (column, row), 0)
    return np.asarray(regions == 1)


def check_png(path: Path) -> None:
    """Decode a whole PNG once; raises `CorruptProduct`. GDAL answers a truncated one with arbitrary numbers instead."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # a whole tile is as large as one
            with Image.open(path) as image:
                image.load()
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise CorruptProduct(f"{path} cannot be decoded: {error}") from error


def read_bands(
    store: ObjectStore, scene: Scene, bands: Sequence[str] = BANDS
) -> tuple[NDArray[np.int16], NDArray[np.bool_], Grid]:
    """(bands, rows, columns) int16 reflectance x 10000 of a ready scene, where all of `bands` were observed, its grid.

    Raises `ObjectMissing`, and `ValueError` where the scene lacks a band.
    """
    with _pixels(store, scene) as dataset:
        values = dataset.read(_indexes(scene, bands))
        return values, (values != NODATA).all(axis=0), Grid.of(dataset)


@contextmanager
def strips(
    store: ObjectStore, scene: Scene, bands: Sequence[str]
) -> Iterator[tuple[Callable[[int, int], NDArray[np.int16]], Grid]]:
    """A function (first row, row after the last) -> (bands, rows, columns) int16 reflectance x 10000 of a ready
    scene, for who cannot hold a whole one, and the scene's grid."""
    with _pixels(store, scene) as dataset:
        indexes = _indexes(scene, bands)

        def read(top: int, bottom: int) -> NDArray[np.int16]:
            window = Window.from_slices((top, bottom), (0, dataset.width))
            return np.asarray(dataset.read(indexes, window=window), np.int16)

        yield read, Grid.of(dataset)


def read_true_colour(
    store: ObjectStore, scene: Scene, ceiling: float
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], Grid]:
    """(rows, columns, 3) u8 RGB of a ready scene, the (rows, columns) mask of observed pixels, and the grid."""
    return read_scaled(store, scene, true_colour_of(scene.bands or ()), ceiling)


def read_scaled(
    store: ObjectStore, scene: Scene, bands: Sequence[str], ceiling: float
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], Grid]:
    """(rows, columns, bands) u8 of a ready scene, scaled as the true colour is; 0 where any of `bands` was not
    observed. With it the (rows, columns) mask of where all were, and the grid."""
    with _pixels(store, scene) as dataset:
        grid, indexes = Grid.of(dataset), _indexes(scene, bands)
        image = np.empty((grid.height, grid.width, len(bands)), np.uint8)
        valid = np.empty((grid.height, grid.width), np.bool_)
        for top in range(0, grid.height, _ROWS):  # a whole tile's reflectance would take more than its true colour
            rows = slice(top, min(top + _ROWS, grid.height))
            values = dataset.read(indexes, window=Window.from_slices(rows, slice(0, grid.width)))
            valid[rows] = (values != NODATA).all(axis=0)
            image[rows] = true_colour(values, ceiling)
            image[rows][~valid[rows]] = 0
        return image, valid, grid


@contextmanager
def _pixels(store: ObjectStore, scene: Scene) -> Iterator[Any]:
    if scene.key is None or scene.bands is None:
        raise ValueError(f"scene {scene.id} is {scene.state}, it has no pixels yet")
    with open_raster(store, scene.key) as dataset:
        yield dataset


def _indexes(scene: Scene, bands: Sequence[str]) -> list[int]:
    return [(scene.bands or []).index(band) + 1 for band in bands]

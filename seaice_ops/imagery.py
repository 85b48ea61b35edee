"""A scene's pixels as every stage reads them: int16 reflectance x 10000, and the true colour derived from it."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from seaice_ops.ledger.tables import Scene
from seaice_ops.storage.rasters import Grid, open_raster
from seaice_ops.storage.store import ObjectStore

#: Reflectance 1.0 in a scene COG, and the value of a pixel that was not observed (in any band).
SCALE = 10_000
NODATA = -32_768

#: The bands of a scene COG made from Sentinel-2, in order. A plain true-colour scene has RGB_BANDS only.
BANDS = ("B02", "B03", "B04", "B08", "B11")
RGB_BANDS = ("B04", "B03", "B02")


def true_colour(reflectance: NDArray[np.int16], ceiling: float) -> NDArray[np.uint8]:
    """8-bit true colour of (3, rows, columns) red, green, blue reflectance; (rows, columns, 3), 0 where not observed.

    V = round(255 * reflectance / ceiling), clipped to 0..255; ceiling 0.3558 is the L1C true colour's (domain.md).
    """
    stored = np.arange(65_536, dtype=np.uint16).view(np.int16)
    table = np.clip(np.rint(stored * (255.0 / (ceiling * SCALE))), 0, 255).astype(np.uint8)
    return np.asarray(cv2.merge([cv2.LUT(band.view(np.uint16), table) for band in reflectance]), np.uint8)


def read_bands(
    store: ObjectStore, scene: Scene, bands: Sequence[str] = BANDS
) -> tuple[NDArray[np.int16], NDArray[np.bool_], Grid]:
    """(bands, rows, columns) int16 reflectance x 10000 of a ready scene, where all of `bands` were observed, its grid.

    Raises `ObjectMissing`, and `ValueError` where the scene lacks a band.
    """
    if scene.key is None or scene.bands is None:
        raise ValueError(f"scene {scene.id} is {scene.state}, it has no pixels yet")
    with open_raster(store, scene.key) as dataset:
        values = dataset.read([scene.bands.index(band) + 1 for band in bands])
        return values, (values != NODATA).all(axis=0), Grid.of(dataset)


def read_true_colour(
    store: ObjectStore, scene: Scene, ceiling: float
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], Grid]:
    """(rows, columns, 3) u8 RGB of a ready scene, the (rows, columns) mask of observed pixels, and the grid."""
    values, valid, grid = read_bands(store, scene, RGB_BANDS)
    rgb = true_colour(values, ceiling)
    rgb[~valid] = 0
    return rgb, valid, grid

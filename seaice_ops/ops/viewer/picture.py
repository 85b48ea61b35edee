"""One picture tile of a layer: the maps of a day, the newest uppermost."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rio_tiler.errors import TileOutsideBounds
from rio_tiler.io import Reader

from seaice_ops.classes.legend import COLOURS
from seaice_ops.ops.viewer.polar import matrix
from seaice_ops.pixels.radiometry import true_colour
from seaice_ops.storage.rasters import RASTER_ERRORS, png_bytes
from seaice_ops.storage.store import ObjectStore

log = logging.getLogger(__name__)

EDGE = 256

LAYERS = ("class", "class_stable", "age", "conf", "n_valid")
"""The layers of a map that can be shown, beside the true colour of its newest acquisition."""
TRUE_COLOUR = "true_colour"

#: Colours of the lowest and the highest value of the layers that are no classes, and these values.
RAMPS = {
    "age": ((253, 231, 37), (68, 1, 84), 0, 15),
    "conf": ((68, 1, 84), (253, 231, 37), 34, 100),
    "n_valid": ((239, 243, 255), (8, 81, 156), 0, 15),
}


def classes_picture(store: ObjectStore, keys: Iterable[str], layer: str, at: tuple[int, int, int], epsg: int) -> bytes:
    """PNG of one layer, from the rasters `keys`; where two saw a pixel, the earlier key of the list counts.

    `at` is (zoom, column, row). Transparent where nothing was observed.
    """
    values = np.zeros((EDGE, EDGE), np.uint8)
    seen = np.zeros((EDGE, EDGE), np.bool_)
    for key in keys:
        for part, there in _read(store, key, at, epsg, (1,)):
            new = there & ~seen
            values[new], seen[new] = part[0][new], True
        if seen.all():
            break
    rgba = palette(layer)[values]
    rgba[~seen] = 0
    return png_bytes(rgba)


def colour_picture(
    store: ObjectStore,
    scenes: Iterable[tuple[str, Sequence[int]]],
    ceiling: float,
    at: tuple[int, int, int],
    epsg: int,
) -> bytes:
    """PNG of the true colour of `scenes`: (key, numbers of the red, green and blue band), the uppermost first."""
    rgba = np.zeros((EDGE, EDGE, 4), np.uint8)
    for key, bands in scenes:
        for part, there in _read(store, key, at, epsg, bands):
            new = there & (rgba[..., 3] == 0)
            rgba[new, :3] = true_colour(np.ascontiguousarray(part, np.int16), ceiling)[new]
            rgba[new, 3] = 255
    return png_bytes(rgba)


def palette(layer: str) -> NDArray[np.uint8]:
    """(256, 4) u8 RGBA of each value of `layer`."""
    table = np.zeros((256, 4), np.uint8)
    if layer in RAMPS:
        low, high, first, last = RAMPS[layer]
        share = np.clip((np.arange(256) - first) / (last - first), 0, 1)[:, None]
        table[:, :3] = np.rint(np.array(low) * (1 - share) + np.array(high) * share)
        table[:, 3] = 255
        return table
    for code, colour in COLOURS.items():
        table[code] = colour
    if layer == "class_stable":
        table[0] = (120, 120, 120, 60)  # the pixel kept no class
    return table


def _read(
    store: ObjectStore, key: str, at: tuple[int, int, int], epsg: int, bands: Sequence[int]
) -> Iterable[tuple[NDArray[Any], NDArray[np.bool_]]]:
    """(bands, 256, 256) and where all were observed; nothing where the raster does not reach, or cannot be read."""
    zoom, column, row = at
    nearest: dict[str, Any] = {"resampling_method": "nearest", "reproject_method": "nearest"}
    try:
        with Reader(store.gdal_path(key), tms=matrix(epsg)) as raster:
            image = raster.tile(column, row, zoom, tilesize=EDGE, indexes=tuple(bands), **nearest)
    except TileOutsideBounds:
        return
    except RASTER_ERRORS as error:
        # The other maps of the picture are shown all the same.
        log.warning("%s cannot be shown: %s", key, error)
        return
    yield image.array.data, np.asarray(~np.ma.getmaskarray(image.array).any(axis=0))

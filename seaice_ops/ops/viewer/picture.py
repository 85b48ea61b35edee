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
"""Edge of a picture tile, pixels."""

At = tuple[int, int, int]
"""(zoom, column, row) of a picture tile."""

LAYERS = ("class", "class_stable", "age", "conf", "n_valid")
"""The layers of a map that can be shown, beside the true colour of its newest acquisition."""
TRUE_COLOUR = "true_colour"

#: Colours of the lowest and the highest value of the layers that are no classes, and these values.
RAMPS = {
    "age": ((253, 231, 37), (68, 1, 84), 0, 15),
    "conf": ((68, 1, 84), (253, 231, 37), 34, 100),
    "n_valid": ((239, 243, 255), (8, 81, 156), 0, 15),
}


def layer_picture(store: ObjectStore, keys: Iterable[str], layer: str, at: At, epsg: int) -> bytes:
    """PNG of one layer of a map, transparent where nothing was observed.

    Where two of the rasters `keys` saw a pixel, the earlier key counts.
    """
    values, seen = _mosaic(store, [(key, (1,)) for key in keys], 1, at, epsg)
    rgba = palette(layer)[np.where(seen, values[0], 0).astype(np.uint8)]
    rgba[~seen] = 0
    return png_bytes(rgba)


def colour_picture(
    store: ObjectStore, scenes: Iterable[tuple[str, Sequence[int]]], ceiling: float, at: At, epsg: int
) -> bytes:
    """PNG of the true colour of `scenes`: (key, numbers of the red, green and blue band), the uppermost first."""
    values, seen = _mosaic(store, scenes, 3, at, epsg)
    return png_bytes(np.dstack([true_colour(values, ceiling), np.where(seen, 255, 0).astype(np.uint8)]))


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


def _mosaic(
    store: ObjectStore, rasters: Iterable[tuple[str, Sequence[int]]], count: int, at: At, epsg: int
) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    """(count, 256, 256) int16 of `rasters` (key, numbers of `count` bands), the earlier uppermost; where any saw."""
    values = np.zeros((count, EDGE, EDGE), np.int16)
    seen = np.zeros((EDGE, EDGE), np.bool_)
    for key, bands in rasters:
        if seen.all():
            break
        part = _read(store, key, bands, at, epsg)
        if part is not None:
            new = ~np.ma.getmaskarray(part).any(axis=0) & ~seen
            values[:, new], seen[new] = part.data[:, new], True
    return values, seen


def _read(store: ObjectStore, key: str, bands: Sequence[int], at: At, epsg: int) -> Any:
    """(bands, 256, 256) masked array; None where the raster does not reach, or cannot be read."""
    zoom, column, row = at
    nearest: dict[str, Any] = {"resampling_method": "nearest", "reproject_method": "nearest"}
    try:
        with Reader(store.gdal_path(key), tms=matrix(epsg)) as raster:
            return raster.tile(column, row, zoom, tilesize=EDGE, indexes=tuple(bands), **nearest).array
    except TileOutsideBounds:
        return None
    except RASTER_ERRORS as error:
        # The other maps of the picture are shown all the same.
        log.warning("%s cannot be shown: %s", key, error)
        return None

"""Labels from calibrated reflectance: class, confidence and quality flags of every pixel (docs/labels.md).

1. `levels` estimates the scene's haze from its darkest water and its band gains from its brightest snow.
2. `pixels` compares each pixel with a physical model of ice, water, cloud, shadow and air under the scene's sun
   (`model`, `table`). The label depends on the pixel and a few neighbours: more where brightness is even, fewer at
   edges, so that leads of any width are treated alike.
3. `post_processing` uses shapes where brightness cannot decide, and masks the pixels that stay undecided.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from seaice_ops.classes import legend
from seaice_ops.labels.reflectance import optics, shapes
from seaice_ops.labels.reflectance.levels import lattice, references
from seaice_ops.labels.reflectance.pixels import REACH, labelled
from seaice_ops.labels.reflectance.post_processing import NO_SUN, post_process
from seaice_ops.labels.reflectance.surfaces import BANDS
from seaice_ops.labels.reflectance.surroundings import CELL, at_pixels, cell_sums, class_weights
from seaice_ops.labels.reflectance.table import SHAPE, band_codes, nearest_zenith, table
from seaice_ops.labels.result import Labels
from seaice_ops.pixels.radiometry import SCALE, UNOBSERVED
from seaice_ops.storage.layout import BLOCK

#: Reflectance of a surface that is half water and half snow; brightness levels (u8) for a reflectance of 1.
_HALF, _LEVELS = 0.42, 250

#: Reflectance at 1.6 um of a cloud of optical depth 4 or so with the sun in the zenith. It rises as the sun sinks,
#: because more light is scattered upwards near the cloud's top. No snow is as bright. Second: least cosine of the
#: sun's zenith distance that is used.
_OPAQUE, _MIN_MU = 0.34, 0.1

#: (65536,) u8 brightness level of each stored reflectance, indexed by the int16 value read as uint16.
_BRIGHTNESS = np.clip(np.arange(65_536, dtype=np.uint16).view(np.int16) * (_LEVELS / SCALE), 0, 255).astype(np.uint8)

_ROWS, _COLUMNS = 192, 1280  # largest block that is labelled at once: it fits into a processor's cache

#: (first row, row after the last) -> (4, rows, columns) int16 stored reflectance of BANDS.
Reader = Callable[[int, int], NDArray[np.int16]]


def reflectance(bands: NDArray[np.int16], sun_zenith: float | None) -> Labels:
    """Labels of a whole scene, (rows, columns) each.

    `bands` (4, rows, columns) int16 reflectance x 10000 in the order of BANDS, -32768 where not observed;
    `sun_zenith` in degrees, None if unknown. A pixel that lacks any band is labelled NODATA (255).
    """
    return from_strips(lambda top, bottom: bands[:, top:bottom], bands.shape[1:], sun_zenith)


def from_strips(
    read: Reader,
    shape: tuple[int, ...],
    sun_zenith: float | None,
    strip: int = BLOCK,
    land: NDArray[np.bool_] | None = None,
) -> Labels:
    """Labels of a scene of `shape` (rows, columns) that `read` gives strip by strip.

    `read` is called for the whole scene twice from top to bottom, the second time for `strip` rows at once; the labels
    do not depend on `strip`. Pixels of `land` (rows, columns) bool are labelled LAND where observed, and influence
    neither the scene's statistics nor their neighbours. `sun_zenith` as in `reflectance`.
    """
    if land is None:
        return _label_sea(read, shape, sun_zenith, strip)
    observed = np.zeros(shape, np.bool_)

    def sea(top: int, bottom: int) -> NDArray[np.int16]:
        bands = read(top, bottom)
        observed[top:bottom] = (bands != UNOBSERVED).all(axis=0)
        return np.where(land[top:bottom], np.int16(UNOBSERVED), bands)

    labels = _label_sea(sea, shape, sun_zenith, strip)
    labels.classes[land & observed] = legend.LAND
    return labels


def _label_sea(read: Reader, shape: tuple[int, ...], sun_zenith: float | None, strip: int) -> Labels:
    """`from_strips` without land."""
    zenith = optics.USUAL_ZENITH if sun_zenith is None else sun_zenith
    classes, confidence, notes = planes = np.empty((3, *shape), np.uint8)
    if zenith >= NO_SUN:
        codes, cells = band_codes(optics.USUAL_ZENITH), np.zeros(int(np.prod(SHAPE)), np.uint16)
        weights = np.zeros((*(-(-size // CELL) for size in shape), 3), np.uint8)
    else:
        sample, sums = _scene_statistics(read, shape)
        levels = references(sample, zenith)
        codes, cells = band_codes(zenith, *levels), table(nearest_zenith(zenith))
        weights = class_weights(sums, zenith, *levels)
    opaque = int(codes[BANDS.index("B11"), round(SCALE * opaque_from(zenith))])
    half = _LEVELS * float(optics.at_satellite(np.array(_HALF), optics.air("B04", zenith)))
    width = _part_size(shape[1], _COLUMNS)
    for start, (bright, *seen), top, bottom in _coded_strips(read, shape, codes, strip):
        above, below = max(0, top - REACH), min(bottom + REACH, shape[0])
        for left in range(0, shape[1], width):
            right = min(left + width, shape[1])
            before, behind = max(0, left - REACH), min(right + REACH, shape[1])
            block = slice(above - start, below - start), slice(before, behind)
            around = at_pixels(weights, slice(above, below), slice(before, behind))
            block_codes = [plane[block] for plane in seen]
            pieces = labelled(bright[block], _narrow(bright, *block), block_codes, cells, around, half, opaque)
            for plane, piece in zip(planes, pieces, strict=True):
                plane[top:bottom, left:right] = piece[top - above :, left - before :][: bottom - top, : right - left]
    post_process(classes, confidence, notes, zenith)
    return Labels(classes, confidence, notes)


def _coded_strips(
    read: Reader, shape: tuple[int, ...], codes: NDArray[np.uint8], strip: int
) -> Iterator[tuple[int, NDArray[np.uint8], int, int]]:
    """Brightness and band codes of a scene, some rows at a time, with the margin that labelling needs.

    Yields (first row held, (5, rows, columns) u8, first row to label, row after the last to label). The rows to label
    follow each other without gap or overlap.
    """
    margin, step = REACH + shapes.REACH, _part_size(strip, _ROWS)
    seen = np.empty((1 + len(BANDS), min(shape[0], step + 2 * margin), shape[1]), np.uint8)
    start = done = 0
    for first in range(0, shape[0], strip):
        bands = read(first, min(first + strip, shape[0]))
        for top in range(first, first + bands.shape[1], step):
            part = bands[:, top - first : top - first + step]
            bottom = top + part.shape[1]
            for plane, levels, band in zip(seen, (_BRIGHTNESS, *codes), (part[BANDS.index("B04")], *part), strict=True):
                cv2.LUT(np.ascontiguousarray(band).view(np.uint16), levels, plane[top - start : bottom - start])
            last = bottom if bottom == shape[0] else max(done, bottom - margin)
            if last > done:
                yield start, seen[:, : bottom - start], done, last
            kept = max(0, last - margin)
            seen[:, : bottom - kept] = seen[:, kept - start : bottom - start]
            start, done = kept, last


def _part_size(size: int, most: int) -> int:
    """Size of nearly equal parts of `size`, as few as possible and none larger than `most`."""
    return -(-size // -(-size // most))


def _narrow(bright: NDArray[np.uint8], rows: slice, columns: slice) -> NDArray[np.uint8]:
    """`shapes.narrow` of a block, computed with the margin around the block."""
    top, left = (max(0, side.start - shapes.REACH) for side in (rows, columns))
    found = shapes.narrow(bright[top : rows.stop + shapes.REACH, left : columns.stop + shapes.REACH])
    return found[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]


def _scene_statistics(read: Reader, shape: tuple[int, ...]) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
    """Statistics of the whole scene from one pass over it: `levels.lattice` and `surroundings.cell_sums`."""
    samples, sums = [], []
    for top in range(0, shape[0], BLOCK):
        bands = read(top, min(top + BLOCK, shape[0]))
        samples.append(lattice(bands, top, shape))
        sums.append(cell_sums(bands))
    return np.concatenate(samples, axis=1), np.concatenate(sums, axis=1)


def opaque_from(zenith: float) -> float:
    """Top-of-atmosphere reflectance at 1.6 um from which on cloud hides any surface; `zenith` of the sun, degrees."""
    return float(_OPAQUE * max(math.cos(math.radians(zenith)), _MIN_MU) ** -0.25)

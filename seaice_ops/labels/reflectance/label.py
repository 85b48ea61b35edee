"""Labels from calibrated reflectance: class, confidence and reasons of every pixel (docs/labels.md).

Each pixel is compared with a physical model of ice, water, cloud, shadow and air under the scene's sun
(`reflectance_model`). From the scene as a whole come its haze, by its darkest water, and its gains, by its brightest
snow (`levels`). Then a pixel's label depends on nothing but itself and few pixels around it, more where brightness is
even and fewer at edges, so that fields and leads of any width are alike (`pixels`); in the end shapes decide what
brightness cannot, and what cannot be known is left out (`post_processing`).
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

#: Reflectance of a surface half of which is water and half snow; levels of brightness to a reflectance of 1.
_HALF, _LEVELS = 0.42, 250

#: A cloud of optical depth 4 or so reflects this at 1.6 um, were the sun in the zenith; more the lower it stands, as
#: more of its light is scattered upwards before it reaches the depth of the cloud. No snow is as bright there.
_OPAQUE, _LEAST_SUN = 0.34, 0.1

#: The level of each stored number, int16 taken as uint16.
_BRIGHTNESS = np.clip(np.arange(65_536, dtype=np.uint16).view(np.int16) * (_LEVELS / SCALE), 0, 255).astype(np.uint8)

_ROWS, _COLUMNS = 192, 1280  # that are labelled together, at most: what fits into a processor's cache

#: (first row, row after the last) -> (4, rows, columns) int16 stored reflectance of BANDS.
Reader = Callable[[int, int], NDArray[np.int16]]


def reflectance(bands: NDArray[np.int16], sun_zenith: float | None) -> Labels:
    """Label a whole scene: `bands` (4, rows, columns) int16 reflectance x 10000 in BANDS order, -32768 where not
    observed; `sun_zenith` in degrees. A pixel that lacks a band is NODATA (255)."""
    return from_strips(lambda top, bottom: bands[:, top:bottom], bands.shape[1:], sun_zenith)


def from_strips(
    read: Reader,
    shape: tuple[int, ...],
    sun_zenith: float | None,
    strip: int = BLOCK,
    land: NDArray[np.bool_] | None = None,
) -> Labels:
    """`_of_sea` of a scene of which `land` (rows, columns) has no part in what is asked of the scene as a whole or of a
    pixel's surroundings; it is LAND where observed."""
    if land is None:
        return _of_sea(read, shape, sun_zenith, strip)
    observed = np.zeros(shape, np.bool_)

    def sea(top: int, bottom: int) -> NDArray[np.int16]:
        bands = read(top, bottom)
        observed[top:bottom] = (bands != UNOBSERVED).all(axis=0)
        return np.where(land[top:bottom], np.int16(UNOBSERVED), bands)

    labels = _of_sea(sea, shape, sun_zenith, strip)
    labels.classes[land & observed] = legend.LAND
    return labels


def _of_sea(read: Reader, shape: tuple[int, ...], sun_zenith: float | None, strip: int) -> Labels:
    """`reflectance` of a scene of `shape` (rows, columns) that is read twice from top to bottom, each row once, the
    second time `strip` rows together; the labels do not depend on `strip`."""
    zenith = optics.USUAL_ZENITH if sun_zenith is None else sun_zenith
    classes, confidence, notes = planes = np.empty((3, *shape), np.uint8)
    if zenith >= NO_SUN:
        codes, cells = band_codes(optics.USUAL_ZENITH), np.zeros(int(np.prod(SHAPE)), np.uint16)
        weights = np.zeros((*(-(-size // CELL) for size in shape), 3), np.uint8)
    else:
        sample, sums = _glance(read, shape)
        levels = references(sample, zenith)
        codes, cells = band_codes(zenith, *levels), table(nearest_zenith(zenith))
        weights = class_weights(sums, zenith, *levels)
    opaque = int(codes[BANDS.index("B11"), round(SCALE * opaque_from(zenith))])
    half = _LEVELS * float(optics.at_satellite(np.array(_HALF), optics.air("B04", zenith)))
    width = _even(shape[1], _COLUMNS)
    for start, (bright, *seen), top, bottom in _looked_up(read, shape, codes, strip):
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


def _looked_up(
    read: Reader, shape: tuple[int, ...], codes: NDArray[np.uint8], strip: int
) -> Iterator[tuple[int, NDArray[np.uint8], int, int]]:
    """Brightness and codes of a scene, some rows at a time: the first of the rows, (5, rows, columns) u8, and the first
    and the one after the last that can be labelled by them and were not yet: what lies around these is there too."""
    margin, step = REACH + shapes.REACH, _even(strip, _ROWS)
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


def _even(size: int, most: int) -> int:
    """Of the fewest parts of `size`, none larger than `most`, the largest when they are much alike."""
    return -(-size // -(-size // most))


def _narrow(bright: NDArray[np.uint8], rows: slice, columns: slice) -> NDArray[np.uint8]:
    """`shapes.narrow` at a block's pixels, by what lies around the block too."""
    top, left = (max(0, side.start - shapes.REACH) for side in (rows, columns))
    found = shapes.narrow(bright[top : rows.stop + shapes.REACH, left : columns.stop + shapes.REACH])
    return found[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]


def _glance(read: Reader, shape: tuple[int, ...]) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
    """What is asked of the whole scene before its pixels: `levels.lattice` and `surroundings.cell_sums`."""
    samples, sums = [], []
    for top in range(0, shape[0], BLOCK):
        bands = read(top, min(top + BLOCK, shape[0]))
        samples.append(lattice(bands, top, shape))
        sums.append(cell_sums(bands))
    return np.concatenate(samples, axis=1), np.concatenate(sums, axis=1)


def opaque_from(zenith: float) -> float:
    """Top-of-atmosphere reflectance at 1.6 um from which on a cloud hides the surface, whatever it is."""
    return float(_OPAQUE * max(math.cos(math.radians(zenith)), _LEAST_SUN) ** -0.25)

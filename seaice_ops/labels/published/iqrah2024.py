"""The thin-cloud and shadow filter of Iqrah et al. 2024 and the labels it gives.

Everything that is fitted (background, Otsu's threshold, both stretches) is fitted on the whole array, so an array
must be a whole scene: the same crop labelled alone would contradict it. Known faults, kept because they are the
method's: thin ice wider than about half the median's kernel becomes its own background and is called thick, and a
scene with a single ice class is stretched until it shows two.
"""

from __future__ import annotations

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

from seaice_ops.classes.legend import THICK, THIN, WATER
from seaice_ops.labels.published.colour import brightness, not_valid, strips

#: Ground size of the published scenes' pixel, metres: 2048 pixels were a whole tile. Kernels scale from it.
PUBLISHED_PIXEL_M = 54.0

#: The widest kernel that OpenCV's median counts exactly: its 16-bit histograms overflow at 257 x 257 equal pixels.
WIDEST_MEDIAN = 255

#: The first stretch is cut here before the second.
_TRUNCATE = 235

#: float32's: OpenCV's Otsu passes over parts with a smaller share of the pixels.
_EPSILON = float(np.finfo(np.float32).eps)


def kernel(ground_m: float, pixel_m: float) -> int:
    """The odd number of pixels nearest to a ground distance: 7 and 155 for 378 m and 8370 m at 54 m; at least 1.

    A scene at 10 m and the same scene at 54 m then agree to within resampling: where all fine pixels of a coarse one
    have one label, at least 99.6 % of the coarse labels are the same (tested on a real satellite scene and a real
    aerial one).
    """
    return max(1, 2 * round((ground_m / pixel_m - 1) / 2) + 1)


def iqrah2024(
    rgb: NDArray[np.uint8],
    valid: NDArray[np.bool_],
    *,
    dilate: int,
    median: int,
    water_max: int = 30,
    thin_max: int = 204,
) -> NDArray[np.uint8]:
    """Label a whole scene's true colour: (rows, columns) u8 of WATER, THIN, THICK; NODATA exactly where not `valid`.

    `rgb` is (rows, columns, 3) u8, `valid` (rows, columns) bool; `dilate` and `median` are odd kernel sizes in pixels
    (see `kernel`; either may exceed the scene). Pixels that were not observed are painted white for the background,
    as water is, and take no part in Otsu's threshold and the stretches. Equal to the published steps in OpenCV up to
    a median of 255; beyond it see `median_blur`. The authors' own run exchanged red and blue in the grey: pass
    ``rgb[..., ::-1]`` for theirs. Raises `ValueError` for an even kernel.
    """
    if dilate % 2 == 0 or median % 2 == 0:
        raise ValueError(f"kernels must be odd, not {dilate} and {median}")
    dark, marks = _darkness(rgb, valid, water_max)
    background = median_blur(np.asarray(cv2.erode(dark, np.ones((dilate, dilate), np.uint8)), np.uint8), median)
    counts = _distances(dark, background, valid)
    codes = cv2.LUT(dark, _classes(counts[::-1], thin_max)[::-1], background)
    return np.asarray(cv2.copyTo(marks, marks, codes), np.uint8)


def _darkness(
    rgb: NDArray[np.uint8], valid: NDArray[np.bool_], water_max: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Steps 1 to 3: 255 minus the grey, 0 where water and no-data are painted white; and these marked, 0 elsewhere.

    The negative, because OpenCV's median counts levels from 0 up and so finds those of bright ice sooner. Erosion and
    median of the negative are the negatives of dilation and median.
    """
    dark, marks = np.empty(valid.shape, np.uint8), np.empty(valid.shape, np.uint8)
    planes = None
    for rows in strips(valid.shape):
        part = np.ascontiguousarray(rgb[rows])
        planes = cv2.split(part, planes)
        cv2.threshold(brightness(planes), water_max, WATER, cv2.THRESH_BINARY_INV, marks[rows])
        marks[rows] |= not_valid(valid[rows])
        kept = cv2.threshold(marks[rows], 0, 255, cv2.THRESH_BINARY_INV)[1]
        cv2.cvtColor(part, cv2.COLOR_RGB2GRAY, dark[rows])
        cv2.bitwise_and(cv2.bitwise_not(dark[rows]), kept, dark[rows])
    return dark, marks


def _distances(dark: NDArray[np.uint8], background: NDArray[np.uint8], valid: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Write |dark - background| over `dark`; (256,) how often each value occurs where `valid`."""
    counts = np.zeros(256, np.int64)
    for rows in strips(valid.shape):
        cv2.absdiff(dark[rows], background[rows], dark[rows])
        mask = None if valid[rows].all() else valid[rows].view(np.uint8)
        # OpenCV counts in float32: exact within a strip, not in a whole tile.
        counts += cv2.calcHist([dark[rows]], [0], mask, [256], [0, 256]).ravel().astype(np.int64)
    return counts


def _classes(counts: NDArray[np.int64], thin_max: int) -> NDArray[np.uint8]:
    """Steps 7 to 12 as a table from contrast (255 minus the distance to the background) to class, given how often each
    contrast was observed: with Otsu's threshold and the range known, each step maps a level to a level."""
    level: MatLike = np.arange(256, dtype=np.uint8).reshape(1, -1)
    occurs = (counts > 0).astype(np.uint8).reshape(1, -1)
    level = cv2.threshold(level, otsu(counts), 255, cv2.THRESH_TOZERO)[1]
    level = cv2.normalize(level, np.zeros_like(level), 0, 255, cv2.NORM_MINMAX, cv2.CV_8U, occurs)
    level = cv2.threshold(level, _TRUNCATE, 255, cv2.THRESH_TRUNC)[1]
    level = cv2.normalize(level, np.zeros_like(level), 0, 255, cv2.NORM_MINMAX, cv2.CV_8U, occurs)
    return np.where(level <= thin_max, THIN, THICK).astype(np.uint8).ravel()


def otsu(counts: NDArray[np.int64]) -> int:
    """Otsu's threshold of (256,) counts of levels, to the last bit as OpenCV finds it in an image; 0 without a pixel.

    OpenCV takes no histogram, and copying the observed pixels out of a scene costs more than all the rest.
    """
    scale = 1.0 / max(1, int(counts.sum()))
    mean = int(counts @ np.arange(256)) * scale
    below = mean_below = best = 0.0
    threshold = 0
    for level, p in enumerate((counts * scale).tolist()):
        mean_below *= below
        below += p
        above = 1.0 - below
        if min(below, above) < _EPSILON or max(below, above) > 1.0 - _EPSILON:
            continue
        mean_below = (mean_below + level * p) / below
        apart = mean_below - (mean - below * mean_below) / above
        variance = below * above * apart * apart
        if variance > best:
            best, threshold = variance, level
    return threshold


def median_blur(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Median of the `size` x `size` pixels around each pixel of a (rows, columns) u8 image, its edge repeated outwards.

    Exact up to 255 pixels. Wider kernels take every k-th row and column, k the smallest number that brings the kernel
    to 255 or less, and interpolate between the medians: a lattice of at least 127 x 127 samples stands for the
    window. Stated error on the dilated real Ross Sea scene, kernels of 257 to 837: at 10 m, mean at most 0.3 grey
    levels, none beyond 3; in crops smaller than the kernel (the repeated edge is most of the window) mean at most
    1.2, and 99.8 % of the labels or more are those of the exact median (tests/unit/labels/test_labels_iqrah2024.py).
    """
    if size <= WIDEST_MEDIAN:
        return np.asarray(cv2.medianBlur(image, size), np.uint8)
    (rows, columns), step = image.shape, -(-size // WIDEST_MEDIAN)
    at = [np.minimum(np.arange(0, length, step) + step // 2, length - 1) for length in (rows, columns)]
    coarse = cv2.medianBlur(image[np.ix_(*at)], kernel(size, step))
    full = cv2.resize(coarse, (len(at[1]) * step, len(at[0]) * step), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(full[:rows, :columns])

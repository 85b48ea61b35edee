"""The thin-cloud and shadow filter of Iqrah et al. 2024 and the labels it gives (method.md section 2.2).

Everything that is fitted (background, Otsu's threshold, both stretches) is fitted on the whole array, so an array
must be a whole scene: the same crop labelled alone would contradict it. Known faults, kept because they are the
method's: thin ice wider than about half the median's kernel becomes its own background and is called thick, and a
scene with a single ice class is stretched until it shows two.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from seaice_ops.labels.colour import by_brightness, not_valid
from seaice_ops.legend import THICK, THIN, WATER

#: Ground size of the published scenes' pixel, metres: 2048 pixels were a whole tile. Kernels scale from it.
PUBLISHED_PIXEL_M = 54.0

#: The widest kernel that OpenCV's median counts exactly: its 16-bit histograms overflow at 257 x 257 equal pixels.
WIDEST_MEDIAN = 255

#: The first stretch is cut here before the second (method.md section 2.2, step 10).
_TRUNCATE = 235


def kernel(ground_m: float, pixel_m: float) -> int:
    """The odd number of pixels nearest to a ground distance: 7 and 155 for 378 m and 8370 m at 54 m; at least 1."""
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
    rgb = np.ascontiguousarray(rgb)
    marks = by_brightness(rgb, _water_table(water_max))
    marks |= not_valid(valid)
    if not valid.any():
        return marks
    contrast = _contrast(rgb, marks, dilate, median)
    codes = cv2.LUT(contrast, _classes(contrast if valid.all() else contrast[valid], thin_max))
    return np.asarray(cv2.copyTo(marks, marks, codes), np.uint8)


def _water_table(water_max: int) -> NDArray[np.uint8]:
    table = np.zeros(256, np.uint8)
    table[: water_max + 1] = WATER
    return table


def _contrast(rgb: NDArray[np.uint8], marks: NDArray[np.uint8], dilate: int, median: int) -> NDArray[np.uint8]:
    """Steps 2 to 6: 255 minus the distance of the grey to its background, water and no-data (marks) painted white."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    cv2.bitwise_or(grey, cv2.threshold(marks, 0, 255, cv2.THRESH_BINARY)[1], grey)
    dilated = cv2.dilate(grey, np.ones((dilate, dilate), np.uint8))
    cv2.absdiff(grey, median_blur(np.asarray(dilated, np.uint8), median), grey)
    return np.asarray(cv2.bitwise_not(grey, grey), np.uint8)


def _classes(observed: NDArray[np.uint8], thin_max: int) -> NDArray[np.uint8]:
    """Steps 7 to 12 as a table from contrast to class: with Otsu's threshold and the range of the observed contrasts
    known, each step maps a grey level to a grey level whatever the pixel."""
    threshold, _ = cv2.threshold(observed.reshape(1, -1), 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    level: cv2.typing.MatLike = np.arange(256, dtype=np.uint8).reshape(1, -1)
    occurs = ((level >= observed.min()) & (level <= observed.max())).astype(np.uint8)
    level = cv2.threshold(level, threshold, 255, cv2.THRESH_TOZERO)[1]
    level = cv2.normalize(level, np.zeros_like(level), 0, 255, cv2.NORM_MINMAX, cv2.CV_8U, occurs)
    level = cv2.threshold(level, _TRUNCATE, 255, cv2.THRESH_TRUNC)[1]
    level = cv2.normalize(level, np.zeros_like(level), 0, 255, cv2.NORM_MINMAX, cv2.CV_8U, occurs)
    return np.where(level <= thin_max, THIN, THICK).astype(np.uint8).ravel()


def median_blur(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Median of the `size` x `size` pixels around each pixel of a (rows, columns) u8 image, its edge repeated outwards.

    Exact up to 255 pixels. Wider kernels take every k-th row and column, k the smallest number that brings the kernel
    to 255 or less, and interpolate between the medians: a lattice of at least 127 x 127 samples stands for the
    window. On the dilated real Ross Sea scene, kernels of 257 to 837 at 54 to 10 m, the mean error is at most 1.2
    grey levels and 99.8 % of the labels or more are those of the exact median (tests/unit/test_labels_iqrah2024.py).
    """
    if size <= WIDEST_MEDIAN:
        return np.asarray(cv2.medianBlur(image, size), np.uint8)
    (rows, columns), step = image.shape, -(-size // WIDEST_MEDIAN)
    at = [np.minimum(np.arange(0, length, step) + step // 2, length - 1) for length in (rows, columns)]
    coarse = cv2.medianBlur(image[np.ix_(*at)], kernel(size, step))
    full = cv2.resize(coarse, (len(at[1]) * step, len(at[0]) * step), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(full[:rows, :columns])

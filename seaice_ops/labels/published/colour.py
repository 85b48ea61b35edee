"""Labels from brightness alone: the colour segmentation of Iqrah et al. 2024.

The published limits leave hue and saturation free, so they are thresholds on V, the largest of red, green and blue.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

from seaice_ops.classes.legend import THICK, THIN, WATER

#: Pixels handled at a time: three planes of this size stay in a core's cache, which makes it twice as fast. Arrays half
#: as large are given back to the system after each strip, which costs as much again.
_STRIP = 1 << 18


def colour(
    rgb: NDArray[np.uint8], valid: NDArray[np.bool_], *, water_max: int = 30, thin_max: int = 204
) -> NDArray[np.uint8]:
    """Label a true colour: (rows, columns) u8 of WATER (V <= water_max), THIN (V <= thin_max), THICK; NODATA (255)
    exactly where not `valid`.

    `rgb` is (rows, columns, 3) u8, `valid` (rows, columns) bool. Each pixel stands alone, so the answer does not
    depend on how a scene is cut.
    """
    codes = np.empty(valid.shape, np.uint8)
    planes = None
    for rows in strips(valid.shape):
        planes = cv2.split(np.ascontiguousarray(rgb[rows]), planes)
        v, above = brightness(planes), planes[1]
        # The codes are 1, 2 and 3: one more for each limit that V exceeds. Half the time of a look-up.
        cv2.threshold(v, thin_max, THICK - THIN, cv2.THRESH_BINARY, above)
        cv2.threshold(v, water_max, THIN - WATER, cv2.THRESH_BINARY, v)
        np.add(cv2.add(v, above, v), WATER, out=codes[rows])
        codes[rows] |= not_valid(valid[rows])
    return codes


def strips(shape: tuple[int, ...]) -> Iterator[slice]:
    """Slices of whole rows that cover an array of this shape from top to bottom, each of about `_STRIP` pixels."""
    rows, columns = shape
    step = max(1, _STRIP // columns)
    return (slice(top, top + step) for top in range(0, rows, step))


def brightness(planes: Sequence[MatLike]) -> MatLike:
    """V, the largest of the red, green and blue plane, written over the first."""
    red, green, blue = planes
    return cv2.max(cv2.max(red, green, red), blue, red)


def counted(rgb: NDArray[np.uint8], valid: NDArray[np.bool_], least: float = 0) -> NDArray[np.int64]:
    """(4, 256) how often each value occurs in red, green, blue and V where `valid` and V is no less than `least`."""
    counts = np.zeros((4, 256), np.int64)
    for rows in strips(valid.shape):
        planes = cv2.split(np.ascontiguousarray(rgb[rows]))
        v = cv2.max(cv2.max(planes[0], planes[1]), planes[2])
        where = valid[rows] & (np.asarray(v) >= least)
        counts += [np.bincount(np.asarray(plane)[where], minlength=256) for plane in (*planes, v)]
    return counts


def not_valid(valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """255 where not `valid`, else 0: what is or-ed onto labels to take out the pixels that were not observed."""
    return valid.view(np.uint8) - np.uint8(1)  # 0 - 1 wraps to 255

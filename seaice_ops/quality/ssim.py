"""Structural similarity of two label images (Wang et al. 2004, IEEE Trans. Image Process. 13(4)).

Labels are rendered as the published filter's three grey levels: water 0, thin ice 155, thick ice 255. Per pixel, over
the 7 x 7 pixels around it with equal weights,

    ((2 m1 m2 + C1) (2 c + C2)) / ((m1^2 + m2^2 + C1) (v1 + v2 + C2)),   C1 = (0.01 * 255)^2, C2 = (0.03 * 255)^2

with means m, variances v and covariance c (divided by 48, the sample's). The answer is the mean over the pixels whose
whole window is judged, so never the outer 3 pixels. These are the defaults of scikit-image's `structural_similarity`
for 8-bit grey images, the usual way to compute it in Python.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from seaice_ops.classes.legend import CLASSES, THICK, THIN, WATER

WINDOW = 7
GREY = {WATER: 0, THIN: 155, THICK: 255}
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2

_EDGE = WINDOW // 2

#: Rows at a time: a dozen float64 planes of a whole tile would take 12 GB.
_ROWS = 512

Plane = NDArray[np.float64]


def ssim(first: NDArray[np.uint8], second: NDArray[np.uint8], where: NDArray[np.bool_] | None = None) -> float | None:
    """Mean structural similarity, at most 1, of two (rows, columns) u8 rasters of legend codes.

    Judged are the pixels where both name a class, and that are `where`; None where no whole window is judged.
    """
    table, named = np.zeros(256, np.uint8), np.zeros(256, np.bool_)
    table[list(GREY)] = list(GREY.values())
    named[list(CLASSES)] = True
    total, count = 0.0, 0
    for top in range(0, first.shape[0] - 2 * _EDGE, _ROWS):
        rows = slice(top, top + _ROWS + 2 * _EDGE)
        judged = named[first[rows]] & named[second[rows]]
        if where is not None:
            judged &= where[rows]
        values = _similarity(table[first[rows]], table[second[rows]])[_whole(judged)]
        total, count = total + float(values.sum()), count + values.size
    return total / count if count else None


def _whole(judged: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """True where the whole window lies within the picture and is judged."""
    kernel = np.ones((WINDOW, WINDOW), np.uint8)
    inner = cv2.erode(judged.astype(np.uint8), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return np.asarray(inner > 0)


def _similarity(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> Plane:
    x, y = first.astype(np.float64), second.astype(np.float64)
    mx, my = _mean(x), _mean(y)
    sample = WINDOW**2 / (WINDOW**2 - 1)
    vx, vy, c = (sample * (_mean(a * b) - m) for a, b, m in ((x, x, mx * mx), (y, y, my * my), (x, y, mx * my)))
    return np.asarray(((2 * mx * my + C1) * (2 * c + C2)) / ((mx**2 + my**2 + C1) * (vx + vy + C2)))


def _mean(plane: Plane) -> Plane:
    return np.asarray(cv2.blur(plane, (WINDOW, WINDOW)), np.float64)

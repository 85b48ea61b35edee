"""The picture of a change at one time: true colour beside the classes, the change's edge drawn on both."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from seaice_ops.classes.legend import CLASSES, COLOURS

#: Longest edge of each half of a picture, pixels; smaller ones are shown with larger pixels.
LONGEST = 512

#: Pixels of surroundings on each side of a change, at least, and the least edge of what is shown.
MARGIN, LEAST = 24, 96

_EDGE, _UNSEEN, _GAP = (255, 0, 200), (189, 189, 189), 6


def window_of(box: tuple[int, int, int, int], height: int, width: int) -> tuple[int, int, int, int]:
    """(first row, first column, rows, columns) to show around the `box` of a change in a tile of that size."""
    rows, columns = (
        _span(first, count, size) for first, count, size in ((box[0], box[2], height), (box[1], box[3], width))
    )
    return rows[0], columns[0], rows[1], columns[1]


def _span(first: int, count: int, size: int) -> tuple[int, int]:
    wanted = min(max(count + 2 * MARGIN, LEAST), size)
    start = min(max(first + count // 2 - wanted // 2, 0), size - wanted)
    return start, wanted


def chip(
    colour: NDArray[np.uint8], seen: NDArray[np.bool_], codes: NDArray[np.uint8], mask: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """(rows, columns, 3) u8: the true `colour` (h, w, 3) u8, a gap, and the classes `codes` (h, w) u8.

    Grey where the acquisition was not `seen` (h, w), or where it told no class. `mask` (h, w) is the change.
    """
    left = np.where(seen[..., None], colour, np.uint8(_UNSEEN[0]))
    palette = np.tile(np.array(_UNSEEN, np.uint8), (256, 1))
    for code in CLASSES:
        palette[code] = COLOURS[code][:3]
    edge = mask & ~cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.bool_)
    halves = [_sized(half, edge) for half in (left, palette[codes])]
    gap = np.full((halves[0].shape[0], _GAP, 3), 255, np.uint8)
    return np.hstack([halves[0], gap, halves[1]])


def _sized(picture: NDArray[np.uint8], edge: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """`picture` with the `edge` drawn, thinned or with larger pixels; colours of classes are never mixed."""
    rows, columns = picture.shape[:2]
    longest = max(rows, columns)
    if longest > LONGEST:
        step = -(-longest // LONGEST)
        rows, columns = rows // step * step, columns // step * step
        cells = edge[:rows, :columns].reshape(rows // step, step, columns // step, step)
        picture, edge = picture[:rows:step, :columns:step], np.asarray(cells.any(axis=(1, 3)))
    factor = max(1, LONGEST // max(picture.shape[:2]))
    drawn = picture.copy()
    drawn[edge] = _EDGE
    return drawn.repeat(factor, axis=0).repeat(factor, axis=1)

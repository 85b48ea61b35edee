"""Approved changes in `class_stable`: arrays only.

A window that holds acquisitions from before a change cannot show it: too many of them saw the class before. Where a
person has approved the change, its pixels show the class after it from its date on. When the whole window lies after
the change, they show it as long as the window's vote agrees, and else what the evidence says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from seaice_ops.classes.legend import CLASSES
from seaice_ops.mapping.window.vote import COUNT


@dataclass(frozen=True)
class Painting:
    """From `at` on, `mask` (rows, columns) bool, whose first pixel is (`top`, `left`), is of class `code`."""

    at: datetime
    code: int
    top: int
    left: int
    mask: NDArray[np.bool_]


@dataclass(frozen=True)
class Stroke:
    """Pixels to paint: `where` (rows, columns) bool of the part of the tile at `rows` and `columns`."""

    rows: slice
    columns: slice
    where: NDArray[np.bool_]
    code: int


def strokes(paintings: Sequence[Painting], rows: slice, sums: NDArray[np.uint16], start: datetime) -> Iterator[Stroke]:
    """What the `paintings`, in their order, change in a strip of `rows`.

    `sums` (`vote.PLANES`, rows, columns) u16 is the strip's state of a window that begins at `start`. Nothing is
    painted where no acquisition of the window saw the pixel.
    """
    for each in paintings:
        top, bottom = max(rows.start, each.top), min(rows.stop, each.top + len(each.mask))
        if top >= bottom:
            continue
        columns = slice(each.left, each.left + each.mask.shape[1])
        part = sums[:, top - rows.start : bottom - rows.start, columns]
        where = each.mask[top - each.top : bottom - each.top] & (part[COUNT] > 0)
        if start >= each.at:
            where &= part[: len(CLASSES)].argmax(axis=0) == CLASSES.index(each.code)
        yield Stroke(slice(top, bottom), columns, where, each.code)

"""Changed pixels that belong together: from one class to one other, adjacent, at nearly the same time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from seaice_ops.mapping.change.pixels import MOST

#: Longest time between the changes of two adjacent pixels of one component.
NEAR = timedelta(days=5)

#: Least number of pixels of a component. A lead may have fewer, where it is at least `LEAD` pixels long and `SLENDER`
#: times as long as wide.
PIXELS, LEAD, SLENDER = 100, 50, 5.0

#: Least mean of the pixels' agreement. Single pixels may have less: any labels are wrong here and there.
AGREEMENT = 80

#: Steps to the neighbours that come later in the order of rows: with those to the earlier ones they are all eight.
_STEPS = ((0, 1), (1, -1), (1, 0), (1, 1))


@dataclass(frozen=True)
class Component:
    """Pixels that changed together; at least one."""

    pixels: NDArray[np.void]
    """(n,) of `pixels.CHANGE`, by row and column."""
    times: tuple[datetime, ...]
    """Sensing times of the acquisitions that their numbers mean."""

    @property
    def before(self) -> int:
        """Class before."""
        return int(self.pixels["before"][0])

    @property
    def after(self) -> int:
        """Class after."""
        return int(self.pixels["after"][0])

    @property
    def confirmed(self) -> bool:
        """Whether enough maps have followed the change of half of its pixels."""
        return bool(2 * self.pixels["confirmed"].sum() >= len(self.pixels))

    @property
    def confidence(self) -> int:
        """Mean percentage of the acquisitions that agree with the change of a pixel."""
        return round(float(self.pixels["agreement"].mean()))

    def date(self, share: float = 0.5) -> datetime:
        """The sensing time by which that share of the pixels had changed."""
        order = np.sort(self.pixels["index"])
        return self.times[int(order[min(int(share * len(order)), len(order) - 1)])]

    @property
    def since(self) -> datetime:
        """The last acquisition that showed the class before: the change lies after it (median of the pixels)."""
        return self.times[int(np.sort(self.pixels["since"])[len(self.pixels) // 2])]

    @cached_property
    def box(self) -> tuple[int, int, int, int]:
        """(first row, first column, rows, columns) of the pixels."""
        rows, columns = self.pixels["row"], self.pixels["column"]
        top, left = int(rows.min()), int(columns.min())
        return top, left, int(rows.max()) - top + 1, int(columns.max()) - left + 1

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """(rows, columns) bool of the box."""
        top, left, height, width = self.box
        mask = np.zeros((height, width), np.bool_)
        mask[self.pixels["row"] - top, self.pixels["column"] - left] = True
        return mask


def components(found: NDArray[np.void], times: Sequence[datetime], width: int) -> list[Component]:
    """The components of `found`, (n,) of `pixels.CHANGE` in a tile of `width` columns, that count.

    The largest first; of equal ones the one that begins further up, then further left.
    """
    if not len(found):
        return []
    found = np.sort(found, order=("before", "after", "row", "column", "index"))
    place = _place(found, width)
    order = np.argsort(place)
    found = found[order]
    numbers = _numbers(found, place[order], times, width)
    parts = np.split(np.argsort(numbers, kind="stable"), np.cumsum(np.bincount(numbers))[:-1])
    whole = [Component(found[part], tuple(times)) for part in parts if _counts(found[part])]
    return sorted(whole, key=lambda each: (-len(each.pixels), each.box))


def _numbers(
    found: NDArray[np.void], place: NDArray[np.int64], times: Sequence[datetime], width: int
) -> NDArray[np.int32]:
    """(n,) number of the component of each change, at ascending places."""
    days = np.array([(time - times[0]) / timedelta(days=1) for time in times])[found["index"]]
    first, second = [], []
    for down, right in _STEPS:
        column = found["column"] + right
        at = np.searchsorted(place, wanted := place + down * (width + 2) + right)
        at = np.minimum(at, len(place) - 1)
        joined = (place[at] == wanted) & (column >= 0) & (column < width)
        joined &= np.abs(days[at] - days) <= NEAR / timedelta(days=1)
        first.append(np.flatnonzero(joined))
        second.append(at[joined])
    ends = np.concatenate(first), np.concatenate(second)
    graph = coo_array((np.ones(len(ends[0]), np.uint8), ends), shape=(len(found), len(found)))
    return np.asarray(connected_components(graph, directed=False)[1], np.int32)


def _place(found: NDArray[np.void], width: int) -> NDArray[np.int64]:
    """(n,) number of each sorted change's place: one more to the right, `width` + 2 more below.

    Changes of other classes, and the second such change of one pixel, are far apart.
    """
    place = found["row"].astype(np.int64) * (width + 2) + found["column"]
    kind = found["before"].astype(np.int64) * 4 + found["after"]
    far = (int(found["row"].max()) + 3) * (width + 2)
    whole = kind * MOST * far + place
    again = np.zeros(len(whole), np.int64)
    for _ in range(MOST - 1):
        again[1:] = np.where(whole[1:] == whole[:-1], again[:-1] + 1, 0)
    return np.asarray(whole + again * far)


def _counts(part: NDArray[np.void]) -> bool:
    """Whether these pixels are large enough, or long enough, and sure enough."""
    if part["agreement"].mean() < AGREEMENT or len(part) < LEAD:
        return False
    if len(part) >= PIXELS:
        return True
    long = length(part)
    return long >= LEAD and long * long >= SLENDER * len(part)


def length(part: NDArray[np.void]) -> float:
    """Length in pixels of the longer side of the smallest rectangle, at any angle, around the changes' pixels."""
    points = np.column_stack([part["column"], part["row"]]).astype(np.float32)
    return float(max(cv2.minAreaRect(points)[1])) + 1

"""Fast ice: ice that stays thick and hangs together with land or shelf.

After the season's own observations: thick in at least 90 % of at least five observations over at least ten days, and
connected, through such pixels, to land or ice shelf.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import cv2
import numpy as np
from numpy.typing import NDArray

#: Observations that a candidate needs, the share of them that is thick, and the days that they span.
OBSERVATIONS, SHARE, SPAN_DAYS = 5, 0.9, 10.0


def candidates(
    read: Callable[[int], NDArray[np.uint8]], times: Sequence[datetime], window: range, shape: tuple[int, int]
) -> NDArray[np.bool_]:
    """(rows, columns) bool: pixels that stayed thick over the acquisitions of `window`.

    `read(i)` gives acquisition i as (3, rows, columns) u8 class probabilities, (0, 0, 0) where it saw nothing.
    """
    seen, thick = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    first, last = np.full(shape, np.inf, np.float32), np.full(shape, -np.inf, np.float32)
    for index in window:
        p, day = read(index), (times[index] - times[window.start]) / timedelta(days=1)
        valid = (p[0] | p[1] | p[2]) != 0
        seen += valid
        thick += valid & (p[2] > p[0]) & (p[2] > p[1])
        np.copyto(first, np.minimum(first, day), where=valid)
        np.copyto(last, np.float32(day), where=valid)
    return (seen >= OBSERVATIONS) & (thick >= SHARE * seen) & (last - first >= SPAN_DAYS)


def attached(candidate: NDArray[np.bool_], land: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels of `candidate` that are 8-connected, through candidates, to `land`; both (rows, columns) bool."""
    count, pieces = cv2.connectedComponents((candidate | land).astype(np.uint8), connectivity=8)
    ashore = np.zeros(count, np.bool_)
    ashore[pieces[land]] = True
    ashore[0] = False  # neither candidate nor land
    return np.asarray(candidate & ~land & ashore[pieces])

"""Fast ice: ice that stays thick and hangs together with land or ice shelf."""

from __future__ import annotations

from datetime import timedelta

import cv2
import numpy as np
from numpy.typing import NDArray

#: Acquisitions that must have seen a pixel of fast ice, the share of them that must rank thick ice first, and the days
#: that the window must span. The season's own rule asks for 20 days; a window of 15 acquisitions seldom spans them, and
#: shorter spans take drifting pack for fast ice.
SEEN, SHARE, SPAN = 5, 0.9, timedelta(days=10)


def candidates(seen: NDArray[np.integer], thick: NDArray[np.integer], span: timedelta) -> NDArray[np.bool_]:
    """(rows, columns) bool: pixels that stayed thick in a window that spans the time `span`.

    `seen` and `thick` (rows, columns): how many acquisitions saw the pixel, and how many of them ranked thick first.
    """
    if span < SPAN:
        return np.zeros(seen.shape, np.bool_)
    return np.asarray((seen >= SEEN) & (thick >= SHARE * seen))


def attached(candidate: NDArray[np.bool_], land: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels of `candidate` that are 8-connected, through candidates, to `land`; both (rows, columns) bool."""
    count, pieces = cv2.connectedComponents((candidate | land).astype(np.uint8), connectivity=8)
    ashore = np.zeros(count, np.bool_)
    ashore[pieces[land]] = True
    ashore[0] = False  # neither candidate nor land
    return np.asarray(candidate & ~land & ashore[pieces])

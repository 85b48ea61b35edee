"""What stays as it is: pixels of one class over the whole window, and among them fast ice."""

from __future__ import annotations

from datetime import timedelta

import cv2
import numpy as np
from numpy.typing import NDArray

from seaice_ops.classes.legend import NODATA, THICK, THIN, WATER
from seaice_ops.mapping.window.vote import COUNT, THICK_FIRST, WATER_FIRST

#: Value of a pixel that was seen and does not stay as it is.
NOT_STABLE = 0

#: Acquisitions that must have seen a steady pixel, the share of them that must rank its class first, and the days that
#: the window must span. The season's own rule for fast ice asks for 20 days, which a window of 15 acquisitions seldom
#: spans; over fewer than 10 drifting pack passes for it.
SEEN, SHARE, SPAN = 5, 0.9, timedelta(days=10)


def steady(state: NDArray[np.uint16], span: timedelta) -> NDArray[np.uint8]:
    """(rows, columns) u8: the class of each pixel that kept it over a window that spans the time `span`.

    `state` is the window's (`vote.PLANES`, rows, columns) state. NOT_STABLE where no class was kept, or too few
    acquisitions saw the pixel; NODATA where none did.
    """
    seen, water, thick = state[COUNT], state[WATER_FIRST], state[THICK_FIRST]
    kept = np.full(seen.shape, NOT_STABLE, np.uint8)
    if span >= SPAN:
        for code, count in ((WATER, water), (THICK, thick), (THIN, seen - water - thick)):
            kept[(seen >= SEEN) & (count >= SHARE * seen)] = code
    kept[seen == 0] = NODATA
    return kept


def fast_ice(kept: NDArray[np.uint8], land: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(rows, columns) bool: thick ice that stays (`kept`, of `steady`) and touches `land` through such ice."""
    candidate = (kept == THICK) & ~land
    count, pieces = cv2.connectedComponents((candidate | land).astype(np.uint8), connectivity=8)
    ashore = np.zeros(count, np.bool_)
    ashore[pieces[land]] = True
    ashore[0] = False  # neither candidate nor land
    return np.asarray(candidate & ashore[pieces])

"""Stable pixels, which keep one class over the whole window, and fast ice among them."""

from __future__ import annotations

from datetime import timedelta

import cv2
import numpy as np
from numpy.typing import NDArray

from seaice_ops.classes.legend import NODATA, THICK, THIN, WATER
from seaice_ops.mapping.window.vote import COUNT, THICK_FIRST, WATER_FIRST

#: Value of a pixel that was observed and is not stable.
NOT_STABLE = 0

#: Conditions for a stable pixel: least number of valid acquisitions, share of them that rank its class first, and
#: length of the window. Fast ice is usually defined by 20 days, which a window of 15 acquisitions seldom spans; in
#: fewer than 10 days drifting pack ice can look stable.
SEEN, SHARE, SPAN = 5, 0.9, timedelta(days=10)


def steady(state: NDArray[np.uint16], span: timedelta) -> NDArray[np.uint8]:
    """(rows, columns) u8: the class of each stable pixel in a window of length `span`.

    `state` is the window's (`vote.PLANES`, rows, columns) u16 state. NOT_STABLE where the class changed or too few
    acquisitions observed the pixel; NODATA where none did.
    """
    seen, water, thick = state[COUNT], state[WATER_FIRST], state[THICK_FIRST]
    kept = np.full(seen.shape, NOT_STABLE, np.uint8)
    if span >= SPAN:
        for code, count in ((WATER, water), (THICK, thick), (THIN, seen - water - thick)):
            kept[(seen >= SEEN) & (count >= SHARE * seen)] = code
    kept[seen == 0] = NODATA
    return kept


def fast_ice(kept: NDArray[np.uint8], land: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(rows, columns) bool: stable thick ice (of `kept`, as `steady` returns it) that is connected to `land`."""
    candidate = (kept == THICK) & ~land
    count, pieces = cv2.connectedComponents((candidate | land).astype(np.uint8), connectivity=8)
    ashore = np.zeros(count, np.bool_)
    ashore[pieces[land]] = True
    ashore[0] = False  # neither candidate nor land
    return np.asarray(candidate & ashore[pieces])

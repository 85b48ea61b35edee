"""Mixed pixels on the edge of two classes, decided by brightness alone.

A pixel that is part water and part snow has the brightness of thin ice. Linear mixing of the two surfaces is assumed:
where brightness changes by at least 5/16 of the brighter side within two pixels, a pixel in between gets the class of
its darkest or of its brightest neighbour, whichever is nearer in brightness.
"""

from __future__ import annotations

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

from seaice_ops.classes.legend import THICK, THIN, WATER

#: Radius in pixels of the neighbourhood that a pixel's result depends on.
REACH = 3

#: There is an edge where the darkest neighbour is below this share of the brightest.
STEP = 11 / 16

Codes = NDArray[np.uint8]


def extremes(brightness: Codes, unknown: NDArray[np.bool_] | None = None) -> tuple[Codes, Codes]:
    """Minimum and maximum of `brightness` within two pixels of each pixel, both (rows, columns) u8.

    `brightness` (rows, columns) u8; `unknown` (rows, columns) bool marks pixels to leave out, None for none.
    """
    wide = np.ones((5, 5), np.uint8)
    dark: MatLike = brightness
    bright: MatLike = brightness
    if unknown is not None:
        hidden = unknown * np.uint8(255)
        dark, bright = cv2.max(brightness, hidden), cv2.subtract(brightness, hidden)
    return np.asarray(cv2.erode(dark, wide), np.uint8), np.asarray(cv2.dilate(bright, wide), np.uint8)


def unmixed(classes: Codes, brightness: Codes, darkest: Codes, brightest: Codes) -> Codes:
    """(rows, columns) u8: `classes` with each mixed pixel given the class of the surface nearer in brightness.

    `classes` and `brightness` (rows, columns) u8; `darkest` and `brightest` are the `extremes` of the brightness.
    Pixels with codes above THICK (no class) do not influence others and keep their code.
    """
    near, wide = np.ones((3, 3), np.uint8), np.ones((5, 5), np.uint8)
    classed: MatLike = classes
    if cv2.minMaxLoc(classes)[1] > THICK:
        classed = cv2.threshold(classes, THICK, 0, cv2.THRESH_TOZERO_INV)[1]
    step = brightness_step(darkest, brightest)
    low, high = lowest(classes, wide), np.asarray(cv2.dilate(classed, wide), np.uint8)
    between = step & (high - low == 1) & (classes <= THICK)
    edge = (lowest(classes, near) == WATER) & (np.asarray(cv2.dilate(classed, near)) == THICK)
    across = step & (classes >= THIN) & (classes <= THICK) & edge
    brighter = brightness - darkest > brightest - brightness
    changed, decided = between | across, classes.copy()
    for side, chosen in ((high, changed & brighter), (low, changed & ~brighter)):
        cv2.copyTo(side, chosen.view(np.uint8), decided)
    return decided


def brightness_step(darkest: Codes, brightest: Codes) -> NDArray[np.bool_]:
    """(rows, columns) bool: the darkest neighbour is darker than the brightest by at least 5/16 of the brightest."""
    return np.asarray(darkest < np.asarray(cv2.convertScaleAbs(brightest, alpha=STEP)))


def on_edge(classes: Codes) -> NDArray[np.bool_]:
    """(rows, columns) bool: pixels with a class that have another class among their eight neighbours."""
    near = np.ones((3, 3), np.uint8)
    return np.asarray((lowest(classes, near) < highest(classes, near)) & (classes <= THICK))


def lowest(classes: Codes, window: Codes) -> Codes:
    """(rows, columns) u8: the lowest class within the window; codes above THICK never lower it."""
    return np.asarray(cv2.erode(classes, window), np.uint8)


def highest(classes: Codes, window: Codes) -> Codes:
    """(rows, columns) u8: the highest class within the window; codes above THICK are ignored."""
    return np.asarray(cv2.dilate(cv2.threshold(classes, THICK, 0, cv2.THRESH_TOZERO_INV)[1], window), np.uint8)

"""Pixels on the edge of two classes: which of the two they hold more of, by brightness alone.

A pixel that is part water and part snow has the brightness of thin ice. Where brightness changes by five sixteenths
or more within two pixels, a pixel in between belongs to the class of the darkest or of the brightest neighbour,
whichever it is nearer to: linear mixing of two surfaces, and half of each is the limit.
"""

from __future__ import annotations

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

from seaice_ops.classes.legend import THICK, THIN, WATER

#: How far the labels of an array's pixels reach.
REACH = 3

#: Brightness changes where its darkest is less than this part of its brightest.
STEP = 11 / 16

Codes = NDArray[np.uint8]


def extremes(brightness: Codes, unknown: NDArray[np.bool_] | None = None) -> tuple[Codes, Codes]:
    """The darkest and the brightest within two pixels of each of `brightness` (rows, columns) u8, of those not
    `unknown`."""
    wide = np.ones((5, 5), np.uint8)
    dark: MatLike = brightness
    bright: MatLike = brightness
    if unknown is not None:
        hidden = unknown * np.uint8(255)
        dark, bright = cv2.max(brightness, hidden), cv2.subtract(brightness, hidden)
    return np.asarray(cv2.erode(dark, wide), np.uint8), np.asarray(cv2.dilate(bright, wide), np.uint8)


def unmixed(classes: Codes, brightness: Codes, darkest: Codes, brightest: Codes) -> Codes:
    """`classes` (rows, columns) u8 with the pixels between two surfaces given to the nearer one.

    `brightness` (rows, columns) u8, and its `extremes` among the pixels of a class. Codes above THICK (no class) have
    no say and keep theirs.
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
    """Where brightness changes by five sixteenths of the brighter side or more."""
    return np.asarray(darkest < np.asarray(cv2.convertScaleAbs(brightest, alpha=STEP)))


def on_edge(classes: Codes) -> NDArray[np.bool_]:
    """(rows, columns) bool: pixels of a class with another class among the eight around them."""
    near = np.ones((3, 3), np.uint8)
    return np.asarray((lowest(classes, near) < highest(classes, near)) & (classes <= THICK))


def lowest(classes: Codes, window: Codes) -> Codes:
    """The least class within the window; codes above THICK have no say."""
    return np.asarray(cv2.erode(classes, window), np.uint8)


def highest(classes: Codes, window: Codes) -> Codes:
    """The greatest class within the window; codes above THICK have no say."""
    return np.asarray(cv2.dilate(cv2.threshold(classes, THICK, 0, cv2.THRESH_TOZERO_INV)[1], window), np.uint8)

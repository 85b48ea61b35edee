"""What becomes of a whole scene's labels in the end: brash is settled, what cannot be known is left out."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from seaice_ops import legend
from seaice_ops.labels import edges, reasons, shapes
from seaice_ops.labels.pixels import DARK, HIDING, SHAPED
from seaice_ops.labels.result import NONE

#: Sun zenith in degrees from which on brightness says little (LOW_SUN) and nothing (210): at 80 degrees the direct
#: beam crosses 5.6 atmospheres, at 85 more than 10, and slopes of 5 degrees lie in their own shadow.
LOW_SUN, NO_SUN = 80.0, 85.0

#: Confidence in % below which a pixel is 205: two classes look alike there.
DOUBTED = 54

#: Part of its confidence that a label on an edge keeps; largest confidence in % of one that a shape gave.
_ON_EDGE, _BY_SHAPE = 0.75, 50

_PIXELS = 1 << 17  # that are settled together: what fits into a processor's cache

Bytes = NDArray[np.uint8]


def settle(classes: Bytes, confidence: Bytes, notes: Bytes, zenith: float) -> None:
    """Bring a scene's (rows, columns) planes, as `pixels.labelled` made them, into their final form, in place; `zenith`
    of the sun in degrees. The notes become reasons."""
    rows, columns = classes.shape
    wet, step = shapes.wet(classes), max(1, _PIXELS // columns // shapes.BLOCK) * shapes.BLOCK
    above = np.empty((0, columns), np.uint8)
    for top in range(0, rows, step):
        strip, below = slice(top, top + step), slice(top, top + step + 1)
        near, brash = _without_brash(classes[below], notes[below], wet[top // shapes.BLOCK :])
        notes[strip] |= brash[:step] & np.uint8(SHAPED)
        edge = edges.on_edge(np.concatenate([above, near]))[len(above) :][:step]
        classes[strip], above = near[:step], near[step - 1 : step]
        _leave_out(classes[strip], confidence[strip], notes[strip], edge, zenith)


def _without_brash(classes: Bytes, notes: Bytes, wet: Bytes) -> tuple[Bytes, Bytes]:
    """`classes` where brash is what it holds more of, by brightness; and 255 where it was."""
    brash = shapes.brash(classes, wet)
    settled = classes + (brash & np.uint8(legend.THICK - legend.THIN))
    settled -= ((brash & notes & np.uint8(DARK)) > 0) * np.uint8(legend.THICK - legend.WATER)
    return settled, brash


def _leave_out(classes: Bytes, confidence: Bytes, notes: Bytes, edge: NDArray[np.bool_], zenith: float) -> None:
    missing = (classes == legend.NODATA) * np.uint8(255)
    veiled = (notes & np.uint8(reasons.CLOUD | reasons.SHADOW)) > 0
    told = (veiled & edge) | ((notes & np.uint8(SHAPED)) > 0)  # an edge that can be seen below a veil is not hidden
    doubted = (confidence < DOUBTED) & ~told & (classes <= legend.THICK)
    hidden = doubted | ((notes >= HIDING) & (classes <= legend.THICK))
    cv2.max(classes, hidden * np.uint8(legend.CLOUD), classes)
    if zenith >= LOW_SUN:
        notes |= np.uint8(reasons.LOW_SUN)
    if zenith >= NO_SUN:
        classes[missing == 0] = legend.LOW_SUN
    notes |= (edge | (doubted & ~veiled)) * np.uint8(reasons.MIXED_EDGE)
    cv2.copyTo(cv2.convertScaleAbs(confidence, alpha=_ON_EDGE), edge.view(np.uint8), confidence)
    at_most = cv2.threshold(confidence, _BY_SHAPE, 0, cv2.THRESH_TRUNC)[1]
    cv2.copyTo(at_most, notes & np.uint8(SHAPED), confidence)
    confidence |= (classes > legend.THICK) * np.uint8(NONE)
    notes &= ~missing & np.uint8(reasons.ALL)

"""Post-processing of a whole scene's labels: doubt between water and young ice goes by what there is more of around,
and what cannot be known is left out."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from seaice_ops.classes import legend
from seaice_ops.classes import quality_flags as reasons
from seaice_ops.labels.reflectance import edges, shapes
from seaice_ops.labels.reflectance.pixels import EVEN, HIDING, SHAPED, WATERY
from seaice_ops.labels.result import NO_CONFIDENCE as NONE

#: Sun zenith in degrees from which on brightness says little (LOW_SUN) and nothing (210): at 80 degrees the direct
#: beam crosses 5.6 atmospheres, at 85 more than 10, and slopes of 5 degrees lie in their own shadow.
LOW_SUN, NO_SUN = 80.0, 85.0

#: Confidence in % below which a pixel is 205: two classes look alike there.
DOUBTED = 53

#: Part of its confidence that a label on an edge keeps; largest confidence in % of one that a shape gave.
_ON_EDGE, _BY_SHAPE = 0.75, 50

#: Confidence in % from which on a pixel stays water or thin ice, whatever lies around.
_CERTAIN = 85

_DOUBTFUL, _OF_EVEN = 16, 32  # bits that neither a class has, nor what it lies amid, nor WATERY

_PIXELS = 1 << 17  # at a time: what fits into a processor's cache

Bytes = NDArray[np.uint8]


def post_process(classes: Bytes, confidence: Bytes, notes: Bytes, zenith: float) -> None:
    """Bring a scene's (rows, columns) planes, as `pixels.labelled` made them, into their final form, in place; `zenith`
    of the sun in degrees. The notes become reasons."""
    rows, columns = classes.shape
    lie, step = shapes.amid(classes), max(1, _PIXELS // columns // shapes.BLOCK) * shapes.BLOCK
    above = np.empty((0, columns), np.uint8)
    for top in range(0, rows, step):
        strip, below = slice(top, top + step), slice(top, top + step + 1)
        near, shaped = _by_surroundings(classes[below], confidence[below], notes[below], lie[top // shapes.BLOCK :])
        notes[strip] |= shaped[:step]
        edge = edges.on_edge(np.concatenate([above, near]))[len(above) :][:step]
        classes[strip], above = near[:step], near[step - 1 : step]
        _leave_out(classes[strip], confidence[strip], notes[strip], edge, zenith)


def _by_surroundings(classes: Bytes, confidence: Bytes, notes: Bytes, lie: Bytes) -> tuple[Bytes, Bytes]:
    """`classes` with doubtful uneven thin ice amid water, brash, as what it holds more of, water or thick ice, and
    doubtful water amid young ice as young ice; and SHAPED where either was. An even field is no brash."""
    doubtful = np.asarray(cv2.threshold(confidence, _CERTAIN - 1, _DOUBTFUL, cv2.THRESH_BINARY_INV)[1], np.uint8)
    told = (notes & np.uint8(WATERY)) | (notes & np.uint8(EVEN)) * np.uint8(_OF_EVEN // EVEN)
    known = classes | shapes.at_pixels(lie, *classes.shape) | doubtful | told
    return np.asarray(cv2.LUT(known, _SETTLED), np.uint8), np.asarray(cv2.LUT(known, _BY_LIE), np.uint8)


def _tables() -> tuple[Bytes, Bytes]:
    """(256,) u8: class and SHAPED of a pixel by its class, with bits for what it lies amid, doubt, and WATERY."""
    known = np.arange(256, dtype=np.uint8)
    classes = np.where(known == legend.NODATA, known, known & np.uint8(3))
    doubtful = ((known & np.uint8(_DOUBTFUL)) > 0) & (known != legend.NODATA)
    uneven = (known & np.uint8(_OF_EVEN)) == 0
    brash = doubtful & uneven & (classes == legend.THIN) & ((known & np.uint8(shapes.AMID_WATER)) > 0)
    refrozen = doubtful & (classes == legend.WATER) & ((known & np.uint8(shapes.AMID_YOUNG_ICE)) > 0)
    decided = np.where(brash, np.where(known & np.uint8(WATERY), legend.WATER, legend.THICK), classes)
    decided = np.where(refrozen, legend.THIN, decided)
    return decided.astype(np.uint8), ((brash | refrozen) * SHAPED).astype(np.uint8)


_SETTLED, _BY_LIE = _tables()


def _leave_out(classes: Bytes, confidence: Bytes, notes: Bytes, edge: NDArray[np.bool_], zenith: float) -> None:
    missing = (classes == legend.NODATA) * np.uint8(255)
    veiled = (notes & np.uint8(reasons.CLOUD | reasons.SHADOW)) > 0
    told = (veiled & edge) | ((notes & np.uint8(SHAPED)) > 0)  # an edge that can be seen below a veil is not hidden
    doubted = (confidence < DOUBTED) & ~told & (classes <= legend.THICK)
    hidden = doubted | ((notes >= HIDING) & (classes <= legend.THICK))
    cv2.max(classes, hidden * np.uint8(legend.CLOUD), classes)
    notes &= ~np.uint8(EVEN)
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

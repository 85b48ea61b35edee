"""Post-processing of a whole scene's labels.

Doubtful water and young ice get the class that prevails around them; pixels that stay undecided are masked.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from seaice_ops.classes import legend, quality_flags
from seaice_ops.labels.reflectance import edges, shapes
from seaice_ops.labels.reflectance.pixels import EVEN, HIDING, SHAPED, WATERY
from seaice_ops.labels.result import NO_CONFIDENCE as NONE

#: Sun zenith angles in degrees from which on pixels are flagged (LOW_SUN) and masked (210): at 80 degrees the air mass
#: is 5.6; at 85 it is more than 10, and slopes of 5 degrees lie in their own shadow.
LOW_SUN, NO_SUN = 80.0, 85.0

#: Confidence in % below which a pixel is masked (205): two classes look alike there.
DOUBTED = 53

#: Factor on the confidence of a label on an edge; largest confidence in % of a label that a shape gave.
_ON_EDGE, _BY_SHAPE = 0.75, 50

#: Confidence in % from which on water and thin ice keep their class whatever surrounds them.
_CERTAIN = 85

_DOUBTFUL, _EVEN_BIT = 16, 32  # bits used by no class, by neither bit of `shapes.amid`, nor by WATERY

_PIXELS = 1 << 17  # processed at once: they fit into a processor's cache

Bytes = NDArray[np.uint8]


def post_process(classes: Bytes, confidence: Bytes, notes: Bytes, zenith: float) -> None:
    """Finish the labels of a scene in place: (rows, columns) u8 planes as `pixels.labelled` makes them.

    `zenith` of the sun in degrees. Afterwards `notes` are quality flags, and masked pixels have the legend's codes and
    the confidence NONE.
    """
    rows, columns = classes.shape
    context, step = shapes.amid(classes), max(1, _PIXELS // columns // shapes.BLOCK) * shapes.BLOCK
    above = np.empty((0, columns), np.uint8)
    for top in range(0, rows, step):
        strip, below = slice(top, top + step), slice(top, top + step + 1)
        near, shaped = _by_surroundings(classes[below], confidence[below], notes[below], context[top // shapes.BLOCK :])
        notes[strip] |= shaped[:step]
        edge = edges.on_edge(np.concatenate([above, near]))[len(above) :][:step]
        classes[strip], above = near[:step], near[step - 1 : step]
        _mask(classes[strip], confidence[strip], notes[strip], edge, zenith)


def _by_surroundings(classes: Bytes, confidence: Bytes, notes: Bytes, context: Bytes) -> tuple[Bytes, Bytes]:
    """(rows, columns) u8 `classes` with two changes, and SHAPED where a pixel was changed.

    Doubtful thin ice amid water is brash where brightness is uneven: it becomes water or thick ice, whichever it holds
    more of. Doubtful water amid young ice becomes thin ice. `context` are the bits of `shapes.amid`, by blocks.
    """
    doubtful = np.asarray(cv2.threshold(confidence, _CERTAIN - 1, _DOUBTFUL, cv2.THRESH_BINARY_INV)[1], np.uint8)
    hints = (notes & np.uint8(WATERY)) | (notes & np.uint8(EVEN)) * np.uint8(_EVEN_BIT // EVEN)
    known = classes | shapes.at_pixels(context, *classes.shape) | doubtful | hints
    return np.asarray(cv2.LUT(known, _CLASS_TABLE), np.uint8), np.asarray(cv2.LUT(known, _SHAPED_TABLE), np.uint8)


def _tables() -> tuple[Bytes, Bytes]:
    """(256,) u8 each: class and SHAPED of a pixel, indexed by its class with the bits of `shapes.amid`, _DOUBTFUL,
    _EVEN_BIT and WATERY."""
    known = np.arange(256, dtype=np.uint8)
    classes = np.where(known == legend.NODATA, known, known & np.uint8(3))
    doubtful = ((known & np.uint8(_DOUBTFUL)) > 0) & (known != legend.NODATA)
    uneven = (known & np.uint8(_EVEN_BIT)) == 0
    brash = doubtful & uneven & (classes == legend.THIN) & ((known & np.uint8(shapes.AMID_WATER)) > 0)
    refrozen = doubtful & (classes == legend.WATER) & ((known & np.uint8(shapes.AMID_YOUNG_ICE)) > 0)
    decided = np.where(brash, np.where(known & np.uint8(WATERY), legend.WATER, legend.THICK), classes)
    decided = np.where(refrozen, legend.THIN, decided)
    return decided.astype(np.uint8), ((brash | refrozen) * SHAPED).astype(np.uint8)


_CLASS_TABLE, _SHAPED_TABLE = _tables()


def _mask(classes: Bytes, confidence: Bytes, notes: Bytes, edge: NDArray[np.bool_], zenith: float) -> None:
    missing = (classes == legend.NODATA) * np.uint8(255)
    veiled = (notes & np.uint8(quality_flags.CLOUD | quality_flags.SHADOW)) > 0
    kept = (veiled & edge) | ((notes & np.uint8(SHAPED)) > 0)  # an edge seen through thin cloud is not hidden
    doubted = (confidence < DOUBTED) & ~kept & (classes <= legend.THICK)
    hidden = doubted | ((notes >= HIDING) & (classes <= legend.THICK))
    cv2.max(classes, hidden * np.uint8(legend.CLOUD), classes)
    notes &= ~np.uint8(EVEN)
    if zenith >= LOW_SUN:
        notes |= np.uint8(quality_flags.LOW_SUN)
    if zenith >= NO_SUN:
        classes[missing == 0] = legend.LOW_SUN
    notes |= (edge | (doubted & ~veiled)) * np.uint8(quality_flags.MIXED_EDGE)
    cv2.copyTo(cv2.convertScaleAbs(confidence, alpha=_ON_EDGE), edge.view(np.uint8), confidence)
    at_most = cv2.threshold(confidence, _BY_SHAPE, 0, cv2.THRESH_TRUNC)[1]
    cv2.copyTo(at_most, notes & np.uint8(SHAPED), confidence)
    confidence |= (classes > legend.THICK) * np.uint8(NONE)
    notes &= ~missing & np.uint8(quality_flags.ALL)

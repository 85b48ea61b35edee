"""Labels from calibrated reflectance: class, confidence and reasons of every pixel (docs/labels.md).

Each pixel is compared with a physical model of ice, water, cloud, shadow and air under the scene's sun
(`reflectance_model`). From the scene as a whole come its haze, by its darkest water, and its gains, by its brightest
snow (`levels`). Then a pixel's label depends on nothing but itself and few pixels
around it, more where brightness is even and fewer at edges, so that fields and leads of any width are alike; in the
end shapes decide what brightness cannot (`shapes`).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from seaice_ops import legend
from seaice_ops.imagery import SCALE
from seaice_ops.labels import edges, optics, reasons, shapes
from seaice_ops.labels.levels import Reader, lattice, references
from seaice_ops.labels.reflectance_model import BANDS
from seaice_ops.labels.reflectance_table import (
    DEPTH_STEPS,
    FULL,
    MISSING,
    SHAPE,
    WHOLE,
    band_codes,
    cell_index,
    coded,
    nearest_zenith,
    table,
)
from seaice_ops.labels.result import NONE, Labels

#: Sun zenith in degrees from which on brightness says little (LOW_SUN) and nothing (210): at 80 degrees the direct
#: beam crosses 5.6 atmospheres, at 85 more than 10, and slopes of 5 degrees lie in their own shadow.
LOW_SUN, NO_SUN = 80.0, 85.0

#: Confidence in % below which a pixel under cloud or in shadow is 205.
HIDDEN = 55

#: Largest confidence in % of a label that a pixel's surroundings gave it.
_BY_SHAPE = 50

#: Optical depth from which on a cloud hides the surface, whatever the class.
OPAQUE = 4.25

#: The sun where a scene does not say: the middle of the polar season.
USUAL_ZENITH = 66.0

#: Edge of the window within which even brightness lets pixels agree on a class.
_WIDE = 9

#: Reflectance of a surface half of which is water and half snow.
_HALF = 0.42

#: How far the labels of a block's pixels reach, before they are settled.
REACH = max(_WIDE // 2 + 1 + edges.REACH, shapes.REACH)

#: Notes on pixels, beside the reasons.
_SHAPED, _DARK, _OPAQUE = 32, 64, 128

_ROWS, _COLUMNS = 160, 1024  # that are labelled together: what fits into a processor's cache
_STRIP = 3 * _ROWS  # rows that are read together


def reflectance(bands: NDArray[np.int16], sun_zenith: float | None) -> Labels:
    """Label a whole scene: `bands` (4, rows, columns) int16 reflectance x 10000 in BANDS order, NODATA (-32768) where
    not observed; `sun_zenith` in degrees. A pixel that lacks a band is NODATA (255)."""
    return from_strips(lambda top, bottom: bands[:, top:bottom], bands.shape[1:], sun_zenith)


def from_strips(read: Reader, shape: tuple[int, ...], sun_zenith: float | None, strip: int = _STRIP) -> Labels:
    """`reflectance` of a scene of `shape` (rows, columns) that is read twice, `strip` rows at a time; the labels do
    not depend on `strip`."""
    rows, columns = shape
    zenith = USUAL_ZENITH if sun_zenith is None else sun_zenith
    classes, confidence, notes = planes = np.empty((3, rows, columns), np.uint8)
    if zenith >= NO_SUN:
        codes, cells = band_codes(USUAL_ZENITH), np.zeros((3, int(np.prod(SHAPE))), np.uint8)
    else:
        codes, cells = (
            band_codes(zenith, *references(lattice(read, rows, columns), zenith)),
            table(nearest_zenith(zenith)),
        )
    half = float(optics.at_satellite(np.array(_HALF), optics.air("B04", zenith))) * SCALE
    for first in range(0, rows, strip):
        last, start = min(first + strip, rows), max(0, first - REACH)
        bands = read(start, min(rows, last + REACH))
        red, coded_bands = bands[BANDS.index("B04")], coded(codes, bands)
        for top, left in product(range(first, last, _ROWS), range(0, columns, _COLUMNS)):
            bottom, right = min(top + _ROWS, last), min(left + _COLUMNS, columns)
            above, before = max(0, top - REACH), max(0, left - REACH)
            block = np.s_[above - start : bottom + REACH - start, before : right + REACH]
            found = _looked_up(red[block], [plane[block] for plane in coded_bands], cells, half)
            for plane, piece in zip(planes, found, strict=True):
                plane[top:bottom, left:right] = piece[top - above :, left - before :][: bottom - top, : right - left]
    _settle_brash(classes, notes)
    _settle(classes, confidence, notes, zenith)
    return Labels(classes, confidence, notes)


def _looked_up(
    red: NDArray[np.int16], planes: list[NDArray[np.uint8]], cells: NDArray[np.uint8], half: float
) -> tuple[NDArray[np.uint8], ...]:
    """Class, confidence and notes of a block, right from `REACH` pixels inside it: what pixels and their neighbours
    say, before anything is left out. The notes are reasons, and bits that `_settle` takes away again."""
    index = cell_index(planes)
    water, thin, sky = (values.take(index, mode="clip") for values in cells)
    missing = _extreme(cv2.min, planes) == MISSING
    saturated = _extreme(cv2.max, planes) == FULL
    classes, confidence = _agreed(water, thin, red, missing)
    classes |= missing * np.uint8(legend.NODATA)
    classes = edges.unmixed(classes, red)
    leads = shapes.leads(classes, red)
    classes -= leads & np.uint8(legend.THICK - legend.THIN)
    notes = sky & np.uint8(reasons.CLOUD | reasons.SHADOW)
    notes |= saturated * np.uint8(reasons.SATURATED)
    notes |= leads & np.uint8(_SHAPED)
    notes |= (red < np.int16(half)) * np.uint8(_DARK)
    notes |= (sky >= np.uint8(OPAQUE * DEPTH_STEPS)) * np.uint8(_OPAQUE)
    return classes, confidence, notes


def _extreme(of: Callable[..., cv2.typing.MatLike], planes: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    one, two, three, four = planes
    return np.asarray(of(of(one, two), of(three, four)), np.uint8)


def _settle_brash(classes: NDArray[np.uint8], notes: NDArray[np.uint8]) -> None:
    """Brash becomes what it holds more of, in place."""
    wet = shapes.wet(classes)
    for top in range(0, len(classes), _ROWS):
        strip, noted = classes[top : top + _ROWS], notes[top : top + _ROWS]
        brash = shapes.brash(strip, wet[top // shapes.BLOCK :])
        dark = noted & brash & np.uint8(_DARK)
        strip += brash & np.uint8(legend.THICK - legend.THIN)
        strip -= (dark > 0) * np.uint8(legend.THICK - legend.WATER)
        noted |= brash & np.uint8(_SHAPED)


def _settle(classes: NDArray[np.uint8], confidence: NDArray[np.uint8], notes: NDArray[np.uint8], zenith: float) -> None:
    """Leave out what cannot be known, and bring confidence and reasons into their final form, in place."""
    above = classes[:1].copy()
    for top in range(0, len(classes), _ROWS):
        bottom = min(top + _ROWS, len(classes))
        near = np.concatenate([above, classes[top : bottom + 1]])
        above = classes[bottom - 1 : bottom].copy()
        edge = edges.on_edge(near)[1 : 1 + bottom - top]
        strip, sure, why = classes[top:bottom], confidence[top:bottom], notes[top:bottom]
        missing = strip == legend.NODATA
        veiled = (why & np.uint8(reasons.CLOUD | reasons.SHADOW)) > 0
        hidden = (sure < HIDDEN) & veiled & ~edge  # an edge that can be seen is not hidden
        hidden |= why >= _OPAQUE
        strip[:] = cv2.max(strip, (hidden & (strip <= legend.THICK)) * np.uint8(legend.CLOUD))
        if zenith >= NO_SUN:
            strip[~missing] = legend.LOW_SUN
        if zenith >= LOW_SUN:
            why |= reasons.LOW_SUN
        why |= edge * np.uint8(reasons.MIXED_EDGE)
        cv2.copyTo((sure >> 2) * np.uint8(3), edge.view(np.uint8), sure)
        cv2.copyTo(np.minimum(sure, _BY_SHAPE), why & np.uint8(_SHAPED), sure)
        sure |= (strip > legend.THICK) * np.uint8(NONE)
        why &= ~(missing * np.uint8(255)) & np.uint8(reasons.ALL)


def _agreed(
    water: NDArray[np.uint8], thin: NDArray[np.uint8], red: NDArray[np.int16], missing: NDArray[np.bool_]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The class whose shares are largest in a pixel and its neighbours together, and its part of them all in %.

    A pixel's own share is noisy where the table is thinly filled or the light is weak. Eight neighbours have a say
    everywhere, and `_WIDE` x `_WIDE` pixels where brightness is so even that no edge can lie among them.
    """
    window = np.ones((_WIDE, _WIDE), np.uint8)
    brightest = np.asarray(cv2.dilate(red, window), np.int16)
    even = np.asarray(cv2.subtract(brightest, cv2.erode(red, window))) <= brightest >> 2  # saturates at no-data
    seen = ~missing * np.uint8(255)
    water, thin = (_shared(share & seen, even) for share in (water, thin))
    whole = _shared(seen & np.uint8(WHOLE), even) if missing.any() else np.full_like(water, WHOLE)
    thick = cv2.subtract(whole, cv2.add(water, thin))
    ice = cv2.max(thin, thick)
    icy = np.asarray(ice) > water
    classes = icy.view(np.uint8) + (icy & (thick > thin)).view(np.uint8) + np.uint8(legend.WATER)
    return classes, np.asarray(cv2.divide(cv2.min(cv2.max(water, ice), whole), whole, scale=100), np.uint8)


def _shared(share: NDArray[np.uint8], even: NDArray[np.bool_]) -> NDArray[np.uint8]:
    near = cv2.blur(share, (3, 3))
    cv2.copyTo(cv2.blur(near, (_WIDE, _WIDE)), even.view(np.uint8), near)
    return np.asarray(near, np.uint8)

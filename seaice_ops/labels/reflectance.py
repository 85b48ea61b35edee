"""Labels from calibrated reflectance: class, confidence and reasons of every pixel (docs/labels.md).

Each pixel is compared with a physical model of ice, water, cloud, shadow and air under the scene's sun
(`reflectance_model`). From the scene as a whole comes only its snow: what the brightest clear snow reflects in the
blue, red and near infrared sets the scene's gains. Then a pixel's label depends on nothing but itself and few pixels
around it, more where brightness is even and fewer at edges, so that fields and leads of any width are alike; in the
end shapes decide what brightness cannot (`shapes`).
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from seaice_ops import legend
from seaice_ops.imagery import NODATA, SCALE
from seaice_ops.labels import edges, optics, reasons, shapes
from seaice_ops.labels.reflectance_model import BANDS, SNOW
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

_SAMPLE = 256  # rows and columns of the lattice that the scene's snow is looked for on
_STRIP = 128
_BLOCK = 1024  # columns that are labelled together: what fits into a processor's cache

#: (first row, row after the last) -> (4, rows, columns) int16 stored reflectance of BANDS.
Reader = Callable[[int, int], NDArray[np.int16]]


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
        codes, cells = band_codes(USUAL_ZENITH), np.zeros((int(np.prod(SHAPE)), 4), np.uint8)
    else:
        codes, cells = (
            band_codes(zenith, *references(_lattice(read, rows, columns), zenith)),
            table(nearest_zenith(zenith)),
        )
    half = float(optics.at_satellite(np.array(_HALF), optics.air("B04", zenith))) * SCALE
    for top in range(0, rows, strip):
        bottom, first = min(top + strip, rows), max(0, top - REACH)
        bands = read(first, min(rows, bottom + REACH))
        for left in range(0, columns, _BLOCK):
            right, start = min(left + _BLOCK, columns), max(0, left - REACH)
            pieces = _looked_up(bands[:, :, start : right + REACH], codes, cells, half)
            for plane, piece in zip(planes, pieces, strict=True):
                plane[top:bottom, left:right] = piece[top - first :, left - start :][: bottom - top, : right - left]
    _settle_brash(classes, notes)
    _settle(classes, confidence, notes, zenith)
    return Labels(classes, confidence, notes)


def references(sample: NDArray[np.int16], zenith: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """What the scene's own water and snow say of each of BANDS: path reflectance to take away beyond the model air's,
    and what to divide by, so that both are as bright as the model's. `sample` (4, n) int16 stored reflectance.

    Water is dark and blue, snow bright and flat from blue to near infrared and dark at 1.6 um, which cloud is not.
    Where fewer than one pixel in 200 is, nothing is known and nothing changed.
    """
    seen = sample[:, (sample != NODATA).all(axis=0)] / SCALE
    below = np.stack(
        [optics.at_surface(values, optics.air(band, zenith)) for values, band in zip(seen, BANDS, strict=True)]
    )
    blue, red, infrared, short = below
    water = (red < 0.1) & (infrared < 0.035) & (infrared < 0.85 * red) & (blue > 1.15 * red) & (short < 0.02)
    veil, gain = np.zeros(4), np.ones(4)
    if _enough(water):
        dark = water & (infrared <= np.percentile(infrared[water], 50))
        veil[:3] = np.clip(np.median(below[:3, dark], axis=1) - _SEA, -0.03, 0.08)
        below = below - veil[:, None]
    snow = (red > 0.55) & (infrared > 0.85 * red) & (short < 0.28 * infrared)
    if _enough(snow):
        bright = snow & (red > 0.9 * np.percentile(red[snow], 90))
        gain[:3] = np.clip(np.median(below[:3, bright], axis=1) / _SNOW, 1 - _CALIBRATED, 1 + _CALIBRATED)
    return tuple(veil), tuple(gain)


def _enough(found: NDArray[np.bool_]) -> bool:
    return bool(found.sum() >= max(50, found.size // 200))


#: How far a band may be off (the mission's requirement on absolute radiometry). Snow that differs more does so by its
#: slope, grain and the sun's height, which ice beside it does not share.
_CALIBRATED = 0.05

#: The model's water and brightest snow in B02, B04, B08.
_SEA = np.array([0.026, 0.009, 0.005])
_SNOW = np.array([0.97, 0.95, 0.92]) * SNOW


def _lattice(read: Reader, rows: int, columns: int) -> NDArray[np.int16]:
    """(4, n) int16: every k-th pixel of every k-th row, the same however the scene is read."""
    step = max(1, min(rows, columns) // _SAMPLE)
    taken = []
    for top in range(0, rows, _STRIP):
        bands = read(top, min(top + _STRIP, rows))
        taken.append(bands[:, (-top) % step :: step, ::step].reshape(len(bands), -1))
    return np.concatenate(taken, axis=1)


def _looked_up(
    bands: NDArray[np.int16], codes: NDArray[np.uint8], cells: NDArray[np.uint8], half: float
) -> tuple[NDArray[np.uint8], ...]:
    """Class, confidence and notes of a block, right from `REACH` pixels inside it: what pixels and their neighbours
    say, before anything is left out. The notes are reasons, and bits that `_settle` takes away again."""
    planes = coded(codes, bands)
    found = cells.view(np.uint32).ravel().take(cell_index(planes), mode="clip")
    *shares, sky = (np.asarray(plane, np.uint8) for plane in cv2.split(found.view(np.uint8).reshape(*found.shape, 4)))
    red = bands[BANDS.index("B04")]
    missing = _extreme(cv2.min, planes) == MISSING
    saturated = _extreme(cv2.max, planes) == FULL
    classes, confidence = _agreed(shares, red, missing)
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
    for top in range(0, len(classes), _STRIP):
        strip, noted = classes[top : top + _STRIP], notes[top : top + _STRIP]
        brash = shapes.brash(strip, wet[top // shapes.BLOCK :])
        dark = noted & brash & np.uint8(_DARK)
        strip += brash & np.uint8(legend.THICK - legend.THIN)
        strip -= (dark > 0) * np.uint8(legend.THICK - legend.WATER)
        noted |= brash & np.uint8(_SHAPED)


def _settle(classes: NDArray[np.uint8], confidence: NDArray[np.uint8], notes: NDArray[np.uint8], zenith: float) -> None:
    """Leave out what cannot be known, and bring confidence and reasons into their final form, in place."""
    above = classes[:1].copy()
    for top in range(0, len(classes), _STRIP):
        bottom = min(top + _STRIP, len(classes))
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
    shares: list[NDArray[np.uint8]], red: NDArray[np.int16], missing: NDArray[np.bool_]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The class whose shares are largest in a pixel and its neighbours together, and its part of them all in %.

    A pixel's own share is noisy where the table is thinly filled or the light is weak. Eight neighbours have a say
    everywhere, and `_WIDE` x `_WIDE` pixels where brightness is so even that no edge can lie among them.
    """
    window = np.ones((_WIDE, _WIDE), np.uint8)
    brightest = np.asarray(cv2.dilate(red, window), np.int16)
    even = np.asarray(cv2.subtract(brightest, cv2.erode(red, window))) <= brightest >> 2  # saturates at no-data
    seen = ~missing * np.uint8(255)
    water, thin = (_shared(share & seen, even) for share in shares[:2])
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

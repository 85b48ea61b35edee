"""What pixels and their neighbours say, block by block: class, confidence and notes, before anything is left out."""

from __future__ import annotations

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

from seaice_ops.classes import legend
from seaice_ops.classes import quality_flags as reasons
from seaice_ops.labels.reflectance import edges, shapes
from seaice_ops.labels.reflectance.surfaces import BANDS
from seaice_ops.labels.reflectance.table import FULL, MISSING, WHOLE, cell_index, found

#: Edge of the window within which pixels agree on a class where brightness is even.
_WIDE = 5

#: How far the labels of a block's pixels reach.
REACH = _WIDE // 2 + 1 + edges.REACH

#: Notes on pixels, beside the reasons: a shape gave the class; were it water and thick ice, rather water; under a cloud
#: that hides all; where brightness is even. The last is a bit that a reason has, which is set only in the end.
SHAPED, WATERY, HIDING, EVEN = 32, 64, 128, reasons.LOW_SUN

#: Confidence in % from which on thick ice stays thick in a dark line that no cloud hides: it is a ridge's shadow, or a
#: crack that takes less than half of the pixel.
_SURE = 88

#: A pixel that is farther than this part of the way from its darkest to its brightest neighbour holds less of a dark
#: line than of what lies beside it.
_BESIDE = 5 / 9

#: Brightness is even where its darkest is this part of its brightest.
_EVEN = 0.75

#: Confidence in % that a pixel in a plain dark line has at least: doubt between two classes is mostly a lead's edge
#: there, and the better class right.
_IN_LINE = 60

#: No open water under a clear sky is brighter than this part of half water, half snow: a reflectance of 0.17.
_WATER_ENDS = 0.4

#: Code of a reflectance of 0.05 at 1.6 um, which water and bare ice reach below cloud only.
_CLOUDLESS = 135

#: One part in so many pixels below a veil, or fewer, is quicker weighted alone than with all others.
_FEW = 8

Bytes = NDArray[np.uint8]


def labelled(
    bright: Bytes,
    lines: Bytes,
    codes: list[Bytes],
    cells: NDArray[np.uint16],
    around: Bytes,
    half: float,
    opaque: int,
) -> tuple[Bytes, Bytes, Bytes]:
    """Class, confidence in % and notes of a block's pixels, right from `REACH` pixels inside it.

    `bright` (rows, columns) is brightness in any linear scale, 0 where not observed, and `half` in it that of half
    water, half snow; `lines` are `shapes.narrow` of it. `codes` are those of each band, `opaque` the one at
    1.6 um from which on a cloud hides what is below, `cells` the table (`reflectance_table`) and `around` the classes'
    weights (`surroundings`), which a plain narrow line goes without: what lies around is not of its kind. The notes are
    reasons (CLOUD, SHADOW, SATURATED), SHAPED, WATERY and HIDING.
    """
    water, thin, sky = found(cells, cell_index(codes))
    _weigh(water, thin, sky * (lines < shapes.PLAIN), around)
    missing, full = _ends(codes)
    darkest, brightest = edges.extremes(bright, missing)
    even = darkest >= np.asarray(cv2.convertScaleAbs(brightest, alpha=_EVEN))
    _no_bright_water(water, thin, even & (sky == 0) & (bright > np.uint8(_WATER_ENDS * half)) & (codes[3] < _CLOUDLESS))
    classes, confidence, watery = _agreed(water, thin, even, missing)
    if missing is not None:
        classes |= missing * np.uint8(legend.NODATA)
    classes = edges.unmixed(classes, bright, darkest, brightest)
    clouded = sky & np.uint8(reasons.CLOUD)
    seen = lines + clouded * np.uint8(shapes.PLAIN - shapes.FAINT)
    leads = (classes == legend.THICK) & (lines > 0) & (seen >= shapes.PLAIN) & ((confidence < _SURE) | (clouded > 0))
    _spare_their_sides(leads, bright, darkest, brightest)
    classes -= leads * np.uint8(legend.THICK - legend.THIN)
    confidence = np.asarray(cv2.max(confidence, (lines >= shapes.PLAIN) * np.uint8(_IN_LINE)), np.uint8)
    notes = sky | (leads * np.uint8(SHAPED))
    if full is not None:
        notes |= full * np.uint8(reasons.SATURATED)
    notes |= ((bright < np.uint8(half)) | (watery & (sky > 0))) * np.uint8(WATERY)
    notes |= (even & (sky == 0)) * np.uint8(EVEN)
    notes |= (codes[BANDS.index("B11")] >= np.uint8(opaque)) * np.uint8(HIDING | reasons.CLOUD)
    return classes, confidence, notes


def _spare_their_sides(leads: NDArray[np.bool_], bright: Bytes, darkest: Bytes, brightest: Bytes) -> None:
    """Take from `leads`, in place, the pixels on an edge that hold more of what lies beside the lead."""
    where = np.flatnonzero(leads)
    light, dark, most = (plane.ravel().take(where).astype(np.float32) for plane in (bright, darkest, brightest))
    beside = (light - dark > _BESIDE * (most - dark)) & (dark < edges.STEP * most)
    leads.ravel()[where[beside]] = False


def _no_bright_water(water: Bytes, thin: Bytes, where: NDArray[np.bool_]) -> None:
    """Take water's share away, in place, `where` brightness is even and too high for it: an even field is no mixture of
    water and snow, and mixtures are what looks like water and is bright."""
    doubtful = np.flatnonzero(where & (water > 0))
    if doubtful.size:
        ice = WHOLE - water.ravel()[doubtful].astype(np.int32)
        known = thin.ravel()[doubtful] * np.int32(WHOLE) // np.maximum(ice, 1)
        thin.ravel()[doubtful], water.ravel()[doubtful] = np.minimum(known, WHOLE).astype(np.uint8), 0


def _weigh(water: Bytes, thin: Bytes, veiled: Bytes, around: Bytes) -> None:
    """Weight the shares of water and thin ice, in place, by the surroundings where pixels are `veiled` (not 0)."""
    count, planes = cv2.countNonZero(veiled), (water, thin)
    if count > veiled.size // _FEW:
        everywhere = [np.ascontiguousarray(around[..., kind]) for kind in range(around.shape[2])]
        for share, weighted in zip(planes, _weighted(water, thin, everywhere), strict=True):
            cv2.copyTo(weighted, veiled, share)
    elif count:
        where = np.flatnonzero(veiled > 0)
        some_water, some_thin = (plane.ravel().take(where)[None] for plane in planes)
        there = list(around.reshape(-1, around.shape[2]).take(where, axis=0).T[:, None])
        for share, weighted in zip(planes, _weighted(some_water, some_thin, there), strict=True):
            share.ravel()[where] = weighted[0]


def _weighted(water: Bytes, thin: Bytes, around: list[Bytes]) -> tuple[MatLike, MatLike]:
    thick = cv2.subtract(np.full_like(water, WHOLE), cv2.add(water, thin))
    parts = [
        cv2.multiply(share, weight, scale=1 / WHOLE) for share, weight in zip((water, thin, thick), around, strict=True)
    ]
    total = cv2.add(cv2.add(parts[0], parts[1]), parts[2])
    return cv2.divide(parts[0], total, scale=WHOLE), cv2.divide(parts[1], total, scale=WHOLE)


def _ends(codes: list[Bytes]) -> tuple[NDArray[np.bool_] | None, ...]:
    """Where any of `codes` is MISSING, and where FULL; None where none is."""
    extremes = [cv2.minMaxLoc(plane)[:2] for plane in codes]
    return tuple(
        np.any([plane == end for plane, ends in zip(codes, extremes, strict=True) if end in ends], axis=0)
        if any(end in ends for ends in extremes)
        else None
        for end in (MISSING, FULL)
    )


def _agreed(
    water: Bytes, thin: Bytes, even: NDArray[np.bool_], missing: NDArray[np.bool_] | None
) -> tuple[Bytes, Bytes, NDArray[np.bool_]]:
    """The class whose shares are largest in a pixel and its neighbours together, its part of them all in %, and whether
    water's share is larger than thick ice's.

    A pixel's own share is noisy where the table is thinly filled or the light is weak. Eight neighbours have a say
    everywhere, and pixels up to three away where brightness is so `even` that no edge can lie among them.
    """
    whole: MatLike = np.full_like(water, WHOLE)
    if missing is not None:
        seen = ~missing * np.uint8(255)
        water, thin, whole = water & seen, thin & seen, _shared(seen & np.uint8(WHOLE), even)
    water, thin = _shared(water, even), _shared(thin, even)
    thick = cv2.subtract(whole, cv2.add(water, thin))
    ice = cv2.max(thin, thick)
    icy = np.asarray(ice) > water
    classes = icy.view(np.uint8) + (icy & (thick > thin)).view(np.uint8) + np.uint8(legend.WATER)
    largest = cv2.max(water, ice)
    if missing is None:
        return classes, np.asarray(cv2.convertScaleAbs(largest, alpha=100 / WHOLE), np.uint8), water >= thick
    return classes, np.asarray(cv2.divide(cv2.min(largest, whole), whole, scale=100), np.uint8), water >= thick


def _shared(share: Bytes, even: NDArray[np.bool_]) -> Bytes:
    near = cv2.blur(share, (3, 3))
    cv2.copyTo(cv2.blur(near, (_WIDE, _WIDE)), even.view(np.uint8), near)
    return np.asarray(near, np.uint8)

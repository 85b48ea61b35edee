"""Class, confidence and notes of each pixel from itself and its neighbours, block by block, before any is masked."""

from __future__ import annotations

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

from seaice_ops.classes import legend, quality_flags
from seaice_ops.labels.reflectance import edges, shapes
from seaice_ops.labels.reflectance.surfaces import BANDS
from seaice_ops.labels.reflectance.table import FULL, MISSING, WHOLE, cell_index, found

#: Edge in pixels of the window whose shares are averaged where brightness is even.
_WIDE = 5

#: Radius in pixels of the neighbourhood that a pixel's label depends on.
REACH = _WIDE // 2 + 1 + edges.REACH

#: Notes on pixels, bits beside the quality flags: a shape gave the class; a mixture of water and thick ice would be
#: mostly water; cloud hides the surface; brightness is even. EVEN has the bit of LOW_SUN, which is set only at the end.
SHAPED, WATERY, HIDING, EVEN = 32, 64, 128, quality_flags.LOW_SUN

#: Confidence in % from which on thick ice stays thick in a dark line without cloud: the line is then a ridge's shadow,
#: or a crack that takes less than half of the pixel.
_SURE = 88

#: A pixel brighter than this share of the way from its darkest to its brightest neighbour holds less of a dark line
#: than of the surface beside it.
_BESIDE = 5 / 9

#: Brightness is even where the darkest neighbour has at least this share of the brightest.
_EVEN = 0.75

#: Least confidence in % of a pixel in a plain dark line: doubt between two classes is mostly a lead's edge there, and
#: the likelier class is right.
_IN_LINE = 60

#: Largest brightness of open water under a clear sky, relative to half water, half snow: a reflectance of 0.17.
_MAX_WATER = 0.4

#: Code of a reflectance of 0.05 at 1.6 um, which water and bare ice reach only below cloud.
_CLOUDLESS = 135

#: Up to one pixel in this many, veiled pixels are faster weighted on their own than with the whole block.
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
    """Class, confidence in % and notes of a block's pixels, (rows, columns) u8 each; valid `REACH` pixels inside it.

    All planes are (rows, columns) u8:

    - `bright`: brightness in any linear scale, 0 where not observed; `half` is that of half water, half snow.
    - `lines`: `shapes.narrow` of `bright`.
    - `codes`: a plane for each of BANDS (`table.coded`); from the code `opaque` at 1.6 um on cloud hides the surface.
    - `around`: (rows, columns, 3) weights of the classes (`surroundings.at_pixels`). They are not used in plain narrow
      lines, whose surroundings are of another kind.

    `cells` is the table (`table.table`). The notes are the quality flags CLOUD, SHADOW and SATURATED, and SHAPED,
    WATERY, HIDING and EVEN.
    """
    water, thin, sky = found(cells, cell_index(codes))
    _weigh(water, thin, sky * (lines < shapes.PLAIN), around)
    missing, full = _ends(codes)
    darkest, brightest = edges.extremes(bright, missing)
    even = darkest >= np.asarray(cv2.convertScaleAbs(brightest, alpha=_EVEN))
    _remove_bright_water(
        water, thin, even & (sky == 0) & (bright > np.uint8(_MAX_WATER * half)) & (codes[3] < _CLOUDLESS)
    )
    classes, confidence, watery = _likeliest(water, thin, even, missing)
    if missing is not None:
        classes |= missing * np.uint8(legend.NODATA)
    classes = edges.unmixed(classes, bright, darkest, brightest)
    clouded = sky & np.uint8(quality_flags.CLOUD)
    seen = lines + clouded * np.uint8(shapes.PLAIN - shapes.FAINT)
    leads = (classes == legend.THICK) & (lines > 0) & (seen >= shapes.PLAIN) & ((confidence < _SURE) | (clouded > 0))
    _drop_lead_sides(leads, bright, darkest, brightest)
    classes -= leads * np.uint8(legend.THICK - legend.THIN)
    confidence = np.asarray(cv2.max(confidence, (lines >= shapes.PLAIN) * np.uint8(_IN_LINE)), np.uint8)
    notes = sky | (leads * np.uint8(SHAPED))
    if full is not None:
        notes |= full * np.uint8(quality_flags.SATURATED)
    notes |= ((bright < np.uint8(half)) | (watery & (sky > 0))) * np.uint8(WATERY)
    notes |= (even & (sky == 0)) * np.uint8(EVEN)
    notes |= (codes[BANDS.index("B11")] >= np.uint8(opaque)) * np.uint8(HIDING | quality_flags.CLOUD)
    return classes, confidence, notes


def _drop_lead_sides(leads: NDArray[np.bool_], bright: Bytes, darkest: Bytes, brightest: Bytes) -> None:
    """Remove from `leads`, in place, the edge pixels that hold more of the surface beside the lead."""
    where = np.flatnonzero(leads)
    light, dark, most = (plane.ravel().take(where).astype(np.float32) for plane in (bright, darkest, brightest))
    beside = (light - dark > _BESIDE * (most - dark)) & (dark < edges.STEP * most)
    leads.ravel()[where[beside]] = False


def _remove_bright_water(water: Bytes, thin: Bytes, where: NDArray[np.bool_]) -> None:
    """Set the share of water to 0, in place, `where` brightness is even and too high for water.

    Bright pixels that look like water are mixtures of water and snow, and an even field is no mixture.
    """
    doubtful = np.flatnonzero(where & (water > 0))
    if doubtful.size:
        ice = WHOLE - water.ravel()[doubtful].astype(np.int32)
        known = thin.ravel()[doubtful] * np.int32(WHOLE) // np.maximum(ice, 1)
        thin.ravel()[doubtful], water.ravel()[doubtful] = np.minimum(known, WHOLE).astype(np.uint8), 0


def _weigh(water: Bytes, thin: Bytes, veiled: Bytes, around: Bytes) -> None:
    """Multiply the shares of the classes, in place, by the weights `around` where pixels are `veiled` (not 0)."""
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
    """(rows, columns) bool: pixels with a MISSING code in any band, and with a FULL one; None if there is none."""
    extremes = [cv2.minMaxLoc(plane)[:2] for plane in codes]
    return tuple(
        np.any([plane == end for plane, ends in zip(codes, extremes, strict=True) if end in ends], axis=0)
        if any(end in ends for ends in extremes)
        else None
        for end in (MISSING, FULL)
    )


def _likeliest(
    water: Bytes, thin: Bytes, even: NDArray[np.bool_], missing: NDArray[np.bool_] | None
) -> tuple[Bytes, Bytes, NDArray[np.bool_]]:
    """The likeliest class, its share in %, and whether water is at least as likely as thick ice: (rows, columns) each.

    Shares are averaged over a pixel and its eight neighbours, and over pixels up to three away where brightness is
    `even`, so that no edge lies between them. A pixel's own share is noisy where the table is thinly filled or the
    light is weak.
    """
    whole: MatLike = np.full_like(water, WHOLE)
    if missing is not None:
        seen = ~missing * np.uint8(255)
        water, thin, whole = water & seen, thin & seen, _averaged(seen & np.uint8(WHOLE), even)
    water, thin = _averaged(water, even), _averaged(thin, even)
    thick = cv2.subtract(whole, cv2.add(water, thin))
    ice = cv2.max(thin, thick)
    icy = np.asarray(ice) > water
    classes = icy.view(np.uint8) + (icy & (thick > thin)).view(np.uint8) + np.uint8(legend.WATER)
    largest = cv2.max(water, ice)
    if missing is None:
        return classes, np.asarray(cv2.convertScaleAbs(largest, alpha=100 / WHOLE), np.uint8), water >= thick
    return classes, np.asarray(cv2.divide(cv2.min(largest, whole), whole, scale=100), np.uint8), water >= thick


def _averaged(share: Bytes, even: NDArray[np.bool_]) -> Bytes:
    near = cv2.blur(share, (3, 3))
    cv2.copyTo(cv2.blur(near, (_WIDE, _WIDE)), even.view(np.uint8), near)
    return np.asarray(near, np.uint8)

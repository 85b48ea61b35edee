"""`reflectance` where there is only a true colour: brightness against the picture's own snow and water.

Without near and short-wave infrared cloud cannot be told from snow, and a picture's stretch is rarely known. What
remains is the order of brightness: snow is the brightest surface of a picture, water the darkest. The limits lie near
the published ones (30 and 205 where snow is about 245), placed between this picture's own darkest level and snow. Water
that is lifted by haze or by a picture's stretch is also known by its blue, and snow in shadow by its (`sky_light`).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from seaice_ops.classes import legend
from seaice_ops.classes import quality_flags as reasons
from seaice_ops.labels.picture.sky_light import REACH, Scale, channel_scale, would_be_bright
from seaice_ops.labels.published.colour import counted, not_valid
from seaice_ops.labels.reflectance import edges
from seaice_ops.labels.result import NO_CONFIDENCE as NONE
from seaice_ops.labels.result import Labels

#: Where the limits lie between the darkest level (0) and snow (1).
_WATER, _THICK = 0.14, 0.80

#: What lifts the darkest water (haze, a stretch) lifts the rest: all below this many times the darkest level is water.
_LIFTED = 1.75

#: Snow of a picture that shows none: the published limits' own. A brightest level below this is no snow.
_USUAL_SNOW, _LEAST_SNOW = 242, 120

#: Water bluer than this ((blue - red) / brightest channel) may be brighter, up to this share of the snow's level and,
#: where shadow can be told, in red up to the third share of it.
_BLUE, _BLUE_WATER, _RED_WATER = 0.26, 0.42, 0.12

#: Shadow is not looked for where more than this share of the bright pixels is at the end of the scale: how bright snow
#: is, and so what it would lack, is not known then.
_SATURATED, _END = 0.3, 250

#: Brighter than this share of the snow's level is snow, for its colour.
_SNOW = 0.9

#: Where even the darkest pixels are above this share of the snow's level, air under a low sun may have lifted all of
#: them, in blue most: brightness is that of red then. Where that is no lower the picture lies under a veil, and nothing
#: between them and snow can be told. Water is no brighter than the second share.
_VEILED, _BRIGHTEST_WATER = 0.5, 0.25


#: Bluer than twice its red and this bright is no water but a melt pond, which thick ice lies below.
_POND = 0.9

#: Rows that are labelled together hold about this many pixels; how far the labels of a pixel's surroundings reach.
_PIXELS = 1 << 20
_REACH = edges.REACH + 1 + REACH


@dataclass(frozen=True)
class Look:
    """What a whole picture says of its levels: the limits of thin and of thick ice in V, the level of snow, whether all
    lies under a veil, and red's and blue's scales where shadow can be told by its colour."""

    limits: tuple[float, float]
    snow: float
    veiled: bool
    by_red: bool
    scales: tuple[Scale, Scale] | None


def reflectance_rgb(rgb: NDArray[np.uint8], valid: NDArray[np.bool_]) -> Labels:
    """Label a whole picture: `rgb` (rows, columns, 3) u8, `valid` (rows, columns) bool; NODATA exactly where not
    `valid`. CLOUD (205) only where the whole picture is veiled."""
    look = look_of(rgb, valid)
    planes = np.empty((3, *valid.shape), np.uint8)
    rows = len(valid)
    step = max(1, _PIXELS // valid.shape[1])
    for top in range(0, rows, step):
        bottom, above = min(top + step, rows), max(0, top - _REACH)
        part = slice(above, bottom + _REACH)
        found = _labelled(np.ascontiguousarray(rgb[part]), valid[part], look)
        planes[:, top:bottom] = [plane[top - above : bottom - above] for plane in found]
    return Labels(*planes)


def look_of(rgb: NDArray[np.uint8], valid: NDArray[np.bool_]) -> Look:
    """The look of a whole picture: `rgb` (rows, columns, 3) u8 where `valid` (rows, columns)."""
    counts = counted(rgb, valid)
    v = counts[3]
    darkest, dark, snow = levels(v)
    by_red = darkest > _VEILED * snow
    if by_red:
        v = counts[0]
        darkest, dark, snow = levels(v)
    limits = max(dark + _WATER * (snow - dark), _LIFTED * dark), dark + _THICK * (snow - dark)
    veiled = darkest > _VEILED * snow
    if veiled or v[_END:].sum() > _SATURATED * v[int(snow / 2) + 1 :].sum():
        return Look(limits, snow, veiled, by_red, None)
    of_snow = counted(rgb, valid, _SNOW * snow)
    red, _, blue = (channel_scale(*each, snow) for each in zip(counts[:3], of_snow[:3], strict=True))
    return Look(limits, snow, veiled, by_red, None if by_red else (red, blue))


def _labelled(rgb: NDArray[np.uint8], valid: NDArray[np.bool_], look: Look) -> tuple[NDArray[np.uint8], ...]:
    """Class, confidence and reasons, right from `_REACH` rows inside."""
    if not valid.all():
        rgb = np.where(valid[..., None], rgb, np.uint8(0))
    red, green, blue = (np.asarray(plane, np.uint8) for plane in cv2.split(rgb))
    v = red if look.by_red else np.asarray(cv2.max(cv2.max(red, green), blue), np.uint8)
    table = np.digitize(np.arange(256), look.limits).astype(np.uint8) + np.uint8(legend.WATER)
    classes = np.asarray(cv2.LUT(v, table), np.uint8)
    bluer = np.asarray(cv2.LUT(v, np.ceil(_BLUE * np.arange(256)).clip(1).astype(np.uint8)))
    bluer[(v >= _BLUE_WATER * look.snow) | look.by_red] = 255
    shadow = np.zeros(v.shape, np.bool_)
    if look.veiled:
        classes[classes < legend.THICK] = legend.CLOUD
    elif look.scales:
        shadow = (classes == legend.THIN) & would_be_bright(red, blue, *look.scales, _THICK)
        classes[shadow] = legend.THICK
        bluer[red > look.scales[0].at(_RED_WATER)] = 255
    classes[np.asarray(cv2.subtract(blue, red)) >= bluer] = legend.WATER
    if look.by_red:
        classes[(blue >= _POND * 255) & (red < blue / 2)] = legend.THICK
    classes |= not_valid(valid)
    classes = edges.unmixed(classes, v, *edges.extremes(v, classes > legend.THICK))
    return classes, *_doubts(classes, v, shadow, look)


def levels(counts: NDArray[np.int64]) -> tuple[float, float, float]:
    """The (darkest, dark, snow) levels of a picture, as 8-bit brightness.

    `counts` (256,) is the number of observed pixels at each brightness V = max(red, green, blue), or at each level of
    red. The results are levels from 0 to 255; without any observed pixel they are 0, 0 and the published 242.

    - darkest: 0.005 % of the pixels are at or below it. Much brighter than water means that haze covers the picture.
    - dark: 0.1 % of the pixels are at or below it, but never more than a quarter of snow. Zero of the brightness scale.
    - snow: 75 % of the bright pixels are at or below it. Bright are those above half of the 98th percentile. Where that
      percentile is below 120 the picture shows no snow, and snow is 242.

    Glare and cloud tops are brighter than snow. They are few, and so they move neither the percentile nor the quartile.
    """
    if not counts.any():
        return 0.0, 0.0, float(_USUAL_SNOW)
    cumulated = np.cumsum(counts) / counts.sum()
    darkest, dark, top = (float(np.searchsorted(cumulated, share)) for share in (0.00005, 0.001, 0.98))
    snow = float(_USUAL_SNOW)
    if top >= _LEAST_SNOW:
        below = cumulated[int(top / 2)]
        snow = float(np.searchsorted(cumulated, below + 0.75 * (1 - below)))
    return darkest, min(dark, _BRIGHTEST_WATER * snow), snow


def _doubts(
    classes: NDArray[np.uint8], v: NDArray[np.uint8], shadow: NDArray[np.bool_], look: Look
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Confidence: half where brightness is at a limit and in shadow, 90 % a tenth of the snow's level away; and the
    reasons."""
    distance = np.min([np.abs(np.arange(256) - limit) for limit in look.limits], axis=0)
    confidence = np.asarray(cv2.LUT(v, (50 + np.minimum(40, 400 * distance / look.snow)).astype(np.uint8)), np.uint8)
    why = np.where(v == 255, np.uint8(reasons.SATURATED), np.uint8(0))
    why[classes == legend.CLOUD] |= reasons.CLOUD
    why[shadow] |= reasons.SHADOW
    confidence[shadow] = 50
    edge = edges.on_edge(classes)
    why[edge] |= reasons.MIXED_EDGE
    confidence[edge] = confidence[edge] // 4 * 3
    confidence[classes > legend.THICK] = NONE
    why[classes == legend.NODATA] = 0
    return confidence, why

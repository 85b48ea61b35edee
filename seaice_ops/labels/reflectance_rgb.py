"""`reflectance` where there is only a true colour: brightness against the picture's own snow and water.

Without near and short-wave infrared cloud cannot be told from snow nor shadow from thin ice, and a picture's
stretch is rarely known. What remains is the order of brightness: snow is the brightest surface of a picture, water
the darkest. The limits lie near the published ones (30 and 205 where snow is about 245), placed
between this picture's own darkest level and snow; water that is lifted by haze or by a picture's stretch is
also known by its blue.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from seaice_ops import legend
from seaice_ops.labels import edges, reasons
from seaice_ops.labels.colour import not_valid
from seaice_ops.labels.result import NONE, Labels

#: Where the limits lie between the darkest level (0) and snow (1).
_WATER, _THICK = 0.14, 0.80

#: What lifts the darkest water (haze, a stretch) lifts the rest: all below this many times the darkest level is water.
_LIFTED = 1.75

#: Snow of a picture that shows none: the published limits' own. A brightest level below this is no snow.
_USUAL_SNOW, _LEAST_SNOW = 242, 120

#: Water bluer than this ((blue - red) / brightest channel) may be brighter, up to this share of the snow's level.
_BLUE, _BLUE_WATER = 0.26, 0.42

#: Where even the darkest pixels are above this share of the snow's level the picture lies under a veil, and nothing
#: between them and snow can be told. Water is no brighter than the second share.
_VEILED, _BRIGHTEST_WATER = 0.5, 0.25


def reflectance_rgb(rgb: NDArray[np.uint8], valid: NDArray[np.bool_]) -> Labels:
    """Label a whole picture: `rgb` (rows, columns, 3) u8, `valid` (rows, columns) bool; NODATA exactly where not
    `valid`. CLOUD (205) only where the whole picture is veiled."""
    red, green, blue = cv2.split(np.ascontiguousarray(rgb))
    v = np.asarray(cv2.max(cv2.max(red, green), blue), np.uint8)
    darkest, dark, snow = levels(v[valid])
    limits = [dark + share * (snow - dark) for share in (_WATER, _THICK)]
    limits[0] = max(limits[0], _LIFTED * dark)
    table = np.digitize(np.arange(256), limits).astype(np.uint8) + np.uint8(legend.WATER)
    classes = np.asarray(cv2.LUT(v, table), np.uint8)
    if darkest > _VEILED * snow:
        classes[classes < legend.THICK] = legend.CLOUD
    bluer = np.asarray(cv2.LUT(v, np.ceil(_BLUE * np.arange(256)).clip(1).astype(np.uint8)))
    bluer[v >= _BLUE_WATER * snow] = 255
    classes[np.asarray(cv2.subtract(blue, red)) >= bluer] = legend.WATER
    classes |= not_valid(valid)
    classes = edges.unmixed(classes, v)
    return Labels(classes, *_doubts(classes, v, limits, snow))


def levels(v: NDArray[np.uint8]) -> tuple[float, float, float]:
    """What 1 in 20,000 and 1 in 1,000 of a picture's observed pixels are no brighter than (the latter at most a
    quarter of snow), and its snow.

    Snow is the upper quartile of the brighter half of the scale up to the 98 %, so that glare and cloud tops are not
    taken for it.
    """
    if not v.size:
        return 0.0, 0.0, float(_USUAL_SNOW)
    cumulated = np.cumsum(np.bincount(v, minlength=256)) / v.size
    darkest, dark, top = (float(np.searchsorted(cumulated, share)) for share in (0.00005, 0.001, 0.98))
    snow = float(_USUAL_SNOW)
    if top >= _LEAST_SNOW:
        below = cumulated[int(top / 2)]
        snow = float(np.searchsorted(cumulated, below + 0.75 * (1 - below)))
    return darkest, min(dark, _BRIGHTEST_WATER * snow), snow


def _doubts(
    classes: NDArray[np.uint8], v: NDArray[np.uint8], limits: list[float], snow: float
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Confidence: half where brightness is at a limit, 90 % a tenth of the snow's level away; and the reasons."""
    distance = np.min([np.abs(np.arange(256) - limit) for limit in limits], axis=0)
    confidence = np.asarray(cv2.LUT(v, (50 + np.minimum(40, 400 * distance / snow)).astype(np.uint8)), np.uint8)
    why = np.where(v == 255, np.uint8(reasons.SATURATED), np.uint8(0))
    why[classes == legend.CLOUD] |= reasons.CLOUD
    edge = edges.on_edge(classes)
    why[edge] |= reasons.MIXED_EDGE
    confidence[edge] = confidence[edge] // 4 * 3
    confidence[classes > legend.THICK] = NONE
    why[classes == legend.NODATA] = 0
    return confidence, why

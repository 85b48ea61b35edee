"""`reflectance` where there is only a true colour: brightness against the picture's own snow and water.

Without near and short-wave infrared cloud cannot be told from snow nor shadow from thin ice, and a picture's
stretch is rarely known. What remains is the order of brightness: snow is the brightest surface of a picture, water
the darkest. The limits are the published ones (method.md section 2.1: 30 and 205 where snow is about 240), placed
between this picture's own darkest and brightest levels; water that is lifted by haze or by a picture's stretch is
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
_WATER, _THICK = 0.13, 0.84

#: Snow of a picture that shows none: the published limits' own. A brightest level below this is no snow.
_USUAL_SNOW, _LEAST_SNOW = 242, 120

#: Water bluer than this ((blue - red) / brightest channel) may be brighter, up to this share of the snow's level.
_BLUE, _BLUE_WATER = 0.30, 0.40

#: A darkest level above this share of the snow's lies under a veil: nothing between it and snow can be told.
_VEILED = 0.5


def reflectance_rgb(rgb: NDArray[np.uint8], valid: NDArray[np.bool_]) -> Labels:
    """Label a whole picture: `rgb` (rows, columns, 3) u8, `valid` (rows, columns) bool; NODATA exactly where not
    `valid`. CLOUD (205) only where the whole picture is veiled."""
    v = np.asarray(rgb.max(axis=2))
    dark, snow = levels(v[valid])
    limits = [dark + share * (snow - dark) for share in (_WATER, _THICK)]
    table = np.digitize(np.arange(256), limits).astype(np.uint8) + np.uint8(legend.WATER)
    classes = np.asarray(cv2.LUT(v, table), np.uint8)
    if dark > _VEILED * snow:
        classes[classes < legend.THICK] = legend.CLOUD
    blue = cv2.subtract(rgb[..., 2], rgb[..., 0]) > _BLUE * v
    classes[blue & (v < _BLUE_WATER * snow)] = legend.WATER
    classes |= not_valid(valid)
    classes = edges.unmixed(classes, v.astype(np.int16))
    return Labels(classes, *_doubts(classes, rgb, v, limits, snow))


def levels(v: NDArray[np.uint8]) -> tuple[float, float]:
    """The darkest level and snow of a picture from the brightness of its observed pixels: its 0.1 % and 98 %."""
    if not v.size:
        return 0.0, float(_USUAL_SNOW)
    cumulated = np.cumsum(np.bincount(v, minlength=256)) / v.size
    dark, snow = (float(np.searchsorted(cumulated, share)) for share in (0.001, 0.98))
    return dark, snow if snow >= _LEAST_SNOW else float(_USUAL_SNOW)


def _doubts(
    classes: NDArray[np.uint8], rgb: NDArray[np.uint8], v: NDArray[np.uint8], limits: list[float], snow: float
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Confidence: half where brightness is at a limit, 90 % a tenth of the snow's level away; and the reasons."""
    distance = np.min([np.abs(np.arange(256) - limit) for limit in limits], axis=0)
    confidence = np.asarray(cv2.LUT(v, (50 + np.minimum(40, 400 * distance / snow)).astype(np.uint8)), np.uint8)
    why = np.where(rgb.min(axis=2) == 255, reasons.SATURATED, 0).astype(np.uint8)
    why[classes == legend.CLOUD] |= reasons.CLOUD
    edge = edges.on_edge(classes)
    why[edge] |= reasons.MIXED_EDGE
    confidence[edge] = confidence[edge] // 4 * 3
    confidence[classes > legend.THICK] = NONE
    why[classes == legend.NODATA] = 0
    return confidence, why

"""What only the shape of things tells: leads that read thick pixel by pixel, brash that reads thin.

Both rules go by what lies beside a pixel. Cloud and shadow, wider than a lead, dim both alike.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from seaice_ops.legend import THIN, WATER

#: How far the leads of an array reach; edge of the blocks that brash is looked for in.
REACH, BLOCK = 10, 4

#: A dark line up to this many pixels wide between bright ice may be a lead.
_LEAD = 10

#: How bright a lead is at most, relative to what lies on both its sides: plain, and where cloud takes half of the
#: contrast. Snow's slopes differ by less: 0.77 is a slope of 12 degrees away from a sun 45 degrees high, of 5 degrees
#: where it is 20 degrees high; below cloud slopes show less, too.
_DARKER, _DARKER_BELOW_CLOUD = 0.77, 0.9

#: Lines as dark as that, and those that are below cloud only.
PLAIN, FAINT = 2, 1

#: Where brash is looked for: blocks around a pixel (9 x 9, 360 m), and by how much of them water is more than thin ice.
_AROUND, _WET = 9, 0.05

#: Water counts twice this, thin ice nothing, all else this.
_NEITHER = 120
_WATER_LESS_THIN = np.full(256, _NEITHER, np.uint8)
_WATER_LESS_THIN[[WATER, THIN]] = 2 * _NEITHER, 0

_ROWS = 64 * BLOCK  # counted at a time

Codes = NDArray[np.uint8]


def narrow(brightness: Codes) -> Codes:
    """PLAIN on narrow lines much darker than what lies on both their sides, FAINT on less dark ones, 0 elsewhere, by
    `brightness` (rows, columns) u8: leads. One that reads thick is refrozen and thin, however bright a veil makes it.
    """
    window = np.ones((_LEAD + 1, _LEAD + 1), np.uint8)
    beside = cv2.erode(cv2.dilate(brightness, window), window)
    plain, faint = (
        brightness < np.asarray(cv2.convertScaleAbs(beside, alpha=limit)) for limit in (_DARKER, _DARKER_BELOW_CLOUD)
    )
    return np.asarray(plain.view(np.uint8) + faint.view(np.uint8))


def wet(classes: Codes) -> Codes:
    """255 for each BLOCK x BLOCK pixels of a whole scene's `classes` (rows, columns) u8 around which, within 180 m,
    there is more water than thin ice, by a twentieth of all at least; 0 elsewhere."""
    shares = np.concatenate([_excess(classes[top : top + _ROWS]) for top in range(0, len(classes), _ROWS)])
    return _mask(np.asarray(cv2.blur(shares, (_AROUND, _AROUND))) > np.uint8(_NEITHER * (1 + _WET)))


def _excess(classes: Codes) -> Codes:
    """Mean of `_WATER_LESS_THIN` of each BLOCK x BLOCK pixels."""
    rows, columns = classes.shape
    whole = cv2.copyMakeBorder(classes, 0, -rows % BLOCK, 0, -columns % BLOCK, cv2.BORDER_REPLICATE)
    size = whole.shape[1] // BLOCK, whole.shape[0] // BLOCK
    return np.asarray(cv2.resize(cv2.LUT(whole, _WATER_LESS_THIN), size, interpolation=cv2.INTER_AREA), np.uint8)


def brash(classes: Codes, wet: Codes) -> Codes:
    """255 where `classes` (rows, columns) u8 are thin ice in a block that is `wet`; both begin at the same block.

    Young ice covers the water that it grows on; grey pixels amid water are edges, fragments and slush: mixtures of
    water and older ice finer than a pixel (WMO Sea-Ice Nomenclature: brash ice).
    """
    rows, columns = classes.shape
    around = cv2.resize(wet[: -(-rows // BLOCK)], None, fx=BLOCK, fy=BLOCK, interpolation=cv2.INTER_NEAREST)
    return np.asarray(around, np.uint8)[:rows, :columns] & _mask(classes == THIN)


def _mask(where: NDArray[np.bool_]) -> Codes:
    return np.asarray(np.multiply(where, 255, dtype=np.uint8), np.uint8)

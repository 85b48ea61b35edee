"""Surfaces that show by their shape and surroundings: leads, brash ice, and young ice as dark as water.

Pixel by pixel a lead may look like thick ice, brash like thin ice, and nilas like water. A lead is darker than the ice
on both its sides; cloud and shadow are wider than it and dim all of them alike. Brash and nilas are recognised by
whether water or young ice prevails within some 660 m.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from seaice_ops.classes.legend import THIN, WATER

#: Radius in pixels of the neighbourhood that `narrow` depends on; edge in pixels of the blocks of `amid`.
REACH, BLOCK = 10, 4

#: Greatest width in pixels of a lead: a dark line between bright ice.
_LEAD = 10

#: Largest brightness of a lead relative to the ice on both its sides: without cloud, and where cloud halves the
#: contrast. Slopes of snow differ by less: 0.77 is a slope of 12 degrees away from a sun 45 degrees high, or of 5
#: degrees where it is 20 degrees high; below cloud slopes show less, too.
_DARKER, _DARKER_BELOW_CLOUD = 0.77, 0.9

#: Values of `narrow`: lines below the first limit, and those below the second only.
PLAIN, FAINT = 2, 1

#: Edge in blocks of the square around a pixel (1.3 km) in which water and thin ice are counted; share of its area by
#: which one must exceed the other.
_AROUND, _MORE = 33, 0.2

#: Values of `amid`: pixels amid water, and amid young ice. No class uses these bits.
AMID_WATER, AMID_YOUNG_ICE = 4, 8

#: Count of a pixel: water twice this, thin ice 0, anything else this.
_NEITHER = 120
_WATER_LESS_THIN = np.full(256, _NEITHER, np.uint8)
_WATER_LESS_THIN[[WATER, THIN]] = 2 * _NEITHER, 0

_ROWS = 64 * BLOCK  # counted at once

Codes = NDArray[np.uint8]


def narrow(brightness: Codes) -> Codes:
    """(rows, columns) u8: PLAIN on narrow lines much darker than the ice on both sides, FAINT on fainter ones, else 0.

    `brightness` (rows, columns) u8 in any linear scale. Such lines are leads: where one looks like thick ice, it is
    refrozen, thin ice that cloud brightens.
    """
    window = np.ones((_LEAD + 1, _LEAD + 1), np.uint8)
    beside = cv2.erode(cv2.dilate(brightness, window), window)
    plain, faint = (
        brightness < np.asarray(cv2.convertScaleAbs(beside, alpha=limit)) for limit in (_DARKER, _DARKER_BELOW_CLOUD)
    )
    return np.asarray(plain.view(np.uint8) + faint.view(np.uint8))


def amid(classes: Codes) -> Codes:
    """(block rows, block columns) u8: the surface that prevails within 660 m of each BLOCK x BLOCK pixels.

    `classes` (rows, columns) u8 of a whole scene. AMID_WATER where water exceeds thin ice by at least a fifth of the
    area, AMID_YOUNG_ICE where thin ice exceeds water by as much, else 0.

    Young ice covers the water that it grows on. Grey pixels amid water are therefore edges, fragments and slush:
    mixtures of water and older ice finer than a pixel (WMO Sea-Ice Nomenclature: brash ice). Dark pixels amid young ice
    are its youngest part: nilas, where a lead or a hole froze over last.
    """
    shares = np.concatenate([_excess(classes[top : top + _ROWS]) for top in range(0, len(classes), _ROWS)])
    excess = np.asarray(cv2.blur(shares, (_AROUND, _AROUND)))
    wet, iced = excess > np.uint8(_NEITHER * (1 + _MORE)), excess < np.uint8(_NEITHER * (1 - _MORE))
    return np.asarray(wet * np.uint8(AMID_WATER) + iced * np.uint8(AMID_YOUNG_ICE), np.uint8)


def at_pixels(blocks: Codes, rows: int, columns: int) -> Codes:
    """(rows, columns) u8: the value of each pixel's block, from `blocks` (block rows, block columns)."""
    pixels = cv2.resize(blocks[: -(-rows // BLOCK)], None, fx=BLOCK, fy=BLOCK, interpolation=cv2.INTER_NEAREST)
    return np.asarray(pixels, np.uint8)[:rows, :columns]


def _excess(classes: Codes) -> Codes:
    """(block rows, block columns) u8: mean of `_WATER_LESS_THIN` over each BLOCK x BLOCK pixels."""
    rows, columns = classes.shape
    whole = cv2.copyMakeBorder(classes, 0, -rows % BLOCK, 0, -columns % BLOCK, cv2.BORDER_REPLICATE)
    size = whole.shape[1] // BLOCK, whole.shape[0] // BLOCK
    return np.asarray(cv2.resize(cv2.LUT(whole, _WATER_LESS_THIN), size, interpolation=cv2.INTER_AREA), np.uint8)

"""What only what lies around tells: leads that read thick pixel by pixel, brash that reads thin, thin ice that reads
water.

A lead is told by what lies on both its sides, which cloud and shadow, wider than it, dim alike; mixtures of water and
young ice by which of the two there is more of within some 660 m.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from seaice_ops.classes.legend import THIN, WATER

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

#: Edge of the square of blocks around a pixel (1.3 km) that are asked whether there is more water or more thin ice, and
#: by how much of them there must be more.
_AROUND, _MORE = 33, 0.2

#: What `amid` tells of pixels: that they lie amid water, or amid young ice. Bits that no class has.
AMID_WATER, AMID_YOUNG_ICE = 4, 8

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


def amid(classes: Codes) -> Codes:
    """AMID_WATER for each BLOCK x BLOCK pixels of a whole scene's `classes` (rows, columns) u8 around which, within
    660 m, there is more water than thin ice, by a fifth of all at least; AMID_YOUNG_ICE where there is more thin ice;
    0 elsewhere.

    Young ice covers the water that it grows on. Grey pixels amid water are edges, fragments and slush: mixtures of
    water and older ice finer than a pixel (WMO Sea-Ice Nomenclature: brash ice). Dark ones amid young ice are its
    youngest: nilas, where a lead or a hole froze over last.
    """
    shares = np.concatenate([_excess(classes[top : top + _ROWS]) for top in range(0, len(classes), _ROWS)])
    excess = np.asarray(cv2.blur(shares, (_AROUND, _AROUND)))
    wet, iced = excess > np.uint8(_NEITHER * (1 + _MORE)), excess < np.uint8(_NEITHER * (1 - _MORE))
    return np.asarray(wet * np.uint8(AMID_WATER) + iced * np.uint8(AMID_YOUNG_ICE), np.uint8)


def at_pixels(blocks: Codes, rows: int, columns: int) -> Codes:
    """(rows, columns) u8 of the first `blocks`, each BLOCK x BLOCK pixels."""
    pixels = cv2.resize(blocks[: -(-rows // BLOCK)], None, fx=BLOCK, fy=BLOCK, interpolation=cv2.INTER_NEAREST)
    return np.asarray(pixels, np.uint8)[:rows, :columns]


def _excess(classes: Codes) -> Codes:
    """Mean of `_WATER_LESS_THIN` of each BLOCK x BLOCK pixels."""
    rows, columns = classes.shape
    whole = cv2.copyMakeBorder(classes, 0, -rows % BLOCK, 0, -columns % BLOCK, cv2.BORDER_REPLICATE)
    size = whole.shape[1] // BLOCK, whole.shape[0] // BLOCK
    return np.asarray(cv2.resize(cv2.LUT(whole, _WATER_LESS_THIN), size, interpolation=cv2.INTER_AREA), np.uint8)

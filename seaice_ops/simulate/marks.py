"""Viewing conditions of each reference pixel, from the truth: the bits of `classes.conditions`.

- WIDE_THIN: thin ice in a field more than 2 km wide. Such a field is covered by discs of 2 km that hold only thin ice
  and floes less than 300 m across.
- NARROW_LEAD: water or thin ice in a channel into which a disc of 30 m fits and one of 100 m does not, at least 300 m
  long.
- THIN_CLOUD, SHADOW, LOW_SUN: from the simulated sky, with the bounds below, where the truth has a class.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from seaice_ops.classes import conditions, legend
from seaice_ops.simulate.noise import Field

Mask = NDArray[np.bool_]

#: Least optical depth of THIN_CLOUD, at which cirrus stops being thin (Sassen and Cho 1992, J. Appl. Meteorol. 31);
#: least loss of a clear sky's red light for SHADOW; least sun zenith angle in degrees for LOW_SUN.
VEIL, SHADED, LOW_SUN_ZENITH = 0.3, 0.2, 75.0

_WIDE_PX, _FLOE_PX = 200.0, 30.0
_NARROW_PX, _CHANNEL_PX, _RUN_PX = 3.0, 10.0, 30


def conditions_of(
    truth: NDArray[np.uint8], cloud: Field, shadow: Field, sun_zenith: float, mixed: Mask
) -> NDArray[np.uint8]:
    """(rows, columns) u8 bits for 10 m pixels, 0 where the truth has no class.

    `truth` u8 legend codes; `cloud` optical depth; `shadow` share of light lost; `sun_zenith` in degrees; `mixed`
    pixels that no class fills. Arrays are (rows, columns).
    """
    thin, ice_free = truth == legend.THIN, (truth == legend.THIN) | (truth == legend.WATER)
    bits = np.zeros(truth.shape, np.uint8)
    for bit, mask in (
        (conditions.THIN_CLOUD, cloud >= VEIL),
        (conditions.SHADOW, shadow >= SHADED),
        (conditions.LOW_SUN, np.bool_(sun_zenith >= LOW_SUN_ZENITH)),
        (conditions.WIDE_THIN, wide(thin)),
        (conditions.NARROW_LEAD, narrow(ice_free)),
        (conditions.MIXED, mixed),
    ):
        bits |= mask.astype(np.uint8) * np.uint8(bit)
    bits[~np.isin(truth, legend.CLASSES)] = 0
    return bits


def wide(thin: Mask) -> Mask:
    """(rows, columns) bool: thin ice in fields wider than 2 km; a field at the image's border is taken to go on."""
    field = ~_opened(~thin, _FLOE_PX) if thin.any() else thin
    return thin & _opened(field, _WIDE_PX)


def narrow(ice_free: Mask) -> Mask:
    """(rows, columns) bool: channels 30 to 100 m wide and at least 300 m long."""
    channel = _opened(ice_free, _NARROW_PX) & ~_opened(ice_free, _CHANNEL_PX)
    _, parts, stats, _ = cv2.connectedComponentsWithStats(channel.astype(np.uint8), connectivity=8)
    long = stats[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max(axis=1) >= _RUN_PX
    long[0] = False
    return np.asarray(long[parts], np.bool_)


def _opened(mask: Mask, diameter: float) -> Mask:
    """`mask` opened by a disc of `diameter` pixels; the mask is taken to go on beyond the image's border."""
    core = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5) >= diameter / 2 + 0.25
    if not core.any():
        return np.zeros_like(mask)
    reach = cv2.distanceTransform((~core).astype(np.uint8), cv2.DIST_L2, 5)
    return mask & (reach <= diameter / 2 + 0.25)

"""Under which conditions each reference pixel was seen: the bits of `classes.conditions`, from the truth itself.

- WIDE_THIN: thin ice inside a field more than 2 km wide, one covered by discs of 2 km that hold only thin ice
  and floes less than 300 m across.
- NARROW_LEAD: water or thin ice in a channel that a disc of 30 m fits into and one of 100 m does not, and that runs on
  for at least 300 m.
- THIN_CLOUD, SHADOW, LOW_SUN: by the sky's own numbers, where the truth names a class. The bounds are below.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from seaice_ops.classes import conditions, legend
from seaice_ops.simulate.noise import Field

Mask = NDArray[np.bool_]

#: A veil counts from the optical depth at which cirrus stops being thin (Sassen and Cho 1992, J. Appl. Meteorol. 31),
#: shadow from this share of a clear sky's red light lost, a low sun from this zenith in degrees.
VEIL, SHADED, LOW_SUN_ZENITH = 0.3, 0.2, 75.0

_WIDE_PX, _FLOE_PX = 200.0, 30.0
_NARROW_PX, _CHANNEL_PX, _RUN_PX = 3.0, 10.0, 30


def conditions_of(
    truth: NDArray[np.uint8], cloud: Field, shadow: Field, sun_zenith: float, mixed: Mask
) -> NDArray[np.uint8]:
    """(rows, columns) u8 bit mask for 10 m pixels; 0 where the truth names no class.

    `cloud` is optical depth, `shadow` the share of light lost, `mixed` where no class fills the pixel.
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
    """Thin ice in fields wider than 2 km; a field that leaves the picture is taken to go on."""
    field = ~_opened(~thin, _FLOE_PX) if thin.any() else thin
    return thin & _opened(field, _WIDE_PX)


def narrow(ice_free: Mask) -> Mask:
    """Channels 30 to 100 m wide that run on for at least 300 m."""
    channel = _opened(ice_free, _NARROW_PX) & ~_opened(ice_free, _CHANNEL_PX)
    _, parts, stats, _ = cv2.connectedComponentsWithStats(channel.astype(np.uint8), connectivity=8)
    long = stats[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max(axis=1) >= _RUN_PX
    long[0] = False
    return np.asarray(long[parts], np.bool_)


def _opened(mask: Mask, diameter: float) -> Mask:
    """What discs of `diameter` pixels that lie within `mask` cover; the mask goes on beyond the picture's border."""
    core = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5) >= diameter / 2 + 0.25
    if not core.any():
        return np.zeros_like(mask)
    reach = cv2.distanceTransform((~core).astype(np.uint8), cv2.DIST_L2, 5)
    return mask & (reach <= diameter / 2 + 0.25)

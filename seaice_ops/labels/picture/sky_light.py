"""Shadow in a true colour: what only the sky lights is bluer than what the sun lights too.

How much bluer than snow a surface is, after the air's own light is taken away, tells which share of the light is left;
with it a picture's brightness can be brought to what the sun would make of it. Snow and ice are grey enough for that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from seaice_ops.labels.reflectance import optics

#: Edge of the window that colour is averaged over; how much bluer than snow ice in the sun may be.
_AROUND, _BLUE_ICE = 5, 1.02

#: The least share of the light that is believed to be left, and what keeps the ratio of two dark levels steady.
_LEAST_LIGHT, _FLOOR = 0.25, 0.02

#: A channel's darkest level is no more than this share of the snow's. Fewer pixels of snow tell nothing of its colour.
_BRIGHTEST_DARK, _FEWEST = 0.25, 50

#: How far the light of an array's pixels reaches.
REACH = _AROUND // 2

Bytes = NDArray[np.uint8]
Share = TypeVar("Share", float, NDArray[np.float64])


@dataclass(frozen=True)
class Scale:
    """The 8-bit levels of a channel that stand for no light from the surface (`dark`) and for snow (`white`)."""

    dark: float
    white: float

    def at(self, share: Share) -> Share:
        """The level that stands for `share` of snow's brightness."""
        return self.dark + share * (self.white - self.dark)


def channel_scale(counts: NDArray[np.int64], of_snow: NDArray[np.int64], snow: float) -> Scale:
    """The levels of one channel (red, green or blue) that stand for no light and for snow.

    `counts` and `of_snow` (256,) are the numbers of pixels at each 8-bit level of the channel: of the whole picture,
    and of its snow. `snow` is the picture's snow level from `true_colour.levels`.

    Dark is the level that 0.1 % of the pixels are at or below, but never more than a quarter of `snow`. White is the
    median of the snow's pixels, or `snow` where there are fewer than 50. White is at least one level above dark.
    """
    dark = min(_level(counts, 0.001), _BRIGHTEST_DARK * snow)
    white = _level(of_snow, 0.5) if of_snow.sum() >= _FEWEST else snow
    return Scale(dark, max(white, dark + 1))


def _level(counts: NDArray[np.int64], share: float) -> float:
    return float(np.searchsorted(np.cumsum(counts), share * counts.sum()))


def would_be_bright(red: Bytes, blue: Bytes, of_red: Scale, of_blue: Scale, share: float) -> NDArray[np.bool_]:
    """(rows, columns) bool: True where a pixel in the sun would be at least `share` of the snow's brightness.

    `red` and `blue` are (rows, columns) u8, with their scales. How blue the 5 x 5 pixels around are tells how much of
    the sunlight a shadow takes; the pixel's red is compared with what would be left of it.
    """
    least = _least_red(of_red, of_blue, share).ravel()
    around_red, around_blue = (np.asarray(cv2.blur(plane, (_AROUND, _AROUND)), np.uint8) for plane in (red, blue))
    return np.asarray(red >= least.take(around_red.astype(np.intp) << 8 | around_blue))


def _least_red(of_red: Scale, of_blue: Scale, share: float) -> NDArray[np.uint16]:
    """(256, 256) the red level from which on that holds, for each mean red and blue around."""
    at = np.arange(256)
    red, blue = (np.maximum(0, at - scale.dark) / (scale.white - scale.dark) + _FLOOR for scale in (of_red, of_blue))
    light = red_light(blue / red[:, None] / _BLUE_ICE)
    return np.ceil(of_red.at(share * light)).astype(np.uint16)


def red_light(bluer: NDArray[np.float64]) -> NDArray[np.float64]:
    """The share of all red light that is left where blue is `bluer` by this factor than in the sun: the share s of the
    direct beam leaves s + (1 - s) d of the light in a band, d being the sky's part of it."""
    in_blue, in_red = (optics.air(band, optics.USUAL_ZENITH).diffuse for band in ("B02", "B04"))
    bluer = np.clip(bluer, 1, in_blue / in_red)
    beam = (in_blue - bluer * in_red) / (bluer * (1 - in_red) - (1 - in_blue))
    return np.asarray(np.maximum(beam * (1 - in_red) + in_red, _LEAST_LIGHT), np.float64)

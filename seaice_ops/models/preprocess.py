"""The one way from 8-bit true colour to a network's input, in training and in prediction alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seaice_ops.models.card import Preprocessing


def prepare(rgb: NDArray[np.uint8], valid: NDArray[np.bool_], constants: Preprocessing) -> NDArray[np.float32]:
    """(..., 3, rows, columns) float32 of `rgb` (..., rows, columns, 3) u8 and `valid` (..., rows, columns).

    (value / 255 - mean) / std, and `constants.fill` in all bands of a pixel that was not observed. The result keeps
    the memory order of `rgb` (channels last), which is the order that CPU convolutions like best.
    """
    scale = (np.arange(256, dtype=np.float64)[:, None] / 255 - constants.mean) / constants.std
    table = scale.astype(np.float32)
    x = np.empty(rgb.shape, np.float32)
    for band in range(3):
        np.take(table[:, band], rgb[..., band], out=x[..., band], mode="clip")
    x[~valid] = constants.fill
    return np.moveaxis(x, -1, -3)

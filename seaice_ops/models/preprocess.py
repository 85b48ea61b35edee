"""A network's input from 8-bit bands, the same in training and in prediction."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seaice_ops.models.card import Preprocessing


def prepare(image: NDArray[np.uint8], valid: NDArray[np.bool_], constants: Preprocessing) -> NDArray[np.float32]:
    """(..., bands, rows, columns) float32 of `image` (..., rows, columns, bands) u8 and `valid` (..., rows, columns).

    (value / 255 - mean) / std, and `constants.fill` in all bands of a pixel that was not observed. The result keeps
    the memory order of `image` (channels last), in which CPU convolutions are fastest.
    """
    scale = (np.arange(256, dtype=np.float64)[:, None] / 255 - constants.mean) / constants.std
    table = scale.astype(np.float32)
    x = np.empty(image.shape, np.float32)
    for band in range(image.shape[-1]):
        np.take(table[:, band], image[..., band], out=x[..., band], mode="clip")
    x[~valid] = constants.fill
    return np.moveaxis(x, -1, -3)

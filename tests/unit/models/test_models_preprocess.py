"""Preprocessing against its formula, pixel by pixel."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seaice_ops.models.card import Preprocessing
from seaice_ops.models.preprocess import prepare


@given(arrays(np.uint8, (2, 3, 4, 3)), arrays(np.bool_, (2, 3, 4)), st.floats(-3, 3, width=32))
def test_every_value(rgb: np.ndarray, valid: np.ndarray, fill: float) -> None:
    constants = Preprocessing(ceiling=0.3558, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3), fill=fill)
    x = prepare(rgb, valid, constants)
    assert x.shape == (2, 3, 3, 4) and x.dtype == np.float32
    for i, r, c in np.ndindex(valid.shape):
        for band in range(3):
            value = (rgb[i, r, c, band] / 255 - constants.mean[band]) / constants.std[band]
            assert x[i, band, r, c] == np.float32(value if valid[i, r, c] else fill)


def test_the_result_is_channels_last() -> None:
    x = prepare(np.zeros((8, 6, 3), np.uint8), np.ones((8, 6), bool), Preprocessing(ceiling=0.3558))
    assert x.strides == (4, 6 * 3 * 4, 3 * 4)

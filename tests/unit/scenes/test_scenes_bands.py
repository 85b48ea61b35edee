"""Look-up tables and replication against slow arithmetic."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seaice_ops.pixels.radiometry import UNOBSERVED, true_colour
from seaice_ops.scenes.bands import colour_table, reflectance_table, replicate
from seaice_ops.sensors.sentinel2 import CEILING


def test_worked_examples_since_baseline_0400():
    table = reflectance_table(-1000, 10000)
    assert table[[0, 1, 1000, 1001, 4558, 65535]].tolist() == [UNOBSERVED, -999, 0, 1, 3558, 32767]


def test_worked_examples_before_baseline_0400():
    table = reflectance_table(0, 10000)
    assert table[[0, 1, 3558, 32767, 32768, 65535]].tolist() == [UNOBSERVED, 1, 3558, 32767, 32767, 32767]


@given(st.integers(1, 65535), st.integers(-40000, 40000), st.sampled_from([1000, 10000, 20000]))
def test_any_number_against_exact_fractions(number, offset, quantification):
    exact = Fraction(number + offset) * 10000 / quantification
    expected = min(max(round(exact), UNOBSERVED + 1), 32767)
    assert reflectance_table(offset, quantification)[number] == expected


@given(st.integers(1, 65535), st.integers(-40000, 40000))
def test_an_observed_pixel_is_never_no_data(number, offset):
    assert reflectance_table(offset, 10000)[number] != UNOBSERVED


@pytest.mark.parametrize("ceiling", [0.05, 0.2, CEILING, 1.0, 1.5])
def test_true_colour_gives_back_all_256_values(ceiling):
    values = colour_table(ceiling)
    assert values.shape == (256,) and values.min() == 0
    rgb = true_colour(np.broadcast_to(values, (3, 1, 256)), ceiling)
    assert (rgb == np.arange(256)[None, :, None]).all()


@given(arrays(np.int16, (3, 4)), st.integers(1, 4))
def test_replication_repeats_each_pixel(band, factor):
    out = replicate(band, factor)
    assert out.shape == (3 * factor, 4 * factor)
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            assert out[row, column] == band[row // factor, column // factor]

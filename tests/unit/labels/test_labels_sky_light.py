"""Shadow in a true colour: how much light is left by colour, against the forward formula; snow in shadow is snow."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from seaice_ops.classes import legend
from seaice_ops.classes import quality_flags as reasons
from seaice_ops.labels.picture.sky_light import Scale, channel_scale, red_light, would_be_bright
from seaice_ops.labels.picture.true_colour import reflectance_rgb
from seaice_ops.labels.reflectance import optics

WATER, THIN, THICK = legend.CLASSES
BANDS = ("B04", "B03", "B02")


def sky(band: str) -> float:
    """The sky's part of the light at the middle of the season; our optics leave B03 out."""
    if band != "B03":
        return optics.air(band, 66.0).diffuse
    return 0.5 * (sky("B02") + sky("B04"))


@given(st.floats(0, 1))
def test_the_light_that_is_left_follows_from_the_colour_that_it_has(beam: float):
    red, blue = (beam * (1 - sky(band)) + sky(band) for band in ("B04", "B02"))
    assert red_light(np.array(blue / red)) == pytest.approx(max(red, 0.25), abs=1e-9)


def test_what_is_no_bluer_than_in_the_sun_has_all_its_light():
    assert red_light(np.array([0.2, 0.9, 1.0])) == pytest.approx(1)
    assert red_light(np.array([3.0, 50.0])) == pytest.approx(0.25)


planes = arrays.arrays(np.uint8, (9, 8))


@given(planes, planes, st.integers(0, 60), st.integers(70, 255), st.floats(0.1, 1))
@hypothesis_settings(max_examples=40, deadline=None)
def test_bright_in_the_sun_is_that_of_a_loop_over_pixels(
    red: np.ndarray, blue: np.ndarray, dark: int, white: int, share: float
):
    scale = Scale(dark, white)
    found = would_be_bright(red, blue, scale, scale, share)
    padded = [np.pad(plane.astype(float), 2, mode="reflect") for plane in (red, blue)]
    for row, column in np.ndindex(red.shape):
        r, b = (round(plane[row : row + 5, column : column + 5].mean()) for plane in padded)
        here, there = (max(0.0, (value - dark) / (white - dark)) + 0.02 for value in (r, b))
        light = float(red_light(np.array(there / here / 1.02)))
        needed = dark + share * light * (white - dark)
        if abs(red[row, column] - needed) > 1:  # apart from what rounding decides
            assert found[row, column] == (red[row, column] > needed)


def test_a_channel_without_snow_takes_the_picture_s():
    counts, none = np.zeros((2, 256), np.int64)
    counts[90] = 400
    assert channel_scale(counts, none, 240.0) == Scale(60.0, 240.0)
    assert channel_scale(counts, counts, 240.0) == Scale(60.0, 90.0)


def picture(ceiling: float) -> tuple[np.ndarray, np.ndarray]:
    """Snow, water and grey young ice, the right half in deep shadow: true colour u8 and the truth."""
    truth = np.full((120, 160), THICK, np.uint8)
    truth[80:, :] = WATER
    truth[40:80, :] = THIN
    levels = np.array([0, 0.015, 0.22, 0.9])[truth]
    sunlight = np.ones(truth.shape)
    sunlight[:, 80:] = 0.2
    light = {band: sunlight * (1 - sky(band)) + sky(band) for band in BANDS}
    path = {"B04": 0.03, "B03": 0.045, "B02": 0.065}
    seen = np.stack([path[band] + 0.9 * levels * light[band] for band in BANDS], axis=-1)
    return np.clip(np.rint(seen / ceiling * 255), 0, 255).astype(np.uint8), truth


def test_snow_in_shadow_is_thick_and_says_so():
    rgb, truth = picture(1.0)
    labels = reflectance_rgb(rgb, np.ones(truth.shape, bool))
    inner = np.s_[5:75, 85:]  # away from the outlines
    assert (labels.classes[:38, 85:] == THICK).all()
    assert (labels.classes[45:75, :75] == THIN).all()
    assert not (labels.classes[45:75, 85:] == THICK).any()
    assert (labels.classes[85:] == WATER).all()
    assert labels.reasons is not None
    assert labels.confidence is not None
    shaded = (labels.reasons[inner] & reasons.SHADOW) > 0
    assert np.array_equal(shaded, labels.classes[inner] == THICK)
    assert (labels.confidence[inner][shaded] <= 50).all()
    assert not (labels.reasons[:, :75] & reasons.SHADOW).any()


def test_where_snow_is_at_the_end_of_the_scale_shadow_is_left_alone():
    rgb, truth = picture(0.3558)
    labels = reflectance_rgb(rgb, np.ones(truth.shape, bool))
    assert labels.reasons is not None
    assert not (labels.reasons & reasons.SHADOW).any()

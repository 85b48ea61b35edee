"""Leads and brash: each rule against a slow loop over pixels, and on drawings of what it is for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from seaice_ops.labels import shapes
from seaice_ops.labels.pixels import SHAPED, labelled
from seaice_ops.labels.reasons import CLOUD, SHADOW
from seaice_ops.labels.reflectance_table import SHAPE
from seaice_ops.labels.shapes import FAINT, PLAIN
from seaice_ops.labels.surroundings import MOST
from seaice_ops.legend import CLASSES, THICK, THIN, WATER

codes = arrays.arrays(np.uint8, (24, 28), elements=st.sampled_from([1, 1, 2, 3, 205, 255]))
levels = arrays.arrays(np.uint8, (24, 28))


@given(levels)
@hypothesis_settings(max_examples=25, deadline=None)
def test_narrow_lines_are_those_of_a_loop_over_pixels(brightness: np.ndarray):
    around = 5
    brightest = np.zeros_like(brightness)
    for row, column in np.ndindex(brightness.shape):
        brightest[row, column] = brightness[_near(row, around), _near(column, around)].max()
    beside = np.zeros_like(brightness)
    for row, column in np.ndindex(brightness.shape):
        beside[row, column] = brightest[_near(row, around), _near(column, around)].min()
    found = shapes.narrow(brightness)
    assert set(np.unique(found)) <= {0, FAINT, PLAIN}
    for kind, limit in ((PLAIN, 0.77 * beside), (FAINT, 0.9 * beside)):
        clear = np.abs(brightness - limit) > 0.51  # apart from what rounding decides
        assert np.array_equal(found[clear] >= kind, (brightness < limit)[clear])


def _near(centre: int, around: int) -> slice:
    return slice(max(0, centre - around), centre + around + 1)


@pytest.mark.parametrize("width", [1, 3, 6, 10])
def test_a_dark_line_is_narrow_at_any_width_up_to_a_hundred_metres(width: int):
    brightness = np.full((60, 80), 200, np.uint8)
    brightness[:, 30 : 30 + width] = 150  # snow under a veil would be 175
    found = shapes.narrow(brightness)
    assert (found[:, 30 : 30 + width] == PLAIN).all()
    assert found.sum() == PLAIN * 60 * width


def test_a_shadow_s_edge_and_a_slope_are_not_narrow():
    shadow = np.full((60, 80), 200, np.uint8)
    shadow[:, 30:] = 100
    slope = np.full(shadow.shape, 200, np.uint8)
    slope[:, 30:33] = 160
    assert not shapes.narrow(shadow).any()
    assert (shapes.narrow(slope) < PLAIN).all()


@pytest.mark.parametrize(("dark", "sky"), [(150, 0), (150, CLOUD), (170, CLOUD)])
@pytest.mark.parametrize("shadowed", [0, SHADOW])
def test_a_lead_that_reads_thick_is_thin_and_says_why(dark: int, sky: int, shadowed: int):
    classes, notes = _read_thick(dark, sky | shadowed, thin=0 if sky else 60)
    line = np.zeros(classes.shape, bool)
    line[:, 30:33] = True
    assert (classes[10:-10][line[10:-10]] == THIN).all()
    assert ((notes & SHAPED) > 0)[10:-10][line[10:-10]].all()
    assert (classes[~line] == THICK).all()
    assert not (notes & SHAPED)[~line].any()


@pytest.mark.parametrize("sky", [0, SHADOW])
def test_a_faint_line_is_a_lead_below_cloud_only(sky: int):
    classes, notes = _read_thick(170, sky, thin=60)
    assert (classes == THICK).all()
    assert not (notes & SHAPED).any()


@pytest.mark.parametrize("sky", [0, SHADOW])
def test_a_line_that_is_thick_without_doubt_stays_so_where_no_cloud_hides_it(sky: int):
    classes, notes = _read_thick(150, sky, thin=40)
    assert (classes == THICK).all()
    assert not (notes & SHAPED).any()


def _read_thick(dark: int, sky: int, thin: int) -> tuple[np.ndarray, np.ndarray]:
    """Classes and notes of a dark line below `sky`, where every pixel reads thick but for a share of `thin`."""
    bright = np.full((60, 80), 200, np.uint8)
    bright[:, 30:33] = dark
    packed = (sky & CLOUD) | (thin | int((sky & SHADOW) > 0)) << 8
    cells = np.full(int(np.prod(SHAPE)), packed, np.uint16)
    codes, around = [np.full(bright.shape, 100, np.uint8)] * 4, np.full((*bright.shape, 3), MOST, np.uint8)
    classes, _, notes = labelled(bright, shapes.narrow(bright), codes, cells, around, 1.0, 255)
    return classes, notes


@given(codes)
@hypothesis_settings(max_examples=25, deadline=None)
def test_brash_is_thin_ice_where_there_is_more_water_around(classes: np.ndarray):
    """The oracle counts in blocks of 4 x 4 and mirrors them at the border, as the averages do; rounding may turn what
    is within a hundredth of the bound."""
    water, thin = ((classes == code).reshape(6, 4, 7, 4).mean(axis=(1, 3)) for code in (WATER, THIN))
    excess = np.pad(water - thin, 4, mode="reflect")
    found = _brash(classes)
    for row, column in np.ndindex(classes.shape):
        more = excess[row // 4 : row // 4 + 9, column // 4 : column // 4 + 9].mean()
        if classes[row, column] != THIN or more < 0.04:
            assert found[row, column] == 0
        elif more > 0.06:
            assert found[row, column] == 255


def _brash(classes: np.ndarray) -> np.ndarray:
    return shapes.brash(classes, shapes.wet(classes))


def test_grey_pixels_amid_water_are_brash_and_a_field_of_young_ice_is_not():
    rng = np.random.default_rng(0)
    classes = np.full((120, 120), WATER, np.uint8)
    classes[:, :60][rng.random((120, 60)) < 0.2] = THIN
    classes[:, 60:] = THIN
    found = _brash(classes) > 0
    assert found[:, :40][classes[:, :40] == THIN].all()
    assert not found[:, 80:].any()


@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.sampled_from(CLASSES)))
@hypothesis_settings(max_examples=40, deadline=None)
def test_the_smallest_pictures_have_shapes_too(classes: np.ndarray):
    assert shapes.narrow(classes * np.uint8(80)).shape == classes.shape
    assert not _brash(classes)[classes != THIN].any()

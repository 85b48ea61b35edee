"""Leads, brash and youngest ice: each rule against a slow loop over pixels, and on drawings of what it is for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from seaice_ops.classes.legend import CLASSES, THICK, THIN, WATER
from seaice_ops.classes.quality_flags import CLOUD, SHADOW
from seaice_ops.labels.reflectance import shapes
from seaice_ops.labels.reflectance.pixels import SHAPED, WATERY, labelled
from seaice_ops.labels.reflectance.post_processing import post_process
from seaice_ops.labels.reflectance.shapes import AMID_WATER, AMID_YOUNG_ICE, FAINT, PLAIN
from seaice_ops.labels.reflectance.surroundings import MOST
from seaice_ops.labels.reflectance.table import SHAPE

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
    classes, notes = _read_thick(150, sky, thin=24)
    assert (classes == THICK).all()
    assert not (notes & SHAPED).any()


def test_a_pixel_that_holds_more_of_what_lies_beside_a_lead_stays_thick():
    bright = np.full((60, 80), 200, np.uint8)
    bright[:, 30:33] = 80, 60, 150  # 60 + 5 / 9 of 140 is 138
    classes, notes = _labelled_thick(bright, 0, thin=60)
    assert (classes[10:-10, 30:32] == THIN).all()
    assert (classes[:, 32] == THICK).all()
    assert not (notes & SHAPED)[:, 32].any()


@pytest.mark.parametrize(("sky", "water", "watery"), [(0, 120, False), (SHADOW, 120, True), (SHADOW, 80, False)])
def test_what_is_water_rather_than_thick_ice_is_told_by_shares_below_a_veil(sky: int, water: int, watery: bool):
    bright = np.full((60, 80), 200, np.uint8)
    _, notes = _labelled_thick(bright, sky, thin=30, water=water, half=100.0)
    assert ((notes & WATERY) > 0).all() == watery
    assert ((notes & WATERY) > 0).any() == watery
    assert (_labelled_thick(bright // 4, sky, thin=30, water=water, half=100.0)[1] & WATERY > 0).all()


def _read_thick(dark: int, sky: int, thin: int) -> tuple[np.ndarray, np.ndarray]:
    """Classes and notes of a dark line below `sky`, where every pixel reads thick but for a share of `thin`."""
    bright = np.full((60, 80), 200, np.uint8)
    bright[:, 30:33] = dark
    return _labelled_thick(bright, sky, thin)


def _labelled_thick(
    bright: np.ndarray, sky: int, thin: int, water: int = 0, half: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Classes and notes below `sky`, where the table gives every pixel these shares (of 250), thick ice the rest."""
    packed = (water | (sky & CLOUD)) | (thin | int((sky & SHADOW) > 0)) << 8
    cells = np.full(int(np.prod(SHAPE)), packed, np.uint16)
    codes, around = [np.full(bright.shape, 100, np.uint8)] * 4, np.full((*bright.shape, 3), MOST, np.uint8)
    classes, _, notes = labelled(bright, shapes.narrow(bright), codes, cells, around, half, 255)
    return classes, notes


@given(codes)
@hypothesis_settings(max_examples=25, deadline=None)
def test_pixels_lie_amid_water_or_young_ice_by_which_there_is_more_of(classes: np.ndarray):
    """The oracle counts in blocks of 4 x 4 and mirrors them at the border, as the averages do; rounding may turn what
    is within a hundredth of the bounds."""
    water, thin = ((classes == code).reshape(6, 4, 7, 4).mean(axis=(1, 3)) for code in (WATER, THIN))
    excess = np.pad(water - thin, 16, mode="reflect")
    lie = _lie(classes)
    for row, column in np.ndindex(classes.shape):
        more = excess[row // 4 : row // 4 + 33, column // 4 : column // 4 + 33].mean()
        if abs(abs(more) - 0.2) > 0.01:
            assert lie[row, column] == (AMID_WATER if more > 0.2 else AMID_YOUNG_ICE if more < -0.2 else 0)


def _lie(classes: np.ndarray) -> np.ndarray:
    return shapes.at_pixels(shapes.amid(classes), *classes.shape)


def test_fields_of_brash_and_of_young_ice_with_holes_are_told_apart():
    rng = np.random.default_rng(0)
    classes = np.full((400, 800), WATER, np.uint8)
    classes[:, :400][rng.random((400, 400)) < 0.2] = THIN
    classes[:, 400:] = THIN
    classes[:, 400:][rng.random((400, 400)) < 0.2] = WATER
    lie = _lie(classes)
    assert (lie[:, :300] == AMID_WATER).all()
    assert (lie[:, 500:] == AMID_YOUNG_ICE).all()


def test_doubt_is_decided_by_what_lies_around_and_certainty_is_not():
    classes = np.full((120, 120), WATER, np.uint8)
    classes[40:44, ::6] = THIN
    notes, confidence = np.zeros_like(classes), np.full_like(classes, 80)
    notes[:, :60] |= WATERY
    confidence[:, 90:] = 92
    found, stated, why = classes.copy(), confidence.copy(), notes.copy()
    post_process(found, stated, why, 60.0)
    brash = (classes == THIN) & (confidence < 92)
    assert (found[brash] == np.where(notes[brash] > 0, WATER, THICK)).all()
    assert (stated[brash] <= 50).all()
    assert np.array_equal(found[~brash], classes[~brash])


def test_doubtful_water_amid_young_ice_is_young_ice():
    classes = np.full((120, 120), THIN, np.uint8)
    classes[40:44, ::6] = WATER
    confidence = np.full_like(classes, 80)
    confidence[:, 90:] = 92
    found, stated = classes.copy(), confidence.copy()
    post_process(found, stated, np.zeros_like(classes), 60.0)
    doubtful = (classes == WATER) & (confidence < 92)
    assert (found[doubtful] == THIN).all()
    assert (stated[doubtful] <= 50).all()
    assert np.array_equal(found[~doubtful], classes[~doubtful])


@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.sampled_from(CLASSES)))
@hypothesis_settings(max_examples=40, deadline=None)
def test_the_smallest_pictures_have_shapes_too(classes: np.ndarray):
    assert shapes.narrow(classes * np.uint8(80)).shape == classes.shape
    assert _lie(classes).shape == classes.shape

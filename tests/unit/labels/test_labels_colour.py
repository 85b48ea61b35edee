"""`colour` against the published HSV limits in OpenCV, and on the real Ross Sea scene."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from helpers.published import segment
from seaice_ops.labels.published.colour import colour, counted
from seaice_ops.labels.published.iqrah2024 import iqrah2024

pictures = arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3)))


def everywhere(rgb: np.ndarray) -> np.ndarray:
    return np.ones(rgb.shape[:2], bool)


@given(pictures)
def test_equals_the_published_limits(rgb):
    assert np.array_equal(colour(rgb, everywhere(rgb)), segment(rgb))


def test_equals_the_published_limits_for_every_brightness_and_hue():
    levels = np.arange(256, dtype=np.uint8)
    for order in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        rgb = np.stack([np.repeat(levels[:, None], 256, 1), np.repeat(levels[None], 256, 0), np.zeros((256, 256))], 2)
        rgb = rgb.astype(np.uint8)[..., order]
        assert np.array_equal(colour(rgb, everywhere(rgb)), segment(rgb))


@pytest.mark.parametrize("shape", [(1, 1), (1, 300_001), (300_001, 1), (256, 256), (2048, 2048), (37, 10_980)])
def test_every_shape_is_cut_into_strips_without_a_seam(shape):
    rgb = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    v = rgb.max(axis=2)
    assert np.array_equal(colour(rgb, everywhere(rgb)), 1 + (v > 30) + (v > 204))


@given(pictures, st.integers(0, 2**32 - 1), st.integers(0, 40), st.integers(0, 40))
def test_no_data_is_255_exactly_where_not_valid_and_the_cut_does_not_matter(rgb, seed, row, column):
    valid = np.random.default_rng(seed).random(rgb.shape[:2]) < 0.7
    codes = colour(rgb, valid)
    assert np.array_equal(codes == 255, ~valid)
    assert np.array_equal(codes[valid], segment(rgb)[valid])
    for part in (np.s_[:row, :column], np.s_[row:, :column], np.s_[:row, column:], np.s_[row:, column:]):
        if valid[part].size:
            assert np.array_equal(colour(rgb[part], valid[part]), codes[part])


def test_thresholds_are_arguments():
    rgb = np.repeat(np.array([[10, 11, 99, 100, 255]], np.uint8)[..., None], 3, axis=2)
    assert colour(rgb, everywhere(rgb), water_max=10, thin_max=99).tolist() == [[1, 2, 2, 3, 3]]


def test_reproduces_the_authors_labels_of_the_real_ross_sea_scene(outside_data: Path):
    """Their label image is the colour rule on the unfiltered scene, its no-data corner labelled water."""
    folder = outside_data / "ross_sea_s2"
    rgb = cv2.imread(str(folder / "ross_B_rgb.png"))[..., ::-1]
    theirs = cv2.imread(str(folder / "ross_B_author_autolabel_rgb.png"))[..., ::-1].astype(int)
    codes = np.zeros(rgb.shape[:2], np.uint8)
    for code, pure in {3: (255, 0, 0), 2: (0, 0, 255), 1: (0, 255, 0)}.items():
        codes[np.abs(theirs - pure).max(axis=2) <= 32] = code
    judged = codes > 0
    assert judged.mean() > 0.75
    assert (colour(rgb, everywhere(rgb)) == codes)[judged].mean() >= 0.999
    assert (iqrah2024(rgb, everywhere(rgb), dilate=7, median=155) == codes)[judged].mean() < 0.95


def test_levels_are_counted_where_valid_and_bright_enough():
    rng = np.random.default_rng(1)
    rgb, valid = rng.integers(0, 256, (300, 2000, 3), dtype=np.uint8), rng.random((300, 2000)) > 0.3
    v = rgb.max(axis=2)
    where = valid & (v >= 200)
    expected = [np.bincount(plane[where], minlength=256) for plane in (*np.moveaxis(rgb, 2, 0), v)]
    assert np.array_equal(counted(rgb, valid, 200), expected)
    assert counted(rgb, valid)[3].sum() == valid.sum()

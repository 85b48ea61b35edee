"""`iqrah2024` against the published steps in OpenCV, a slow oracle with no-data, and the published filter's outputs."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.published import exact_median, filtered_codes, masked_oracle
from seaice_ops.labels.published.colour import colour
from seaice_ops.labels.published.iqrah2024 import iqrah2024, kernel, median_blur, otsu
from seaice_ops.pixels.picture import black_border


def everywhere(rgb: np.ndarray) -> np.ndarray:
    return np.ones(rgb.shape[:2], bool)


def grey(shape: tuple[int, int], *levels: int) -> np.ndarray:
    """Columns of equal levels, as RGB."""
    row = np.repeat(levels, -(-shape[1] // len(levels)))[: shape[1]]
    return np.broadcast_to(row.astype(np.uint8)[None, :, None], (*shape, 3)).copy()


def floes(shape: tuple[int, int], seed: int = 3) -> np.ndarray:
    """Smooth noise over all brightness: water, thin and thick ice in patches of some 20 pixels."""
    noise = np.random.default_rng(seed).random((*shape, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 6)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


SCENES = {
    "floes": floes((300, 280)),
    "all water": grey((90, 80), 12),
    "all thin": grey((90, 80), 120),
    "all thick": grey((90, 80), 240),
    "saturated": grey((90, 80), 255),
    "black": grey((90, 80), 0),
    "no water": grey((200, 300), 240, 100, 240),
    "no thin": grey((200, 300), 240, 10, 235),
    "no thick": grey((200, 300), 90, 10, 100),
    "thick with a saturated half": grey((200, 300), 230, 255),
    "one row": floes((1, 400)),
    "one column": floes((400, 1)),
    "one pixel": grey((1, 1), 77),
    "four pixels in a column": grey((4, 1), 77),
    "four pixels in a row": floes((1, 4)),
    "all water but one pixel": np.pad(grey((1, 1), 200), ((40, 39), (40, 39), (0, 0)), constant_values=9),
    "half saturated noise": np.where(floes((160, 150)) > 128, 255, floes((160, 150), 8)).astype(np.uint8),
    "256": floes((256, 256), 4),
    "2048": cv2.resize(floes((512, 512), 5), (2048, 2048), interpolation=cv2.INTER_CUBIC),
}


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize(("dilate", "median"), [(7, 155), (1, 1), (37, 255), (3, 5)])
def test_equals_the_published_steps(name, dilate, median):
    rgb = SCENES[name]
    ours = iqrah2024(rgb, everywhere(rgb), dilate=dilate, median=median)
    assert np.array_equal(ours, filtered_codes(rgb, dilate, median))


@given(st.data())
@settings(max_examples=150)
def test_equals_the_published_steps_on_any_range_of_levels(data):
    shape = data.draw(st.tuples(st.integers(1, 24), st.integers(1, 24)))
    low = data.draw(st.integers(0, 255))
    high = data.draw(st.integers(low, 255))
    rgb = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1))).integers(low, high + 1, (*shape, 3), np.uint8)
    dilate, median = data.draw(st.sampled_from([1, 3, 7, 31])), data.draw(st.sampled_from([1, 3, 5, 15, 155]))
    assert np.array_equal(
        iqrah2024(rgb, everywhere(rgb), dilate=dilate, median=median), filtered_codes(rgb, dilate, median)
    )


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.1, 0.5, 0.95]), st.booleans())
@settings(max_examples=40, deadline=None)
def test_no_data_equals_the_oracle(seed, missing, wedge):
    random = np.random.default_rng(seed)
    rgb = random.integers(0, 256, (*random.integers(1, 30, 2), 3), dtype=np.uint8)
    valid = random.random(rgb.shape[:2]) >= missing
    if wedge:
        valid &= np.add.outer(np.arange(rgb.shape[0]), np.arange(rgb.shape[1])) > rgb.shape[1] // 2
    codes = iqrah2024(rgb, valid, dilate=3, median=9)
    assert np.array_equal(codes == 255, ~valid)
    if valid.any():
        assert np.array_equal(codes, masked_oracle(rgb, valid, 3, 9))


def test_what_lies_under_no_data_changes_nothing():
    rgb = floes((200, 220))
    valid = np.add.outer(np.arange(200), np.arange(220)) > 150
    answers = []
    for hidden in (0, 128, 255):
        painted = rgb.copy()
        painted[~valid] = hidden
        answers.append(iqrah2024(painted, valid, dilate=7, median=155))
    assert np.array_equal(answers[0], answers[1])
    assert np.array_equal(answers[0], answers[2])


def test_a_white_border_that_was_not_observed_changes_nothing_inside():
    """Where the scene itself is white at its edge, no-data around it is what the repeated edge was before."""
    rgb = floes((200, 220))
    rgb[:8], rgb[-8:], rgb[:, :8], rgb[:, -8:] = 255, 255, 255, 255
    inside = iqrah2024(rgb, everywhere(rgb), dilate=7, median=31)
    wide = np.zeros((260, 280, 3), np.uint8)
    wide[30:230, 30:250] = rgb
    valid = np.zeros((260, 280), bool)
    valid[30:230, 30:250] = True
    codes = iqrah2024(wide, valid, dilate=7, median=31)
    assert np.array_equal(codes[30:230, 30:250], inside)
    assert (codes[~valid] == 255).all()


def test_a_scene_without_a_single_observed_pixel_is_all_no_data():
    rgb = floes((40, 50))
    assert (iqrah2024(rgb, np.zeros((40, 50), bool), dilate=7, median=155) == 255).all()


def test_the_authors_channel_order_is_the_reversed_array():
    rgb = floes((120, 130))
    theirs = iqrah2024(rgb[..., ::-1], everywhere(rgb), dilate=7, median=31)
    assert np.array_equal(theirs, filtered_codes(np.ascontiguousarray(rgb[..., ::-1]), 7, 31))


def test_the_filter_leaves_its_own_published_outputs_unchanged(outside_data: Path):
    """0, 155 and 255 come back as water, thin and thick: a fixed point, with and without the corner as no-data."""
    for name in ("00", "01", "02"):
        output = cv2.imread(str(outside_data / "ross_sea_s2" / f"filtered_s2_vis_{name}.png"))
        for valid in (everywhere(output), ~black_border(output)):
            again = iqrah2024(output, valid, dilate=7, median=155)
            assert np.array_equal(again, colour(output, valid))


def test_the_published_segmentation_of_a_published_output_is_ours(outside_data: Path):
    """Same scene, published apart: equal water, and at most 1 % of thin and thick exchanged."""
    folder = outside_data / "ross_sea_s2"
    output = cv2.imread(str(folder / "filtered_s2_vis_02.png"))
    theirs = np.array([1, 2, 3])[cv2.imread(str(folder / "s2_seg_02.png"))[..., [1, 0, 2]].argmax(axis=2)]
    ours = colour(output, everywhere(output))
    assert np.array_equal(ours == 1, theirs == 1)
    assert (ours == theirs).mean() >= 0.99


def test_the_known_fault_is_the_published_one():
    """A band of thin ice 60 pixels wide is kept, one of 160 pixels is its own background and is lost."""
    for width, kept in ((60, True), (160, False)):
        rgb = np.full((500, 500, 3), 235, np.uint8)
        rgb[:, 10:14] = 100
        rgb[:, 200 : 200 + width] = 120
        codes = iqrah2024(rgb, everywhere(rgb), dilate=7, median=155)
        assert ((codes[:, 200 : 200 + width] == 2).mean() > 0.9) == kept


@pytest.mark.parametrize(
    ("ground", "pixel", "pixels"),
    [(378, 54, 7), (8370, 54, 155), (378, 10, 37), (8370, 10, 837), (378, 250, 1), (8370, 250, 33), (1, 1e6, 1)],
)
def test_kernels_follow_the_ground(ground, pixel, pixels):
    assert kernel(ground, pixel) == pixels


@given(st.floats(1, 1e5), st.floats(0.1, 1e4))
def test_kernels_are_odd_and_within_a_pixel_of_the_ground(ground, pixel):
    size = kernel(ground, pixel)
    assert size % 2 == 1
    assert size == 1 or abs(size - ground / pixel) <= 1 + 1e-9


@pytest.mark.parametrize(("dilate", "median"), [(6, 155), (7, 154)])
def test_even_kernels_are_refused(dilate, median):
    with pytest.raises(ValueError, match="odd"):
        iqrah2024(floes((9, 9)), np.ones((9, 9), bool), dilate=dilate, median=median)


@pytest.mark.parametrize(
    ("size", "shape"), [(1, (9, 8)), (31, (20, 25)), (155, (60, 40)), (255, (1, 90)), (255, (80, 1))]
)
def test_the_median_is_exact_up_to_255(size, shape):
    image = np.random.default_rng(size).integers(0, 256, shape, dtype=np.uint8)
    assert np.array_equal(median_blur(image, size), exact_median(image, size))


@pytest.mark.parametrize("size", [257, 511])
def test_wider_medians_keep_their_stated_error_on_the_real_scene(size, outside_data: Path, monkeypatch):
    rgb = np.ascontiguousarray(cv2.imread(str(outside_data / "ross_sea_s2" / "ross_B_rgb.png"))[100:350, 150:400, ::-1])
    image = cv2.dilate(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.ones((7, 7), np.uint8))
    exact = exact_median(image, size)
    assert np.abs(median_blur(image, size).astype(int) - exact).mean() <= 1.2
    ours = iqrah2024(rgb, everywhere(rgb), dilate=7, median=size)
    monkeypatch.setattr("seaice_ops.labels.published.iqrah2024.median_blur", exact_median)
    assert (ours == iqrah2024(rgb, everywhere(rgb), dilate=7, median=size)).mean() >= 0.998


@pytest.mark.parametrize("size", [257, 301, 837, 9999])
def test_wider_medians_of_uniform_areas_are_exact_whatever_the_shape(size):
    for shape in ((1, 1), (1, 700), (700, 1), (600, 611)):
        assert (median_blur(np.full(shape, 201, np.uint8), size) == 201).all()


@pytest.mark.parametrize("size", [257, 511, 837])
def test_wider_medians_of_whole_scenes_are_within_their_stated_error(size, outside_data: Path):
    """The real scene at about 10 m, 2024 pixels wide: the exact median of 25 random windows, edges repeated."""
    rgb = cv2.resize(cv2.imread(str(outside_data / "ross_sea_s2" / "ross_B_rgb.png")), None, fx=4, fy=4)
    grey = np.where(rgb.max(axis=2) <= 30, 255, cv2.cvtColor(rgb, cv2.COLOR_BGR2GRAY)).astype(np.uint8)
    image = cv2.dilate(grey, np.ones((37, 37), np.uint8))
    ours = median_blur(image, size).astype(int)
    errors = []
    for row, column in np.random.default_rng(size).integers(0, image.shape[0], (25, 2)):
        taken = [np.clip(np.arange(at - size // 2, at + size // 2 + 1), 0, len(image) - 1) for at in (row, column)]
        errors.append(abs(ours[row, column] - int(np.median(image[np.ix_(*taken)]))))
    assert max(errors) <= 3
    assert np.mean(errors) <= 0.3


@pytest.mark.parametrize("name", ["aerial/ice33.png", "ross_sea_s2/ross_B_rgb.png"])
def test_the_same_scene_at_10_and_at_54_metres_agrees(name, outside_data: Path):
    """To within resampling: where the 25 labels of 10.8 m in a pixel of 54 m are one, 99.6 % are the pixel's; and
    98 % of all pixels have the label of most of their 25."""
    fine = cv2.imread(str(outside_data / name))[:2000, :2000, ::-1]
    if name.startswith("ross"):
        fine = cv2.resize(fine, (2530, 2530), interpolation=cv2.INTER_CUBIC)
    fine = np.ascontiguousarray(fine)
    coarse = cv2.resize(fine, None, fx=0.2, fy=0.2, interpolation=cv2.INTER_AREA)
    by_fine, by_coarse = (
        iqrah2024(rgb, everywhere(rgb), dilate=kernel(378, metres), median=kernel(8370, metres))
        for rgb, metres in ((fine, 10.8), (coarse, 54))
    )
    rows, columns = by_coarse.shape
    votes = np.stack([(by_fine == code).reshape(rows, 5, columns, 5).sum((1, 3)) for code in (1, 2, 3)], axis=-1)
    most = votes.argmax(-1) + 1
    unmixed = votes.max(-1) == 25
    assert unmixed.mean() > 0.75
    assert (most == by_coarse)[unmixed].mean() >= 0.996
    assert (most == by_coarse).mean() >= 0.98


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_number_of_threads_changes_nothing(threads):
    rgb = SCENES["2048"]
    valid = np.add.outer(np.arange(2048), np.arange(2048)) > 300
    expected = [iqrah2024(rgb, valid, dilate=7, median=median) for median in (155, 301)]
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(threads)
        again = [iqrah2024(rgb, valid, dilate=7, median=median) for median in (155, 301)]
    finally:
        cv2.setNumThreads(before)
    assert all(np.array_equal(one, other) for one, other in zip(expected, again, strict=True))


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(1, 3000)), min_size=1, max_size=40))
@settings(max_examples=200)
def test_otsu_is_opencv_s_to_the_last_bit(parts):
    image = np.concatenate([np.full(count, level, np.uint8) for level, count in parts])
    theirs, _ = cv2.threshold(image[None], 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    assert otsu(np.bincount(image, minlength=256)) == theirs


def test_otsu_of_a_whole_tile_s_counts_is_found():
    """Counts beyond what float32 holds, in two levels: the first level parts them."""
    counts = np.zeros(256, np.int64)
    counts[[40, 200]] = 120_000_001, 1_000_003
    assert otsu(counts) == 40


@pytest.mark.parametrize(("shape", "dilate", "median"), [((60, 75), 7, 155), ((1, 90), 7, 31), ((90, 1), 3, 255)])
def test_no_data_equals_the_oracle_with_wide_kernels(shape, dilate, median):
    rgb = floes(shape, 9)
    valid = np.add.outer(np.arange(shape[0]), np.arange(shape[1])) > 20
    assert np.array_equal(
        iqrah2024(rgb, valid, dilate=dilate, median=median), masked_oracle(rgb, valid, dilate, median)
    )


def test_strided_pictures_are_labelled_like_their_copies():
    """Views are welcome: reversed channels, a crop, every other row."""
    rgb = floes((300, 280))
    valid = np.add.outer(np.arange(300), np.arange(280)) > 99
    for cut in (np.s_[::2, 3:200], np.s_[::-1, ::-1]):
        part, seen = rgb[cut][..., ::-1], valid[cut]
        copies = np.ascontiguousarray(part), np.ascontiguousarray(seen)
        assert np.array_equal(iqrah2024(part, seen, dilate=7, median=31), iqrah2024(*copies, dilate=7, median=31))
        assert np.array_equal(colour(part, seen), colour(*copies))

"""The sheet of a scene: panels, keys and figures are there, whatever the scene has."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from seaice_ops.classes import legend
from seaice_ops.ledger.tables import Scene
from seaice_ops.quality import canvas, panels
from seaice_ops.quality.judge import brightness, judge
from seaice_ops.quality.reading import Picture
from seaice_ops.quality.sheet import EDGE, sheet
from seaice_ops.storage.rasters import Grid

CODES = {"water": 1, "thin": 2, "thick": 3}


def scene() -> Scene:
    sensed = datetime(2026, 2, 1, 20, tzinfo=UTC)
    return Scene(id="S2B_MSIL1C_20260201T200000", tile="01CCV", sensed_at=sensed, sun_zenith=62.0)


def picture(rows: int = 90, columns: int = 120, *, truth: bool = True, more: bool = True) -> Picture:
    codes = np.repeat(np.array([1, 2, 3], np.uint8), columns // 3)[None].repeat(rows, 0)
    valid = np.ones(codes.shape, bool)
    valid[:10] = False
    grey = np.array([0, 12, 110, 230], np.uint8)[codes]
    one, other = codes.copy(), codes.copy()
    one[30:40], other[50:60, :40], other[60:70] = 2, 3, 205
    labels = {"colour": one, "reflectance": other} if more else {"colour": one}
    for each in labels.values():
        each[~valid] = 255
    confidence = np.full(codes.shape, 90, np.uint8)
    confidence[~valid] = 255
    return Picture(
        rgb=np.dstack([grey] * 3),
        valid=valid,
        grid=Grid("EPSG:32701", (10.0, 0.0, 0.0, 0.0, -10.0, 0.0), columns, rows),
        labels=labels,
        confidence={"reflectance": confidence} if more else {},
        reasons={"reflectance": np.zeros(codes.shape, np.uint8)} if more else {},
        truth=np.where(valid, codes, 255).astype(np.uint8) if truth else None,
        conditions=np.zeros(codes.shape, np.uint8) if truth else None,
    )


def drawn(seen: Picture) -> np.ndarray:
    shares = {method: {"open_water": 0.3, "thin_ice": 0.3, "thick_ice": 0.3} for method in seen.labels}
    return sheet(scene(), seen, judge(seen, shares, {}, 204), 0.9)


def has(image: np.ndarray, colour: tuple[int, ...]) -> int:
    return int((image == np.array(colour[:3])).all(axis=2).sum())


@pytest.mark.parametrize(("truth", "more"), [(True, True), (False, True), (True, False), (False, False)])
def test_everything_is_on_the_sheet(truth: bool, more: bool) -> None:
    image = drawn(picture(truth=truth, more=more))
    panel_count = 2 + more + truth + (2 if more else 0) + truth
    rows = -(-panel_count // 4)
    assert image.dtype == np.uint8 and image.shape[2] == 3
    assert image.shape[0] > rows * EDGE * 0.75 + 200 and image.shape[1] > min(panel_count, 4) * EDGE
    for code in legend.CLASSES:
        assert has(image, legend.COLOURS[code]) > 5000
    assert has(image, canvas.INK) > 500, "text"
    assert (has(image, legend.COLOURS[legend.CLOUD]) > 1000) == more
    assert (has(image, panels.TWO_STEPS) > 1000) == more
    assert (has(image, panels.ONE_STEP) > 1000) == (more or truth)
    np.testing.assert_array_equal(image, drawn(picture(truth=truth, more=more)))


def test_a_scene_without_anything_observed_has_a_sheet() -> None:
    seen = picture(truth=False)
    seen.valid[:] = False
    for codes in seen.labels.values():
        codes[:] = 255
    assert has(drawn(seen), panels.STRIPE) > 10_000


def test_flags_are_told_in_words_that_fit() -> None:
    seen = picture(truth=False)
    seen.labels["reflectance"][:] = 205
    shares = {method: {"open_water": 0.0, "thin_ice": 0.0, "thick_ice": 0.9} for method in seen.labels}
    judged = judge(seen, shares, {}, 240)
    assert {flag.name for flag in judged.flags} == {"one class", "too dark"}
    flagged = sheet(scene(), seen, judged, 0.9)
    assert has(flagged, panels.TWO_STEPS) > 100, "the heading is red"
    lines = canvas.wrapped(" ".join(["word"] * 60), 19, 400)
    assert len(lines) > 1 and all(canvas.width_of(line, 19) <= 400 for line in lines)
    assert canvas.wrapped("", 19, 400) == []


def test_shrinking_keeps_the_commonest_code() -> None:
    codes = np.full((300, 200), 1, np.uint8)
    codes[:, ::3] = 3
    codes[150:] = 205
    small = panels.shrunk(codes, 100)
    assert small.shape == (100, 67) and set(np.unique(small)) == {1, 205}
    assert (small[:49] == 1).all() and (small[51:] == 205).all()
    large = panels.shrunk(codes[:3, :3], 9)
    np.testing.assert_array_equal(large, codes[:3, :3].repeat(3, 0).repeat(3, 1))


def test_a_dark_image_is_brightened_and_says_by_how_much() -> None:
    rgb = np.full((64, 64, 3), 50, np.uint8)
    shown, gain = panels.true_colour(rgb, np.ones((64, 64), bool), 64)
    assert gain == pytest.approx(5.0) and (shown == 250).all()
    assert panels.true_colour(rgb * 5, np.ones((64, 64), bool), 64)[1] == 1.0


def test_brightness_counts_valid_pixels_by_their_largest_band() -> None:
    rng = np.random.default_rng(1)
    rgb, valid = rng.integers(0, 256, (300, 20, 3), dtype=np.uint8), rng.random((300, 20)) > 0.3
    np.testing.assert_array_equal(brightness(rgb, valid), np.bincount(rgb.max(2)[valid], minlength=256))

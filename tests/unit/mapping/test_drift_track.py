"""Ice drift by matching: motions that are known, pieces that move apart, and images that share nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from seaice_ops.mapping.drift.track import relief, track

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "drift.py"


def ice(seed: int, size: int = 1024) -> np.ndarray:
    """(size, size) int16 reflectance x 10000 of patterns of many sizes."""
    rng = np.random.default_rng(seed)
    layers = [cv2.GaussianBlur(rng.normal(size=(size, size)), (0, 0), s) * s for s in (2, 6, 20)]
    return np.clip(5000 + 2500 * np.sum(layers, axis=0), 100, 9500).astype(np.int16)


def moved(image: np.ndarray, south: float, east: float) -> np.ndarray:
    """The image shifted by any part of a pixel; what comes in at the border is the border repeated."""
    shift = np.float32([[1, 0, east], [0, 1, south]])
    return cv2.warpAffine(image, shift, image.shape[::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def seen(image: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    return relief(image, np.ones(image.shape, bool) if mask is None else mask)


def test_a_motion_is_found_to_a_tenth_of_a_pixel_under_another_light() -> None:
    image = ice(1)
    darker = (0.7 * moved(image, -61.4, 130.7).astype(np.float32)).astype(np.int16)
    found = track(seen(image), seen(darker), reach=250)
    assert len(found.row) > 150
    assert np.median(np.hypot(found.south + 61.4, found.east - 130.7)) < 0.1
    assert np.hypot(found.south + 61.4, found.east - 130.7).max() < 1
    assert (found.correlation > 0.9).all() and (found.back <= 1).all()


def test_fast_ice_stands_while_the_pack_moves_past_it() -> None:
    still, pack = ice(2), ice(3)
    first, second = pack.copy(), moved(pack, 40, -90)
    first[700:], second[700:] = still[700:], still[700:]
    found = track(seen(first), seen(second), reach=200)
    fast = found.row > 740
    assert fast.sum() > 40 and np.hypot(found.south, found.east)[fast].max() < 1
    loose = found.row < 600
    assert loose.sum() > 80 and np.hypot(found.south - 40, found.east + 90)[loose].max() < 1


def test_images_that_share_nothing_give_no_vectors() -> None:
    assert len(track(seen(ice(4)), seen(ice(5)), reach=300).row) == 0


def test_ice_that_left_the_image_or_moved_farther_than_ice_can_is_not_found() -> None:
    image = ice(6)
    assert len(track(seen(image), seen(moved(image, 0, 1000)), reach=2000).row) == 0
    assert len(track(seen(image), seen(moved(image, 0, 400)), reach=150).row) == 0


def test_no_vector_stands_where_a_pattern_was_not_seen() -> None:
    image, mask = ice(7), np.ones((1024, 1024), bool)
    mask[:, :512] = False
    found = track(seen(image, mask), seen(moved(image, 10, 20)), reach=100)
    assert len(found.row) > 50 and found.column.min() > 490
    assert np.hypot(found.south - 10, found.east - 20).max() < 1
    nothing = np.zeros((1024, 1024), bool)
    assert len(track(seen(image, nothing), seen(image), reach=100).row) == 0


def test_relief_takes_the_light_off_and_does_not_depend_on_how_it_is_cut() -> None:
    image = ice(8, 1300)
    mask = np.random.default_rng(8).random(image.shape) > 0.1
    whole = relief(image, mask)
    assert (whole[~mask] == 0).all()
    np.testing.assert_allclose(whole, relief((image * 0.5).astype(np.int16), mask), atol=0.01)
    np.testing.assert_array_equal(whole[:900], relief(image[:1000], mask[:1000])[:900])


def test_grids_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="one grid"):
        track(seen(ice(9)), seen(ice(9, 512)), reach=10)


def test_simulated_ice_is_followed_to_less_than_two_pixels() -> None:
    command = [sys.executable, str(BENCHMARK), "--seeds", "3-4", "--size", "768", "--hours", "1.7", "--json"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert result.returncode == 0, result.stderr
    (row,) = json.loads(result.stdout)
    assert row["vectors"] > 15 and row["median error"] < 1 and row["more than 3 px"] < 0.02

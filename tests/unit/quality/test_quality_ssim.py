"""Structural similarity against the formula written out pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seaice_ops.quality import ssim as module
from seaice_ops.quality.ssim import ssim

CODES = np.array([1, 2, 3, 205, 255], np.uint8)
GREY = {1: 0.0, 2: 155.0, 3: 255.0}


def slow(first: np.ndarray, second: np.ndarray, where: np.ndarray) -> float | None:
    """Loops and NumPy's own variance: nothing in common with the box filters."""
    found = []
    rows, columns = first.shape
    for r in range(3, rows - 3):
        for c in range(3, columns - 3):
            window = slice(r - 3, r + 4), slice(c - 3, c + 4)
            a, b = first[window].ravel(), second[window].ravel()
            if not where[window].all() or not {*a.tolist(), *b.tolist()} <= set(GREY):
                continue
            x, y = (np.array([GREY[int(code)] for code in part]) for part in (a, b))
            ux, uy, vx, vy = x.mean(), y.mean(), x.var(ddof=1), y.var(ddof=1)
            cov = ((x - ux) * (y - uy)).sum() / 48
            c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
            found.append((2 * ux * uy + c1) * (2 * cov + c2) / ((ux**2 + uy**2 + c1) * (vx + vy + c2)))
    return float(np.mean(found)) if found else None


@given(
    st.integers(5, 14).flatmap(lambda rows: arrays(np.uint8, (2, rows, 11), elements=st.sampled_from([0, 0, 1, 2, 2]))),
    st.integers(0, 3),
)
@settings(max_examples=40, deadline=None)
def test_it_is_the_formula(indexes: np.ndarray, gaps: int) -> None:
    first, second = CODES[indexes]
    where = np.ones(first.shape, bool)
    where[:1, :gaps] = False
    second = second.copy()
    second[-1, 10 - gaps :] = 205
    answer, wanted = ssim(first, second, where), slow(first, second, where)
    assert answer == (None if wanted is None else pytest.approx(wanted, abs=1e-9))


def test_it_does_not_depend_on_the_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    first, second = CODES[rng.integers(0, 3, (2, 61, 40))]
    second[20, 20] = 255
    whole = ssim(first, second)
    monkeypatch.setattr(module, "_ROWS", 9)
    assert ssim(first, second) == pytest.approx(whole, abs=1e-12)


def test_the_same_is_one_and_the_opposite_is_small() -> None:
    codes = CODES[np.random.default_rng(0).integers(0, 3, (40, 40))]
    assert ssim(codes, codes) == pytest.approx(1.0)
    assert ssim(codes, (4 - codes).astype(np.uint8)) < 0
    assert ssim(np.full((9, 9), 1, np.uint8), np.full((9, 9), 3, np.uint8)) == pytest.approx(
        (0.01 * 255) ** 2 / (255**2 + (0.01 * 255) ** 2)
    )


def test_nothing_judged_is_no_figure() -> None:
    assert ssim(np.full((6, 20), 1, np.uint8), np.full((6, 20), 1, np.uint8)) is None
    assert ssim(np.full((9, 9), 1, np.uint8), np.full((9, 9), 205, np.uint8)) is None

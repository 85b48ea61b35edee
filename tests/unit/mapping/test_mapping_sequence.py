"""Dated changes against a slow oracle written from the text, against ruptures, and on sequences with known changes."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import ruptures
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from seaice_ops.mapping.sequence import CONFIRMED, EPOCH, INSUFFICIENT, NO_CHANGE, PROVISIONAL, analyse

T, WINDOW = 45, 15
DATES = [datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=2 * i) for i in range(T)]


def oracle(codes: list[int], window: int) -> tuple[int, int, int, int]:
    """(status, map index, before, after) of one pixel, step by step as the method says."""
    known = [c for c in codes if c in (1, 2, 3)]
    if not known:
        return INSUFFICIENT, -1, 0, 0
    filled, last = [], known[0]
    for code in codes:
        last = code if code in (1, 2, 3) else last
        filled.append(last)
    padded = [filled[0]] * 2 + filled + [filled[-1]] * 2
    g = [sorted(padded[i : i + 5])[2] for i in range(len(filled))]
    a = filled[0]
    if filled[-1] == a:
        return NO_CHANGE, -1, 0, 0
    s = [1 if code != a else -1 for code in g]
    k = max(range(1, len(g)), key=lambda k: (sum(s[k:]) - sum(s[:k]), -k))
    run = next((i - k for i in range(k, len(g)) if g[i] == a), len(g) - k)
    returns = sum(g[i - 1] != a and g[i] == a for i in range(k + 1, len(g)))
    returns += g[k] == a  # the step itself is no stay
    if k < 3 or returns > 1 or g[-1] == a:
        return NO_CHANGE, -1, 0, 0
    needed = -(-window // 2)
    status = CONFIRMED if run >= needed else PROVISIONAL if len(g) - k < needed else NO_CHANGE
    if status == NO_CHANGE:
        return NO_CHANGE, -1, 0, 0
    soon = g[k : k + needed]
    counts = Counter(code for code in soon if code != a)
    after = max(counts, key=lambda c: (counts[c], max(i for i, x in enumerate(soon) if x == c)))
    return status, k, a, after


@given(
    st.lists(st.sampled_from([1, 2, 3, 1, 2, 3, 205, 255]), min_size=2, max_size=40),
    st.sampled_from([1, 3, 7, 15]),
)
def test_it_is_what_the_method_says(codes: list[int], window: int) -> None:
    dates = [EPOCH + timedelta(days=i) for i in range(len(codes) + window - 1)]
    found = analyse(np.array(codes, np.uint8)[:, None], dates, window)
    assert (found.status[0], found.map_index[0], found.before[0], found.after[0]) == oracle(codes, window)


def _noisy(classes: NDArray[np.int64], share: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    other = (classes - 1 + rng.integers(1, 3, classes.shape)) % 3 + 1
    return np.where(rng.random(classes.shape) < share, other, classes).astype(np.uint8)


def _maps(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The most frequent class of each window of WINDOW acquisitions."""
    sums = [np.cumsum(np.vstack([np.zeros((1, labels.shape[1]), int), labels == code]), axis=0) for code in (1, 2, 3)]
    return (np.stack([s[WINDOW:] - s[:-WINDOW] for s in sums]).argmax(0) + 1).astype(np.uint8)


def _changed(count: int, share: float, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """(labels (T, count), acquisition of the change, (2, count) classes before and after)."""
    rng = np.random.default_rng(seed)
    at, before = rng.integers(12, 33, count), rng.integers(1, 4, count)
    after = (before - 1 + rng.integers(1, 3, count)) % 3 + 1
    labels = np.where(np.arange(T)[:, None] < at, before, after)
    return _noisy(labels, share, rng), at, np.stack([before, after])


@pytest.mark.parametrize(
    ("share", "worst", "refined", "recall"),
    [(0.0, 0.0, 0.0, 0.88), (0.05, 0.7, 0.23, 0.88), (0.1, 1.2, 0.5, 0.88), (0.2, 2.0, 1.2, 0.85)],
)
def test_dates_and_recall_are_as_good_as_the_method_promises(
    share: float, worst: float, refined: float, recall: float
) -> None:
    labels, at, classes = _changed(6000, share, seed=7)
    maps = _maps(labels)
    found, fine = analyse(maps, DATES, WINDOW), analyse(maps, DATES, WINDOW, acquisitions=labels)
    sure = found.status == CONFIRMED
    assert sure.mean() >= recall
    assert np.abs(found.index - at)[sure].mean() <= worst
    assert np.abs(fine.index - at)[sure].mean() <= refined
    assert ((found.before == classes[0]) & (found.after == classes[1]))[sure].mean() > 0.998
    assert (found.status[at >= 31] != NO_CHANGE).mean() > 0.8  # a short tail is provisional, not lost


@pytest.mark.parametrize(("share", "most"), [(0.1, 0.0), (0.2, 0.006)])
def test_where_nothing_changes_nothing_is_found(share: float, most: float) -> None:
    rng = np.random.default_rng(11)
    still = np.broadcast_to(rng.integers(1, 4, 3000), (T, 3000))
    found = analyse(_maps(_noisy(still, share, rng)), DATES, WINDOW)
    assert (found.status == CONFIRMED).mean() <= most


def test_a_step_fitted_to_0_and_1_answers_the_first_map() -> None:
    """Why the step is +1 / -1: the sum after a split less the sum before it, over 0 / 1, ties for every early split."""
    d = np.array([0] * 14 + [1] * 17)
    literal = [d[k:].sum() - d[:k].sum() for k in range(len(d))]
    assert int(np.argmax(literal)) == 0
    codes = np.where(d, 3, 1).astype(np.uint8)[:, None]
    assert analyse(codes, DATES, WINDOW).map_index[0] == 14


def test_ruptures_finds_the_same_step_in_clean_sequences() -> None:
    for k in (3, 9, 15, 22):
        codes = np.repeat([1, 3], [k, 31 - k]).astype(np.uint8)
        split = ruptures.Dynp(model="l2", min_size=1, jump=1).fit(codes.astype(float)).predict(n_bkps=1)[0]
        assert analyse(codes[:, None], DATES, WINDOW).map_index[0] == split


def test_date_and_interval_are_those_of_the_acquisitions() -> None:
    codes = np.repeat([3, 1], [14, 17]).astype(np.uint8)[:, None, None]
    found = analyse(codes, DATES, WINDOW)
    assert found.status.shape == (1, 1) and found.confidence[0, 0] == 100
    assert found.index[0, 0] == 14 + 7
    assert EPOCH + timedelta(days=int(found.date[0, 0])) == DATES[21]
    assert EPOCH + timedelta(days=int(found.since[0, 0])) == DATES[20]


def test_after_a_confirmed_change_the_next_is_found_from_there() -> None:
    codes = np.repeat([3, 2, 1], [11, 10, 10]).astype(np.uint8)[:, None]
    first = analyse(codes, DATES, WINDOW)
    second = analyse(codes, DATES, WINDOW, start=first.map_index)
    third = analyse(codes, DATES, WINDOW, start=second.map_index)
    assert [(f.map_index[0], f.before[0], f.after[0]) for f in (first, second)] == [(11, 3, 2), (21, 2, 1)]
    assert third.status[0] == NO_CHANGE


def test_what_was_never_observed_is_insufficient() -> None:
    assert (analyse(np.full((31, 2, 2), 255, np.uint8), DATES, WINDOW).status == INSUFFICIENT).all()


def test_inputs_that_do_not_fit_are_refused() -> None:
    maps = np.ones((31, 4), np.uint8)
    with pytest.raises(ValueError, match="need 45 dates, not 44"):
        analyse(maps, DATES[:-1], WINDOW)
    with pytest.raises(ValueError, match="strictly increasing"):
        analyse(maps, [*DATES[:-1], DATES[-2]], WINDOW)
    with pytest.raises(ValueError, match="u8"):
        analyse(maps.astype(np.int16), DATES, WINDOW)
    with pytest.raises(ValueError, match="acquisitions must be"):
        analyse(maps, DATES, WINDOW, acquisitions=maps)

"""The shifting window against a slow oracle written from the window's definition, pixel by pixel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from seaice_ops.mapping.window.vote import PLANES, ages_at, change, maps, shift, span

START = datetime(2026, 1, 1, 20, 15, 30, tzinfo=UTC)
CODES = (1, 2, 3)


def oracle(series: Sequence[np.ndarray], times: Sequence[datetime], n: int, end: datetime) -> np.ndarray:
    """class, n_valid, age and conf of the window that ends at `end`, as the text says it."""
    chosen = [i for i, time in enumerate(times) if time <= end][-n:]
    rows, columns = series[0].shape[1:]
    answer = np.empty((4, rows, columns), int)
    for r in range(rows):
        for c in range(columns):
            valid = [i for i in chosen if any(series[i][:, r, c])]
            answer[:, r, c] = pixel([tuple(int(v) for v in series[i][:, r, c]) for i in valid], valid, times, end)
    return answer


def pixel(seen: list[tuple[int, ...]], valid: list[int], times: Sequence[datetime], end: datetime) -> tuple[int, ...]:
    if not seen:
        return 255, 0, 255, 255
    sums = [sum(p[k] for p in seen) for k in range(3)]
    tied = [k for k in range(3) if sums[k] == max(sums)]
    newest = seen[-1]
    own_class = newest.index(max(newest))
    winner = own_class if own_class in tied else max(tied, key=lambda k: (newest[k], -k))
    days = (end - times[valid[-1]]).total_seconds() / 86_400
    percent = math.floor(Fraction(100 * sums[winner], sum(sums)) + Fraction(1, 2))
    return CODES[winner], len(valid), min(254, math.floor(days)), percent


@st.composite
def tile_series(draw: st.DrawFn) -> tuple[list[np.ndarray], list[datetime], int]:
    count, shape = draw(st.integers(1, 9)), (3, draw(st.integers(1, 3)), draw(st.integers(1, 4)))
    # Few distinct values make ties common; 0 makes pixels and whole acquisitions that saw nothing.
    values = draw(st.sampled_from([(0, 1), (0, 85, 170), (0, 0, 0, 255), tuple(range(256))]))
    series = [draw(hnp.arrays(np.uint8, shape, elements=st.sampled_from(values))) for _ in range(count)]
    gaps = draw(st.lists(st.sampled_from([0, 1, 1439, 1440, 5000, 400_000]), min_size=count, max_size=count))
    times = [START + timedelta(minutes=sum(gaps[: i + 1])) for i in range(count)]
    return series, times, draw(st.integers(1, 11))


@settings(deadline=None)
@given(tile_series())
def test_every_window_equals_the_oracle_and_its_own_rebuild(case: tuple[list[np.ndarray], list[datetime], int]) -> None:
    series, times, n = case
    ends = sorted(set(times))
    shifted = list(maps(series, times, n))
    assert len(shifted) == len(ends)
    for end, layers in zip(ends, shifted, strict=True):
        np.testing.assert_array_equal(layers, oracle(series, times, n, end))
        np.testing.assert_array_equal(layers, next(maps(series, times, n, [end])))


@settings(deadline=None)
@given(tile_series(), st.data())
def test_any_ascending_choice_of_ends_gives_the_same_maps(
    case: tuple[list[np.ndarray], list[datetime], int], data: st.DataObject
) -> None:
    series, times, n = case
    chosen = sorted(data.draw(st.sets(st.sampled_from(times), min_size=1)))
    for end, layers in zip(chosen, maps(series, times, n, chosen), strict=True):
        np.testing.assert_array_equal(layers, oracle(series, times, n, end))


def test_worked_example() -> None:
    """Four acquisitions of one pixel, n = 2: unseen, water, a tie that the newest decides, the newest unseen."""
    pixels = [(0, 0, 0), (200, 50, 5), (50, 200, 5), (0, 0, 0)]
    series = [np.array(p, np.uint8).reshape(3, 1, 1) for p in pixels]
    times = [START + timedelta(days=d) for d in (0, 1, 3, 6.9)]
    assert [tuple(m.ravel()) for m in maps(series, times, 2)] == [
        (255, 0, 255, 255),
        (1, 1, 0, 78),
        (2, 2, 0, 49),
        (2, 1, 3, 78),
    ]


def test_a_tie_among_classes_the_newest_did_not_choose_goes_to_the_likelier_then_the_lower() -> None:
    def decided(*pixels: tuple[int, int, int]) -> int:
        series = [np.array(p, np.uint8).reshape(3, 1, 1) for p in pixels]
        times = [START + timedelta(days=d) for d in range(len(pixels))]
        return int(list(maps(series, times, 15))[-1][0, 0, 0])

    assert decided((60, 0, 180), (0, 80, 0), (110, 155, 0), (65, 0, 55)) == 1  # sums equal: its own class
    assert decided((200, 0, 0), (0, 0, 180), (10, 100, 30)) == 3  # 210, 100, 210: newest is thin, thick the likelier
    assert decided((200, 0, 200), (20, 100, 20)) == 1  # 220, 100, 220: the newest ranks both alike


def test_a_full_window_of_255_does_not_overflow() -> None:
    series = [np.full((3, 1, 2), 255, np.uint8)] * 256
    times = [START + timedelta(days=d) for d in range(256)]
    last = list(maps(series, times, 255))[-1]
    assert last[:, 0, 0].tolist() == [1, 255, 0, 33]


def test_a_shift_reads_two_acquisitions_and_a_rebuild_reads_the_window() -> None:
    reads: list[int] = []

    def read(index: int) -> np.ndarray:
        reads.append(index)
        return np.ones((3, 1, 1), np.uint8)

    state = np.zeros((PLANES, 1, 1), np.uint16)
    shift(state, read, range(0), range(15))
    assert reads == list(range(15))
    reads.clear()
    shift(state, read, range(15), range(1, 16))
    assert reads == [0, 15]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (range(0), range(15), (range(0), range(15))),
        (range(15), range(1, 16), (range(1), range(15, 16))),
        (range(3), range(4), (range(0), range(3, 4))),  # still filling: nothing leaves
        (range(15), range(7, 22), (range(7), range(15, 22))),
        (range(15), range(8, 23), (range(0), range(8, 23))),  # starting again is as cheap
        (range(15), range(30, 45), (range(0), range(30, 45))),
        (range(5, 20), range(2, 17), (range(0), range(2, 17))),  # backwards
        (range(1), range(1, 2), (range(0), range(1, 2))),  # n = 1
    ],
)
def test_change(old: range, new: range, expected: tuple[range, range]) -> None:
    assert change(old, new) == expected


def test_span_and_ages() -> None:
    times = [START + timedelta(days=d) for d in (0, 0.5, 1, 300)]
    assert [span(times, time, 2) for time in times] == [range(1), range(2), range(1, 3), range(2, 4)]
    assert span(times, START - timedelta(seconds=1), 2) == range(0)
    assert ages_at(times, times[2]).tolist() == [1, 0, 0, 255]
    assert ages_at(times, times[3]).tolist() == [254, 254, 254, 0]

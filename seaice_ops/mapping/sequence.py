"""Dated changes in a pixel's sequence of classes (docs/maps.md, "Dated changes").

The maps of a shifting window are a sequence of classes at each pixel. A change is a step in it: from the class A that
the sequence begins with to another one that stays. The step is fitted to the whole sequence at once, so that single
wrong maps move it little. Its date is that of the acquisition in the middle of the window at the step. Water, thin and
thick ice are ordered, so the sequence can be smoothed by a running median.

After R. Sedona's PhD thesis (Paper VI), with three corrections. The step is fitted to +1 / -1; with 0 / 1 there are
ties, and the first map wins. The median repeats the ends instead of padding them with zeros. A change with few maps
after it is provisional instead of lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from seaice_ops.classes.legend import CLASSES

#: Values of `Changes.status`.
NO_CHANGE, PROVISIONAL, CONFIRMED, INSUFFICIENT = 0, 1, 2, 255

#: Day 0 of `Changes.date`; 0 means no date.
EPOCH = datetime(2015, 1, 1, tzinfo=UTC)

#: Maps over which the running median is taken.
MEDIAN = 5

_NEVER = -1
_LOW, _HIGH = CLASSES[0], CLASSES[-1]


@dataclass(frozen=True)
class Changes:
    """The change at each pixel; every array has the pixels' shape, (rows, columns) or (N,)."""

    status: NDArray[np.uint8]
    """NO_CHANGE, PROVISIONAL (fewer maps after the change than it needs), CONFIRMED, INSUFFICIENT (never observed)."""
    map_index: NDArray[np.int16]
    """First map that shows the new class, -1 where nothing changed."""
    index: NDArray[np.int16]
    """First acquisition after the change, -1 where nothing changed."""
    date: NDArray[np.uint16]
    """Day of that acquisition since 2015-01-01, 0 where nothing changed."""
    since: NDArray[np.uint16]
    """Day of the acquisition before it: the change lies in (since, date]. 0 where nothing changed."""
    before: NDArray[np.uint8]
    """Class before the change, 0 where nothing changed."""
    after: NDArray[np.uint8]
    """Class after the change: the most frequent one, other than `before`, of the half window of maps after it;
    0 where nothing changed."""
    confidence: NDArray[np.uint8]
    """Share of the maps that agree with the step, percent; 0 where nothing changed."""


def analyse(
    labels: NDArray[np.uint8],
    dates: Sequence[datetime],
    window: int = 15,
    *,
    acquisitions: NDArray[np.uint8] | None = None,
    start: NDArray[np.int16] | None = None,
) -> Changes:
    """The first change in each pixel's sequence of maps.

    - `labels` (M, rows, columns) or (M, N) u8: class codes of the maps; any other code means not observed.
    - `dates`: timezone-aware sensing times of the M + window - 1 acquisitions, strictly increasing.
    - `window`: acquisitions of a map; map j is of acquisitions j to j + window - 1.
    - `acquisitions` (M + window - 1, ...) u8: the class at each acquisition. With it the date is refined from the
      window's middle to the acquisition at which the class changes.
    - `start` (rows, columns) or (N,): the map at which each pixel's sequence begins (default 0). To find the next
      change, pass the `map_index` of the last.

    Raises `ValueError` for inputs that do not fit each other.
    """
    days = _days(dates)
    count, shape = len(labels), labels.shape[1:]
    if labels.dtype != np.uint8 or labels.ndim not in (2, 3) or not count:
        raise ValueError(
            f"labels must be u8 (maps, rows, columns) or (maps, pixels), not {labels.dtype} {labels.shape}"
        )
    if window < 1 or len(days) != count + window - 1:
        raise ValueError(f"{count} maps of {window} acquisitions need {count + window - 1} dates, not {len(days)}")
    if acquisitions is not None and acquisitions.shape != (len(days), *shape):
        raise ValueError(f"acquisitions must be {(len(days), *shape)}, not {acquisitions.shape}")
    flat = np.ascontiguousarray(labels.reshape(count, -1).T)
    begins = np.zeros(len(flat), np.int16) if start is None else np.ascontiguousarray(start.ravel(), np.int16)
    found = np.empty((len(flat), 5), np.int16)
    _fit(flat, begins, (window + 1) // 2, found)
    status, at, before, after, confidence = (found[:, column] for column in range(5))
    index = np.where(at >= 0, at + window // 2, _NEVER).astype(np.int16)
    if acquisitions is not None:
        single = np.ascontiguousarray(acquisitions.reshape(len(days), -1).T)
        _refine(single, before, after, window // 2, index)
    known = index >= 0
    return Changes(
        status=status.astype(np.uint8).reshape(shape),
        map_index=at.reshape(shape),
        index=index.reshape(shape),
        date=np.where(known, days[index], 0).astype(np.uint16).reshape(shape),
        since=np.where(known, days[np.maximum(index - 1, 0)], 0).astype(np.uint16).reshape(shape),
        before=before.astype(np.uint8).reshape(shape),
        after=after.astype(np.uint8).reshape(shape),
        confidence=confidence.astype(np.uint8).reshape(shape),
    )


def _days(dates: Sequence[datetime]) -> NDArray[np.int64]:
    if any(later <= earlier for earlier, later in pairwise(dates)):
        raise ValueError("dates must be strictly increasing; merge acquisitions of the same moment first")
    return np.array([(date - EPOCH).days for date in dates], np.int64)


@njit(cache=True, inline="always")
def _observed(code: int) -> bool:
    return _LOW <= code <= _HIGH


@njit(cache=True)
def _filled(codes: NDArray[np.uint8], out: NDArray[np.uint8]) -> bool:
    """Copy `codes` with gaps filled by the last class before them, else by the first after; False if there is none."""
    last = 0
    for i in range(len(codes)):
        if _observed(codes[i]):
            if last == 0:
                out[:i] = codes[i]
            last = codes[i]
        out[i] = last
    return last != 0


@njit(cache=True)
def _median(codes: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
    """Running median of MEDIAN classes 1, 2, 3; the ends are repeated."""
    half, top = MEDIAN // 2, len(codes) - 1
    for i in range(len(codes)):
        low, middle = 0, 0
        for j in range(i - half, i + half + 1):
            code = codes[min(max(j, 0), top)]
            low += code == _LOW
            middle += code == _LOW + 1
        out[i] = _LOW if low > half else (_LOW + 1 if low + middle > half else _HIGH)


@njit(cache=True)
def _step(g: NDArray[np.uint8], a: int) -> int:
    """k in 1..len(g) - 1 with the largest sum(s[k:]) - sum(s[:k]), s = +1 where `g` is not `a`, else -1; 0 for none."""
    total = 0
    for code in g:
        total += 1 if code != a else -1
    best, k, before = -(1 << 30), 0, 0
    for i in range(1, len(g)):
        before += 1 if g[i - 1] != a else -1
        if total - 2 * before > best:
            best, k = total - 2 * before, i
    return k


@njit(cache=True)
def _state(g: NDArray[np.uint8], a: int, k: int, needed: int) -> int:
    """CONFIRMED, PROVISIONAL or NO_CHANGE for the step at map `k` away from class `a`."""
    if k < MEDIAN // 2 + 1 or g[-1] == a:
        return NO_CHANGE
    run, returns, unbroken = 0, 0, True
    for i in range(k, len(g)):
        if g[i] != a:
            run += unbroken
        else:
            unbroken = False
            returns += g[i - 1] != a
    if returns > 1:
        return NO_CHANGE
    if run >= needed:
        return CONFIRMED
    return PROVISIONAL if len(g) - k < needed else NO_CHANGE


@njit(cache=True)
def _after(g: NDArray[np.uint8], a: int, k: int, needed: int) -> int:
    """The most frequent class other than `a` in the `needed` maps from `k` on; a tie goes to the one seen last."""
    counts = np.zeros(4, np.int64)
    latest = np.zeros(4, np.int64)
    for i in range(k, min(k + needed, len(g))):
        counts[g[i]] += 1
        latest[g[i]] = i
    best = 0
    for code in range(_LOW, _HIGH + 1):
        better = counts[code] > counts[best] or (counts[code] == counts[best] and latest[code] > latest[best])
        if code != a and counts[code] and (best == 0 or better):
            best = code
    return best


@njit(cache=True)
def _agreement(g: NDArray[np.uint8], a: int, k: int) -> int:
    """Percent of the maps, rounded, that agree with the step: `a` before map `k`, another class from it on."""
    right = 0
    for i in range(len(g)):
        right += (g[i] != a) == (i >= k)
    return (200 * right + len(g)) // (2 * len(g))


@njit(cache=True, parallel=True)
def _fit(labels: NDArray[np.uint8], start: NDArray[np.int16], needed: int, out: NDArray[np.int16]) -> None:
    """Fill `out` (N, 5) with status, map index, classes before and after, and confidence of each pixel."""
    for pixel in prange(len(labels)):
        out[pixel, 0], out[pixel, 1] = NO_CHANGE, _NEVER
        out[pixel, 2:5] = 0
        codes = labels[pixel, max(start[pixel], 0) :]
        filled = np.empty(len(codes), np.uint8)
        if not _filled(codes, filled):
            out[pixel, 0] = INSUFFICIENT
            continue
        a = filled[0]
        if filled[-1] == a:  # the median keeps both ends, and a change must last to the end
            continue
        g = np.empty(len(codes), np.uint8)
        _median(filled, g)
        k = _step(g, a)
        status = _state(g, a, k, needed)
        if status:
            out[pixel, 0], out[pixel, 1] = status, k + max(start[pixel], 0)
            out[pixel, 2], out[pixel, 3], out[pixel, 4] = a, _after(g, a, k, needed), _agreement(g, a, k)


@njit(cache=True, parallel=True)
def _refine(
    codes: NDArray[np.uint8],
    before: NDArray[np.int16],
    after: NDArray[np.int16],
    reach: int,
    index: NDArray[np.int16],
) -> None:
    """Move each `index`, in place, to the acquisition within `reach` that best separates `before` from `after`.

    Other classes are not counted: counted as `after` they would make the date too early.
    """
    for pixel in prange(len(codes)):
        centre = index[pixel]
        if centre < 0:
            continue
        low, high = max(centre - reach, 0), min(centre + reach + 1, codes.shape[1])
        best, found, gain = 0, low + 1, 0
        for i in range(low + 1, high):
            gain += (codes[pixel, i - 1] == before[pixel]) - int(codes[pixel, i - 1] == after[pixel])
            if gain > best:
                best, found = gain, i
        index[pixel] = found if best else centre

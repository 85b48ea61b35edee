"""The shifting window over a tile's acquisitions: arrays only.

The window's sums are updated as it moves: an entering acquisition is added, a leaving one subtracted. A shift therefore
costs the same for any length of window, and the result equals that of a new sum over the whole window.

The state of a block of pixels is one (8, rows, columns) uint16 array, whose planes are

======  ==============================================================================================
0..2    sum of the u8 probabilities of water, thin and thick ice over the window
3       number of valid acquisitions in the window
4       index of the newest valid acquisition seen (in the window wherever plane 3 is not 0)
5       how that acquisition ranks the classes, one bit a pair: 1 thin > water, 2 thick > water, 4 thick > thin
6, 7    number of valid acquisitions in the window that rank water first, and thick ice
======  ==============================================================================================
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import product

import numpy as np
from numpy.typing import NDArray

from seaice_ops.classes.legend import CLASSES, NODATA

#: The layers of a map, in the order of `decide`'s answer.
LAYERS = ("class", "n_valid", "age", "conf")

PLANES = 8
COUNT, _NEWEST, _RANKS, WATER_FIRST, THICK_FIRST = 3, 4, 5, 6, 7

#: Value of `age` where no acquisition of the window is valid; largest age that is distinguished, days.
NEVER = 255
OLDEST = 254


def span(times: Sequence[datetime], end: datetime, n: int) -> range:
    """The indexes of the newest n of `times` (in time order) that are not later than `end`."""
    stop = bisect_right(times, end)
    return range(max(0, stop - n), stop)


def change(old: range, new: range) -> tuple[range, range]:
    """(leaving, entering) acquisitions that turn the sums of window `old` into those of `new`.

    Nothing leaves and all of `new` enters where starting again from zero takes no more steps.
    """
    leaving, entering = range(old.start, new.start), range(old.stop, new.stop)
    forward = old.start <= new.start < old.stop <= new.stop
    if forward and len(leaving) + len(entering) < len(new):
        return leaving, entering
    return range(0), new


def shift(state: NDArray[np.uint16], read: Callable[[int], NDArray[np.uint8]], old: range, new: range) -> None:
    """Turn `state`, in place, from window `old` (empty at first) into window `new`.

    `read(i)` gives acquisition i as (3, rows, columns) u8 probabilities, (0, 0, 0) where it saw nothing. A window
    holds at most 255 acquisitions, so no sum overflows.
    """
    leaving, entering = change(old, new)
    if entering == new:
        state[:] = 0
    for index in leaving:
        _subtract(state, read(index))
    for index in entering:
        _add(state, read(index), index)


def _subtract(state: NDArray[np.uint16], p: NDArray[np.uint8]) -> None:
    state[:COUNT] -= p
    state[COUNT] -= _valid(p)
    state[WATER_FIRST] -= _first(p, 0)
    state[THICK_FIRST] -= _first(p, 2)


def _add(state: NDArray[np.uint16], p: NDArray[np.uint8], index: int) -> None:
    valid = _valid(p)
    state[:COUNT] += p
    state[COUNT] += valid
    state[WATER_FIRST] += _first(p, 0)
    state[THICK_FIRST] += _first(p, 2)
    ranks = (p[1] > p[0]) | ((p[2] > p[0]) * np.uint8(2)) | ((p[2] > p[1]) * np.uint8(4))
    np.copyto(state[_NEWEST], np.uint16(index), where=valid)
    np.copyto(state[_RANKS], ranks, where=valid)


def _valid(p: NDArray[np.uint8]) -> NDArray[np.bool_]:
    valid: NDArray[np.bool_] = (p[0] | p[1] | p[2]) != 0
    return valid


def _first(p: NDArray[np.uint8], k: int) -> NDArray[np.bool_]:
    """(rows, columns) bool: class number `k` is more likely than each of the others."""
    others = [p[other] for other in range(3) if other != k]
    first: NDArray[np.bool_] = (p[k] > others[0]) & (p[k] > others[1])
    return first


def _winners() -> NDArray[np.uint8]:
    """Class code for [ranks of the newest valid acquisition, set of tied classes, one bit a class]."""
    table = np.zeros((8, 8), np.uint8)
    for ranks, tied in product(range(8), range(1, 8)):
        best = -1
        for candidate in range(3):
            if tied >> candidate & 1 and (best < 0 or ranks >> (best + candidate - 1) & 1):
                best = candidate
        table[ranks, tied] = CLASSES[best]
    return table


_WINNERS = _winners().ravel()


def decide(state: NDArray[np.uint16], ages: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The map of a window: (4, rows, columns) u8 in the order of `LAYERS`.

    class: the class with the largest sum; a tie goes to the class that the newest valid acquisition ranks first
    among the tied, then to the lower code; 255 where nothing was valid. n_valid: valid acquisitions. age: `ages` of
    the newest valid one (see `ages_at`), 255 where there is none. conf: percent of the sum that the class won,
    halves rounded up, 255 where nothing was valid.
    """
    totals, count = state[:COUNT], state[COUNT]
    best = np.maximum(np.maximum(totals[0], totals[1]), totals[2])
    tied = (totals[0] == best) | ((totals[1] == best) * np.uint8(2)) | ((totals[2] == best) * np.uint8(4))
    whole = np.maximum(totals.sum(axis=0, dtype=np.uint32), 1)
    layers = np.empty((len(LAYERS), *count.shape), np.uint8)
    layers[0] = _WINNERS[state[_RANKS] * 8 + tied]
    layers[1] = count
    layers[2] = ages[state[_NEWEST]]
    layers[3] = (best * np.uint32(200) + whole) // (whole * 2)
    unseen = count == 0
    for layer, code in ((0, NODATA), (2, NEVER), (3, NODATA)):
        layers[layer][unseen] = code
    return layers


def ages_at(times: Sequence[datetime], end: datetime) -> NDArray[np.uint8]:
    """(n,) u8 whole days from each acquisition to `end`, at most 254; 255 for acquisitions after `end`."""
    days = [(end - time) // timedelta(days=1) for time in times]
    return np.array([min(day, OLDEST) if day >= 0 else NEVER for day in days], np.uint8)


def maps(
    series: Sequence[NDArray[np.uint8]], times: Sequence[datetime], n: int, ends: Sequence[datetime] | None = None
) -> Iterator[NDArray[np.uint8]]:
    """The map at each of `ends` (ascending; default: at each acquisition) of a series of probabilities.

    `series[i]` is (3, rows, columns) u8 sensed at `times[i]`, in time order. The whole series at once, for blocks
    that fit in memory; `mapping.publish` does the same with the same functions by strips of rows.
    """
    state = np.zeros((PLANES, *series[0].shape[1:]), np.uint16)
    old = range(0)
    for end in sorted(set(times)) if ends is None else ends:
        new = span(times, end, n)
        shift(state, series.__getitem__, old, new)
        yield decide(state, ages_at(times, end))
        old = new

"""The current clock: the class of each pixel now, from the newest evidence, gaps filled by earlier evidence.

Pack ice moves within hours. Where the newest acquisition observed the pixel, its evidence alone decides. Elsewhere the
evidence of the days before is averaged with weights that decrease with age:

    s_k <- s_k exp(-dt / MEMORY_DAYS) + p_k

Fast ice does not move, so acquisitions agree on it. There a causal hidden Markov filter runs over the window, oldest
first. Its state is the class, which is forgotten with the time constant FAST_DAYS:

    s_k <- (r s_k + (1 - r) / 3) p_k / sum; r = exp(-dt / FAST_DAYS)

p_k are an acquisition's class probabilities, dt the days since the last one that observed the pixel. Acquisitions that
did not observe it change nothing. Accuracy on simulated seasons: docs/maps.md, printed by `make map-accuracy`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import numpy as np
from numba import njit
from numpy.typing import NDArray

from seaice_ops.classes.legend import LAND, NODATA

#: Time constant, days, with which earlier evidence of pack ice loses weight, also in the confidence.
MEMORY_DAYS = 2.0

#: Time constant, days, with which the class of fast ice is forgotten.
FAST_DAYS = 30.0

#: Greatest age, days, of evidence that still gives a class: for pack ice, for fast ice.
PACK_EXPIRES, FAST_EXPIRES = 5, 15

#: Value of `age` where the pixel was never observed; largest age that is distinguished, days.
NEVER, OLDEST = 255, 254

# The compiled functions have signatures: they are compiled, or read from their cache, when the module is imported, so
# that processes that are forked after it need not. They use one thread: threads of OpenMP do not survive a fork.

#: Added to each probability: 0 in 8 bits is not certainty.
_FLOOR = np.float32(1 / 512)
_BYTE = np.float32(255)
_NONE = np.int16(-1)

Read = Callable[[int], NDArray[np.uint8]]


def current(
    read: Read, times: Sequence[datetime], window: range, end: datetime, fast: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """(3, rows, columns) u8: class, age and confidence at `end` of the acquisitions of `window`, oldest first.

    `read(i)` gives acquisition i as (3, rows, columns) u8 class probabilities x 255, (0, 0, 0) where it saw nothing;
    `times` are the aware sensing times of all acquisitions, `fast` (rows, columns) says which pixels are fast ice.

    class: legend codes, NODATA where nothing recent was seen. age: whole days from the evidence that decided the pixel
    (the newest that ranks its class first) to `end`, 254 for more, NEVER where nothing was seen; it is there also where
    that evidence has expired. confidence: percent, NODATA where there is no class.
    """
    fast = np.ascontiguousarray(fast)
    state = np.zeros((3, *fast.shape), np.float32)
    newest = np.full((4, *fast.shape), _NONE, np.int16)
    latest = np.zeros((3, *fast.shape), np.uint8)
    for index in window:
        latest = np.ascontiguousarray(read(index))
        _add(state, newest, latest, fast, _kept(times, times[index]), index)
    layers = np.empty((3, *fast.shape), np.uint8)
    ages = np.array([max(_days(time, end), 0.0) for time in times], np.float32)
    _decide(state, latest, newest, fast, ages, layers)
    return layers


def _days(earlier: datetime, later: datetime) -> float:
    return (later - earlier) / timedelta(days=1)


def _kept(times: Sequence[datetime], now: datetime) -> NDArray[np.float32]:
    """(2, n + 1) share of the state after each acquisition that remains `now`: pack ice, fast ice; 0 for none (-1)."""
    days = np.array([max(_days(time, now), 0.0) for time in times] + [np.inf])
    return np.asarray(np.exp(-days / np.array([[MEMORY_DAYS], [FAST_DAYS]])), np.float32)


@njit(cache=True, inline="always")
def _first(a: int, b: int, c: int) -> int:
    """The largest of three; a tie goes to the lower class."""
    return 0 if a >= b and a >= c else (1 if b >= c else 2)


@njit(cache=True, inline="always")
def _filtered(s: float, p: int, kept: float) -> np.float32:
    return np.float32((kept * s + (1 - kept) / 3) * (p / 255 + _FLOOR))


@njit("(f4[:,:,::1], i2[:,:,::1], u1[:,:,::1], b1[:,::1], f4[:,::1], i8)", cache=True, nogil=True)
def _add(
    state: NDArray[np.float32],
    newest: NDArray[np.int16],
    evidence: NDArray[np.uint8],
    fast: NDArray[np.bool_],
    kept: NDArray[np.float32],
    index: int,
) -> None:
    """Take one acquisition into `state` (3, rows, columns) and `newest` (4, rows, columns).

    `newest` holds the newest acquisition that ranked each class first, and the newest that saw the pixel. `kept` (2, n)
    are the shares of pack's and of fast ice's state that are left since acquisition i of the window.
    """
    for row in range(fast.shape[0]):
        for column in range(fast.shape[1]):
            a, b, c = evidence[0, row, column], evidence[1, row, column], evidence[2, row, column]
            if a | b | c == 0:
                continue
            x, y, z = state[0, row, column], state[1, row, column], state[2, row, column]
            if fast[row, column]:
                r = kept[1, newest[3, row, column]]
                x, y, z = _filtered(x, a, r), _filtered(y, b, r), _filtered(z, c, r)
                whole = x + y + z
                x, y, z = x / whole, y / whole, z / whole
            else:
                r = kept[0, newest[3, row, column]]
                x, y, z = r * x + a / _BYTE, r * y + b / _BYTE, r * z + c / _BYTE
            state[0, row, column], state[1, row, column], state[2, row, column] = x, y, z
            newest[_first(a, b, c), row, column] = index
            newest[3, row, column] = index


@njit("(f4[:,:,::1], u1[:,:,::1], i2[:,:,::1], b1[:,::1], f4[::1], u1[:,:,::1])", cache=True, nogil=True)
def _decide(
    state: NDArray[np.float32],
    latest: NDArray[np.uint8],
    newest: NDArray[np.int16],
    fast: NDArray[np.bool_],
    ages: NDArray[np.float32],
    layers: NDArray[np.uint8],
) -> None:
    """Fill `layers` (3, rows, columns). `latest`: the newest acquisition's evidence; `ages`: days, by acquisition."""
    rows, columns = fast.shape
    for row in range(rows):
        p = np.empty(3, np.float32)
        for column in range(columns):
            layers[0, row, column], layers[1, row, column], layers[2, row, column] = NODATA, NEVER, NODATA
            seen = newest[3, row, column]
            if seen == _NONE:
                continue
            now = latest[0, row, column] | latest[1, row, column] | latest[2, row, column]
            for k in range(3):
                p[k] = state[k, row, column]
                if now and not fast[row, column]:
                    p[k] = latest[k, row, column]
            best = _first(p[0], p[1], p[2])
            deciding = newest[best, row, column]
            age = ages[seen if deciding == _NONE else deciding]
            layers[1, row, column] = min(int(age), OLDEST)
            if age > (FAST_EXPIRES if fast[row, column] else PACK_EXPIRES):
                continue
            layers[0, row, column] = best + 1
            known = np.float32(np.exp(-ages[seen] / (FAST_DAYS if fast[row, column] else MEMORY_DAYS)))
            share = known * p[best] / (p[0] + p[1] + p[2]) + (np.float32(1) - known) / np.float32(3)
            layers[2, row, column] = int(np.float32(100) * share + np.float32(0.5))


def ashore(layers: NDArray[np.uint8], land: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """`layers` of `current`, changed in place: LAND where `land` (rows, columns), with nothing seen there."""
    for layer, code in zip(layers, (LAND, NEVER, NODATA), strict=True):
        layer[land] = code
    return layers

"""The changes at each pixel of a block, as a list: most pixels have none.

A change counts only where the acquisitions themselves agree with it: the class before in those before it, the class
after in those after it. In drifting pack ice the maps of a long window change too, as floes come and go, but the
acquisitions do not agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from seaice_ops.classes.legend import CLASSES
from seaice_ops.mapping.sequence import CONFIRMED, analyse

#: One change at one pixel. `since` and `index` are the numbers of the last acquisition before the change and the first
#: one after it, `agreement` is a percentage, `confirmed` is False for a change after which too few maps have followed.
CHANGE = np.dtype(
    [
        ("row", np.int32),
        ("column", np.int32),
        ("before", np.uint8),
        ("after", np.uint8),
        ("since", np.int16),
        ("index", np.int16),
        ("agreement", np.uint8),
        ("confirmed", np.bool_),
    ]
)

#: Changes that one pixel may have, at most.
MOST = 3

#: Least percentage of the acquisitions before a change, and of those after it, that agree with it at one pixel.
AGREEMENT = 67

#: Least number of acquisitions that saw the pixel before the change, and after it.
SEEN = 3

#: A longer time without any acquisition ends a sequence: nobody knows what happened meanwhile.
GAP = timedelta(days=21)


def segments(times: Sequence[datetime]) -> Iterator[range]:
    """The numbers of the acquisitions of each sequence without a gap longer than `GAP`; `times` ascend."""
    start = 0
    for number in range(1, len(times) + 1):
        if number == len(times) or times[number] - times[number - 1] > GAP:
            yield range(start, number)
            start = number


def changed(
    maps: NDArray[np.uint8], acquisitions: NDArray[np.uint8], times: Sequence[datetime], window: int
) -> NDArray[np.void]:
    """The changes of a block, (n,) of `CHANGE`, by row, column and time.

    `maps` (M, rows, columns) u8 are the classes of the windows of `window` acquisitions, `acquisitions`
    (M + window - 1, rows, columns) u8 those of the acquisitions at `times`; any code but 1, 2, 3 is not observed.
    """
    count, columns = len(maps), maps.shape[2]
    flat, single = maps.reshape(count, -1), acquisitions.reshape(len(times), -1)
    pixels, start = np.flatnonzero(_varies(flat)), None
    found = []
    for _ in range(MOST):
        if not len(pixels):
            break
        step = analyse(flat[:, pixels], times, window, acquisitions=single[:, pixels], start=start)
        here = np.flatnonzero(step.map_index >= 0)
        some, pixels, start = single[:, pixels[here]], pixels[here], step.map_index[here]
        part = np.zeros(len(here), CHANGE)
        part["row"], part["column"] = np.divmod(pixels, columns)
        part["before"], part["after"] = step.before[here], step.after[here]
        part["index"], part["confirmed"] = step.index[here], step.status[here] == CONFIRMED
        part["since"], part["agreement"] = _support(some, part, window)
        found.append(part[part["agreement"] >= AGREEMENT])
    whole = np.concatenate(found) if found else np.zeros(0, CHANGE)
    return whole[np.lexsort((whole["index"], whole["column"], whole["row"]))]


def _varies(maps: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(N,) bool: pixels of (M, N) u8 maps that show more than one class."""
    return np.asarray(np.sum([(maps == code).any(axis=0) for code in CLASSES], axis=0) > 1)


def _support(
    codes: NDArray[np.uint8], part: NDArray[np.void], window: int
) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """(n,) number of the last acquisition before each change that saw its pixel, and (n,) percentage that agree.

    `codes` (acquisitions, n) u8. Of the two percentages, before and after the change, the smaller one; 0 where one of
    them rests on too few acquisitions. Acquisitions further away than the window do not count.
    """
    number, at = np.arange(len(codes))[:, None], part["index"].astype(np.int64)
    seen = (codes >= CLASSES[0]) & (codes <= CLASSES[-1])
    earlier, later = (number < at) & (number >= at - window), (number >= at) & (number < at + window)
    shares = []
    for side, name in ((earlier, "before"), (later, "after")):
        looked = (seen & side).sum(axis=0)
        agree = ((codes == part[name]) & side).sum(axis=0)
        shares.append(np.where(looked >= SEEN, 100 * agree // np.maximum(looked, 1), 0))
    last = len(codes) - 1 - np.argmax((seen & earlier)[::-1], axis=0)
    since = np.where((seen & earlier).any(axis=0), last, np.maximum(at - 1, 0))
    return since.astype(np.int16), np.minimum(*shares).astype(np.uint8)

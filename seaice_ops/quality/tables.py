"""Tables of outcomes by condition, and the figures read from them. Arrays of counts in, plain figures out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seaice_ops.classes import conditions, metrics
from seaice_ops.classes.legend import CLASSES, CLOUD, NODATA, SLUGS

#: Conditions that a clean pixel has none of: three make the surface hard to see, and a mixed pixel has no one class.
_UNCLEAN = conditions.THIN_CLOUD | conditions.SHADOW | conditions.LOW_SUN | conditions.MIXED

#: Name -> (bits of which one must be set or 0 for any pixel, bits of which none may be set).
CONDITIONS: dict[str, tuple[int, int]] = {
    "all": (0, 0),
    "clean": (0, _UNCLEAN),
    **{name: (bit, 0) for bit, name in conditions.NAMES.items()},
    "thin cloud or shadow": (conditions.THIN_CLOUD | conditions.SHADOW, 0),
}

#: These conditions are drawn around a class of the truth, so precision and F1 within them say nothing: only recall.
BY_CLASS = {"wide thin ice", "narrow lead"}

Counts = NDArray[np.int64]


def under(counts: Counts, name: str) -> Counts:
    """The (4, 4) outcomes under one of `CONDITIONS`, from `metrics.by_condition`'s (256, 4, 4)."""
    one_of, none_of = CONDITIONS[name]
    mask = np.arange(256)
    chosen = ((mask & one_of) > 0 if one_of else np.ones(256, bool)) & ((mask & none_of) == 0)
    table: Counts = counts[chosen].sum(axis=0)
    return table


def figures(counts: Counts) -> dict[str, Any]:
    """`metrics.scores` of each condition that occurs, by name; ``all`` always."""
    found = {name: under(counts, name) for name in CONDITIONS}
    return {name: metrics.scores(table) for name, table in found.items() if name == "all" or table.any()}


def agreement(table: Counts) -> dict[str, Any]:
    """Agreement of two methods, from the (4, 4) outcomes of one against the other; it is not accuracy.

    `pixels` where both name a class, `same` the share of them with the same class, `one_abstains` the share of all
    pixels for which only one names a class, and for each class the `overlap` (pixels both give it, of those either
    does). A share of nothing is None.
    """
    classes, hit = table[:3, :3], np.diag(table)[:3]
    pixels = int(classes.sum())
    either = classes.sum(0) + classes.sum(1) - hit
    alone = int(table[3, :3].sum() + table[:3, 3].sum())
    return {
        "pixels": pixels,
        "same": _share(hit.sum(), pixels),
        "one_abstains": _share(alone, table.sum()),
        "overlap": {SLUGS[code]: _share(hit[i], either[i]) for i, code in enumerate(CLASSES)},
        "table": table.tolist(),
    }


def compare(labels: Mapping[str, NDArray[np.uint8]], valid: NDArray[np.bool_]) -> dict[tuple[str, str], Counts]:
    """The (4, 4) outcomes of each pair of labellers on the `valid` pixels, rows the first of the pair."""
    return {
        (first, second): metrics.outcomes(_abstaining(labels[first]), labels[second], valid)
        for first, second in combinations(labels, 2)
    }


def _abstaining(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """No-data within a valid pixel is an abstention, too."""
    return np.where(codes == NODATA, np.uint8(CLOUD), codes)


def same_pixels(labels: Sequence[NDArray[np.uint8]], valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(rows, columns) bool: pixels to which every method gives a class, so that the methods can be compared on them."""
    where = valid.copy()
    for codes in labels:
        where &= (codes >= CLASSES[0]) & (codes <= CLASSES[-1])
    return where


def _share(part: Any, whole: Any) -> float | None:
    return float(part) / float(whole) if whole else None

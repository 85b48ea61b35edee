"""Figures that the gate compares, from tables of outcomes on held-out truth: arrays only.

A table is (4, 4) counts of pixels as `classes.metrics.outcomes` gives them: rows truth and columns prediction, the
three classes first, then codes that name no class.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.int64]

_CLASSES = 3


def macro_f1(tables: NDArray[np.int64]) -> NDArray[np.float64]:
    """(...) mean F1 over the classes of (..., 4, 4) tables, where a pixel that was given no class counts as wrong.

    Classes that neither truth nor prediction hold are left out; NaN where there is none.
    """
    hit = np.diagonal(tables, axis1=-2, axis2=-1)[..., :_CLASSES]
    truth = tables[..., :_CLASSES, :].sum(-1)
    named = tables[..., :_CLASSES, :_CLASSES].sum(-2)
    with np.errstate(invalid="ignore"):
        each = 2 * hit / (truth + named)
    seen = ~np.isnan(each)
    with np.errstate(invalid="ignore"):
        mean: NDArray[np.float64] = np.where(seen, each, 0).sum(-1) / seen.sum(-1)
    return mean


def recall(table: Table) -> NDArray[np.float64]:
    """(3,) share of each class's true pixels that were given it; NaN for a class that the truth does not hold."""
    with np.errstate(invalid="ignore"):
        found: NDArray[np.float64] = np.diagonal(table)[:_CLASSES] / table[:_CLASSES].sum(1)
    return found


def lower_bound(ours: Mapping[str, Table], theirs: Mapping[str, Table], draws: int = 2000, seed: int = 1) -> float:
    """The 5th percentile of the difference in macro-F1, ours less theirs, by a paired bootstrap over acquisitions.

    Both map the same acquisitions to tables. Pixels of one acquisition are not independent, so whole acquisitions are
    drawn. Raises `ValueError` where the acquisitions differ.
    """
    if ours.keys() != theirs.keys() or not ours:
        raise ValueError("a paired bootstrap needs the same acquisitions, at least one, on both sides")
    names = sorted(ours)
    weights = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), draws)
    mine, other = (np.tensordot(weights, np.stack([side[n] for n in names]), 1) for side in (ours, theirs))
    return float(np.nanquantile(macro_f1(mine) - macro_f1(other), 0.05))


def worst(ours: Mapping[str, Table], theirs: Mapping[str, Table], pixels: int) -> tuple[str, float]:
    """The slice of `pixels` or more that lost most macro-F1, and its gain (negative: loss).

    A slice of theirs that we lack lost all. NaN where a slice cannot be compared: it comes before every loss.
    """
    nothing = np.zeros((_CLASSES + 1, _CLASSES + 1), np.int64)
    changes = {
        name: float(macro_f1(ours[name]) - macro_f1(table)) if name in ours else -float(macro_f1(table))
        for name, table in theirs.items()
        if max(table[:_CLASSES].sum(), ours.get(name, nothing)[:_CLASSES].sum()) >= pixels
    }
    return min(changes.items(), key=lambda item: (not np.isnan(item[1]), item[1]), default=("none", 0.0))


def calibration_error(bins: NDArray[np.float64]) -> float:
    """Mean distance between confidence and accuracy, weighted by pixels, of (n, 3) bins by confidence: pixels, sum of
    the confidences (0..1), pixels that were right. 0 is perfect; NaN without pixels."""
    count, confidence, right = bins.T
    with np.errstate(invalid="ignore"):
        return float(np.abs(confidence - right).sum() / count.sum())

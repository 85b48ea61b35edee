"""Scores of one class raster against another: what is counted, and the figures that the counts make."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seaice_ops.classes.legend import CLASSES, NODATA, SLUGS

#: Rows and columns of a table of outcomes: the three classes, then every code that names none of them.
NO_CLASS = len(CLASSES)

#: Pixels counted at a time: counting takes 8 bytes a pixel, and a whole tile has 120 million.
_STEP = 1 << 20


def confusion(truth: NDArray[np.uint8], predicted: NDArray[np.uint8]) -> NDArray[np.int64]:
    """(3, 3) counts, rows truth and columns predicted, in the order of `legend.CLASSES`; other codes are left out."""
    return outcomes(truth, predicted)[:NO_CLASS, :NO_CLASS]


def outcomes(
    truth: NDArray[np.uint8], predicted: NDArray[np.uint8], where: NDArray[np.bool_] | None = None
) -> NDArray[np.int64]:
    """(4, 4) counts, rows truth and columns predicted: `legend.CLASSES` in order, then codes that name no class.

    Pixels whose truth is no-data, and those that are not `where`, are left out.
    """
    table: NDArray[np.int64] = by_condition(truth, predicted, np.zeros(1, np.uint8), where)[0]
    return table


def by_condition(
    truth: NDArray[np.uint8],
    predicted: NDArray[np.uint8],
    conditions: NDArray[np.uint8],
    where: NDArray[np.bool_] | None = None,
) -> NDArray[np.int64]:
    """(256, 4, 4) counts: the outcomes of the pixels of each value of the bit mask `conditions`.

    Same shapes, except that `conditions` may be one value for all. The tables of some bits are sums of these.
    """
    index = np.full(256, NO_CLASS, np.uint8)
    index[list(CLASSES)] = range(NO_CLASS)
    rows = index.copy()
    rows[NODATA] = NO_CLASS + 1
    seen = np.broadcast_to(conditions, truth.shape) if conditions.size == 1 else conditions
    parts = [np.ascontiguousarray(part).ravel() for part in (truth, predicted, seen)]
    chosen = None if where is None else where.ravel()
    counts = np.zeros(256 * 20, np.int64)
    for start in range(0, truth.size, _STEP):
        step = slice(start, start + _STEP)
        row = rows[parts[0][step]].astype(np.intp)
        if chosen is not None:
            row[~chosen[step]] = NO_CLASS + 1
        row *= 4
        row += index[parts[1][step]]
        row += parts[2][step].astype(np.intp) * 20
        counts += np.bincount(row, minlength=len(counts))
    return counts.reshape(256, 5, 4)[:, :4]


def scores(matrix: NDArray[np.int64]) -> dict[str, Any]:
    """Accuracy, majority share, macro-F1, mean IoU and per class precision, recall, F1, IoU of a confusion matrix.

    Shares are 0..1. Macro means run over the classes that occur in truth or prediction; a figure whose
    denominator is zero is None. Of a (4, 4) table of `outcomes` the same figures are of the pixels where both name a
    class; `abstained`, overall and per class, is the share of the truth's pixels for which the prediction named none,
    and `named_no_class` the share of those without a class in the truth (cloud, land) that were given one.
    """
    table, matrix = matrix, matrix[:NO_CLASS, :NO_CLASS]
    total, hit = int(matrix.sum()), np.diag(matrix)
    truth, predicted = matrix.sum(1), matrix.sum(0)
    classes = {
        SLUGS[code]: {
            "precision": _ratio(hit[i], predicted[i]),
            "recall": _ratio(hit[i], truth[i]),
            "f1": _ratio(2 * hit[i], truth[i] + predicted[i]),
            "iou": _ratio(hit[i], truth[i] + predicted[i] - hit[i]),
            "pixels": int(truth[i]),
        }
        for i, code in enumerate(CLASSES)
    }
    f1s = [c["f1"] for c in classes.values() if c["f1"] is not None]
    ious = [c["iou"] for c in classes.values() if c["iou"] is not None]
    found = {
        "pixels": total,
        "accuracy": _ratio(hit.sum(), total),
        "majority": _ratio(truth.max(), total),
        "macro_f1": float(np.mean(f1s)) if f1s else None,
        "mean_iou": float(np.mean(ious)) if ious else None,
        "classes": classes,
        "confusion": matrix.tolist(),
    }
    return found | _abstentions(table, classes) if table.shape[0] > NO_CLASS else found


def _abstentions(table: NDArray[np.int64], classes: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The figures of a table's fourth row and column; each class's share goes into `classes`."""
    for i, figures in enumerate(classes.values()):
        figures["abstained"] = _ratio(table[i, NO_CLASS], table[i].sum())
    return {
        "abstained": _ratio(table[:NO_CLASS, NO_CLASS].sum(), table[:NO_CLASS].sum()),
        "named_no_class": _ratio(table[NO_CLASS, :NO_CLASS].sum(), table[NO_CLASS].sum()),
    }


def _ratio(part: Any, whole: Any) -> float | None:
    return float(part) / float(whole) if whole else None

"""Scores of one class raster against another, on the pixels where both hold one of the three classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seaice_ops.legend import CLASSES, SLUGS


def confusion(truth: NDArray[np.uint8], predicted: NDArray[np.uint8]) -> NDArray[np.int64]:
    """(3, 3) counts, rows truth and columns predicted, in the order of `legend.CLASSES`; other codes are left out."""
    index = np.full(256, 3, np.int64)
    index[list(CLASSES)] = range(3)
    counts = np.bincount((index[truth] * 4 + index[predicted]).ravel(), minlength=16).reshape(4, 4)
    return counts[:3, :3]


def scores(matrix: NDArray[np.int64]) -> dict[str, Any]:
    """Accuracy, majority share, macro-F1, mean IoU and per class precision, recall, F1, IoU of a confusion matrix.

    Shares are 0..1. Macro means run over the classes that occur in truth or prediction; a figure whose
    denominator is zero is None.
    """
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
    return {
        "pixels": total,
        "accuracy": _ratio(hit.sum(), total),
        "majority": _ratio(truth.max(), total),
        "macro_f1": float(np.mean(f1s)) if f1s else None,
        "mean_iou": float(np.mean(ious)) if ious else None,
        "classes": classes,
        "confusion": matrix.tolist(),
    }


def _ratio(part: Any, whole: Any) -> float | None:
    return float(part) / float(whole) if whole else None

"""Class probabilities of an acquisition from its auto-labels.

The labelled class gets its confidence as probability; the two others share the rest equally.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seaice_ops.classes.legend import CLASSES

#: Confidence in percent assumed for labels by a method that gives none.
UNTOLD = 80

#: Least probability in percent of the labelled class: as likely as the two others together.
_LEAST = 50


def from_labels(classes: NDArray[np.uint8], confidence: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
    """(3, rows, columns) u8 probabilities x 255 in the order of `CLASSES`; (0, 0, 0) where the labels have no class.

    `classes` (rows, columns) u8 legend codes; `confidence` (rows, columns) u8 percent, above 100 where unknown; None if
    the method gives none.
    """
    sure = np.full_like(classes, UNTOLD) if confidence is None else confidence
    table = _table()
    return np.stack([band[classes, np.minimum(sure, 101)] for band in table])


def _table() -> NDArray[np.uint8]:
    """(3, 256, 102) u8 probability x 255 of each class, by label code and confidence; 101 stands for unknown."""
    percent = np.arange(102)
    percent[101] = UNTOLD
    named = np.rint(np.maximum(percent, _LEAST) * 2.55).astype(np.uint8)
    table = np.zeros((3, 256, 102), np.uint8)
    for first, code in enumerate(CLASSES):
        table[:, code] = (255 - named) // 2
        table[first, code] = named
    return table

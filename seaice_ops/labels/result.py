"""What a labeller answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Confidence where there is no class.
NONE = 255


@dataclass(frozen=True)
class Labels:
    """(rows, columns) u8 each: legend codes; confidence in %, NONE where there is no class; bits of `reasons`.

    Methods that know only classes leave the others None.
    """

    classes: NDArray[np.uint8]
    confidence: NDArray[np.uint8] | None = None
    reasons: NDArray[np.uint8] | None = None

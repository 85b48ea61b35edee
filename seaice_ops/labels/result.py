"""The answer of a labelling method."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seaice_ops.classes import legend

#: Confidence where there is no class.
NO_CONFIDENCE = 255


@dataclass(frozen=True)
class Labels:
    """(rows, columns) u8 each: legend codes; confidence in %, or NO_CONFIDENCE where there is no class;
    bits of `classes.quality_flags`.

    Methods that know only classes leave the others None.
    """

    classes: NDArray[np.uint8]
    confidence: NDArray[np.uint8] | None = None
    reasons: NDArray[np.uint8] | None = None

    def without(self, land: NDArray[np.bool_]) -> Labels:
        """These labels, changed in place, with LAND where `land` (rows, columns) and something was observed."""
        hidden = land & (self.classes != legend.NODATA)
        self.classes[hidden] = legend.LAND
        if self.confidence is not None and self.reasons is not None:
            self.confidence[hidden], self.reasons[hidden] = NO_CONFIDENCE, 0
        return self

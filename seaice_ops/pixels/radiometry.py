"""Stored reflectance and the 8-bit true colour: constants and array functions only."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

#: What a scene COG stores for reflectance 1.0.
SCALE = 10_000

#: What a scene COG stores where a band was not observed.
UNOBSERVED = -32_768


def true_colour(reflectance: NDArray[np.int16], ceiling: float) -> NDArray[np.uint8]:
    """8-bit true colour of (bands, rows, columns) int16 reflectance x 10000; (rows, columns, bands) u8.

    V = round(255 * reflectance / ceiling), clipped to 0..255, and 0 where not observed. `ceiling` is a reflectance;
    the Level-1C true colour's is 0.3558. The bands are red, green and blue, or those that a network takes.
    """
    stored = np.arange(65_536, dtype=np.uint16).view(np.int16)
    table = np.clip(np.rint(stored * (255.0 / (ceiling * SCALE))), 0, 255).astype(np.uint8)
    image = cv2.merge([cv2.LUT(band.view(np.uint16), table) for band in reflectance])
    return np.asarray(image, np.uint8).reshape(*reflectance.shape[1:], len(reflectance))

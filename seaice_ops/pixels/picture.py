"""Checks of 8-bit pictures: their black borders, and whether a PNG is whole. No I/O but the PNG's own file."""

from __future__ import annotations

import warnings
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seaice_ops.errors import CorruptProduct

#: Where a file says nothing of no-data, a connected region of exact (0, 0, 0) at the border is no-data from this many
#: pixels on. Very dark water has real zeros, but scattered ones.
BLACK_REGION = 1024


def black_border(rgb: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(rows, columns) bool: the no-data border of a (rows, columns, 3) u8 picture whose file says nothing of no-data.

    It is all 4-connected regions of exact (0, 0, 0) that touch the edge and hold `BLACK_REGION` pixels or more.
    """
    regions = cv2.inRange(rgb, (0, 0, 0), (0, 0, 0))  # 255: black, not looked at yet
    rows, columns = regions.shape
    border = np.zeros((rows, columns), np.bool_)
    border[[0, -1]] = border[:, [0, -1]] = True
    for row, column in np.argwhere(border & (regions == 255)).tolist():
        if regions[row, column] == 255:
            area = cv2.floodFill(regions, None, (column, row), 1)[0]
            if area < BLACK_REGION:
                cv2.floodFill(regions, None, (column, row), 0)
    return np.asarray(regions == 1)


def check_png(path: Path) -> None:
    """Decode a whole PNG once: GDAL answers a truncated one with arbitrary numbers instead of an error.

    Raises `CorruptProduct` for a damaged file.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # a whole tile is as large as one
            with Image.open(path) as image:
                image.load()
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise CorruptProduct(f"{path} cannot be decoded: {error}") from error

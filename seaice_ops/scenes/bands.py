"""From stored numbers to reflectance x 10000: look-up tables and pixel replication, on arrays alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seaice_ops.pixels.radiometry import SCALE, UNOBSERVED


def reflectance_table(offset: float, quantification: float) -> NDArray[np.int16]:
    """(65536,) int16: reflectance x 10000 of every digital number of a Sentinel-2 band, its offset applied.

    round(10000 (DN + offset) / quantification). Negative values are kept; larger ones, also of the saturated DN 65535,
    are clipped to the range of int16 above `radiometry.UNOBSERVED` (-32768). DN 0 (not observed) becomes `UNOBSERVED`.
    """
    numbers = np.arange(65_536, dtype=np.float64)
    values = np.rint((numbers + offset) * (SCALE / quantification))
    table = np.clip(values, UNOBSERVED + 1, 32_767).astype(np.int16)
    table[0] = UNOBSERVED
    return table


def colour_table(ceiling: float) -> NDArray[np.int16]:
    """(256,) int16: reflectance x 10000 of every 8-bit true-colour value, the inverse of `radiometry.true_colour`."""
    table: NDArray[np.int16] = np.rint(np.arange(256) * (ceiling * SCALE / 255.0)).astype(np.int16)
    return table


def replicate(band: NDArray[np.int16], factor: int) -> NDArray[np.int16]:
    """(rows * factor, columns * factor) int16: each pixel of `band` (rows, columns) repeated, without interpolation."""
    return band.repeat(factor, axis=0).repeat(factor, axis=1)

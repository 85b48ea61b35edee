"""Look-up table from band values to class shares: the share of each class among the model's draws with those values.

A pixel's four bands are reduced to a cell: brightness (B04), near infrared and blue relative to red, and 1.6 um, each
on a logarithmic scale of the reflectance below the air. `table` fills the cells from `model.draw`. A pixel is
classified by one look-up, so the cost does not depend on the physics.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from seaice_ops.classes import quality_flags
from seaice_ops.classes.legend import CLASSES
from seaice_ops.labels.reflectance import optics
from seaice_ops.labels.reflectance.model import Draws, draw
from seaice_ops.labels.reflectance.surfaces import BANDS
from seaice_ops.pixels.radiometry import SCALE
from seaice_ops.pixels.radiometry import UNOBSERVED as NODATA

#: Cells along brightness, near infrared to red, blue to red, and 1.6 um.
SHAPE = (96, 24, 16, 64)
_DRAWS = 1 << 18

#: A code step is 2 % of reflectance; cells are 2 steps wide, 4 at 1.6 um. _FIRST: code at which the first cell begins.
_STEP = 0.02
_FIRST = {"B04": 56, "B08": -38, "B02": -8}

#: Optical depth of cloud, and lost share of the direct beam, above which a pixel counts as under cloud or in shadow.
_HAZY, _SHADED = 0.2, 0.25

#: Smoothing passes along 1.6 um for draws below cloud or in shadow. Skylight and cloud light are known less well there,
#: where the direct sun is 20 to 100 times as strong.
_VEILED_PASSES = 3

#: Prior weights of water, thin and thick ice: in the clear, under cloud, in shadow, under both. Doubt goes to young
#: ice, the class that is most dangerous to miss, and below cloud to ice rather than water.
PRIOR = np.array([[0.7, 1.6, 1], [0.7, 1.2, 1], [0.6, 1.35, 1], [0.63, 1.5, 1]])

#: Stored number (reflectance x 10000) below which all get the same code; no real pixel is as dark.
_DARKEST = -1000

#: Codes of pixels that were not observed, and of those at the end of the scale (saturated).
MISSING, FULL = 0, 255

#: The three shares add up to WHOLE. A 16-bit cell holds two of them, even numbers, in a byte each; the lowest bit of a
#: byte is a quality flag.
WHOLE = 250
_EVEN = 254

Floats = NDArray[np.float32]


def nearest_zenith(sun_zenith: float) -> int:
    """The even whole number of degrees nearest to `sun_zenith`, for which there is a table."""
    return 2 * round(sun_zenith / 2)


@lru_cache(maxsize=8)
def table(zenith: int) -> NDArray[np.uint16]:
    """(cells,) u16 table for a sun zenith angle of `zenith` degrees; `found` looks pixels up in it.

    A cell holds the shares of water and of thin ice among the draws in and around it (thick ice is the rest), and the
    quality flags CLOUD and SHADOW.
    """
    draws = draw(_DRAWS, zenith)
    return _cells(cells_of(draws, zenith), draws)


def cells_of(draws: Draws, zenith: int) -> NDArray[np.intp]:
    """(n,) cell index of each draw, made for a sun zenith angle of `zenith` degrees."""
    stored = np.clip(np.rint(draws.bands * SCALE), NODATA + 1, 32_767).astype(np.int16)
    return cell_index(coded(band_codes(zenith), stored[:, None])).ravel()


def band_codes(
    sun_zenith: float, veil: tuple[float, ...] = (0.0,) * 4, gain: tuple[float, ...] = (1.0,) * 4
) -> NDArray[np.uint8]:
    """(4, 65536) u8 code of every stored number of each of BANDS, indexed by the int16 value read as uint16.

    The code is logarithmic in (reflectance below the air - `veil`) / `gain`. MISSING stands for NODATA and FULL for
    saturation alone; `sun_zenith` in degrees.
    """
    stored = np.arange(_DARKEST, 32_768) / SCALE
    codes = []
    for band, dark, bright in zip(BANDS, veil, gain, strict=True):
        air = optics.air(band, sun_zenith)
        surface = (optics.at_surface(np.maximum(stored, air.path - 0.1), air) - dark) / bright
        shift, least = (0.01, 0.004) if band == "B11" else (0.04, 0.01)
        codes.append(np.log(np.maximum(surface + shift, least) / least) / _STEP)
    levels = np.empty((len(BANDS), 65_536), np.uint8)
    known = np.clip(np.rint(codes), MISSING + 1, FULL - 1).astype(np.uint8)
    levels[:, :32_768], levels[:, _DARKEST:] = known[:, -_DARKEST:], known[:, :-_DARKEST]
    levels[:, 32_768:_DARKEST] = known[:, :1]
    levels[:, np.array(NODATA, np.int16).view(np.uint16)] = MISSING
    levels[:, np.iinfo(np.int16).max] = FULL
    return levels


def coded(codes: NDArray[np.uint8], bands: NDArray[np.int16]) -> list[NDArray[np.uint8]]:
    """(rows, columns) u8 codes for each band; `bands` (4, rows, columns) int16 reflectance x 10000 in BANDS order."""
    return [
        np.asarray(cv2.LUT(np.ascontiguousarray(band).view(np.uint16), levels), np.uint8)
        for band, levels in zip(bands, codes, strict=True)
    ]


def cell_index(planes: Sequence[NDArray[np.uint8]]) -> NDArray[np.intp]:
    """(rows, columns) cell index of each pixel from its codes, `planes` in BANDS order."""
    blue, red, infrared, short = planes
    index = np.asarray(cv2.LUT(red, _INDEX_PARTS["B04"]), np.int32)
    for name, band in (("B08", infrared), ("B02", blue)):
        relative = cv2.subtract(band, np.asarray(cv2.subtract(red, np.full_like(red, -_FIRST[name]))))
        index += np.asarray(cv2.LUT(relative, _INDEX_PARTS[name]), np.int32)
    index += np.asarray(cv2.LUT(short, _INDEX_PARTS["B11"]), np.int32)
    return index.astype(np.intp)


def _index_parts() -> dict[str, NDArray[np.int32]]:
    """(256,) what a code adds to the cell index, by band: B04 and B11 their code, B08 and B02 that relative to B04."""
    level = np.arange(256)
    cells = {"B04": (level - _FIRST["B04"]) // 2, "B08": level // 2, "B02": level // 2, "B11": level // 4}
    strides = [int(np.prod(SHAPE[axis + 1 :])) for axis in range(len(SHAPE))]
    return {
        band: (np.clip(cell, 0, size - 1) * stride).astype(np.int32)
        for (band, cell), size, stride in zip(cells.items(), SHAPE, strides, strict=True)
    }


_INDEX_PARTS = _index_parts()


def _cells(index: NDArray[np.intp], draws: Draws) -> NDArray[np.uint16]:
    veiled = (draws.cloud > _HAZY) | (draws.sunlight < 1 - _SHADED)
    counts = (_counts(index, draws.classes == code, veiled) for code in CLASSES)
    shares = np.stack([_spread(count) for count in counts])
    total = shares.sum(axis=0)
    skies = (_counts(index, what, veiled) for what in (draws.cloud, 1 - draws.sunlight))
    cloud, shade = (_spread(sky) / total for sky in skies)
    flags = np.where(cloud > _HAZY, quality_flags.CLOUD, 0) | np.where(shade > _SHADED, quality_flags.SHADOW, 0)
    shares *= np.moveaxis(PRIOR[flags], -1, 0)
    water, thin = 2 * np.rint(WHOLE // 2 * shares[:2] / shares.sum(axis=0)).astype(np.uint16)
    clouded, shaded = ((flags & reason > 0).astype(np.uint16) for reason in (quality_flags.CLOUD, quality_flags.SHADOW))
    return np.asarray(water | clouded | (thin | shaded) << 8).ravel()


def _counts(index: NDArray[np.intp], weights: NDArray[np.generic], veiled: NDArray[np.bool_]) -> Floats:
    """Sum of `weights` in each cell; those of `veiled` draws (bool) are smoothed along 1.6 um."""
    plain, smoothed = (_sums(index, weights * where) for where in (~veiled, veiled))
    for _ in range(_VEILED_PASSES):
        smoothed = _smoothed(smoothed, smoothed.ndim - 1)
    return plain + smoothed


def found(cells: NDArray[np.uint16], index: NDArray[np.intp]) -> tuple[NDArray[np.uint8], ...]:
    """(rows, columns) u8 each: WHOLE times the share of water, the same of thin ice, and the quality flags.

    `cells` is a `table`, `index` (rows, columns) the pixels' `cell_index`. One 16-bit look-up takes less than half the
    time of three 8-bit ones.
    """
    values = cells.take(index, mode="clip")
    low, high = values.astype(np.uint8), (values >> 8).astype(np.uint8)
    sky = (low & np.uint8(1)) * np.uint8(quality_flags.CLOUD) | (high & np.uint8(1)) * np.uint8(quality_flags.SHADOW)
    return low & np.uint8(_EVEN), high & np.uint8(_EVEN), sky


def _sums(index: NDArray[np.intp], weights: NDArray[np.generic]) -> Floats:
    return np.bincount(index, weights, minlength=int(np.prod(SHAPE))).reshape(SHAPE).astype(np.float32)


def _spread(counts: Floats) -> Floats:
    """Counts smoothed over neighbouring cells, plus a trace of farther ones, which decides where cells are empty."""
    near = _blurred(_blurred(counts))
    blocks = counts.reshape([part for size in SHAPE for part in (size // 8, 8)]).sum(axis=(1, 3, 5, 7))
    far = _blurred(blocks) + 1e-3 * _blurred(_blurred(_blurred(blocks))) + 1e-6 * blocks.mean() + 1e-9
    for axis in range(far.ndim):
        far = far.repeat(8, axis=axis)
    return np.asarray(near + 1e-7 * far, np.float32)


def _blurred(counts: Floats) -> Floats:
    """Counts smoothed along each axis by (1, 2, 1) / 4; the total is kept, as the ends keep what would cross them."""
    for axis in range(counts.ndim):
        counts = _smoothed(counts, axis)
    return counts


def _smoothed(counts: Floats, axis: int) -> Floats:
    smooth: Floats = counts * np.float32(0.5)
    given, made = (np.moveaxis(array, axis, 0) for array in (counts * np.float32(0.25), smooth))
    made[1:] += given[:-1]
    made[:-1] += given[1:]
    made[0] += given[0]
    made[-1] += given[-1]
    return smooth

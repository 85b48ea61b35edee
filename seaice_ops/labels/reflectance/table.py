"""What a combination of band values means: the share of each class among the draws of our model that look like it.

A pixel's four bands are reduced to a cell: brightness (B04), near infrared and blue against red, and 1.6 um, each on
a logarithmic scale of the reflectance below the air. `table` fills the cells from `reflectance_model.draw`; looking
a pixel up is the whole classification, so it costs the same whatever the physics.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from seaice_ops.classes import quality_flags as reasons
from seaice_ops.classes.legend import CLASSES
from seaice_ops.labels.reflectance import optics
from seaice_ops.labels.reflectance.model import Draws, draw
from seaice_ops.labels.reflectance.surfaces import BANDS
from seaice_ops.pixels.radiometry import SCALE
from seaice_ops.pixels.radiometry import UNOBSERVED as NODATA

#: Cells of brightness, near infrared to red, blue to red, and 1.6 um.
SHAPE = (96, 24, 16, 64)
_DRAWS = 1 << 18

#: A step of the codes is 2 %; cells are 2 steps wide, 4 at 1.6 um. Where the first cell begins:
_STEP = 0.02
_FIRST = {"B04": 56, "B08": -38, "B02": -8}

#: Optical depth of cloud and lost share of the direct beam from which on a pixel counts as under cloud or in shadow.
_HAZY, _SHADED = 0.2, 0.25

#: How often what is below cloud or in shadow is smoothed along 1.6 um: how much light of the sky and of the cloud there
#: is at that wavelength, where the sun's own is 20 to 100 times as strong, is known less well than elsewhere.
_VAGUE = 3

#: What the shares of water, thin and thick ice count for in the clear, under cloud, in shadow and under both: in doubt
#: it is rather young ice, which whoever travels would miss worst, and below cloud rather ice than water.
PRIOR = np.array([[0.7, 1.6, 1], [0.7, 1.2, 1], [0.6, 1.35, 1], [0.63, 1.5, 1]])

#: Stored number below which all is alike: more than the air's light below nothing.
_DARKEST = -1000

#: The codes of what was not observed and of what is at the end of the scale.
MISSING, FULL = 0, 255

#: The shares of the classes add up to WHOLE; a cell of the table holds two of them, even numbers, in a byte each, whose
#: lowest bit is the sky's.
WHOLE = 250
_EVEN = 254

Floats = NDArray[np.float32]


def nearest_zenith(sun_zenith: float) -> int:
    """The zenith distance, even whole degrees, whose table serves `sun_zenith`."""
    return 2 * round(sun_zenith / 2)


@lru_cache(maxsize=8)
def table(zenith: int) -> NDArray[np.uint16]:
    """(cells,) u16 for a sun that many degrees from the zenith, to be looked up by `found`: the shares that water and
    thin ice have of the draws in and around the cell, thick ice the rest; the reasons CLOUD and SHADOW."""
    draws = draw(_DRAWS, zenith)
    return _cells(cells_of(draws, zenith), draws)


def cells_of(draws: Draws, zenith: int) -> NDArray[np.intp]:
    """(n,) the cells that draws under a sun that many degrees from the zenith fall into."""
    stored = np.clip(np.rint(draws.bands * SCALE), NODATA + 1, 32_767).astype(np.int16)
    return cell_index(coded(band_codes(zenith), stored[:, None])).ravel()


def band_codes(
    sun_zenith: float, veil: tuple[float, ...] = (0.0,) * 4, gain: tuple[float, ...] = (1.0,) * 4
) -> NDArray[np.uint8]:
    """(4, 65536) u8: the code of every stored number (int16 taken as uint16) of each of BANDS, after the air and the
    `veil` are taken away and what remains is divided by the `gain`. MISSING and FULL are no reflectance's code."""
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
    """(rows, columns) u8 code of each pixel of each band of `bands` (4, rows, columns), stored reflectance of BANDS."""
    return [
        np.asarray(cv2.LUT(np.ascontiguousarray(band).view(np.uint16), levels), np.uint8)
        for band, levels in zip(bands, codes, strict=True)
    ]


def cell_index(planes: Sequence[NDArray[np.uint8]]) -> NDArray[np.intp]:
    """(rows, columns) cell of each pixel, from its codes in BANDS order."""
    blue, red, infrared, short = planes
    index = np.asarray(cv2.LUT(red, _PLACES["B04"]), np.int32)
    for name, band in (("B08", infrared), ("B02", blue)):
        relative = cv2.subtract(band, np.asarray(cv2.subtract(red, np.full_like(red, -_FIRST[name]))))
        index += np.asarray(cv2.LUT(relative, _PLACES[name]), np.int32)
    index += np.asarray(cv2.LUT(short, _PLACES["B11"]), np.int32)
    return index.astype(np.intp)


def _places() -> dict[str, NDArray[np.int32]]:
    """What each level adds to the index: of B04's code, of a band's code less B04's and its first, of B11's code."""
    level = np.arange(256)
    cells = {"B04": (level - _FIRST["B04"]) // 2, "B08": level // 2, "B02": level // 2, "B11": level // 4}
    strides = [int(np.prod(SHAPE[axis + 1 :])) for axis in range(len(SHAPE))]
    return {
        band: (np.clip(cell, 0, size - 1) * stride).astype(np.int32)
        for (band, cell), size, stride in zip(cells.items(), SHAPE, strides, strict=True)
    }


_PLACES = _places()


def _cells(index: NDArray[np.intp], draws: Draws) -> NDArray[np.uint16]:
    veiled = (draws.cloud > _HAZY) | (draws.sunlight < 1 - _SHADED)
    counts = (_counts(index, draws.classes == code, veiled) for code in CLASSES)
    shares = np.stack([_spread(count) for count in counts])
    total = shares.sum(axis=0)
    skies = (_counts(index, what, veiled) for what in (draws.cloud, 1 - draws.sunlight))
    cloud, shade = (_spread(sky) / total for sky in skies)
    flags = np.where(cloud > _HAZY, reasons.CLOUD, 0) | np.where(shade > _SHADED, reasons.SHADOW, 0)
    shares *= np.moveaxis(PRIOR[flags], -1, 0)
    water, thin = 2 * np.rint(WHOLE // 2 * shares[:2] / shares.sum(axis=0)).astype(np.uint16)
    clouded, shaded = ((flags & reason > 0).astype(np.uint16) for reason in (reasons.CLOUD, reasons.SHADOW))
    return np.asarray(water | clouded | (thin | shaded) << 8).ravel()


def _counts(index: NDArray[np.intp], weights: NDArray[np.generic], veiled: NDArray[np.bool_]) -> Floats:
    """The sum of `weights` in each cell; of draws below a veil also in those beside, along 1.6 um."""
    plain, vague = (_sums(index, weights * where) for where in (~veiled, veiled))
    for _ in range(_VAGUE):
        vague = _smoothed(vague, vague.ndim - 1)
    return plain + vague


def found(cells: NDArray[np.uint16], index: NDArray[np.intp]) -> tuple[NDArray[np.uint8], ...]:
    """What the table says of each pixel, (rows, columns) u8: WHOLE times the shares of water and of thin ice, and the
    reasons. One look-up of 16 bits is less than half as long as three of 8."""
    values = cells.take(index, mode="clip")
    low, high = values.astype(np.uint8), (values >> 8).astype(np.uint8)
    sky = (low & np.uint8(1)) * np.uint8(reasons.CLOUD) | (high & np.uint8(1)) * np.uint8(reasons.SHADOW)
    return low & np.uint8(_EVEN), high & np.uint8(_EVEN), sky


def _sums(index: NDArray[np.intp], weights: NDArray[np.generic]) -> Floats:
    return np.bincount(index, weights, minlength=int(np.prod(SHAPE))).reshape(SHAPE).astype(np.float32)


def _spread(counts: Floats) -> Floats:
    """Counts shared with neighbouring cells, and a trace of those of farther ones where there are none."""
    near = _blurred(_blurred(counts))
    blocks = counts.reshape([part for size in SHAPE for part in (size // 8, 8)]).sum(axis=(1, 3, 5, 7))
    far = _blurred(blocks) + 1e-3 * _blurred(_blurred(_blurred(blocks))) + 1e-6 * blocks.mean() + 1e-9
    for axis in range(far.ndim):
        far = far.repeat(8, axis=axis)
    return np.asarray(near + 1e-7 * far, np.float32)


def _blurred(counts: Floats) -> Floats:
    """Each axis smoothed by (1, 2, 1) / 4; what crosses an end stays at it."""
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

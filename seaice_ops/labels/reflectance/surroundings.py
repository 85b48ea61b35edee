"""What lies around a pixel says of its class: weights for the classes, on a coarse grid, from means near and far.

Under a veil a pixel alone cannot tell dark ice from water below more cloud, or snow in shadow from young ice. The mean
of some tens and some hundreds of metres around it shows the veil and what it hides. How these weigh is learnt from our
own model (`surroundings_teach` wrote `surroundings.json`): a small network whose answer the table's shares are
multiplied with.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources

import cv2
import numpy as np
from numpy.typing import NDArray

from seaice_ops.classes.legend import CLASSES
from seaice_ops.labels.reflectance import optics
from seaice_ops.labels.reflectance.surfaces import BANDS
from seaice_ops.pixels.radiometry import SCALE
from seaice_ops.pixels.radiometry import UNOBSERVED as NODATA

#: Edge of a cell of the grid, pixels.
CELL = 32

#: Rows and columns of a cell that its mean is taken over: the same seen from either side.
_LOOKED_AT = np.array([3, 12, 19, 28])

#: Standard deviation of the Gaussian means near and far, cells.
_NEAR, _FAR = 0.4, 1.9

#: Weights of the class that the surroundings favour most, and least.
MOST, LEAST = 250, 5

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Network:
    """Layers of weights (outputs, inputs) and offsets (outputs,), rectified between each other."""

    weights: tuple[Floats, ...]
    offsets: tuple[Floats, ...]

    def __call__(self, features: Floats) -> Floats:
        """(n, classes) logarithms of the classes' weights from (n, inputs) `features`."""
        values = features
        for index, (weights, offsets) in enumerate(zip(self.weights, self.offsets, strict=True)):
            values = np.maximum(values, 0) if index else values
            # A product (@) would wake a thread for each core, which would then wait in a loop.
            values = np.einsum("ni,oi->no", values, weights) + offsets
        return np.asarray(values, np.float32)


@cache
def taught() -> Network:
    """The network that is part of this package."""
    stored = json.loads(resources.files("seaice_ops.labels.reflectance").joinpath("surroundings.json").read_text())
    return Network(*(tuple(np.array(layer, np.float32) for layer in stored[name]) for name in ("weights", "offsets")))


def cell_sums(bands: NDArray[np.int16]) -> Floats:
    """(5, rows, columns) float32 of the cells of `bands` (4, rows, columns), stored reflectance: the mean of each
    band and of 1 over the pixels of a whole cell (`_LOOKED_AT`); those that lack a band or lie outside count as 0."""
    high, wide = (-(-size // CELL) for size in bands.shape[1:])
    rows, columns = (_looked_at(size) for size in bands.shape[1:])
    looked = np.zeros((len(bands) + 1, high * len(_LOOKED_AT), wide * len(_LOOKED_AT)), np.int16)
    looked[-1, : len(rows), : len(columns)] = SCALE
    looked[:-1, : len(rows), : len(columns)] = bands[:, rows][:, :, columns]
    looked[:, (looked == NODATA).any(axis=0)] = 0
    size = wide, high
    sums = [np.asarray(cv2.resize(plane.astype(np.float32), size, interpolation=cv2.INTER_AREA)) for plane in looked]
    sums[-1] /= SCALE
    return np.stack(sums)


def _looked_at(size: int) -> NDArray[np.intp]:
    """The rows, or columns, up to `size` that are looked at."""
    every = np.add.outer(np.arange(0, size, CELL), _LOOKED_AT).ravel()
    return np.asarray(every[every < size], np.intp)


def class_weights(sums: Floats, sun_zenith: float, veil: tuple[float, ...], gain: tuple[float, ...]) -> Bytes:
    """(rows, columns, 3) u8 weight of water, thin and thick ice in each cell, MOST for the most favoured.

    `sums` are the scene's `cell_sums`, `veil` and `gain` what `levels.references` says of it.
    """
    means = [_blurred(sums, sigma) for sigma in (_NEAR, _FAR)]
    shape = sums.shape[1:]
    surface = np.stack(
        [
            (optics.at_surface(values.astype(np.float64) / SCALE, optics.air(band, sun_zenith)) - dark) / bright
            for mean in means
            for values, band, dark, bright in zip(mean, BANDS, veil, gain, strict=True)
        ]
    )
    logits = taught()(features(surface.reshape(2 * len(BANDS), -1), sun_zenith))
    logits -= logits.max(axis=1, keepdims=True)
    weights = np.rint(MOST * np.exp(logits)).clip(LEAST, MOST)
    return np.asarray(weights.reshape(*shape, len(CLASSES)), np.uint8)


def features(surface: NDArray[np.float64], sun_zenith: float) -> Floats:
    """(n, 9) what the network is given: logarithms of `surface` (8, n), reflectance below the air of BANDS near and
    far, and the sun's zenith distance."""
    levels = np.log(np.maximum(surface + 0.03, 0.004)) + 1.0
    sun = np.full(levels.shape[1:], (sun_zenith - optics.USUAL_ZENITH) / 10)
    return np.asarray(np.vstack([levels, sun]).T, np.float32)


def _blurred(sums: Floats, sigma: float) -> Floats:
    """(4, rows, columns) mean of what was observed around each cell; 0 where nothing was."""
    *bands, seen = (cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_REFLECT) for plane in sums)
    return np.stack([np.divide(band, seen, out=np.zeros_like(band), where=seen > 1e-4) for band in bands])


def at_pixels(weights: Bytes, rows: slice, columns: slice) -> Bytes:
    """The weights at the pixels of a block, interpolated between the cells' centres: (rows, columns, 3) u8, the same
    however the scene is cut into blocks."""
    (top, bottom), (left, right) = (_cells(*pair) for pair in zip((rows, columns), weights.shape[:2], strict=True))
    size = (right - left) * CELL, (bottom - top) * CELL
    crop = np.s_[
        rows.start - top * CELL : rows.stop - top * CELL, columns.start - left * CELL : columns.stop - left * CELL
    ]
    return np.asarray(cv2.resize(np.ascontiguousarray(weights[top:bottom, left:right]), size)[crop], np.uint8)


def _cells(pixels: slice, count: int) -> tuple[int, int]:
    """The first of the cells between whose centres the pixels lie, and the one after the last."""
    half = CELL // 2
    return max(0, (pixels.start - half) // CELL), min(count, (pixels.stop - 1 - half) // CELL + 2)

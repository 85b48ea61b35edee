"""Weights of the classes from a pixel's surroundings, on a coarse grid.

Under cloud one pixel is ambiguous: dark ice looks like water below more cloud, and snow in shadow like young ice. Mean
reflectance some tens and some hundreds of metres around it shows the cloud and the surface below. A small network turns
both means into weights, with which the table's shares are multiplied. It is trained on draws of the model:
`surroundings_teach` wrote `surroundings.json`.
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

#: Edge of a grid cell, pixels.
CELL = 32

#: Rows and columns of a cell that its mean is taken over; symmetric, so that a flipped scene gives flipped means.
_SAMPLED = np.array([3, 12, 19, 28])

#: Standard deviations in cells of the Gaussian means near and far.
_NEAR, _FAR = 0.4, 1.9

#: Weight of the class that the surroundings favour most, and least weight of any class.
MOST, LEAST = 250, 5

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Network:
    """A network of dense layers, weights (outputs, inputs) and offsets (outputs,) each, with ReLU between them."""

    weights: tuple[Floats, ...]
    offsets: tuple[Floats, ...]

    def __call__(self, features: Floats) -> Floats:
        """(n, classes) float32 logarithms of the classes' weights from `features` (n, inputs)."""
        values = features
        for index, (weights, offsets) in enumerate(zip(self.weights, self.offsets, strict=True)):
            values = np.maximum(values, 0) if index else values
            # A matrix product (@) would start a BLAS thread on each core, which would then spin.
            values = np.einsum("ni,oi->no", values, weights) + offsets
        return np.asarray(values, np.float32)


@cache
def taught() -> Network:
    """The trained network that ships with this package."""
    stored = json.loads(resources.files("seaice_ops.labels.reflectance").joinpath("surroundings.json").read_text())
    return Network(*(tuple(np.array(layer, np.float32) for layer in stored[name]) for name in ("weights", "offsets")))


def cell_sums(bands: NDArray[np.int16]) -> Floats:
    """(5, cell rows, cell columns) float32: mean of each band over the sampled pixels of a cell, and their valid share.

    `bands` (4, rows, columns) int16 reflectance x 10000. Pixels that lack a band or lie outside the scene count as 0 in
    all five planes, so that a plane divided by the last is the mean of the valid pixels.
    """
    high, wide = (-(-size // CELL) for size in bands.shape[1:])
    rows, columns = (_sampled(size) for size in bands.shape[1:])
    sampled = np.zeros((len(bands) + 1, high * len(_SAMPLED), wide * len(_SAMPLED)), np.int16)
    sampled[-1, : len(rows), : len(columns)] = SCALE
    sampled[:-1, : len(rows), : len(columns)] = bands[:, rows][:, :, columns]
    sampled[:, (sampled == NODATA).any(axis=0)] = 0
    size = wide, high
    sums = [np.asarray(cv2.resize(plane.astype(np.float32), size, interpolation=cv2.INTER_AREA)) for plane in sampled]
    sums[-1] /= SCALE
    return np.stack(sums)


def _sampled(size: int) -> NDArray[np.intp]:
    """(n,) the sampled rows, or columns, below `size`."""
    every = np.add.outer(np.arange(0, size, CELL), _SAMPLED).ravel()
    return np.asarray(every[every < size], np.intp)


def class_weights(sums: Floats, sun_zenith: float, veil: tuple[float, ...], gain: tuple[float, ...]) -> Bytes:
    """(cell rows, cell columns, 3) u8 weights of water, thin and thick ice: LEAST to MOST, MOST for the most favoured.

    `sums` are the scene's `cell_sums`, `veil` and `gain` its `levels.references`; `sun_zenith` in degrees.
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
    """(n, 9) float32 inputs of the network: logarithms of `surface`, and the sun's zenith angle, both scaled.

    `surface` (8, n) is the mean reflectance below the air in BANDS, near and then far; `sun_zenith` in degrees.
    """
    levels = np.log(np.maximum(surface + 0.03, 0.004)) + 1.0
    sun = np.full(levels.shape[1:], (sun_zenith - optics.USUAL_ZENITH) / 10)
    return np.asarray(np.vstack([levels, sun]).T, np.float32)


def _blurred(sums: Floats, sigma: float) -> Floats:
    """(4, cell rows, cell columns) Gaussian mean of the valid pixels around each cell; 0 where there are none."""
    *bands, seen = (cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_REFLECT) for plane in sums)
    return np.stack([np.divide(band, seen, out=np.zeros_like(band), where=seen > 1e-4) for band in bands])


def at_pixels(weights: Bytes, rows: slice, columns: slice) -> Bytes:
    """(rows, columns, 3) u8 weights at the pixels of a block, interpolated between the cells' centres.

    `weights` are the scene's `class_weights`. The result does not depend on how the scene is cut into blocks.
    """
    (top, bottom), (left, right) = (_cells(*pair) for pair in zip((rows, columns), weights.shape[:2], strict=True))
    size = (right - left) * CELL, (bottom - top) * CELL
    crop = np.s_[
        rows.start - top * CELL : rows.stop - top * CELL, columns.start - left * CELL : columns.stop - left * CELL
    ]
    return np.asarray(cv2.resize(np.ascontiguousarray(weights[top:bottom, left:right]), size)[crop], np.uint8)


def _cells(pixels: slice, count: int) -> tuple[int, int]:
    """Range (first, after the last) of the cells whose centres enclose the pixels; `count` cells in all."""
    half = CELL // 2
    return max(0, (pixels.start - half) // CELL), min(count, (pixels.stop - 1 - half) // CELL + 2)

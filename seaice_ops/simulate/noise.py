"""Smooth noise and cells on an endless plane, of which any window can be computed.

All patterns are pure functions of a seed and of the position. Ice that has drifted is the same pattern in a shifted
window. Lengths and positions are in pixels, x to the right and y down.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Field = NDArray[np.float32]
Point = tuple[float, float]


def derive(*parts: object) -> int:
    """A 64-bit seed, the hash of all `parts`."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "little")


def lattice(seed: int, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.float64]:
    """A uniform number in [0, 1) for each lattice node (row, column), broadcast (the mixer of splitmix64)."""
    with np.errstate(over="ignore"):
        x = np.uint64(seed) ^ (rows.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))
        x = _mix(x) ^ (columns.astype(np.uint64) * np.uint64(0xC2B2AE3D27D4EB4F))
        return (_mix(x) >> np.uint64(11)).astype(np.float64) / 2.0**53


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _cubic(start: float, count: int, spacing: float) -> tuple[int, csr_array, int]:
    """First lattice node, (count, nodes) Catmull-Rom weights for pixels start, start + 1, ..., number of nodes.

    Four weights a pixel, so the product is exact whatever number of threads a dense one would use.
    """
    position = (start + np.arange(count)) / spacing
    base = np.floor(position).astype(np.int64)
    first, t = int(base[0]) - 1, position - base
    nodes = int(base[-1]) + 3 - first
    weights = np.stack([-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, -(t**2) + t**3], axis=1)
    at = (base - 1 - first)[:, None] + np.arange(4)
    ends = np.arange(0, 4 * count + 1, 4)
    return first, csr_array(((weights / 2).astype(np.float32).ravel(), at.ravel(), ends), shape=(count, nodes)), nodes


def smooth(
    seed: int,
    origin: Point,
    shape: tuple[int, int],
    spacing: float,
    octaves: int = 1,
    stretch: Point = (1.0, 1.0),
    persistence: float = 0.5,
) -> Field:
    """(rows, columns) noise of zero mean and about unit spread, with features of `spacing` and its halves.

    `origin` is the plane's (x, y) at the first pixel; `stretch` lengthens features along x and y.
    """
    total = np.zeros(shape, np.float32)
    power = 0.0
    for octave in range(octaves):
        step = spacing / 2**octave
        x0, across, columns = _cubic(origin[0], shape[1], max(step * stretch[0], 2.0))
        y0, down, rows = _cubic(origin[1], shape[0], max(step * stretch[1], 2.0))
        values = lattice(derive(seed, octave), y0 + np.arange(rows)[:, None], x0 + np.arange(columns)[None, :])
        amplitude = persistence**octave
        total += down @ (across @ ((values - 0.5) * amplitude).astype(np.float32).T).T
        power += amplitude**2
    return (total / np.float32(_SPREAD * power**0.5)).astype(np.float32)


#: Spread of uniform lattice values after cubic interpolation: sqrt(1/12) times the mean squared weights.
_SPREAD = 0.2887 * 0.785


@dataclass(frozen=True)
class Cells:
    """A tessellation, (rows, columns) each: `edge` pixels to the nearest border, `value` in [0, 1) of the cell."""

    edge: Field
    value: Field


def cells(seed: int, origin: Point, shape: tuple[int, int], spacing: float, bend: float = 0.25) -> Cells:
    """Irregular convex cells about `spacing` wide, their borders bent by noise of amplitude `bend` x spacing / 2."""
    pad = int(np.ceil(1.5 * spacing))
    x0, y0 = int(np.floor(origin[0])) - pad, int(np.floor(origin[1])) - pad
    high, wide = shape[0] + 2 * pad, shape[1] + 2 * pad
    index, values = _nearest(seed, x0, y0, high, wide, spacing)
    border = np.ones((high, wide), np.uint8)
    border[:, 1:][index[:, 1:] != index[:, :-1]] = 0
    border[1:][index[1:] != index[:-1]] = 0
    edge = cv2.distanceTransform(border, cv2.DIST_L2, 5)
    map_x, map_y = _bent(seed, origin, shape, spacing, bend, pad)
    nearest = np.rint(map_y).astype(np.int32) * wide + np.rint(map_x).astype(np.int32)
    bent = np.asarray(cv2.remap(edge, map_x, map_y, cv2.INTER_LINEAR), np.float32)
    return Cells(bent, values[index.ravel()[nearest]])


def _nearest(
    seed: int, x0: int, y0: int, high: int, wide: int, spacing: float
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """(rows, columns) index of the nearest jittered lattice point, and the value of each point."""
    rows = np.arange(int(y0 // spacing), int((y0 + high) // spacing) + 1)[:, None]
    columns = np.arange(int(x0 // spacing), int((x0 + wide) // spacing) + 1)[None, :]
    x = (columns + 0.1 + 0.8 * lattice(derive(seed, "x"), rows, columns)) * spacing - x0
    y = (rows + 0.1 + 0.8 * lattice(derive(seed, "y"), rows, columns)) * spacing - y0
    value = lattice(derive(seed, "value"), rows, columns)
    column, row = x.astype(np.int64).ravel(), y.astype(np.int64).ravel()
    inside = (column >= 0) & (column < wide) & (row >= 0) & (row < high)
    points = np.ones((high, wide), np.uint8)
    points[row[inside], column[inside]] = 0
    transform = cv2.distanceTransformWithLabels(points, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    labels = np.asarray(transform[1], np.int32)
    values = np.zeros(int(labels.max()) + 1, np.float32)
    values[labels[row[inside], column[inside]]] = value.ravel()[inside]
    return labels, values


def _bent(
    seed: int, origin: Point, shape: tuple[int, int], spacing: float, bend: float, pad: int
) -> tuple[Field, Field]:
    dx = smooth(derive(seed, "dx"), origin, shape, spacing / 2, 2)
    dy = smooth(derive(seed, "dy"), origin, shape, spacing / 2, 2)
    reach = np.float32(bend * spacing / 2)
    fraction = (origin[0] - np.floor(origin[0]), origin[1] - np.floor(origin[1]))
    x = np.arange(shape[1], dtype=np.float32)[None, :] + np.float32(pad + fraction[0])
    y = np.arange(shape[0], dtype=np.float32)[:, None] + np.float32(pad + fraction[1])
    limit = np.float32(pad - 1)
    return x + np.clip(reach * dx, -limit, limit), y + np.clip(reach * dy, -limit, limit)

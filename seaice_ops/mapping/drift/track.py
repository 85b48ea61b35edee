"""Ice drift between two images of the same grid: how far each piece of ice moved, by matching its pattern.

1. Both images become relief without light: the logarithm of reflectance, less its mean over some 300 m. Where a pixel
   was not seen it is 0.
2. Coarse: images reduced eight times; the pattern around each node is searched for within the reach of the fastest
   ice by normalised cross-correlation. A vector stays where two neighbours agree with it.
3. Fine: around the coarse vectors nearby, the pattern is matched at full resolution and to a part of a pixel.
4. A vector is kept where the match is good, where matching it back from the later image ends where it began, and where
   most of its neighbours agree. Floes side by side may differ; one vector that no neighbour shares is a mistake.

The patterns are not turned: ice that rotates by more than some 10 degrees is not found, and has no vector. Maximum
cross-correlation and the check backwards: Lavergne et al. 2010 (J. Geophys. Res. 115, C10032); Korosov and Rampal 2017
(Remote Sens. 9, 258).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]
Vectors = NDArray[np.float32]

#: Coarse matching: images are reduced this many times, patterns have `_WIDE` reduced pixels, nodes lie `_APART` or more
#: apart and at most `_NODES` stand along an edge.
_REDUCED, _WIDE, _APART, _NODES = 8, 32, 16, 40

#: Edge, pixels, of the pattern that is matched at full resolution.
PATTERN = 48

#: A match counts from this correlation on: at the coarse scale, at full resolution.
_COARSE, _GOOD = 0.45, 0.6

#: A match and its match backwards, and neighbours, agree within so many pixels.
_BACK, _LIKE = 1.0, 3.0

#: Share of a pattern that must have been seen.
_SEEN = 0.6

#: Standard deviation, pixels, of the mean that is taken off; rows at a time, and rows beyond them that the mean needs.
_BLUR, _ROWS, _MARGIN = 16, 1024, 80

#: The eight neighbours of a node.
_AROUND = tuple((down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if down or right)

#: Reflectance x 10000 below which differences are noise.
_DARKEST = 50


@dataclass(frozen=True)
class Drift:
    """Vectors of one pair of images; arrays of n, sorted by row, then column."""

    row: Vectors
    """float32 row of the pattern's centre in the first image, pixels."""
    column: Vectors
    """float32 column of the pattern's centre in the first image, pixels."""
    south: Vectors
    """float32 rows that it moved, pixels."""
    east: Vectors
    """float32 columns that it moved, pixels."""
    correlation: Vectors
    """float32 normalised cross-correlation of the match, 0.6 to 1."""
    back: Vectors
    """float32 distance between the pattern's centre and the end of the match backwards, pixels, at most 1."""


def track(first: Image, second: Image, reach: float, spacing: int = 50) -> Drift:
    """The drift from `first` to `second`, two (rows, columns) images of `relief`; one node every `spacing` pixels.

    `reach` is the farthest that ice may have moved, pixels. No vector stands where the pattern left the image, was not
    seen in one of the two, or is not told apart. Raises `ValueError` where the shapes differ.
    """
    if first.shape != second.shape:
        raise ValueError(f"drift needs two images of one grid, not {first.shape} and {second.shape}")
    apart = max(_APART, max(first.shape) // (_REDUCED * _NODES))
    guesses = _agreeing(_coarse(first, second, reach, apart), apart * _REDUCED, _LIKE * _REDUCED, least=2)
    tried = ((node, _fine(first, second, node, guesses)) for node in _nodes(first.shape, spacing))
    found = [(*node, *best) for node, best in tried if best is not None]
    rows = _agreeing(np.array(found, np.float32).reshape(-1, 6), spacing, _LIKE, least=3)
    return Drift(*(np.ascontiguousarray(part) for part in rows.T))


def relief(reflectance: NDArray[np.int16], seen: Mask) -> Image:
    """(rows, columns) float32 pattern of an image without its light: log reflectance less its mean over some 300 m.

    `reflectance` (rows, columns) int16 x 10000 of one band, `seen` (rows, columns) where it counts; 0 elsewhere.
    """
    out = np.empty(seen.shape, np.float32)
    for top in range(0, len(out), _ROWS):  # a whole tile's intermediate results would take gigabytes
        first, last = max(top - _MARGIN, 0), min(top + _ROWS + _MARGIN, len(out))
        weight = seen[first:last].astype(np.float32)
        level = np.log(np.maximum(reflectance[first:last], _DARKEST).astype(np.float32)) * weight
        around = cv2.GaussianBlur(level, (0, 0), _BLUR)
        share = cv2.GaussianBlur(weight, (0, 0), _BLUR)
        part = np.where(seen[first:last], level - around / np.maximum(share, np.float32(1e-3)), np.float32(0))
        out[top : top + _ROWS] = part[top - first : top - first + _ROWS]
    return out


def _nodes(shape: tuple[int, ...], spacing: int) -> Iterator[tuple[int, int]]:
    half = PATTERN // 2
    for row in range(half, shape[0] - half + 1, spacing):
        for column in range(half, shape[1] - half + 1, spacing):
            yield row, column


def _coarse(first: Image, second: Image, reach: float, apart: int) -> Vectors:
    """(n, 4) float32 row, column, south, east of coarse matches, pixels of full resolution.

    `apart`: reduced pixels between nodes.
    """
    small = tuple(max(side // _REDUCED, 1) for side in first.shape)
    before, after = (
        np.asarray(cv2.resize(image, small[::-1], interpolation=cv2.INTER_AREA), np.float32)
        for image in (first, second)
    )
    half, far, found = _WIDE // 2, ceil(reach / _REDUCED), []
    for row in range(half, small[0] - half + 1, apart):
        for column in range(half, small[1] - half + 1, apart):
            best = _match(before, after, (row, column), (row, column), _WIDE, far)
            if best is not None and best[2] >= _COARSE:
                found.append((row, column, best[0], best[1]))
    return np.array(found, np.float32).reshape(-1, 4) * _REDUCED


def _fine(first: Image, second: Image, node: tuple[int, int], guesses: Vectors) -> tuple[float, ...] | None:
    """South, east, correlation and distance backwards of the best match at `node`; None where none is good."""
    near = np.hypot(guesses[:, 0] - node[0], guesses[:, 1] - node[1])
    tried: list[Vectors] = []
    best = None
    for guess in guesses[np.argsort(near, kind="stable")[:4], 2:]:
        if any(np.hypot(*(guess - other)) < _REDUCED for other in tried):
            continue
        tried.append(guess)
        match = _match(first, second, node, _moved(node, guess), PATTERN, 2 * _REDUCED)
        if match is not None and (best is None or match[2] > best[2]):
            best = match
    if best is None or best[2] < _GOOD:
        return None
    whole = round(best[0]), round(best[1])
    back = _match(second, first, _moved(node, whole), node, PATTERN, _REDUCED)
    if back is None:
        return None
    distance = float(np.hypot(best[0] + back[0], best[1] + back[1]))
    return None if distance > _BACK else (*best, distance)


def _moved(node: tuple[int, int], by: Vectors | tuple[float, float]) -> tuple[int, int]:
    return node[0] + round(float(by[0])), node[1] + round(float(by[1]))


def _match(
    before: Image, after: Image, node: tuple[int, int], centre: tuple[int, int], size: int, far: int
) -> tuple[float, float, float] | None:
    """South and east from `node` to the best match of its pattern within `far` pixels of `centre`; its correlation.

    None where the pattern lies outside or was not seen, or where no place in reach does.
    """
    half = size // 2
    pattern = _cut(before, node[0] - half, node[1] - half, size, size)
    if pattern is None or np.count_nonzero(pattern) < _SEEN * size * size:
        return None
    top, left = max(centre[0] - half - far, 0), max(centre[1] - half - far, 0)
    bottom, right = min(centre[0] + half + far, after.shape[0]), min(centre[1] + half + far, after.shape[1])
    if bottom - top < size or right - left < size:
        return None
    place = after[top:bottom, left:right]
    scores = np.asarray(cv2.matchTemplate(place, pattern, cv2.TM_CCOEFF_NORMED), np.float32)
    scores[~np.isfinite(scores) | (scores > 1.001)] = -1  # where the place is flat the quotient is 0 / 0
    row, column = np.unravel_index(int(scores.argmax()), scores.shape)
    found = place[row : row + size, column : column + size]
    if np.count_nonzero(found) < _SEEN * size * size:
        return None
    south = top + row + half - node[0] + _part(scores[max(row - 1, 0) : row + 2, column])
    east = left + column + half - node[1] + _part(scores[row, max(column - 1, 0) : column + 2])
    return float(south), float(east), float(scores[row, column])


def _cut(image: Image, top: int, left: int, rows: int, columns: int) -> Image | None:
    if top < 0 or left < 0 or top + rows > image.shape[0] or left + columns > image.shape[1]:
        return None
    return image[top : top + rows, left : left + columns]


def _part(three: Vectors) -> float:
    """Where between -0.5 and 0.5 the parabola through three scores has its peak; 0 at the border of the search."""
    if len(three) < 3:
        return 0.0
    curve = float(three[0] - 2 * three[1] + three[2])
    return 0.0 if curve >= 0 else float(np.clip(0.5 * (three[0] - three[2]) / curve, -0.5, 0.5))


def _agreeing(vectors: Vectors, spacing: float, like: float, least: int) -> Vectors:
    """The rows of `vectors` (n, 4 or more: row, column, south, east) that at least `least` of 8 neighbours agree with.

    Neighbours lie within one and a half `spacing`; they agree where their vectors differ by less than `like` pixels.
    """
    keep = np.zeros(len(vectors), np.bool_)
    place = {(round(row / spacing), round(column / spacing)): i for i, (row, column) in enumerate(vectors[:, :2])}
    for (row, column), i in place.items():
        near = [place[at] for down, right in _AROUND if (at := (row + down, column + right)) in place]
        keep[i] = np.count_nonzero(np.hypot(*(vectors[near, 2:4] - vectors[i, 2:4]).T) < like) >= least
    return vectors[keep]

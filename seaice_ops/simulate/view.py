"""One tile at one time: fixed patterns, and patterns that drift with the pack."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seaice_ops.simulate.noise import Cells, Field, Point, cells, derive, smooth
from seaice_ops.simulate.world import World

PIXEL_M = 10.0


@dataclass(frozen=True)
class View:
    """A tile at one time."""

    seed: int
    """Seed of the tile's patterns."""
    shape: tuple[int, int]
    """Rows and columns."""
    scale: float
    """Size of features relative to a tile that shows 10 km in 1024 pixels."""
    drift: Point
    """Displacement of the pack since the season's start, (east, south) in pixels."""
    days: float
    """Days since the season's start."""
    world: World
    """Layout and season of the ocean."""

    def fixed(self, name: str, spacing: float, octaves: int = 4, stretch: Point = (1.0, 1.0)) -> Field:
        """(rows, columns) smooth noise at rest; arguments as for `noise.smooth`."""
        return smooth(derive(self.seed, name), (0.0, 0.0), self.shape, max(spacing * self.scale, 8), octaves, stretch)

    def moving(self, name: str, spacing: float, octaves: int = 4, stretch: Point = (1.0, 1.0)) -> Field:
        """(rows, columns) smooth noise that drifts with the ice; arguments as for `noise.smooth`."""
        return smooth(derive(self.seed, name), self._origin, self.shape, max(spacing * self.scale, 8), octaves, stretch)

    def floes(self, name: str, spacing: float) -> Cells:
        """Cells that drift with the ice."""
        return cells(derive(self.seed, name), self._origin, self.shape, spacing, bend=0.22)

    @property
    def _origin(self) -> Point:
        return -self.drift[0], -self.drift[1]


def ramp(value: Field, low: float, high: float) -> Field:
    """0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((value - np.float32(low)) / np.float32(high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def covered(level: Field) -> Field:
    """(rows, columns) share of each pixel inside an edge; `level` is its centre's signed distance from it, pixels."""
    return np.asarray(np.clip(level + np.float32(0.5), 0, 1), np.float32)

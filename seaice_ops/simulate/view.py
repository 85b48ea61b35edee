"""One tile at one time: patterns that stand still and patterns that drift with the pack."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seaice_ops.simulate.noise import Cells, Field, Point, cells, derive, smooth
from seaice_ops.simulate.world import World

PIXEL_M = 10.0


@dataclass(frozen=True)
class View:
    """A tile's seed, size and scale (1 where 1024 pixels show 10 km), how far the pack has drifted, its world."""

    seed: int
    shape: tuple[int, int]
    scale: float
    drift: Point
    days: float
    world: World

    def fixed(self, name: str, spacing: float, octaves: int = 4, stretch: Point = (1.0, 1.0)) -> Field:
        """Smooth noise that stands still."""
        return smooth(derive(self.seed, name), (0.0, 0.0), self.shape, max(spacing * self.scale, 8), octaves, stretch)

    def moving(self, name: str, spacing: float, octaves: int = 4, stretch: Point = (1.0, 1.0)) -> Field:
        """Smooth noise that drifts with the ice."""
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
    """Share of each pixel that lies inside an edge, `level` being the distance of its middle to it, pixels."""
    return np.asarray(np.clip(level + np.float32(0.5), 0, 1), np.float32)

"""A made-up sensor with its own bands: everything that a further sensor must provide."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from seaice_ops.ledger.tables import Scene
from seaice_ops.pixels.radiometry import UNOBSERVED
from seaice_ops.scenes.decoders import DECODERS
from seaice_ops.scenes.source import Source
from seaice_ops.sensors.known import register
from seaice_ops.sensors.sensor import Sensor
from seaice_ops.storage.rasters import Grid

BANDS = ("violet", "lime", "crimson", "heat")
SENSOR = Sensor(
    name="pelican",
    bands=BANDS,
    true_colour=("crimson", "lime", "violet"),
    micrometres={"violet": 0.44, "lime": 0.55, "crimson": 0.67, "heat": 2.1},
    metres=dict.fromkeys(BANDS, 30),
)
KIND = "pelican"


def _open(scene: Scene, inbox: Path, ceiling: float) -> Source:
    """The source of a scene whose file holds (4, rows, columns) u8 reflectance x 200, 0 where not observed."""
    counts = np.load(inbox / "pixels.npy")

    def strips() -> Iterator[tuple[int, np.ndarray]]:
        yield 0, np.where(counts > 0, counts.astype(np.int16) * 50, np.int16(UNOBSERVED))

    grid = Grid("EPSG:32701", (30.0, 0.0, 300000.0, 0.0, -30.0, 2000020.0), *counts.shape[:0:-1])
    return Source(grid, BANDS, 62.0, {}, {"ceiling": ceiling}, strips)


register(SENSOR)
DECODERS[KIND] = _open

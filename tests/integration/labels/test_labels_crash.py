"""Labelling killed at every boundary between two writes."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from helpers.crash import crash_everywhere
from seaice_ops.sensors.sentinel2 import TRUE_COLOUR
from seaice_ops.storage.store import open_store


def test_labels_survive_a_kill_at_every_write(settings, add_scene):
    scenes = [
        add_scene(
            np.random.default_rng(day).integers(0, 4000, (3, 80, 90)).astype(np.int16),
            sensed_at=datetime(2026, 2, day, 20, tzinfo=UTC),
            bands=TRUE_COLOUR,
        )
        for day in (1, 2, 3)
    ]
    open_store(settings.store).put(scenes[1].key, b"not a raster")
    boundaries = crash_everywhere(
        settings,
        """
        from seaice_ops.labels import stage
        from seaice_ops.labels.stage import LabelRequest

        stage.run(settings, LabelRequest("iqrah2024"))
        """,
    )
    assert boundaries >= 2 * 2 + 1  # an object and a row for each good scene, a state for the bad one

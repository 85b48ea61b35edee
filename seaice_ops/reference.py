"""Reference labels (a simulator's truth, or rasters labelled by hand): for evaluation only, never for training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray

from seaice_ops.settings import Settings


def has_reference(settings: Settings, scene_id: str) -> bool:
    """Whether there is a reference for the scene."""
    path = _path(settings, scene_id)
    return path is not None and path.exists()


def read_reference(settings: Settings, scene_id: str) -> NDArray[np.uint8] | None:
    """(rows, columns) class codes of the scene, or None where there is no reference for it."""
    path = _path(settings, scene_id)
    if path is None or not path.exists():
        return None
    with rasterio.open(path) as dataset:
        codes: NDArray[np.uint8] = dataset.read(1)
    return codes


def _path(settings: Settings, scene_id: str) -> Path | None:
    folder = settings.reference_path
    return folder / f"{scene_id}.tif" if folder else None

"""Small labelled scenes, and settings that train a tiny model on them in seconds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from seaice_ops.ledger.operations import now
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import LabelSet, Scene
from seaice_ops.models.card import Architecture, Labels, Manifest, Preprocessing, Recipe
from seaice_ops.pixels import radiometry
from seaice_ops.sensors.sentinel2 import BANDS
from seaice_ops.settings import Settings
from seaice_ops.storage import keys
from seaice_ops.storage.rasters import Grid, cog_bytes
from seaice_ops.storage.store import open_store
from seaice_ops.training.data.snapshot import take
from seaice_ops.training.ranks.job import Job, class_weights

#: Reflectance x 10000 of open water, thin ice, thick ice.
BRIGHTNESS = np.array([200, 1600, 3200])
DAY = datetime(2026, 2, 1, 20, tzinfo=UTC)


def small(settings: Settings, **training: Any) -> Settings:
    """`settings` with a tiny training, changed by `training`."""
    tiny = {"width": 2, "epochs": 2, "batch": 4, "chip": 64, "min_scenes": 3, "holdout_every": 3}
    tiny |= {"ranks": 1, "min_new_scenes": 1}
    return settings.model_copy(update={"training": settings.training.model_copy(update=tiny | training)})


def snapshot(settings: Settings) -> Manifest:
    """The manifest that a training would start from now."""
    labels = Labels(method=settings.labels.method, version=settings.label_version(settings.labels.method))
    return take(open_ledger(settings), labels, settings.scenes.ceiling, settings.training)


def classes(size: int, seed: int) -> np.ndarray:
    """(size, size) u8 legend codes 1..3 in blocks of 16 pixels."""
    blocks = np.random.default_rng(seed).integers(1, 4, (size // 16, size // 16))
    return np.kron(blocks, np.ones((16, 16), int)).astype(np.uint8)


def add_labelled(settings: Settings, add_scene: Callable[..., Scene], day: int, size: int = 128, **scene: Any) -> Scene:
    """A ready scene of `day`, with a no-data edge, auto-labels in which 1 pixel of 20 is wrong, and its truth."""
    rng, truth = np.random.default_rng([7, 100 + day]), classes(size, 100 + day)
    reflectance = (BRIGHTNESS[truth - 1] + rng.normal(0, 120, (5, size, size))).astype(np.int16)
    reflectance[:, :, :8] = radiometry.UNOBSERVED
    pixels = reflectance[: len(scene.get("bands", BANDS))]
    row = add_scene(pixels, sensed_at=DAY + timedelta(days=day), **scene)
    truth[:, :8] = 255
    labels = np.where(rng.random(truth.shape) < 0.05, rng.integers(1, 4, truth.shape), truth).astype(np.uint8)
    labels[:, :8] = 255
    add_labels(settings, row, labels)
    add_truth(settings, row, truth)
    return row


def add_labels(settings: Settings, scene: Scene, labels: np.ndarray) -> None:
    """Store `labels` as those of the settings' method."""
    method = settings.labels.method
    version = settings.label_version(method)
    key = keys.label_set(method, version, scene.tile, scene.id)
    digest = open_store(settings.store).put(key, cog_bytes(labels[None], _grid(scene), nodata=255))
    with open_ledger(settings).begin() as session:
        session.add(
            LabelSet(
                scene_id=scene.id,
                method=method,
                version=version,
                key=key,
                sha256=digest,
                scene_sha256=scene.sha256,
                shares={},
                seconds=0.1,
                created_at=now(),
            )
        )


def add_truth(settings: Settings, scene: Scene, truth: np.ndarray) -> None:
    """Write `truth` where the settings' references lie."""
    assert settings.reference_path is not None
    settings.reference_path.mkdir(parents=True, exist_ok=True)
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "count": 1,
        "dtype": "uint8",
        "height": truth.shape[0],
        "width": truth.shape[1],
    }
    profile |= {"crs": scene.crs, "transform": rasterio.Affine(*scene.transform or ())}
    with rasterio.open(settings.reference_path / f"{scene.id}.tif", "w", **profile) as target:
        target.write(truth[None])


def write_job(folder: Path, chips: int = 12, chip: int = 32, **recipe: Any) -> Job:
    """A job whose chips are blocks of three brightnesses; job.json is written too."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(3)
    targets = np.stack([classes(chip, i) for i in range(chips)]) - 1
    grey = (np.array([15, 110, 230])[targets] + rng.normal(0, 8, targets.shape)).clip(0, 255).astype(np.uint8)
    np.save(folder / "pixels.npy", np.stack([grey, grey, grey, np.full_like(grey, 255)], axis=-1))
    np.save(folder / "targets.npy", targets.astype(np.uint8))
    counts = np.bincount(targets.ravel(), minlength=3).tolist()
    (folder / "chips.json").write_text(f'{{"origins": [], "counts": {counts}}}')
    defaults = {"epochs": 2, "batch": 4, "chip": chip, "max_chips": 100, "learning_rate": 1e-3, "ranks": 1, "seed": 5}
    job = Job(
        folder=folder,
        architecture=Architecture(width=2),
        preprocessing=Preprocessing(ceiling=0.3558),
        recipe=Recipe.model_validate(defaults | recipe),
        class_weights=class_weights(counts),
    )
    job.write()
    return job


def _grid(scene: Scene) -> Grid:
    assert scene.crs and scene.transform and scene.width and scene.height
    return Grid(scene.crs, tuple(scene.transform), scene.width, scene.height)  # type: ignore[arg-type]

"""Everything that is known of one scene's pixels, read from the store and the reference folder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import get_args

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from seaice_ops.errors import ConfigError
from seaice_ops.ledger.operations import ready_scenes
from seaice_ops.ledger.scenes import get_scene
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import LabelSet, Scene
from seaice_ops.pixels.imagery import read_true_colour
from seaice_ops.pixels.reference import read_conditions, read_reference, reference_file
from seaice_ops.settings import LabelSettings, Settings
from seaice_ops.storage.rasters import Grid, open_raster
from seaice_ops.storage.store import ObjectStore

#: The labelling methods that settings know, in their order.
METHODS: tuple[str, ...] = get_args(LabelSettings.model_fields["method"].annotation)

#: Confidence of a pixel that has none, and the reason bit of a band at its end of scale (architecture.md, rasters).
NO_CONFIDENCE, SATURATED_BIT = 255, 8

Codes = NDArray[np.uint8]


@dataclass(frozen=True)
class Picture:
    """A scene with all its labels, (rows, columns) each.

    `rgb` (rows, columns, 3) u8 as the labellers saw it; `valid` where observed; `labels` u8 legend codes by method;
    `confidence` u8 percent and `reasons` u8 bits of the methods that have them; `truth` and `conditions` or None.
    """

    rgb: Codes
    valid: NDArray[np.bool_]
    grid: Grid
    labels: dict[str, Codes]
    confidence: dict[str, Codes] = field(default_factory=dict)
    reasons: dict[str, Codes] = field(default_factory=dict)
    truth: Codes | None = None
    conditions: Codes | None = None


@dataclass(frozen=True)
class Subject:
    """A scene and its label rows of the methods in force, in the order of `METHODS`."""

    scene: Scene
    labels: tuple[LabelSet, ...]


def chosen_methods(names: Sequence[str] | None) -> tuple[str, ...]:
    """`names` in the order of `METHODS`, or all; raises `ConfigError` for one that is none."""
    unknown = sorted(set(names or ()) - set(METHODS))
    if unknown:
        raise ConfigError(f"there is no labelling method {', '.join(unknown)}; the methods are {', '.join(METHODS)}")
    return tuple(method for method in METHODS if not names or method in names)


def subjects(
    settings: Settings, scene_ids: Sequence[str] | None, tiles: Sequence[str] | None, methods: Sequence[str]
) -> list[Subject]:
    """The ready scenes asked for that have labels by a version in force, oldest first.

    Raises `ConfigError` for a scene that the ledger does not know.
    """
    versions = {method: settings.labels.version(method) for method in methods}
    with open_ledger(settings).begin() as session:
        for scene_id in scene_ids or ():
            get_scene(session, scene_id)
        scenes = [scene for scene in ready_scenes(session, tiles) if scene_ids is None or scene.id in scene_ids]
        rows: dict[str, dict[str, LabelSet]] = {}
        for row in session.scalars(select(LabelSet).where(LabelSet.method.in_(list(methods)))):
            if row.version == versions[row.method]:
                rows.setdefault(row.scene_id, {})[row.method] = row
    return [
        Subject(scene, tuple(rows[scene.id][method] for method in methods if method in rows[scene.id]))
        for scene in scenes
        if scene.id in rows
    ]


def read(settings: Settings, store: ObjectStore, subject: Subject) -> Picture:
    """All pixels of a scene. Raises `ObjectMissing`, and `CorruptProduct` for a reference that cannot be used."""
    rgb, valid, grid = read_true_colour(store, subject.scene, settings.labels.ceiling)
    picture = Picture(
        rgb,
        valid,
        grid,
        labels={},
        truth=read_reference(settings, subject.scene.id, grid),
        conditions=read_conditions(settings, subject.scene.id, grid),
    )
    for row in subject.labels:
        with open_raster(store, row.key) as dataset:
            picture.labels[row.method] = dataset.read(1)
            for index, name in enumerate(dataset.descriptions, 1):
                if name in ("confidence", "reasons"):
                    getattr(picture, name)[row.method] = dataset.read(index)
    return picture


def fingerprint(settings: Settings, scene_id: str) -> dict[str, str]:
    """SHA-256 of the files of a scene's reference, by what they are; empty without one."""
    path, found = reference_file(settings, scene_id), {}
    for name, file in (("truth", path), ("conditions", path and path.with_name(f"{scene_id}.conditions.tif"))):
        if file and file.exists():
            with file.open("rb") as opened:
                found[name] = hashlib.file_digest(opened, "sha256").hexdigest()
    return found

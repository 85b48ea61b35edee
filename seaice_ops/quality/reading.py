"""Read one scene with all its labels from the object store, and its reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seaice_ops.errors import ConfigError
from seaice_ops.ledger.operations import labels_in_force, ready_scenes
from seaice_ops.ledger.runs import StageRun
from seaice_ops.ledger.scenes import get_scene
from seaice_ops.ledger.session import Ledger
from seaice_ops.ledger.tables import LabelSet, Scene
from seaice_ops.pixels.imagery import read_true_colour
from seaice_ops.pixels.mending import open_labels, scene_fetched_again
from seaice_ops.pixels.reference import read_conditions, read_reference
from seaice_ops.storage.rasters import Grid
from seaice_ops.versions import METHODS

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
    """A scene and the rows of its labels in force, in the order of `versions.METHODS`."""

    scene: Scene
    labels: tuple[LabelSet, ...]


def chosen_methods(names: Sequence[str] | None) -> tuple[str, ...]:
    """`names` in the order of `versions.METHODS`, or all methods; raises `ConfigError` for an unknown name."""
    unknown = sorted(set(names or ()) - set(METHODS))
    if unknown:
        raise ConfigError(f"there is no labelling method {', '.join(unknown)}; the methods are {', '.join(METHODS)}")
    return tuple(method for method in METHODS if not names or method in names)


def subjects(
    ledger: Ledger, scene_ids: Sequence[str] | None, tiles: Sequence[str] | None, versions: Mapping[str, str]
) -> list[Subject]:
    """The ready scenes asked for that have labels of one of the `versions` (by method), oldest first.

    Raises `ConfigError` for a scene that the ledger does not know.
    """
    with ledger.begin() as session:
        for scene_id in scene_ids or ():
            get_scene(session, scene_id)
        scenes = [scene for scene in ready_scenes(session, tiles) if scene_ids is None or scene.id in scene_ids]
        rows: dict[str, dict[str, LabelSet]] = {}
        for method, version in versions.items():
            for row in session.scalars(labels_in_force(method, version)):
                rows.setdefault(row.scene_id, {})[method] = row
    return [
        Subject(scene, tuple(rows[scene.id][method] for method in versions if method in rows[scene.id]))
        for scene in scenes
        if scene.id in rows
    ]


def read(stage: StageRun, subject: Subject, ceiling: float, reference: Path | None) -> Picture:
    """All pixels of a scene; its reference is in the folder `reference`.

    Raises `ObjectMissing` where a raster is missing or damaged (it will be made again), and `CorruptProduct` for a
    reference that cannot be used.
    """
    with scene_fetched_again(stage.ledger, subject.scene, stage.caller):
        rgb, valid, grid = read_true_colour(stage.store, subject.scene, ceiling)
    picture = Picture(
        rgb,
        valid,
        grid,
        labels={},
        truth=read_reference(reference, subject.scene.id, grid),
        conditions=read_conditions(reference, subject.scene.id, grid),
    )
    for row in subject.labels:
        with open_labels(stage.ledger, stage.store, row) as dataset:
            picture.labels[row.method] = dataset.read(1)
            for index, name in enumerate(dataset.descriptions, 1):
                if name in ("confidence", "reasons"):
                    getattr(picture, name)[row.method] = dataset.read(index)
    return picture

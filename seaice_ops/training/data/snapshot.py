"""The training set and the held-out scenes of a model, from the present state of the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import select

from seaice_ops.errors import ExpectedSkip, TransientError
from seaice_ops.ledger.operations import model_by_alias
from seaice_ops.ledger.session import Ledger
from seaice_ops.ledger.tables import LabelSet, Scene, SceneState
from seaice_ops.models.card import Architecture, Card, Labels, Manifest, Preprocessing, Recipe
from seaice_ops.sensors.known import is_shortwave
from seaice_ops.settings import TrainingSettings
from seaice_ops.summary import counted
from seaice_ops.versions import TRAINING

#: Mean and spread of a band's share of the ceiling: snow and ice fill the visible and the near infrared, and are dark
#: at 1.6 micrometres.
_BRIGHT, _DARK = (0.5, 0.25), (0.1, 0.1)


@dataclass(frozen=True)
class Labelled:
    """A labelled scene: its UTC sensing day, and the SHA-256 of its pixels."""

    day: date
    content: str


def take(ledger: Ledger, labels: Labels, ceiling: float, training: TrainingSettings) -> Manifest:
    """The manifest of the model that would be trained now on the scenes with these labels.

    `ceiling` is the reflectance that 8 bits show as 255. Raises `ExpectedSkip` where there are too few labelled
    scenes, scenes of one day only, or too few new ones.
    """
    scenes = _labelled(ledger, labels, training.bands)
    if len(scenes) < training.min_scenes:
        raise ExpectedSkip(
            f"{len(scenes)} scenes have {labels.method} labels; training waits for {training.min_scenes}"
        )
    held_out = set(held_out_days(sorted({scene.day for scene in scenes.values()}), training.holdout_every))
    manifest = Manifest(
        algorithm=TRAINING,
        architecture=Architecture(width=training.width, bands=len(training.bands)),
        preprocessing=_preprocessing(training.bands, ceiling),
        labels=labels,
        recipe=Recipe.model_validate({name: getattr(training, name) for name in Recipe.model_fields}),
        train=tuple(scene_id for scene_id, scene in scenes.items() if scene.day not in held_out),
        held_out=tuple(scene_id for scene_id, scene in scenes.items() if scene.day in held_out),
        contents={scene_id: scene.content for scene_id, scene in scenes.items()},
    )
    _check_worthwhile(ledger, manifest, training.min_new_scenes)
    return manifest


def labelled(ledger: Ledger, scenes: Sequence[str], manifest: Manifest) -> list[tuple[Scene, LabelSet]]:
    """The rows of `scenes` and of their labels of the manifest's method and version, in the same order.

    Raises `ExpectedSkip` where a scene has changed since the snapshot, and `TransientError` where its labels were
    missing or damaged and are not made again yet.
    """
    method, version = manifest.labels.method, manifest.labels.version
    with ledger.begin() as session:
        rows = [session.get_one(Scene, scene) for scene in scenes]
        check_unchanged(rows, manifest)
        labels = [session.get(LabelSet, (scene, method, version)) for scene in scenes]
    if lacking := [scene.id for scene, found in zip(rows, labels, strict=True) if found is None]:
        raise TransientError(f"the labels of {', '.join(lacking)} are to be made again: run `seaice label`, then train")
    return [(scene, found) for scene, found in zip(rows, labels, strict=True) if found is not None]


def check_unchanged(scenes: Sequence[Scene], manifest: Manifest) -> None:
    """Raise `ExpectedSkip` where scenes were withdrawn, or published again with other pixels, since the snapshot."""
    changed = [
        scene.id
        for scene in scenes
        if scene.state is SceneState.WITHDRAWN or not _same(manifest, scene.id, scene.sha256 or "")
    ]
    if changed:
        raise ExpectedSkip(
            f"{', '.join(changed)}: withdrawn or published again since the snapshot of {manifest.model_id}; "
            "the next snapshot goes by what is there now"
        )


def _same(manifest: Manifest, scene_id: str, content: str) -> bool:
    """True if a scene's pixels have this SHA-256 in the manifest, or the manifest does not know."""
    return (manifest.contents or {}).get(scene_id, content) == content


def _preprocessing(bands: tuple[str, ...], ceiling: float) -> Preprocessing:
    centres = [_DARK if is_shortwave(band) else _BRIGHT for band in bands]
    mean, std = (tuple(values) for values in zip(*centres, strict=True))
    return Preprocessing(bands=bands, ceiling=ceiling, mean=mean, std=std)


def _check_worthwhile(ledger: Ledger, manifest: Manifest, min_new_scenes: int) -> None:
    """Raise `ExpectedSkip` where the newest model was made the same way from nearly the same scenes.

    That is the challenger, if the gate refused the last one, else the champion.
    """
    with ledger.begin() as session:
        role, row = "challenger", model_by_alias(session, "challenger")
        if row is None:
            role, row = "champion", model_by_alias(session, "champion")
    if row is None or row.id == manifest.model_id:  # the very same: not due, but already done
        return
    newest = Card.model_validate(row.card).manifest
    scenes = {name: getattr(manifest, name) for name in ("train", "held_out", "contents")}
    same_way = newest.model_copy(update=scenes) == manifest
    new = _new_scenes(manifest.contents or {}, newest)
    if same_way and new < min_new_scenes:
        raise ExpectedSkip(
            f"{counted(new, 'scenes')} labelled since the {role} {row.id} was trained; "
            f"training waits for {min_new_scenes} (training.min_new_scenes)"
        )


def _new_scenes(contents: Mapping[str, str], newest: Manifest) -> int:
    """The number of scenes, with these pixels, that the newest model neither learnt from nor was judged by."""
    known = {*newest.train, *newest.held_out}
    return sum(scene_id not in known or not _same(newest, scene_id, content) for scene_id, content in contents.items())


def held_out_days(days: Sequence[date], every: int) -> list[date]:
    """Every `every`-th of the sorted `days`; the last one where there are fewer. Raises `ExpectedSkip` for one day."""
    if len(days) < 2:
        raise ExpectedSkip("all labelled scenes are of one day; training needs another day to be judged by")
    return list(days[every - 1 :: every]) or [days[-1]]


def _labelled(ledger: Ledger, labels: Labels, bands: tuple[str, ...]) -> dict[str, Labelled]:
    """Ready scenes that have these labels and `bands`, by id, sorted."""
    query = (
        select(Scene.id, Scene.sensed_at, Scene.sha256, Scene.bands)
        .join(LabelSet, LabelSet.scene_id == Scene.id)
        .where(Scene.state == SceneState.READY, LabelSet.method == labels.method, LabelSet.version == labels.version)
        .where(LabelSet.scene_sha256 == Scene.sha256)
        .where(LabelSet.scene_sha256 == Scene.sha256)
        .order_by(Scene.id)
    )
    with ledger.begin() as session:
        return {
            scene_id: Labelled(sensed.date(), sha256 or "")
            for scene_id, sensed, sha256, known in session.execute(query)
            if set(bands) <= set(known or ())
        }

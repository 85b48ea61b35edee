"""Which scenes a model learns from and which it is judged by, as the ledger stands now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from sqlalchemy import select

from seaice_ops.errors import ExpectedSkip
from seaice_ops.ledger.operations import model_by_alias
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import LabelSet, Scene, SceneState
from seaice_ops.models.card import Architecture, Card, Labels, Manifest, Preprocessing, Recipe
from seaice_ops.settings import Settings
from seaice_ops.summary import counted
from seaice_ops.versions import TRAINING

#: Mean and spread of a band's share of the ceiling: snow and ice fill the visible and the near infrared, and are dark
#: at 1.6 micrometres.
_BRIGHT, _DARK = (0.5, 0.25), (0.1, 0.1)
_DARK_BANDS = {"B11"}


def take(settings: Settings) -> Manifest:
    """The manifest of the model that the labelled scenes would make now.

    Raises `ExpectedSkip` where there are too few labelled scenes, scenes of one day only, or too few new ones.
    """
    labels = Labels(method=settings.labels.method, version=settings.label_version(settings.labels.method))
    days = _labelled(settings, labels)
    known, wanted = len(days), settings.training.min_scenes
    if known < wanted:
        raise ExpectedSkip(f"{known} scenes have {labels.method} labels; training waits for {wanted}")
    held_out = set(held_out_days(sorted(set(days.values())), settings.training.holdout_every))
    training = settings.training
    manifest = Manifest(
        algorithm=TRAINING,
        architecture=Architecture(width=training.width, bands=len(training.bands)),
        preprocessing=_preprocessing(settings),
        labels=labels,
        recipe=Recipe.model_validate({name: getattr(training, name) for name in Recipe.model_fields}),
        train=tuple(scene for scene, day in days.items() if day not in held_out),
        held_out=tuple(scene for scene, day in days.items() if day in held_out),
    )
    _check_worthwhile(settings, manifest)
    return manifest


def _preprocessing(settings: Settings) -> Preprocessing:
    bands = settings.training.bands
    centres = [_DARK if band in _DARK_BANDS else _BRIGHT for band in bands]
    mean, std = (tuple(values) for values in zip(*centres, strict=True))
    return Preprocessing(bands=bands, ceiling=settings.scenes.ceiling, mean=mean, std=std)


def _check_worthwhile(settings: Settings, manifest: Manifest) -> None:
    """Raise `ExpectedSkip` where the champion was made the same way from nearly the same scenes."""
    with open_ledger(settings).begin() as session:
        row = model_by_alias(session, "champion")
    if row is None or row.id == manifest.model_id:  # the very same: not due, but already done
        return
    champion = Card.model_validate(row.card).manifest
    same_way = champion.model_copy(update={"train": manifest.train, "held_out": manifest.held_out}) == manifest
    new = len({*manifest.train, *manifest.held_out} - {*champion.train, *champion.held_out})
    if same_way and new < settings.training.min_new_scenes:
        raise ExpectedSkip(
            f"{counted(new, 'scenes')} labelled since the champion {row.id} was trained; "
            f"training waits for {settings.training.min_new_scenes} (training.min_new_scenes)"
        )


def held_out_days(days: Sequence[date], every: int) -> list[date]:
    """Every `every`-th of the sorted `days`; the last one where there are fewer. Raises `ExpectedSkip` for one day."""
    if len(days) < 2:
        raise ExpectedSkip("all labelled scenes are of one day; training needs another day to be judged by")
    return list(days[every - 1 :: every]) or [days[-1]]


def _labelled(settings: Settings, labels: Labels) -> dict[str, date]:
    """Ready scenes that have these labels and the training's bands -> their UTC sensing day, sorted by id."""
    wanted = set(settings.training.bands)
    query = (
        select(Scene.id, Scene.sensed_at, Scene.bands)
        .join(LabelSet, LabelSet.scene_id == Scene.id)
        .where(Scene.state == SceneState.READY, LabelSet.method == labels.method, LabelSet.version == labels.version)
        .where(LabelSet.scene_sha256 == Scene.sha256)
        .order_by(Scene.id)
    )
    with open_ledger(settings).begin() as session:
        return {scene: sensed.date() for scene, sensed, bands in session.execute(query) if wanted <= set(bands or ())}

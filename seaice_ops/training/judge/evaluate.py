"""Scores on acquisitions that a model never saw: against the truth where there is one, and against the auto-labels.

The two are never mixed: agreement with auto-labels is not accuracy. Only pixels on which prediction,
auto-label and, for its scores, truth all name a class are counted, so the labels' own score and the model's compare.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from seaice_ops.classes.legend import CLASSES, NODATA
from seaice_ops.classes.metrics import confusion, scores
from seaice_ops.ledger.operations import insert_new, now
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Evaluation, LabelSet, Scene
from seaice_ops.models.card import Labels, digest
from seaice_ops.models.predict import classes, probabilities
from seaice_ops.models.registry import LoadedModel, load
from seaice_ops.pixels.imagery import read_scaled
from seaice_ops.pixels.reference import has_reference, read_reference
from seaice_ops.settings import Settings
from seaice_ops.storage.rasters import read_raster
from seaice_ops.storage.store import ObjectStore, open_store

log = logging.getLogger(__name__)

TRUTH, AUTO_LABELS = "truth", "auto-labels"

#: Confusion matrices by (who was judged, against what).
Tally = dict[tuple[str, str], NDArray[np.int64]]


def dataset_of(scenes: Sequence[str], labels: Labels) -> str:
    """The name of a held-out set: a hash of its scenes and of the labels they are compared with."""
    return digest({"scenes": sorted(scenes), "labels": labels.model_dump()})


def evaluate(settings: Settings, model_id: str, scenes: Sequence[str], labels: Labels) -> int:
    """Score a model on `scenes`, unless that was done: number of new evaluation rows.

    Against the auto-labels, and against the truth where a scene has a reference; with the latter come the scores of
    the labels themselves (subject `labels.subject`). Raises `ObjectMissing`, `CorruptProduct` where rasters differ.
    """
    dataset = dataset_of(scenes, labels)
    due = {AUTO_LABELS} | ({TRUTH} if any(has_reference(settings.reference_path, scene) for scene in scenes) else set())
    if due <= stored(settings, model_id, dataset).keys():
        return 0
    tally = _tally(settings, load(settings, model_id), scenes, labels)
    rows = [
        Evaluation(subject=subject, dataset=dataset, against=against, metrics=scores(matrix), created_at=now())
        for (subject, against), matrix in tally.items()
    ]
    with open_ledger(settings).begin() as session:
        return sum(insert_new(session, row) for row in rows)


def stored(settings: Settings, subject: str, dataset: str) -> dict[str, dict[str, Any]]:
    """The scores of `subject` on `dataset` that the ledger has, by judge."""
    query = select(Evaluation).where(Evaluation.subject == subject, Evaluation.dataset == dataset)
    with open_ledger(settings).begin() as session:
        return {row.against: row.metrics for row in session.scalars(query)}


def _tally(settings: Settings, loaded: LoadedModel, scenes: Sequence[str], labels: Labels) -> Tally:
    store, tally = open_store(settings.store), Tally()
    for scene_id in scenes:
        with open_ledger(settings).begin() as session:
            scene = session.get_one(Scene, scene_id)
            label_set = session.get_one(LabelSet, (scene_id, labels.method, labels.version))
        bands, grid = read_raster(store, label_set.key)
        truth = read_reference(settings.reference_path, scene_id, grid)
        found = compare(loaded.card.id, labels.subject, _predict(store, scene, loaded), bands[0], truth)
        for key, matrix in found.items():
            tally[key] = tally.get(key, np.zeros_like(matrix)) + matrix
        log.info("evaluated %s on %s", loaded.card.id, scene_id)
    return tally


def compare(
    model: str,
    labels: str,
    predicted: NDArray[np.uint8],
    auto: NDArray[np.uint8],
    truth: NDArray[np.uint8] | None,
) -> Tally:
    """Confusion matrices of one scene; all rasters (rows, columns) u8 legend codes."""
    auto = np.where(np.isin(predicted, CLASSES), auto, NODATA)
    tally = {(model, AUTO_LABELS): confusion(auto, predicted)}
    if truth is not None:
        judged = np.where(np.isin(auto, CLASSES), truth, NODATA)
        tally |= {(model, TRUTH): confusion(judged, predicted), (labels, TRUTH): confusion(judged, auto)}
    return tally


def _predict(store: ObjectStore, scene: Scene, loaded: LoadedModel) -> NDArray[np.uint8]:
    seen = loaded.card.manifest.preprocessing
    image, valid, _ = read_scaled(store, scene, seen.bands, seen.ceiling)
    return classes(loaded, probabilities(loaded, image, valid))

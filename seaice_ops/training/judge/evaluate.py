"""Scores on acquisitions that a model never saw: against the truth where there is one, and against the auto-labels.

The two are never mixed, because agreement with auto-labels is not accuracy. Only pixels that have a class in the
prediction, in the auto-labels and, for scores against it, in the truth are counted. So the scores of the labels and of
the model are comparable.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from seaice_ops.classes.legend import CLASSES, NODATA
from seaice_ops.classes.metrics import confusion, scores
from seaice_ops.ledger.operations import insert_new, now
from seaice_ops.ledger.session import Ledger
from seaice_ops.ledger.tables import Evaluation, LabelSet, Scene
from seaice_ops.models.card import Manifest, digest
from seaice_ops.models.predict import classes, probabilities
from seaice_ops.models.registry import load
from seaice_ops.models.weights import LoadedModel
from seaice_ops.pixels.imagery import read_scaled
from seaice_ops.pixels.mending import open_labels
from seaice_ops.storage.rasters import Grid
from seaice_ops.storage.store import ObjectStore
from seaice_ops.training.data.snapshot import labelled

log = logging.getLogger(__name__)

TRUTH, AUTO_LABELS = "truth", "auto-labels"

#: Confusion matrices by (who was judged, against what).
Tally = dict[tuple[str, str], NDArray[np.int64]]


@dataclass(frozen=True)
class Truth:
    """Access to the truth of scenes (reference rasters)."""

    known: Callable[[str], bool]
    """True for the id of a scene that has a truth."""
    read: Callable[[str, Grid], NDArray[np.uint8] | None]
    """A scene's truth on its grid: (rows, columns) u8 legend codes, or None."""
    conditions: Callable[[str, Grid], NDArray[np.uint8] | None]
    """Under which conditions its pixels were seen: (rows, columns) u8 bits of `classes.conditions`, or None."""
    content: Callable[[str], dict[str, str]]
    """SHA-256 of the files of a scene's reference."""


def dataset_of(scenes: Sequence[str], manifest: Manifest) -> str:
    """The name of a held-out set: a hash of its scenes, of their pixels, and of the labels they are compared with."""
    named = {"scenes": sorted(scenes), "labels": manifest.labels.model_dump()}
    if manifest.contents is not None:
        named["contents"] = {scene: manifest.contents[scene] for scene in scenes}
    return digest(named)


def evaluate(
    ledger: Ledger, store: ObjectStore, truth: Truth, model_id: str, scenes: Sequence[str], manifest: Manifest
) -> int:
    """Score a model on `scenes` of `manifest` (not always its own), unless that was done; returns the new rows' number.

    Against the auto-labels, and against the truth where a scene has a reference; with the latter come the scores of
    the labels themselves (subject `labels:<method>-<version>`). Raises `ExpectedSkip` where a scene has changed since
    the snapshot, `ObjectMissing` or `ObjectDamaged` where pixels or labels are not in the store as they were written
    (such labels are made again), `TransientError` until they are, and `CorruptProduct` where a reference cannot be
    used.
    """
    dataset = dataset_of(scenes, manifest)
    due = {AUTO_LABELS} | ({TRUTH} if any(map(truth.known, scenes)) else set())
    if due <= stored(ledger, model_id, dataset).keys():
        return 0
    pairs = labelled(ledger, scenes, manifest)
    tally = _tally(ledger, store, truth, load(ledger, store, model_id), pairs, manifest.labels.subject)
    rows = [
        Evaluation(subject=subject, dataset=dataset, against=against, metrics=scores(matrix), created_at=now())
        for (subject, against), matrix in tally.items()
    ]
    with ledger.begin() as session:
        return sum(insert_new(session, row) for row in rows)


def stored(ledger: Ledger, subject: str, dataset: str) -> dict[str, dict[str, Any]]:
    """The scores of `subject` on `dataset` that the ledger has, by judge."""
    query = select(Evaluation).where(Evaluation.subject == subject, Evaluation.dataset == dataset)
    with ledger.begin() as session:
        return {row.against: row.metrics for row in session.scalars(query)}


def _tally(
    ledger: Ledger,
    store: ObjectStore,
    truth: Truth,
    loaded: LoadedModel,
    pairs: Sequence[tuple[Scene, LabelSet]],
    subject: str,
) -> Tally:
    tally = Tally()
    for scene, label_set in pairs:
        with open_labels(ledger, store, label_set) as dataset:
            auto, grid = dataset.read(1), Grid.of(dataset)
        known = truth.read(scene.id, grid)
        for key, matrix in compare(loaded.card.id, subject, _predict(store, scene, loaded), auto, known).items():
            tally[key] = tally.get(key, np.zeros_like(matrix)) + matrix
        log.info("evaluated %s on %s", loaded.card.id, scene.id)
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

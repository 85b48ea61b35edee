"""The golden set and a model's results on it, made once for each model and version of the set and kept in the store.

The golden set is every held-out acquisition that has a reference and that none of the compared models learnt from. Its
version is a hash of the acquisitions, of their pixels, labels and references: it grows with the season and with what
people label by hand, and results on different versions are never compared.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seaice_ops.classes import conditions
from seaice_ops.classes.legend import CLASSES
from seaice_ops.classes.metrics import by_condition, outcomes, scores
from seaice_ops.ledger.operations import insert_new, now
from seaice_ops.ledger.session import Ledger
from seaice_ops.ledger.tables import Evaluation, LabelSet, Scene
from seaice_ops.models.card import Manifest, canonical, digest
from seaice_ops.models.predict import classes, probabilities
from seaice_ops.models.registry import GOLDEN
from seaice_ops.models.weights import LoadedModel
from seaice_ops.pixels.imagery import read_scaled
from seaice_ops.pixels.mending import open_labels
from seaice_ops.storage import keys
from seaice_ops.storage.rasters import Grid
from seaice_ops.storage.store import ObjectStore
from seaice_ops.training.judge.evaluate import Truth, dataset_of
from seaice_ops.training.judge.figures import Table, macro_f1
from seaice_ops.training.judge.golden import Evidence

log = logging.getLogger(__name__)

#: Bins of confidence.
_BINS = 10

Codes = NDArray[np.uint8]


@dataclass(frozen=True)
class Golden:
    """One version of the golden set."""

    version: str
    """Hash of everything in it."""
    scenes: tuple[str, ...]
    """Ids of its scenes, sorted."""


@dataclass(frozen=True)
class Results:
    """What a model made of the golden set, and what its labels made of the same pixels."""

    model: Evidence
    labels: Mapping[str, Table]
    """Outcomes of the labels by acquisition."""

    @property
    def teacher(self) -> Table:
        """The labels' outcomes of all acquisitions."""
        return sum(self.labels.values(), np.zeros((4, 4), np.int64))


@dataclass(frozen=True)
class Judged:
    """One acquisition with a model's and the labels' classes; rasters are (rows, columns) u8 legend codes."""

    scene_id: str
    tile: str
    sensed_at: datetime
    truth: Codes
    conditions: Codes | None
    """Bits of `classes.conditions`; None where nobody noted them."""
    predicted: Codes
    confidence: Codes
    """Probability x 255 of the predicted class."""
    labels: Codes


def golden_set(
    challenger: Manifest, learnt: Iterable[str], has_truth: Callable[[str], bool], truth_of: Callable[[str], Any]
) -> Golden:
    """The held-out scenes of `challenger` with a reference, without those that a rival has `learnt` from.

    `truth_of` tells what a scene's reference is, as JSON types.
    """
    seen = {*learnt, *challenger.train}
    scenes = tuple(sorted(scene for scene in challenger.held_out if scene not in seen and has_truth(scene)))
    named = {"set": dataset_of(scenes, challenger), "truth": {scene: truth_of(scene) for scene in scenes}}
    return Golden(digest(named), scenes)


def results(judged: Iterable[Judged], regions: Mapping[str, Sequence[str]]) -> Results:
    """The results of acquisitions that are sorted by tile and time; `regions` names the regions of a tile."""
    tables: dict[str, Table] = {}
    labels: dict[str, Table] = {}
    slices: dict[str, Table] = {}
    bins, flips = np.zeros((_BINS, 3)), np.zeros(2, np.int64)
    before: Judged | None = None
    for each in judged:
        bits = np.zeros(1, np.uint8) if each.conditions is None else each.conditions
        parts = by_condition(each.truth, each.predicted, bits)
        tables[each.scene_id] = parts.sum(axis=0)
        labels[each.scene_id] = outcomes(each.truth, each.labels)
        for name, table in _slices(each, parts, regions):
            slices[name] = slices.get(name, np.zeros((4, 4), np.int64)) + table
        bins += _bins(each)
        if before is not None and before.tile == each.tile and before.truth.shape == each.truth.shape:
            flips += _flips(before, each)
        before = each
    share = float(flips[0] / flips[1]) if flips[1] else float("nan")
    return Results(Evidence(tables, slices, bins, share, float("nan")), labels)


def _slices(
    each: Judged, parts: NDArray[np.int64], regions: Mapping[str, Sequence[str]]
) -> Iterable[tuple[str, Table]]:
    whole = parts.sum(axis=0)
    yield f"tile {each.tile}", whole
    yield f"month {each.sensed_at:%m}", whole
    for region in regions.get(each.tile, ()):
        yield f"region {region}", whole
    if each.conditions is not None:
        for bit, name in conditions.NAMES.items():
            yield name, parts[(np.arange(len(parts)) & bit) > 0].sum(axis=0)
        yield "clear", parts[0]


def _bins(each: Judged) -> NDArray[np.float64]:
    """(10, 3) pixels, sum of confidences and pixels that are right, by confidence, where truth and model name one."""
    both = np.isin(each.truth, CLASSES) & np.isin(each.predicted, CLASSES)
    sure, right = each.confidence[both], (each.truth == each.predicted)[both]
    which = np.minimum(sure.astype(np.intp) * _BINS // 256, _BINS - 1)
    counts = (np.bincount(which, weights, _BINS) for weights in (None, sure / 255, right))
    return np.stack([np.asarray(column, np.float64) for column in counts], axis=1)


def _flips(before: Judged, after: Judged) -> NDArray[np.int64]:
    """(changed, all) pixels that kept their true class and were given one both times."""
    stable = (before.truth == after.truth) & np.isin(after.truth, CLASSES)
    stable &= np.isin(before.predicted, CLASSES) & np.isin(after.predicted, CLASSES)
    return np.array([np.count_nonzero(stable & (before.predicted != after.predicted)), np.count_nonzero(stable)])


def judged(
    ledger: Ledger, store: ObjectStore, truth: Truth, loaded: LoadedModel, pairs: Sequence[tuple[Scene, LabelSet]]
) -> Iterable[Judged]:
    """Each acquisition, sorted by tile and time, classified by the model.

    Raises as `evaluate.evaluate` does.
    """
    for scene, label_set in sorted(pairs, key=lambda pair: (pair[0].tile, pair[0].sensed_at, pair[0].id)):
        with open_labels(ledger, store, label_set) as dataset:
            labels, grid = dataset.read(1), Grid.of(dataset)
        known = truth.read(scene.id, grid)
        if known is None:
            continue
        seen = loaded.card.manifest.preprocessing
        image, valid, _ = read_scaled(store, scene, seen.bands, seen.ceiling)
        share = probabilities(loaded, image, valid)
        log.info("judged %s on %s", loaded.card.id, scene.id)
        yield Judged(
            scene.id,
            scene.tile,
            scene.sensed_at,
            known,
            truth.conditions(scene.id, grid),
            classes(loaded, share),
            share.max(axis=0),
            labels,
        )


def keep(ledger: Ledger, store: ObjectStore, model_id: str, golden: Golden, found: Results) -> bool:
    """Store a model's results on the golden set, then their row; False where another run was first."""
    key, data = keys.golden(model_id, golden.version), canonical(_to_json(found))
    figure = float(macro_f1(found.model.total))
    told = {
        "key": key,
        "sha256": hashlib.sha256(data).hexdigest(),
        "acquisitions": len(golden.scenes),
        "macro_f1": None if np.isnan(figure) else figure,  # the gate's: a pixel without a class is wrong
    }
    row = Evaluation(
        subject=model_id,
        dataset=golden.version,
        against=GOLDEN,
        metrics=scores(found.model.total) | told,
        created_at=now(),
    )
    with ledger.begin() as session:
        if not insert_new(session, row):
            return False
        store.put(key, data)
    return True


def kept(ledger: Ledger, store: ObjectStore, model_id: str, version: str) -> Results | None:
    """A model's results on a version of the golden set; None where there are none, or their object is damaged."""
    with ledger.begin() as session:
        row = session.get(Evaluation, (model_id, version, GOLDEN))
    if row is None:
        return None
    data = store.get(row.metrics["key"])
    return _from_json(json.loads(data)) if hashlib.sha256(data).hexdigest() == row.metrics["sha256"] else None


def _to_json(found: Results) -> dict[str, Any]:
    model = found.model
    return {
        "acquisitions": {name: table.tolist() for name, table in model.acquisitions.items()},
        "slices": {name: table.tolist() for name, table in model.slices.items()},
        "confidence": model.confidence.tolist(),
        "flips": None if np.isnan(model.flips) else model.flips,
        "labels": {name: table.tolist() for name, table in found.labels.items()},
    }


def _from_json(found: Mapping[str, Any]) -> Results:
    tables = {
        part: {name: np.array(table, np.int64) for name, table in found[part].items()}
        for part in ("acquisitions", "slices", "labels")
    }
    flips = float("nan") if found["flips"] is None else float(found["flips"])
    model = Evidence(
        tables["acquisitions"], tables["slices"], np.array(found["confidence"], np.float64), flips, float("nan")
    )
    return Results(model, tables["labels"])

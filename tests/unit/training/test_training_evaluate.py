"""Evaluation counts the same pixels for the model and for its labels, and remembers what it counted."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch

from helpers.training_cases import add_labelled, add_truth, small, snapshot
from seaice_ops.classes.metrics import confusion
from seaice_ops.errors import CorruptProduct
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Scene
from seaice_ops.models import registry
from seaice_ops.models.card import Labels
from seaice_ops.models.families.build import build
from seaice_ops.models.weights import describe, weights_bytes
from seaice_ops.pixels.reference import fingerprint, has_reference, read_conditions, read_reference
from seaice_ops.settings import Settings
from seaice_ops.storage.store import open_store
from seaice_ops.training.judge import evaluate as evaluation

torch.set_num_threads(1)


def test_compare_counts_common_pixels_only() -> None:
    predicted = np.array([[1, 2, 3, 3, 255, 1]], np.uint8)
    auto = np.array([[1, 2, 2, 205, 3, 1]], np.uint8)
    truth = np.array([[1, 3, 3, 3, 3, 254]], np.uint8)
    tally = evaluation.compare("m", "l", predicted, auto, truth)
    assert tally["m", "auto-labels"].tolist() == [[2, 0, 0], [0, 1, 1], [0, 0, 0]]
    assert tally["m", "truth"].tolist() == [[1, 0, 0], [0, 0, 0], [0, 1, 1]]
    assert tally["l", "truth"].tolist() == [[1, 0, 0], [0, 0, 0], [0, 2, 0]]
    assert set(evaluation.compare("m", "l", predicted, auto, None)) == {("m", "auto-labels")}


@pytest.fixture
def case(settings: Settings, add_scene: Callable[..., Scene]) -> tuple[Settings, str, tuple[str, ...]]:
    settings = small(settings)
    for day in range(6):
        add_labelled(settings, add_scene, day, size=64)
    manifest = snapshot(settings)
    torch.manual_seed(0)
    weights = weights_bytes(build(manifest.architecture).state_dict())
    registry.register(open_ledger(settings), open_store(settings.store), describe(manifest, weights, ()), weights)
    return settings, manifest.model_id, manifest.held_out


def evaluated(settings: Settings, model_id: str, scenes: tuple[str, ...]) -> int:
    folder = settings.reference_path
    truth = evaluation.Truth(
        *(partial(each, folder) for each in (has_reference, read_reference, read_conditions, fingerprint))
    )
    ledger, store = open_ledger(settings), open_store(settings.store)
    return evaluation.evaluate(ledger, store, truth, model_id, scenes, snapshot(settings))


def test_rows_are_made_once(case: tuple[Settings, str, tuple[str, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    settings, model_id, scenes = case
    manifest = snapshot(settings)
    assert evaluated(settings, model_id, scenes) == 3
    dataset = evaluation.dataset_of(scenes, manifest)
    model = evaluation.stored(open_ledger(settings), model_id, dataset)
    own = evaluation.stored(open_ledger(settings), manifest.labels.subject, dataset)
    assert set(model) == {"truth", "auto-labels"} and set(own) == {"truth"}
    assert model["truth"]["pixels"] == own["truth"]["pixels"] == 2 * 64 * 56
    assert own["truth"]["accuracy"] == pytest.approx(0.967, abs=0.01)
    monkeypatch.setattr(evaluation, "load", None)
    assert evaluated(settings, model_id, tuple(reversed(scenes))) == 0


def test_without_truth_only_the_labels_judge(case: tuple[Settings, str, tuple[str, ...]]) -> None:
    settings, model_id, scenes = case
    blind = settings.model_copy(update={"reference": None})
    assert evaluated(blind, model_id, scenes) == 1
    assert evaluated(settings, model_id, scenes) == 2  # the truth came later


def test_a_reference_of_another_size_is_refused(case: tuple[Settings, str, tuple[str, ...]]) -> None:
    settings, model_id, scenes = case
    with open_ledger(settings).begin() as session:
        scene = session.get_one(Scene, scenes[0])
    add_truth(settings, scene, np.ones((10, 10), np.uint8))
    with pytest.raises(CorruptProduct, match=scenes[0]):
        evaluated(settings, model_id, scenes)


def test_the_dataset_is_its_scenes_their_pixels_and_labels(case: tuple[Settings, str, tuple[str, ...]]) -> None:
    manifest = snapshot(case[0])
    one, two = manifest.held_out[:2]
    old = manifest.model_copy(update={"contents": None})
    other = manifest.model_copy(update={"contents": {**(manifest.contents or {}), one: "0" * 64}})
    labelled = manifest.model_copy(update={"labels": Labels(method="colour", version="1-b")})
    names = {evaluation.dataset_of((one, two), manifest), evaluation.dataset_of((two, one), manifest)}
    assert len(names) == 1
    names |= {evaluation.dataset_of((one, two), each) for each in (old, other, labelled)}
    assert len(names | {evaluation.dataset_of((one,), manifest)}) == 5


def test_confusion_is_rows_truth() -> None:
    assert confusion(np.array([1], np.uint8), np.array([3], np.uint8))[0, 2] == 1

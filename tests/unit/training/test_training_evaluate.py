"""Evaluation counts the same pixels for the model and for its labels, and remembers what it counted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from helpers.training_cases import add_labelled, add_truth, small
from seaice_ops.classes.metrics import confusion
from seaice_ops.errors import CorruptProduct
from seaice_ops.ledger.tables import Scene
from seaice_ops.models import registry
from seaice_ops.models.families.build import build
from seaice_ops.settings import Settings
from seaice_ops.training.data.snapshot import take
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
    manifest = take(settings)
    torch.manual_seed(0)
    weights = registry.weights_bytes(build(manifest.architecture).state_dict())
    registry.register(settings, registry.describe(manifest, weights, ()), weights)
    return settings, manifest.model_id, manifest.held_out


def test_rows_are_made_once(case: tuple[Settings, str, tuple[str, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    settings, model_id, scenes = case
    labels = take(settings).labels
    assert evaluation.evaluate(settings, model_id, scenes, labels) == 3
    dataset = evaluation.dataset_of(scenes, labels)
    model = evaluation.stored(settings, model_id, dataset)
    own = evaluation.stored(settings, labels.subject, dataset)
    assert set(model) == {"truth", "auto-labels"} and set(own) == {"truth"}
    assert model["truth"]["pixels"] == own["truth"]["pixels"] == 2 * 64 * 56
    assert own["truth"]["accuracy"] == pytest.approx(0.967, abs=0.01)
    monkeypatch.setattr(evaluation, "load", None)
    assert evaluation.evaluate(settings, model_id, tuple(reversed(scenes)), labels) == 0


def test_without_truth_only_the_labels_judge(case: tuple[Settings, str, tuple[str, ...]]) -> None:
    settings, model_id, scenes = case
    blind = settings.model_copy(update={"reference": None})
    assert evaluation.evaluate(blind, model_id, scenes, take(settings).labels) == 1
    assert evaluation.evaluate(settings, model_id, scenes, take(settings).labels) == 2  # the truth came later


def test_a_reference_of_another_size_is_refused(case: tuple[Settings, str, tuple[str, ...]]) -> None:
    from seaice_ops.ledger.session import open_ledger

    settings, model_id, scenes = case
    with open_ledger(settings).begin() as session:
        scene = session.get_one(Scene, scenes[0])
    add_truth(settings, scene, np.ones((10, 10), np.uint8))
    with pytest.raises(CorruptProduct, match=scenes[0]):
        evaluation.evaluate(settings, model_id, scenes, take(settings).labels)


def test_the_dataset_is_its_scenes_and_labels() -> None:
    from seaice_ops.models.card import Labels

    one, two = Labels(method="colour", version="1-a"), Labels(method="colour", version="1-b")
    names = {evaluation.dataset_of(("a", "b"), one), evaluation.dataset_of(("b", "a"), one)}
    assert len(names) == 1
    assert len(names | {evaluation.dataset_of(("a", "b"), two), evaluation.dataset_of(("a",), one)}) == 3


def test_confusion_is_rows_truth() -> None:
    assert confusion(np.array([1], np.uint8), np.array([3], np.uint8))[0, 2] == 1

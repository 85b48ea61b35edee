"""Prediction: any size, no-data exactly where not observed, and no trace of how a scene was cut."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seaice_ops.models import predict
from seaice_ops.models.card import Architecture, Card, Labels, Manifest, Preprocessing, Recipe, Weights
from seaice_ops.models.families.build import build
from seaice_ops.models.weights import LoadedModel


def loaded_model() -> LoadedModel:
    torch.manual_seed(11)
    manifest = Manifest(
        algorithm=1,
        architecture=Architecture(width=2),
        preprocessing=Preprocessing(ceiling=0.3558),
        labels=Labels(method="colour", version="1-0"),
        recipe=Recipe(epochs=1, batch=1, chip=64, max_chips=1, learning_rate=1e-3, ranks=1, seed=1),
        train=("a",),
        held_out=("b",),
    )
    weights = Weights(sha256="0" * 64, bytes=1, parameters=1)
    return LoadedModel(
        build(manifest.architecture).eval(), Card(id=manifest.model_id, manifest=manifest, weights=weights)
    )


MODEL = loaded_model()
torch.set_num_threads(1)  # on a busy machine, threads that wait for each other cost more than they bring


def scene(rows: int, columns: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (rows, columns, 3), np.uint8), rng.random((rows, columns)) < 0.7


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 100), st.integers(1, 100))
def test_any_size(rows: int, columns: int) -> None:
    rgb, valid = scene(rows, columns)
    share = predict.probabilities(MODEL, rgb, valid)
    assert share.shape == (3, rows, columns) and share.dtype == np.uint8
    assert np.array_equal(share.any(axis=0), valid)
    total = share.astype(int).sum(axis=0)[valid]
    assert ((total >= 253) & (total <= 257)).all()


def softmax(rgb: np.ndarray, valid: np.ndarray) -> np.ndarray:
    from seaice_ops.models.preprocess import prepare

    x = torch.from_numpy(prepare(rgb, valid, MODEL.card.manifest.preprocessing))[None, None]
    with torch.inference_mode():
        p = MODEL.module(x, torch.zeros(1, 1), torch.from_numpy(valid)[None, None])[0, 0].softmax(0).numpy()
    return np.asarray(np.where(valid, np.rint(p * 255), 0))


@pytest.mark.parametrize(("rows", "columns"), [(64, 96), (70, 33)])
def test_it_is_the_softmax_of_the_module_on_the_scene_and_its_reflection(rows: int, columns: int) -> None:
    rgb, valid = scene(rows, columns)
    after = [(32, 32 + -size % 32) for size in (rows, columns)]
    around = softmax(np.pad(rgb, (*after, (0, 0)), mode="reflect"), np.pad(valid, after, mode="reflect"))
    expected = around[:, 32 : 32 + rows, 32 : 32 + columns]
    assert np.array_equal(predict.probabilities(MODEL, rgb, valid), expected)


def test_the_border_of_an_even_scene_is_answered_as_its_middle() -> None:
    rgb, valid = np.full((160, 128, 3), 200, np.uint8), np.ones((160, 128), bool)

    def unevenness(share: np.ndarray) -> int:
        border = np.concatenate([share[:, 0], share[:, -1], share[:, :, 0], share[:, :, -1]], axis=1).astype(int)
        return int(np.abs(border - share[:, 80, 64].astype(int)[:, None]).max())

    padded, plain = (unevenness(each) for each in (predict.probabilities(MODEL, rgb, valid), softmax(rgb, valid)))
    assert plain > 3 * padded, "what lies beyond the scene is seen in it"


def test_the_answer_does_not_depend_on_the_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    rgb, valid = scene(600, 100, seed=4)
    whole = predict.probabilities(MODEL, rgb, valid)
    monkeypatch.setattr(predict, "CORE", 96)
    cut = predict.probabilities(MODEL, rgb, valid)
    difference = np.abs(whole.astype(int) - cut.astype(int))
    assert difference.max() <= 1 and (difference > 0).mean() < 1e-3  # the last bit of a sum may round otherwise
    assert np.array_equal(cut, predict.probabilities(MODEL, rgb, valid))


def test_windows_cover_each_pixel_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict, "CORE", 64)
    seen = np.zeros((130, 65), int)
    for core, around in predict._windows(130, 65):
        seen[core] += 1
        assert all(
            a.start <= c.start and c.stop <= a.stop and a.start % 32 == 0 for c, a in zip(core, around, strict=True)
        )
    assert (seen == 1).all()


def test_a_scene_without_an_observed_pixel_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict, "_pass", None)
    rgb, valid = scene(50, 50)
    assert not predict.probabilities(MODEL, rgb, np.zeros_like(valid)).any()


def test_classes_of_probabilities() -> None:
    share = np.array([[0, 200, 85, 10], [0, 30, 85, 20], [0, 25, 85, 225]], np.uint8)[:, None]
    assert predict.classes(MODEL, share).tolist() == [[255, 1, 1, 3]]

"""The loop in one process: its pure parts against slow oracles, and that stopping it changes nothing."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from helpers.training_cases import write_job
from seaice_ops.errors import TrainingFailed
from seaice_ops.training.fit import loop
from seaice_ops.training.fit.checkpoint import load_weights
from seaice_ops.training.ranks.comm import Alone
from seaice_ops.training.ranks.job import HEAVIEST, class_weights

torch.set_num_threads(1)


@given(st.integers(1, 300), st.integers(0, 5), st.integers(1, 40))
def test_an_epoch_takes_every_chip_once(chips: int, epoch: int, together: int) -> None:
    steps = loop.steps_of(chips, 1, epoch, together)
    assert sorted(np.concatenate(steps)) == list(range(chips))
    sizes = {len(step) for step in steps}
    assert max(sizes) - min(sizes) <= 1 and max(sizes) < max(2 * together, chips + 1)
    assert len(steps) == 1 or min(sizes) >= together
    assert [s.tolist() for s in steps] == [s.tolist() for s in loop.steps_of(chips, 1, epoch, together)]


def test_epochs_differ_in_their_order() -> None:
    assert loop.steps_of(50, 1, 0, 50)[0].tolist() != loop.steps_of(50, 1, 1, 50)[0].tolist()


@given(st.integers(1, 64), st.floats(0, 1))
def test_learning_rate(ranks: int, done: float) -> None:
    rate = loop.learning_rate(1e-3, ranks, done)
    assert 0 <= rate <= ranks * 1e-3 * (1 + 1e-9)
    assert loop.learning_rate(1e-3, ranks, 0) == pytest.approx(1e-3)
    assert loop.learning_rate(1e-3, ranks, loop.WARM_UP) == pytest.approx(ranks * 1e-3)
    assert loop.learning_rate(1e-3, ranks, 1) == pytest.approx(0)


def test_loss_is_a_sum_over_labelled_pixels() -> None:
    torch.manual_seed(0)
    logits, targets = torch.randn(2, 3, 4, 5), torch.randint(0, 3, (2, 4, 5))
    targets[0, 0] = targets[1, :, 2] = 255
    weights = torch.tensor([0.5, 1.0, 3.0])
    expected = 0.0
    for i, r, c in np.ndindex(2, 4, 5):
        k = int(targets[i, r, c])
        if k != 255:
            row = logits[i, :, r, c].double().tolist()
            expected += float(weights[k]) * (math.log(sum(map(math.exp, row))) - row[k])
    assert float(loop.loss_sum(logits, targets, weights)) == pytest.approx(expected, rel=1e-5)
    halves = sum(loop.loss_sum(logits[i : i + 1], targets[i : i + 1], weights) for i in range(2))
    assert float(halves) == pytest.approx(expected, rel=1e-5)


@given(st.lists(st.integers(0, 10**9), min_size=3, max_size=3).filter(any))
def test_class_weights(counts: list[int]) -> None:
    weights = class_weights(counts)
    assert all(
        (weight == 0) == (count == 0) and weight <= HEAVIEST for weight, count in zip(weights, counts, strict=True)
    )
    mean = sum(w * c for w, c in zip(weights, counts, strict=True)) / sum(counts)
    assert mean == pytest.approx(1) or max(weights) == HEAVIEST
    ordered = sorted((c, w) for c, w in zip(counts, weights, strict=True) if c)
    assert [w for _, w in ordered] == sorted((w for _, w in ordered), reverse=True)


def test_training_learns(tmp_path: Path) -> None:
    job = write_job(tmp_path, chips=32, epochs=9, learning_rate=1e-2)
    loop.train(job, Alone())
    history = load_weights(job.checkpoint)[1]
    assert len(history) == 9 and history[-1].loss < 0.6 * history[0].loss and history[-1].accuracy > 0.6


class Stopped(Exception):
    pass


def test_a_stopped_training_goes_on_as_if_nothing_had_happened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, cut = write_job(tmp_path / "whole", epochs=4), write_job(tmp_path / "cut", epochs=4)
    loop.train(whole, Alone())
    taken = loop._epoch

    def epoch_2_fails(*arguments: object) -> object:
        if arguments[-1] == 2:
            raise Stopped
        return taken(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "_epoch", epoch_2_fails)
    with pytest.raises(Stopped):
        loop.train(cut, Alone())
    monkeypatch.undo()
    assert len(load_weights(cut.checkpoint)[1]) == 2
    loop.train(cut, Alone())
    assert cut.checkpoint.read_bytes() == whole.checkpoint.read_bytes()
    before = cut.checkpoint.stat().st_mtime_ns
    loop.train(cut, Alone())  # nothing is left to do
    assert cut.checkpoint.stat().st_mtime_ns == before


def test_no_half_written_checkpoint_counts(tmp_path: Path) -> None:
    job = write_job(tmp_path)
    job.checkpoint.with_suffix(".part").write_bytes(b"half of a checkpoint")
    loop.train(job, Alone())
    assert len(load_weights(job.checkpoint)[1]) == 2 and not job.checkpoint.with_suffix(".part").exists()


def test_divergence_is_an_error_and_leaves_the_last_good_checkpoint(tmp_path: Path) -> None:
    job = write_job(tmp_path, epochs=1)
    loop.train(job, Alone())
    worse = job.model_copy(update={"recipe": job.recipe.model_copy(update={"epochs": 3, "learning_rate": 1e30})})
    with pytest.raises(TrainingFailed, match="not finite"):
        loop.train(worse, Alone())
    tensors, history = load_weights(job.checkpoint)
    assert all(torch.isfinite(tensor).all() for tensor in tensors.values())
    assert json.dumps([epoch.model_dump() for epoch in history], allow_nan=False)

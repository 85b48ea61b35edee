"""Real Horovod ranks: they compute what one process computes, and they die when they should."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from safetensors.torch import load_file

from helpers.training_cases import write_job
from seaice_ops.errors import TrainingFailed
from seaice_ops.training.fit.checkpoint import load_weights
from seaice_ops.training.ranks import launch as launching
from seaice_ops.training.ranks.launch import end_ranks, launch

RANKS = Path(__file__).parents[2] / "helpers" / "training_ranks.py"


def worker(what: str) -> list[str]:
    return [sys.executable, str(RANKS), what]


def until(condition: object, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def epochs_done(checkpoint: Path) -> int:
    return len(load_weights(checkpoint)[1]) if checkpoint.exists() else 0


def test_two_ranks_take_the_same_steps_as_one_process(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    alone = write_job(tmp_path / "one", chips=13, batch=4)
    shared = write_job(tmp_path / "two", chips=13, batch=2, ranks=2)
    caplog.set_level(logging.INFO)
    launch(alone.folder / "job.json", 1, worker("same_steps"))
    launch(shared.folder / "job.json", 2, worker("same_steps"))
    assert "epoch 2 of 2: loss" in caplog.text
    one = load_file(alone.folder / "rank-0-of-1.safetensors")
    ranks = [load_file(shared.folder / f"rank-{rank}-of-2.safetensors") for rank in range(2)]
    saved, history = load_weights(shared.checkpoint)
    for name, tensor in one.items():
        assert (ranks[0][name] - tensor).abs().max() < 1e-5, name
        assert ranks[0][name].equal(ranks[1][name]) and saved[name].equal(ranks[0][name]), name
    for ours, theirs in zip(history, load_weights(alone.checkpoint)[1], strict=True):
        assert ours.loss == pytest.approx(theirs.loss, rel=1e-5)
        assert ours.accuracy == pytest.approx(theirs.accuracy, abs=2e-3)


def started_since(before: set[psutil.Process]) -> set[psutil.Process]:
    return set(psutil.Process().children(recursive=True)) - before  # servers of other tests may be among them


def test_a_killed_rank_fails_the_training_with_its_last_words(tmp_path: Path) -> None:
    job, before = write_job(tmp_path, chips=16, batch=2, ranks=2, epochs=3), started_since(set())
    with pytest.raises(TrainingFailed, match="this is the last of me"):
        launch(job.folder / "job.json", 2, worker("one_dies"))
    assert started_since(before) == set()
    assert epochs_done(job.checkpoint) == 1


def test_sigkill_of_the_caller_ends_every_rank_and_training_goes_on_from_there(tmp_path: Path) -> None:
    job = write_job(tmp_path, chips=16, batch=1, ranks=2, epochs=4)
    code = f"""
from pathlib import Path
from seaice_ops.training.ranks.launch import launch
launch(Path({str(job.folder / "job.json")!r}), 2, {worker("slowly")!r})
"""
    caller = subprocess.Popen([sys.executable, "-c", code])
    try:
        until(lambda: epochs_done(job.checkpoint) >= 1, 90)
        family = psutil.Process(caller.pid).children(recursive=True)
        ranks = [process for process in family if str(RANKS) in process.cmdline()[1:]]
        assert len(ranks) >= 2
    finally:
        os.kill(caller.pid, signal.SIGKILL)  # not reaped yet: the ranks must see through a zombie
    assert psutil.wait_procs(family, timeout=15)[1] == []
    caller.wait()
    done = epochs_done(job.checkpoint)
    assert 1 <= done < 4
    before = load_weights(job.checkpoint)[1]
    launch(job.folder / "job.json", 1)  # another number of ranks
    after = load_weights(job.checkpoint)[1]
    assert len(after) == 4 and after[:done] == before


@pytest.mark.parametrize("attempt", range(8))
def test_ranks_ended_from_another_thread_are_never_taken_for_a_success(tmp_path: Path, attempt: int) -> None:
    before, failed = started_since(set()), []

    def run() -> None:
        try:
            launch(tmp_path / "job.json", 1, (sys.executable, "-c", "import time; time.sleep(60)"))
        except TrainingFailed as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    until(lambda: launching._running, 30)
    time.sleep(attempt / 50)
    end_ranks()
    thread.join(15)
    assert failed and started_since(before) == set()

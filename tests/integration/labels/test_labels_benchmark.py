"""The benchmarks of labelling and decoding, from end to end on small scenes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from seaice_ops.ledger.stores import initialise

ROOT = Path(__file__).parents[3]


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The benchmark of labels with scenes of 256 and tiles of 512 pixels, measured in this process."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import labels
    import labels_runs

    monkeypatch.setattr(labels_runs, "SIZE", 256)
    monkeypatch.setattr(labels_runs, "WHOLE_TILE", 512)
    monkeypatch.setattr(labels_runs, "in_child", lambda function, *arguments: function(*arguments))
    monkeypatch.setenv("PYTHONPATH", f"{ROOT / 'benchmarks'}{os.pathsep}{ROOT}")
    return labels


def test_labels_are_timed_and_compared_with_the_published_ones(benchmark: Any, tmp_path: Path) -> None:
    initialise(benchmark.runs.settings_of(tmp_path))
    found = benchmark.measure(["compute", "tile", "workload"], 2, tmp_path)
    assert set(found) == {"compute", "tile", "workload"}
    assert all(ms > 0 for size in found["compute"].values() for ms in size.values())
    rows = benchmark.targets(found, 2)
    assert len(rows) == 8 + 2 * len(benchmark.runs.ALL_METHODS) and all(value > 0 for _, value, _, _ in rows)
    benchmark.show(found, rows)


def test_labels_are_timed_on_spark(benchmark: Any, tmp_path: Path) -> None:
    initialise(benchmark.runs.settings_of(tmp_path))
    benchmark.runs.make_scenes(tmp_path)
    found = benchmark.runs.spark(tmp_path, "colour", 1, "local[1]", 1)
    assert found["executors"] == 1 and 0 < found["seconds"] < found["whole_seconds"]


def test_decoding_is_timed_beside_the_pure_decode() -> None:
    command = [sys.executable, "benchmarks/decode.py", "--size", "128", "--repeat", "1", "--json"]
    answer = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=300, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert answer.returncode == 0, answer.stderr
    told = json.loads(answer.stdout.splitlines()[-1])
    assert told["size"] == 128 and told["stage_seconds"] > 0 and told["jp2_seconds"] > 0

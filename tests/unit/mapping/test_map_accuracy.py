"""The benchmark of maps in a tiny form: it runs, and a map is as right as the labels of its newest acquisition."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "map_accuracy.py"


def test_maps_are_as_right_as_their_newest_labels() -> None:
    command = [sys.executable, str(BENCHMARK), "--seeds", "3", "--size", "128", "--acquisitions", "10", "--json"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert result.returncode == 0, result.stderr
    scored = json.loads(result.stdout)["macro_f1"]
    assert scored["map, where labels see"] >= scored["labels, where they see"] - 0.001
    assert scored["map, everywhere"] > scored["labels, everywhere"]

"""The table of accuracy runs from end to end on one small acquisition."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_label_accuracy_prints_its_figures() -> None:
    command = [sys.executable, "benchmarks/label_accuracy.py", "--seeds", "3", "--size", "256", "--json"]
    answer = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert answer.returncode in (0, 1), answer.stderr
    told = json.loads(answer.stdout)
    assert told["seeds"] == [3] and answer.returncode == (not all(each["met"] for each in told["targets"]))
    assert set(told["labels"]) >= {"reflectance", "iqrah2024, white at 0.9", "colour, white at 0.3558"}
    low, high = told["intervals"]["all"]
    assert low <= told["labels"]["reflectance"]["all"]["macro_f1"] + 1e-3 and low <= high <= 1
    pixels = {name: each["all"]["pixels"] for name, each in told["same_pixels"].items()}
    assert len(set(pixels.values())) == 1 and 0 < pixels["reflectance"] <= 256 * 256

"""The benchmark of training runs its four cases on a few small chips."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_every_case_is_measured() -> None:
    sizes = ["--width", "2", "--chips", "4", "--chip", "32", "--batch", "2", "--epochs", "2", "--json"]
    answer = subprocess.run(
        [sys.executable, "benchmarks/training.py", *sizes],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert answer.returncode == 0, answer.stderr
    told = json.loads(answer.stdout.splitlines()[-1])
    assert [row["case"] for row in told["epochs"]] == [
        "1 process, all cores",
        "1 process, 1 core",
        "2 ranks without averaging",
        "2 ranks",
    ]
    assert all(row["chips/s"] > 0 for row in told["epochs"]) and told["efficiency"] > 0

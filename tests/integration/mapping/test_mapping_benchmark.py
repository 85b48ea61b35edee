"""The benchmark of mapping runs from end to end on a small tile; it fails itself where a shifted window is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_every_figure_is_measured() -> None:
    sizes = ["--size", "64", "--window", "3", "--acquisitions", "6", "--json"]
    answer = subprocess.run(
        [sys.executable, "benchmarks/mapping.py", *sizes],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert answer.returncode == 0, answer.stderr
    told = json.loads(answer.stdout)
    assert (told["size"], told["window"], told["acquisitions"]) == (64, 3, 6)
    times = [told[part][name] for part in ("memory", "strips") for name in ("shift_s", "rebuild_s")]
    assert all(seconds > 0 for seconds in (*times, told["published_s"]))

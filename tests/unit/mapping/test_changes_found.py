"""The benchmark of dated changes in a small form: it runs, and most of what is found is true."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "changes_found.py"


def test_most_of_what_is_found_is_true_and_dated_right() -> None:
    command = [sys.executable, str(BENCHMARK), "--seeds", "5", "--size", "128", "--acquisitions", "26", "--json"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert result.stdout, result.stderr
    said = json.loads(result.stdout)["all"]
    assert said["precision"] >= 0.8 and said["recall"] >= 0.2 and said["date_error_acquisitions"] <= 1

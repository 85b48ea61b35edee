"""The benchmark of the account runs from end to end on a small ledger; it fails itself where a hole is not found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_both_databases_are_measured() -> None:
    answer = subprocess.run(
        [sys.executable, "benchmarks/account.py", "--tiles", "4", "--days", "10", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert answer.returncode == 0, answer.stderr
    told = json.loads(answer.stdout)
    assert (told["tiles"], told["days"]) == (4, 10) and set(told["seconds"]) == {"sqlite", "postgresql"}
    assert all(value > 0 for parts in told["seconds"].values() for value in parts.values())

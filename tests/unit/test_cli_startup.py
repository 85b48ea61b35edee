"""The command line answers `--help` at once: nothing heavy is imported until a verb runs."""

from __future__ import annotations

import subprocess
import sys

from typer.testing import CliRunner

from seaice_ops.cli import app

VERBS = {
    "init", "settings", "status", "doctor", "validate", "up", "env", "down",
    "ingest", "label", "train", "encode", "map", "simulate", "label-image", "label-quality", "paper-protocol", "model",
}  # fmt: skip


def test_every_verb_is_there_and_says_what_it_does() -> None:
    shown = CliRunner().invoke(app, ["--help"])
    assert shown.exit_code == 0
    assert {verb for verb in VERBS if f"│ {verb} " in shown.output} == VERBS
    for verb in VERBS:
        assert CliRunner().invoke(app, [verb, "--help"]).exit_code == 0


def test_nothing_heavy_is_imported_for_help() -> None:
    heavy = ("torch", "cv2", "rasterio", "numpy", "sqlalchemy", "pyspark", "airflow", "PIL", "obstore")
    code = f"import sys, seaice_ops.cli; print([m for m in {heavy!r} if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert answer.stdout.strip() == "[]"


def test_the_package_runs_as_a_module() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "seaice_ops.cli", "model", "--help"], capture_output=True, text=True, timeout=60
    )
    assert answer.returncode == 0
    assert "rollback" in answer.stdout

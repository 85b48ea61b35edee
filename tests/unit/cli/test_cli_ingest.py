"""`seaice ingest` without dates is the daily run."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from helpers.factories import SENSED, make_product
from seaice_ops.cli import app
from seaice_ops.ledger.operations import now
from seaice_ops.settings import Settings

BANDS = {b: np.full((8, 8) if b != "B11" else (4, 4), 2000, np.uint16) for b in ("B02", "B03", "B04", "B08", "B11")}


@pytest.fixture
def ingest(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Any:
    """ingest(arguments) -> exit status and what was told as JSON."""
    config = settings.home / "seaice.yaml"
    config.write_text(json.dumps({"regions": {"test": {"title": "Test", "tiles": list(settings.tiles)}}}))
    monkeypatch.setenv("SEAICE_CONFIG", str(config))
    monkeypatch.setenv("SEAICE_HOME", str(settings.home))
    settings.archive_path.mkdir(parents=True)

    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["ingest", *arguments])
        return result.exit_code, result.stdout

    return run


def publish(archive: Path, hours: float, day: int = 0) -> str:
    sensed = SENSED + timedelta(days=day)
    return make_product(archive, bands=BANDS, sensed=sensed, published=now() - timedelta(hours=hours))


def test_what_was_published_since_the_last_time_is_ingested(settings: Settings, ingest: Any) -> None:
    publish(settings.archive_path, 1)
    code, said = ingest("--json")
    assert code == 0 and json.loads(said.splitlines()[-1])["done"]["ready"] == 1
    code, said = ingest("--json")
    assert code == 0 and not any(json.loads(said.splitlines()[-1])["done"].values())
    publish(settings.archive_path, 0, day=1)
    assert json.loads(ingest("--json")[1].splitlines()[-1])["done"]["ready"] == 1


def test_one_end_alone_is_refused(ingest: Any) -> None:
    assert ingest("--from", "2026-02-01")[0] == 2

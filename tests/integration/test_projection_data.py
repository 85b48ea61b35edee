"""The projection data of another installation are told as what they are, and no scene is blamed for them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Scene, SceneState
from seaice_ops.settings import Settings

SIDECAR = {
    "kind": "scene",
    "image": "plain.png",
    "tile": "01CCV",
    "sensed": "2026-02-01T10:00:00Z",
    "platform": "S2A",
    "crs": "EPSG:32701",
    "transform": [10, 0, 300000, 0, -10, 2000020],
    "nodata": None,
    "published": "2026-02-01T11:00:00Z",
}


@pytest.fixture
def home(settings: Settings, tmp_path: Path) -> Path:
    archive = settings.home / "archive"
    archive.mkdir()
    Image.new("RGB", (64, 64), (90, 90, 90)).save(archive / "plain.png")
    (archive / "plain.json").write_text(json.dumps(SIDECAR))
    (tmp_path / "c.yaml").write_text("regions: {test: {title: Test, tiles: [01CCV]}}\nscenes: {land_mask: ''}\n")
    return settings.home


def seaice(home: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SEAICE_HOME": str(home), "SEAICE_CONFIG": str(home.parent / "c.yaml"), **variables}
    command = [sys.executable, "-m", "seaice_ops.cli", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("variable", ["PROJ_DATA", "PROJ_LIB"])
def test_a_data_base_that_is_none_is_blamed_on_its_variable(tmp_path: Path, variable: str) -> None:
    (tmp_path / "proj.db").write_bytes(b"SQLite format 3\0" + bytes(4080))
    program = "from seaice_ops.geo.projections import to_globe; to_globe('EPSG:32701')"
    environment = {**os.environ, variable: str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=300)
    assert "ConfigError" in done.stderr and f"{variable}={tmp_path} points to" in done.stderr


def test_the_variable_is_named_and_the_scene_waits(home: Path, settings: Settings, tmp_path: Path) -> None:
    variable, data = "PROJ_DATA", tmp_path / "empty"
    data.mkdir()
    days = ("--from", "2026-02-01", "--to", "2026-02-03")
    stopped = seaice(home, "ingest", *days, **{variable: str(data)})
    told = " ".join((stopped.stdout + stopped.stderr).split())
    assert stopped.returncode and f"{variable}=" in told and "unset it" in told, told
    with open_ledger(settings).begin() as session:
        assert session.query(Scene).count() == 0
    region = seaice(home, "region", "163,-75.5,166,-74", **{variable: str(data)})
    assert region.returncode and f"{variable}=" in " ".join((region.stdout + region.stderr).split())
    doctor = seaice(home, "doctor", **{variable: str(data)})
    assert "unset PROJ_DATA, PROJ_LIB" in " ".join(doctor.stdout.split())
    done = seaice(home, "ingest", *days)
    assert done.returncode == 0, done.stdout + done.stderr
    with open_ledger(settings).begin() as session:
        assert [scene.state for scene in session.query(Scene)] == [SceneState.READY]

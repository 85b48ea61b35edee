"""The verbs `backfill` (its estimate) and `region`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from seaice_ops.cli import app
from seaice_ops.settings import Settings
from seaice_ops.simulate import stage as simulate


@pytest.fixture
def home(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    config = tmp_path / "seaice.yaml"
    regions = {
        "test": {"title": "Test", "tiles": ["01CCV", "60CWS"]},
        "bay": {"title": "B", "area": [163, -75.5, 166, -74]},
    }
    config.write_text(json.dumps({"regions": regions}))
    monkeypatch.setenv("SEAICE_HOME", str(settings.home))
    monkeypatch.setenv("SEAICE_CONFIG", str(config))
    return Settings.load()


def run(*words: str, code: int = 0) -> str:
    answer = CliRunner().invoke(app, words)
    assert answer.exit_code == code, answer.output
    return answer.output


def test_an_estimate_is_all_that_backfill_does_by_default(home: Settings) -> None:
    simulate.run(home, simulate.SimulateRequest(size=64, acquisitions=2))
    said = json.loads(run("backfill", "test", "--season", "2025-26", "--json"))
    assert said["estimate"]["missing"] == said["estimate"]["found"] > 0 and "progress" not in said
    assert (said["estimate"]["first"], said["estimate"]["last"]) == ("2025-03-01", "2026-02-28")
    text = run("backfill", "test", "--from", "2026-01-01", "--to", "2026-12-31")
    assert "products to fetch of" in text and "assumed" in text and "add --run" in text


def test_backfill_says_what_it_lacks(home: Settings) -> None:
    home.archive_path.mkdir()
    assert "no region 'nowhere'" in run("backfill", "nowhere", "--season", "2025-26", code=1)
    assert "no Airflow is known" in run(
        "backfill", "test", "--from", "2026-01-01", "--to", "2026-01-02", "--run", code=1
    )


def test_region_lists_tiles_of_a_box_a_file_and_a_name(home: Settings, tmp_path: Path) -> None:
    by_box = json.loads(run("region", "--json", "--", "163,-75.5,166,-74"))
    corners = [[163, -75.5], [166, -75.5], [166, -74], [163, -74]]
    file = tmp_path / "bay.geojson"
    file.write_text(json.dumps({"type": "Polygon", "coordinates": [corners]}))
    assert json.loads(run("region", str(file), "--json")) == by_box == json.loads(run("region", "bay", "--json"))
    assert by_box["tiles"] == list(home.regions["bay"].tiles) and by_box["unseen"] == 0
    text = run("region", "bay", "--map", str(tmp_path / "map.png"))
    assert "tiles: [58C" in text and "4 tiles see the area" in text
    assert (tmp_path / "map.png").stat().st_size > 1000
    run("region", "test", code=2)
    assert "is no file, no box" in run("region", "163,-75", code=2)

"""Label quality from a ledger and a store: what is judged, kept once, drawn, and told on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from sqlalchemy import select
from typer.testing import CliRunner

from helpers.training_cases import add_truth
from seaice_ops.cli import app
from seaice_ops.errors import ConfigError, ExpectedSkip
from seaice_ops.labels import stage as labels
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Evaluation, Scene
from seaice_ops.quality.stage import QualityRequest, assess, run
from seaice_ops.settings import Settings

DAY = datetime(2026, 2, 1, 20, tzinfo=UTC)
BRIGHT = {1: 200, 2: 1800, 3: 3400}


def truth_of(size: int = 64) -> np.ndarray:
    truth = np.repeat(np.array([1, 2, 3, 3], np.uint8), size // 4)[None].repeat(size, 0)
    return truth.copy()


def reflectance(truth: np.ndarray) -> np.ndarray:
    return np.stack([np.select([truth == c for c in BRIGHT], list(BRIGHT.values()), 3400)] * 5).astype(np.int16)


@pytest.fixture
def scenes(settings: Settings, add_scene: Callable[..., Scene]) -> list[Scene]:
    """Three scenes: with truth that the labels miss in one row, with truth, without truth and all ice."""
    found = []
    for number in range(3):
        truth = truth_of()
        seen = truth.copy()
        if number == 0:
            truth[0] = 3
        if number == 2:
            seen[:] = 3
        scene = add_scene(reflectance(seen), DAY + timedelta(days=number))
        if number < 2:
            add_truth(settings, scene, truth)
        found.append(scene)
    labels.run(settings, labels.LabelRequest("colour"))
    return found


def rows(settings: Settings) -> dict[tuple[str, str], list[Evaluation]]:
    found: dict[tuple[str, str], list[Evaluation]] = {}
    with open_ledger(settings).begin() as session:
        for row in session.scalars(select(Evaluation)):
            found.setdefault((row.subject, row.against), []).append(row)
    return found


def test_truth_agreement_and_flags_are_found_and_kept_once(settings: Settings, scenes: list[Scene]) -> None:
    labels.run(settings, labels.LabelRequest("iqrah2024"))
    quality, summary = assess(settings, QualityRequest())
    name = f"labels:colour-{settings.label_version('colour')}"
    other = f"labels:iqrah2024-{settings.label_version('iqrah2024')}"
    assert quality.truth.keys() == {name, other} and quality.truth[name]["scenes"] == 2
    scores = quality.truth[name]["conditions"]["all"]
    assert scores["pixels"] == 2 * 64 * 64
    assert scores["accuracy"] == pytest.approx(1 - 32 / (2 * 64 * 64))
    assert scores["classes"]["thick_ice"]["recall"] == pytest.approx(1 - 32 / (2 * 64 * 32 + 32))
    assert 0.9 < quality.truth[name]["ssim"] < 1
    assert [(each["of"], each["with"]) for each in quality.agreement] == [(name, other)]
    assert quality.agreement[0]["pixels"] == 3 * 64 * 64
    assert quality.scenes.keys() == {scene.id for scene in scenes}
    assert any("one class" in line for line in quality.scenes[scenes[2].id]["flags"])
    assert scenes[2].id in summary.items and scenes[1].id not in summary.items
    stored = rows(settings)
    assert stored[name, "truth"][0].metrics["accuracy"] == scores["accuracy"]
    assert stored[name, "agreement"][0].metrics["with"] == other
    assert "accuracy" not in stored[name, "agreement"][0].metrics
    assert stored[name, "plausibility"][0].metrics["flagged"].keys() == set(summary.items)
    assert summary.done["evaluations"] == 5
    again = run(settings, QualityRequest())
    assert again.nothing_new and again.unchanged["evaluations"] == 5


def test_a_changed_reference_is_another_row(settings: Settings, scenes: list[Scene]) -> None:
    run(settings, QualityRequest())
    add_truth(settings, scenes[0], truth_of())
    assert run(settings, QualityRequest()).done["evaluations"] == 1
    name = f"labels:colour-{settings.label_version('colour')}"
    assert sorted(row.metrics["accuracy"] for row in rows(settings)[name, "truth"])[-1] == 1.0


def test_what_is_asked_for_is_judged(settings: Settings, scenes: list[Scene]) -> None:
    chosen = QualityRequest(scene_ids=(scenes[1].id,), tiles=("01CCV",), methods=("colour",))
    assert assess(settings, chosen)[0].scenes.keys() == {scenes[1].id}
    with pytest.raises(ExpectedSkip, match="no ready scene has labels"):
        run(settings, QualityRequest(methods=("iqrah2024",)))
    with pytest.raises(ExpectedSkip):
        run(settings, QualityRequest(tiles=("60CWS",)))
    with pytest.raises(ConfigError, match="no labelling method guess"):
        run(settings, QualityRequest(methods=("guess",)))
    with pytest.raises(ConfigError, match="knows no scene X"):
        run(settings, QualityRequest(scene_ids=("X",)))


def test_one_bad_reference_stops_nobody_else(settings: Settings, scenes: list[Scene], tmp_path: Path) -> None:
    assert settings.reference_path is not None
    (settings.reference_path / f"{scenes[0].id}.tif").write_text("no raster")
    quality, summary = assess(settings, QualityRequest(sheets=tmp_path / "sheets"))
    assert scenes[0].id in summary.failed and quality.scenes.keys() == {scenes[1].id, scenes[2].id}
    assert sorted(path.stem for path in (tmp_path / "sheets").iterdir()) == sorted([scenes[1].id, scenes[2].id])
    assert summary.done["sheets"] == 2
    assert run(settings, QualityRequest(sheets=tmp_path / "sheets")).unchanged["sheets"] == 2


@pytest.fixture
def home(settings: Settings, scenes: list[Scene], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The same home for the command line."""
    config = tmp_path / "seaice.yaml"
    regions = {"test": {"title": "Test", "tiles": ["01CCV", "60CWS"]}}
    config.write_text(yaml.safe_dump({"reference": "archive/truth", "regions": regions}))
    monkeypatch.setenv("SEAICE_CONFIG", str(config))
    monkeypatch.setenv("SEAICE_HOME", str(settings.home))
    monkeypatch.setenv("COLUMNS", "200")
    return settings


def test_the_verb_labels_what_is_missing_and_prints_the_figures(
    home: Settings, scenes: list[Scene], tmp_path: Path
) -> None:
    asked = [
        "label-quality",
        "--method",
        "colour",
        "--method",
        "iqrah2024",
        "--sheets",
        str(tmp_path / "sheets"),
        "--json",
    ]
    answer = CliRunner().invoke(app, asked)
    assert answer.exit_code == 0, answer.output
    found = json.loads(answer.stdout)
    assert len(found["truth"]) == 2 and len(found["agreement"]) == 1 and len(found["scenes"]) == 3
    with Image.open(tmp_path / "sheets" / f"{scenes[0].id}.png") as image:
        assert image.mode == "RGB" and image.width > 1000
    shown = CliRunner().invoke(app, ["label-quality", "--scene", scenes[2].id])
    assert shown.exit_code == 0, shown.output
    for words in ("Agreement between labellers", "No scene has a reference", "one class"):
        assert words in shown.output
    assert "accuracy" not in shown.output
    shown = CliRunner().invoke(app, ["label-quality"])
    assert "against the reference of 2 scenes" in shown.output and "confusion" in shown.output


def test_the_verb_says_what_is_wrong(home: Settings) -> None:
    assert CliRunner().invoke(app, ["label-quality", "--scene", "X"]).exit_code == 1
    answer = CliRunner().invoke(app, ["label-quality", "--tile", "60CWS"])
    assert answer.exit_code == 0 and "nothing to do" in answer.output

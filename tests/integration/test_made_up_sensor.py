"""A sensor with bands of other names goes from its files to maps; only its own module and the configuration know it."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from seaice_ops.errors import ConfigError
from seaice_ops.labels import stage as labels
from seaice_ops.ledger.operations import now
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.stores import initialise
from seaice_ops.ledger.tables import LabelSet, Map, Model, Scene, SceneState
from seaice_ops.mapping import encode, publish
from seaice_ops.scenes import decode
from seaice_ops.settings import Settings
from seaice_ops.training import stage as training

CONFIG = """
sensors: [helpers.made_up_sensor]
regions: {test: {title: Test, tiles: [01CCV]}}
scenes: {land_mask: ''}
mapping: {window: 3}
training:
  {bands: pelican, width: 2, epochs: 1, batch: 4, chip: 64, min_scenes: 3, holdout_every: 3, min_new_scenes: 1}
"""
FIRST = datetime(2026, 2, 1, 20, tzinfo=UTC)


@pytest.fixture
def pelican(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    (tmp_path / "c.yaml").write_text(CONFIG)
    monkeypatch.setenv("SEAICE_HOME", str(tmp_path / "home"))
    settings = Settings.load(tmp_path / "c.yaml")
    initialise(settings)
    return settings


def fetch(settings: Settings, day: int) -> str:
    """A fetched scene of water, thin and thick ice in blocks, with an edge that was not observed."""
    sensed = FIRST + timedelta(days=day)
    scene_id = f"PELICAN_{sensed:%Y%m%dT%H%M%S}_01CCV"
    rng = np.random.default_rng(day)
    classes = np.kron(rng.integers(0, 3, (8, 8)), np.ones((16, 16), int))
    counts = np.repeat(np.array([4, 40, 180], np.uint8)[classes][None], 4, axis=0)
    counts[:, :, :8] = 0
    inbox = settings.inbox(scene_id)
    inbox.mkdir(parents=True)
    np.save(inbox / "pixels.npy", counts)
    with open_ledger(settings).begin() as session:
        session.add(
            Scene(
                id=scene_id,
                identity=scene_id,
                tile="01CCV",
                platform="PELICAN",
                sensed_at=sensed,
                relative_orbit=1,
                baseline="",
                generated_at=sensed,
                published_at=sensed,
                href="memory",
                state=SceneState.FETCHED,
                attempts=1,
                details={"kind": "pelican", "files": [{"path": "pixels.npy"}]},
                discovered_at=now(),
                updated_at=now(),
            )
        )
    return scene_id


def test_from_its_files_to_maps(pelican: Settings) -> None:
    ids = tuple(fetch(pelican, day) for day in range(4))
    assert decode.run(pelican, decode.DecodeRequest(ids)).done["scenes"] == 4
    assert labels.run(pelican, labels.LabelRequest(method="colour")).done["labels"] == 4
    training.run(pelican, training.TrainRequest())
    encode.run(pelican, encode.EncodeRequest())
    publish.run(pelican, publish.PublishRequest())
    with open_ledger(pelican).begin() as session:
        scenes = session.scalars(select(Scene)).all()
        assert {tuple(scene.bands or ()) for scene in scenes} == {("violet", "lime", "crimson", "heat")}
        sets = session.scalars(select(LabelSet)).all()
        assert len(sets) == 4
        assert all(each.shares[slug] > 0.1 for each in sets for slug in ("open_water", "thin_ice", "thick_ice"))
        preprocessing = session.scalars(select(Model)).one().card["manifest"]["preprocessing"]
        assert preprocessing["bands"] == ["violet", "lime", "crimson", "heat"]
        assert preprocessing["mean"] == [0.5, 0.5, 0.5, 0.1]  # ice is dark at 2.1 micrometres
        assert session.scalars(select(Map)).all()


def test_without_its_module_nothing_knows_it(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(CONFIG.replace("sensors: [helpers.made_up_sensor]\n", ""))
    program = f"from seaice_ops.settings import Settings; Settings.load({str(tmp_path / 'c.yaml')!r})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert "there is no set of bands 'pelican'; there are sentinel2, sentinel2-true-colour" in done.stderr
    (tmp_path / "c.yaml").write_text(CONFIG.replace("helpers.made_up_sensor", "no_such_module"))
    with pytest.raises(ConfigError, match="no_such_module cannot be imported"):
        Settings.load(tmp_path / "c.yaml")

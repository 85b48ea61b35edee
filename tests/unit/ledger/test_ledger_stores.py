"""A ledger and its object store know each other: another store, or none, ends a stage before anything changes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import delete, select

from seaice_ops.errors import ConfigError
from seaice_ops.labels.stage import LabelRequest, run
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.stores import initialise
from seaice_ops.ledger.tables import KnownStore, LabelSet, Scene, SceneState
from seaice_ops.settings import Settings
from seaice_ops.storage import keys
from seaice_ops.storage.store import open_store

PIXELS = np.full((3, 32, 32), 3000, np.int16)
RGB = ("B04", "B03", "B02")


def elsewhere(settings: Settings, folder: Path) -> Settings:
    return settings.model_copy(update={"store": str(folder)})


def remembered(settings: Settings) -> list[str]:
    with open_ledger(settings).begin() as session:
        return list(session.scalars(select(KnownStore.id)))


def marker(folder: Path | str) -> str:
    return str(json.loads((Path(folder) / keys.MARKER).read_text())["store"])


def test_init_gives_a_marker_that_the_ledger_remembers_and_can_be_repeated(settings: Settings) -> None:
    first = marker(settings.store)
    assert remembered(settings) == [first]
    initialise(settings)
    assert marker(settings.store) == first and remembered(settings) == [first]


@pytest.mark.parametrize("kind", ["missing", "empty", "another"])
def test_a_stage_with_another_store_changes_nothing(settings: Settings, add_scene, tmp_path: Path, kind: str) -> None:
    scene, folder = add_scene(PIXELS, bands=RGB), tmp_path / "away"
    if kind != "missing":
        folder.mkdir()
    if kind == "another":
        initialise(settings.model_copy(update={"store": str(folder), "ledger": f"sqlite:///{tmp_path}/other.sqlite"}))
    before = sorted(path.name for path in folder.rglob("*"))
    with pytest.raises(ConfigError, match="mounted"):
        run(elsewhere(settings, folder), LabelRequest())
    with open_ledger(settings).begin() as session:
        assert session.get_one(Scene, scene.id).state is SceneState.READY
        assert not list(session.scalars(select(LabelSet)))
    assert folder.exists() == (kind != "missing")
    assert sorted(path.name for path in folder.rglob("*")) == before
    assert run(settings, LabelRequest()).done["labels"] == 1


@pytest.mark.parametrize("made", [False, True])
def test_init_never_puts_an_empty_store_in_the_place_of_one_with_objects(
    settings: Settings, add_scene, tmp_path: Path, made: bool
) -> None:
    add_scene(PIXELS, bands=RGB)
    if made:
        (tmp_path / "away").mkdir()
    with pytest.raises(ConfigError, match="mounted"):
        initialise(elsewhere(settings, tmp_path / "away"))
    assert not (tmp_path / "away" / keys.MARKER).exists() and (tmp_path / "away").exists() == made


def test_a_copy_of_the_store_is_the_store(settings: Settings, add_scene, tmp_path: Path) -> None:
    add_scene(PIXELS, bands=RGB)
    shutil.copytree(settings.store, tmp_path / "copy")
    assert run(elsewhere(settings, tmp_path / "copy"), LabelRequest()).done["labels"] == 1


def forget(settings: Settings) -> None:
    """As a ledger was before stores had markers."""
    with open_ledger(settings).begin() as session:
        session.execute(delete(KnownStore))
    (Path(settings.store) / keys.MARKER).unlink()


def test_a_ledger_of_before_gets_its_marker_at_the_next_init(settings: Settings, add_scene, tmp_path: Path) -> None:
    add_scene(PIXELS, bands=RGB)
    forget(settings)
    with pytest.raises(ConfigError, match="seaice init"):
        run(settings, LabelRequest())
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="none of the objects"):
        initialise(elsewhere(settings, tmp_path / "empty"))
    initialise(settings)
    assert remembered(settings) == [marker(settings.store)]
    assert run(settings, LabelRequest()).done["labels"] == 1


def test_a_ledger_that_names_nothing_takes_another_store(settings: Settings, tmp_path: Path) -> None:
    there = elsewhere(settings, tmp_path / "new")
    initialise(there)
    assert remembered(settings) == [marker(tmp_path / "new")]


def test_the_marker_is_no_object(settings: Settings) -> None:
    store = open_store(settings.store)
    assert store.exists(keys.MARKER) and list(store.list()) == []

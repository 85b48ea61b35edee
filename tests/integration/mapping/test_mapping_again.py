"""Lost objects of published maps are made again, to the byte, or refused in words."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import update

from helpers.mapped import all_maps, crown, publish_maps, season, shortened
from seaice_ops.errors import ConfigError
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Probabilities, Scene, SceneState
from seaice_ops.mapping.again import AgainRequest, run
from seaice_ops.settings import Settings
from seaice_ops.storage.store import open_store

AddScene = Callable[..., Scene]


@pytest.fixture
def mapped(settings: Settings, add_scene: AddScene) -> Settings:
    """Five maps of windows of three acquisitions."""
    crown(settings)
    settings = shortened(settings, 3)
    season(settings, add_scene, [0, 1, 2, 4, 5])
    publish_maps(settings)
    return settings


def objects(settings: Settings) -> dict[str, bytes]:
    store = open_store(settings.store)
    return {key: store.get(key) for key in store.list("maps")}


def test_deleted_and_changed_objects_come_back_to_the_byte(mapped: Settings) -> None:
    store, before, rows = open_store(mapped.store), objects(mapped), all_maps(mapped)
    store.delete(f"{rows[3].folder}/class.tif")
    store.put(f"{rows[3].folder}/age.tif", before[f"{rows[3].folder}/age.tif"][:-1])
    store.delete(f"{rows[1].folder}/item.json")
    ids = (rows[3].id, rows[1].id, rows[0].id)
    summary = run(mapped, AgainRequest(ids))
    assert summary.done == {"objects": 3} and summary.unchanged == {"maps": 1} and not summary.failed
    assert objects(mapped) == before
    assert run(mapped, AgainRequest(ids)).nothing_new


def test_a_map_that_would_come_out_otherwise_is_left_alone(mapped: Settings) -> None:
    store, rows = open_store(mapped.store), all_maps(mapped)
    for row in (rows[0], rows[4]):
        store.delete(f"{row.folder}/class.tif")
    with open_ledger(mapped).begin() as session:
        encoded = update(Probabilities).where(Probabilities.scene_id == rows[0].scene_ids[0])
        session.execute(encoded.values(sha256="1" * 64))
        withdrawn = update(Scene).where(Scene.id == rows[4].scene_ids[1])
        session.execute(withdrawn.values(state=SceneState.WITHDRAWN))
    before = objects(mapped)
    summary = run(mapped, AgainRequest((rows[0].id, rows[4].id)))
    assert "are other ones now" in summary.failed[rows[0].id] and "not all ready" in summary.failed[rows[4].id]
    assert objects(mapped) == before
    with pytest.raises(ConfigError, match="knows no map x"):
        run(mapped, AgainRequest(("x",)))

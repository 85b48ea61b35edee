"""Maps that an older version of the package published stand, byte for byte; a new version makes its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import seaice_ops
from helpers.mapped import all_maps, crown, season, shortened
from seaice_ops.ledger.tables import Scene
from seaice_ops.mapping.publish import PublishRequest, run
from seaice_ops.settings import Settings
from seaice_ops.storage.store import open_store


def test_maps_of_an_older_version_stand(
    settings: Settings, add_scene: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    crown(settings)
    three, store = shortened(settings, 3), open_store(settings.store)
    season(three, add_scene, [0, 1])
    monkeypatch.setattr(seaice_ops, "__version__", "0.1.0")
    run(three, PublishRequest())
    before = {key: store.get(key) for key in store.list()}
    old = {row.id for row in all_maps(three)}
    assert all('"seaice_ops":"0.1.0"' in item.replace(" ", "") for item in items(before))
    monkeypatch.setattr(seaice_ops, "__version__", "0.2.0")
    assert run(three, PublishRequest()).nothing_new
    assert {key: store.get(key) for key in store.list()} == before
    season(three, add_scene, [2])
    assert run(three, PublishRequest()).done["maps"] == 1
    after = {key: store.get(key) for key in store.list()}
    assert {key: after[key] for key in before} == before and len({row.id for row in all_maps(three)} - old) == 1
    assert sum('"seaice_ops":"0.2.0"' in item.replace(" ", "") for item in items(after)) == 1


def items(objects: dict[str, bytes]) -> list[str]:
    return [data.decode() for key, data in objects.items() if key.startswith("maps/") and key.endswith("item.json")]

"""Each acquisition is encoded once per model, only where a due map needs it, with a real (tiny) network."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rio_cogeo import cog_validate
from sqlalchemy import select

from helpers.crash import crash_everywhere
from helpers.mapped import all_maps, day, reflectance, scene_on, shortened, tiny_champion
from helpers.racing import race
from seaice_ops.errors import ConfigError
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Probabilities, Scene, SceneState
from seaice_ops.mapping import encode, publish
from seaice_ops.mapping.encode import EncodeRequest
from seaice_ops.mapping.publish import PublishRequest
from seaice_ops.pixels.imagery import read_true_colour
from seaice_ops.pixels.radiometry import UNOBSERVED
from seaice_ops.sensors.sentinel2 import BANDS, TRUE_COLOUR
from seaice_ops.settings import Settings
from seaice_ops.storage.rasters import read_raster
from seaice_ops.storage.store import open_store

AddScene = Callable[..., Scene]


@pytest.fixture
def three(settings: Settings) -> Settings:
    return shortened(settings, 3)


def rows(settings: Settings) -> list[Probabilities]:
    with open_ledger(settings).begin() as session:
        return list(session.scalars(select(Probabilities).order_by(Probabilities.model_id, Probabilities.scene_id)))


def encode_all(settings: Settings) -> dict[str, object]:
    """For a process of its own."""
    return encode.run(settings, EncodeRequest()).to_dict()


def test_probabilities_are_the_networks_and_nothing_where_nothing_was_seen(
    three: Settings, add_scene: AddScene
) -> None:
    from seaice_ops.models import predict, registry

    model_id = tiny_champion(three)
    bands = reflectance(60, 90)
    scene = add_scene(bands)
    summary = encode.run(three, EncodeRequest())
    assert summary.done == {"probabilities": 1} and summary.items == [scene.id] and summary.bytes_out > 0
    row = rows(three)[0]
    values, grid = read_raster(open_store(three.store), row.key)
    assert cog_validate(str(Path(three.store) / row.key))[:2] == (True, [])
    assert values.dtype == np.uint8 and values.shape == (3, 60, 90)
    assert grid.crs == scene.crs and list(grid.transform) == scene.transform
    np.testing.assert_array_equal(values.any(axis=0), (bands != UNOBSERVED).all(axis=0))
    rgb, valid, _ = read_true_colour(open_store(three.store), scene, 0.3558)
    expected = predict.probabilities(registry.load(open_ledger(three), open_store(three.store), model_id), rgb, valid)
    np.testing.assert_array_equal(values, expected)


def test_each_acquisition_is_encoded_once_per_model(three: Settings, add_scene: AddScene) -> None:
    tiny_champion(three)
    for number in range(4):
        add_scene(reflectance(seed=number), sensed_at=day(number))
    assert encode.run(three, EncodeRequest()).done == {"probabilities": 4}
    before = {row.key: open_store(three.store).get(row.key) for row in rows(three)}
    again = encode.run(three, EncodeRequest())
    assert again.nothing_new and again.unchanged["probabilities"] == 4
    publish.run(three, PublishRequest())
    add_scene(reflectance(seed=9), sensed_at=day(4))
    assert encode.run(three, EncodeRequest()).done == {"probabilities": 1}
    assert all(open_store(three.store).get(key) == data for key, data in before.items())


def test_a_new_champion_encodes_the_newest_window_only(three: Settings, add_scene: AddScene) -> None:
    tiny_champion(three)
    for number in range(6):
        add_scene(reflectance(seed=number), sensed_at=day(number))
    encode.run(three, EncodeRequest())
    publish.run(three, PublishRequest())
    second = tiny_champion(three, seed=2)
    summary = encode.run(three, EncodeRequest())
    assert summary.items == [scene_on(three, number).id for number in (3, 4, 5)]
    assert len(rows(three)) == 9
    assert publish.run(three, PublishRequest()).done == {"maps": 1}
    assert all_maps(three)[-1].source == second


def test_a_scene_that_cannot_be_read_fails_alone(three: Settings, add_scene: AddScene) -> None:
    tiny_champion(three)
    scenes = [add_scene(reflectance(seed=number), sensed_at=day(number)) for number in range(3)]
    broken = Path(three.store) / str(scenes[1].key)
    broken.write_bytes(broken.read_bytes()[:200])
    summary = encode.run(three, EncodeRequest())
    assert summary.done == {"probabilities": 2} and list(summary.failed) == [scenes[1].id]
    assert str(scenes[1].key) in summary.failed[scenes[1].id]
    with open_ledger(three).begin() as session:
        assert session.get_one(Scene, scenes[1].id).state is SceneState.DISCOVERED  # it will be fetched again
    maps = publish.run(three, PublishRequest())
    assert maps.done == {"maps": 2} and not maps.skipped


def test_a_missing_scene_is_fetched_again(three: Settings, add_scene: AddScene) -> None:
    tiny_champion(three)
    scene = add_scene(reflectance())
    (Path(three.store) / str(scene.key)).unlink()
    assert "does not exist" in encode.run(three, EncodeRequest()).failed[scene.id]
    with open_ledger(three).begin() as session:
        assert session.get_one(Scene, scene.id).state is SceneState.DISCOVERED


def test_a_scene_on_another_grid_is_not_encoded(three: Settings, add_scene: AddScene) -> None:
    tiny_champion(three)
    for number in range(2):
        add_scene(reflectance(), sensed_at=day(number))
    odd = add_scene(reflectance(30, 40), sensed_at=day(2))
    summary = encode.run(three, EncodeRequest())
    assert summary.done == {"probabilities": 2} and list(summary.skipped) == [odd.id]


def test_a_scene_without_the_champions_bands_is_in_no_window(three: Settings, add_scene: AddScene) -> None:
    tiny_champion(three, bands=BANDS)
    whole = [add_scene(reflectance(), sensed_at=day(number)) for number in range(2)]
    plain = add_scene(reflectance()[:3], sensed_at=day(2), bands=TRUE_COLOUR)
    summary = encode.run(three, EncodeRequest())
    assert summary.done == {"probabilities": 2}
    assert "B08, B11" in summary.skipped[plain.id]
    assert publish.run(three, PublishRequest()).done == {"maps": 2}
    assert {scene for row in all_maps(three) for scene in row.scene_ids} == {scene.id for scene in whole}


def test_maps_of_acquisitions_that_a_new_champion_cannot_see_stand(three: Settings, add_scene: AddScene) -> None:
    tiny_champion(three)
    plain = [add_scene(reflectance()[:3], sensed_at=day(number), bands=TRUE_COLOUR) for number in range(2)]
    encode.run(three, EncodeRequest())
    assert publish.run(three, PublishRequest()).done == {"maps": 2}
    before = {row.id: row.scene_ids for row in all_maps(three)}
    tiny_champion(three, seed=2, bands=BANDS)
    assert encode.run(three, EncodeRequest()).done == {}
    again = publish.run(three, PublishRequest())
    assert again.done == {} and before.keys() | {scene.id for scene in plain} | {"01CCV"} == again.skipped.keys()
    assert "no map can be made: none of its scenes has all the bands" in again.skipped["01CCV"]
    assert {row.id: row.scene_ids for row in all_maps(three)} == before
    with open_ledger(three).begin() as session:
        session.get_one(Scene, plain[0].id).state = SceneState.WITHDRAWN
    assert publish.run(three, PublishRequest()).done == {"withdrawals": 2}


def test_without_a_champion_there_is_nothing_to_encode(settings: Settings, add_scene: AddScene) -> None:
    add_scene(reflectance())
    summary = encode.run(settings, EncodeRequest())
    assert not summary.done and not summary.failed


def test_only_the_tiles_asked_for(three: Settings, add_scene: AddScene) -> None:
    tiny_champion(three)
    add_scene(reflectance())
    west = add_scene(reflectance(), tile="60CWS")
    assert encode.run(three, EncodeRequest(tiles=("60CWS",))).items == [west.id]
    with pytest.raises(ConfigError, match="33XWJ"):
        encode.run(three, EncodeRequest(tiles=("33XWJ",)))


def test_row_and_object_agree_where_two_processors_differ(
    three: Settings, add_scene: AddScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker was killed between its object and its row; ours computes one bit differently."""
    from seaice_ops.models import predict

    tiny_champion(three)
    add_scene(reflectance())
    encode.run(three, EncodeRequest())
    row, store = rows(three)[0], open_store(three.store)
    with open_ledger(three).begin() as session:
        session.delete(session.get_one(Probabilities, (row.scene_id, row.model_id)))
    real = predict.probabilities
    monkeypatch.setattr(predict, "probabilities", lambda *a: real(*a) ^ 1)
    assert encode.run(three, EncodeRequest()).done == {"probabilities": 1}
    ours = rows(three)[0]
    assert ours.sha256 != row.sha256 and hashlib.sha256(store.get(ours.key)).hexdigest() == ours.sha256


def test_two_encoders_at_once_make_one_row_a_scene(three: Settings, add_scene: AddScene) -> None:
    tiny_champion(three)
    for number in range(3):
        add_scene(reflectance(seed=number), sensed_at=day(number))
    answers = race(encode_all, [(three,), (three,)])
    assert [a for a in answers if isinstance(a, BaseException)] == []
    assert sum(a["done"].get("probabilities", 0) for a in answers) == 3 and not any(a["failed"] for a in answers)
    assert len(rows(three)) == 3


def test_encoding_survives_a_kill_at_every_write(three: Settings, add_scene: AddScene) -> None:
    tiny_champion(three)
    for number in range(2):
        add_scene(reflectance(seed=number), sensed_at=day(number))
    boundaries = crash_everywhere(
        three,
        """
        from seaice_ops.mapping import encode
        from seaice_ops.mapping.encode import EncodeRequest
        from seaice_ops.models.predict import probabilities# loads torch once, before the runs are forked

        encode.run(settings, EncodeRequest())
        """,
    )
    assert boundaries >= 4

"""What maps do when a product is published again, when stored objects rot, and when a run was killed before."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from helpers.mapped import (
    CHAMPION,
    all_maps,
    crown,
    day,
    encoded,
    likely,
    reflectance,
    scene_on,
    season,
    set_state,
    shortened,
    tiny_champion,
)
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Map, Probabilities, Scene, SceneState
from seaice_ops.mapping import encode
from seaice_ops.mapping.encode import EncodeRequest
from seaice_ops.mapping.product import release
from seaice_ops.mapping.publish import PublishRequest, run
from seaice_ops.pixels.radiometry import UNOBSERVED
from seaice_ops.settings import Settings
from seaice_ops.storage.rasters import Grid, cog_bytes, read_raster
from seaice_ops.storage.store import open_store
from seaice_ops.summary import Summary

AddScene = Callable[..., Scene]


@pytest.fixture
def three(settings: Settings) -> Settings:
    return shortened(settings, 3)


def encode_and_publish(settings: Settings) -> Summary:
    encode.run(settings, EncodeRequest())
    return run(settings, PublishRequest())


def publish_again(settings: Settings, scene_id: str, pixels: np.ndarray) -> None:
    """The product is ready again under its name, with other pixels."""
    with open_ledger(settings).begin() as session:
        scene = session.get_one(Scene, scene_id)
        grid = Grid(scene.crs, tuple(scene.transform), scene.width, scene.height)
        scene.sha256 = open_store(settings.store).put(scene.key, cog_bytes(pixels, grid, nodata=UNOBSERVED))
        scene.state = SceneState.READY


def class_of(settings: Settings, row: Map) -> np.ndarray:
    return read_raster(open_store(settings.store), f"{row.folder}/class.tif")[0][0]


def newest(settings: Settings) -> dict[object, Map]:
    return {row.window_end: row for row in all_maps(settings)}


def items(settings: Settings) -> list[str]:
    """The ids of the maps that a reader of the store sees."""
    keys = open_store(settings.store).list("maps")
    return sorted(Path(key).parent.name for key in keys if key.endswith("item.json"))


@pytest.mark.parametrize("withdrawn_between", [True, False])
def test_a_product_published_again_is_encoded_and_mapped_anew(
    three: Settings, add_scene: AddScene, withdrawn_between: bool
) -> None:
    tiny_champion(three)
    scenes = [add_scene(reflectance(seed=number), sensed_at=day(number)) for number in range(4)]
    encode_and_publish(three)
    before = newest(three)
    if withdrawn_between:
        set_state(three, scenes[1].id, SceneState.WITHDRAWN)
        run(three, PublishRequest())
    publish_again(three, scenes[1].id, reflectance(seed=99))
    assert encode.run(three, EncodeRequest()).items == [scenes[1].id]
    assert run(three, PublishRequest()).done == {"maps": 3}
    after = newest(three)
    assert all(before[day(n)].id != after[day(n)].id for n in (1, 2, 3)) and before[day(0)].id == after[day(0)].id
    assert (class_of(three, before[day(1)]) != class_of(three, after[day(1)])).any()
    with open_ledger(three).begin() as session:
        contents = {scene.id: scene.sha256 for scene in session.query(Scene)}
    for row in after.values():
        assert row.scene_contents == [contents[scene_id] for scene_id in row.scene_ids]
    assert encode.run(three, EncodeRequest()).nothing_new and run(three, PublishRequest()).nothing_new


def test_rows_of_older_versions_count_as_before(three: Settings, add_scene: AddScene) -> None:
    crown(three)
    season(three, add_scene, [0, 1])
    run(three, PublishRequest())
    with open_ledger(three).begin() as session:
        session.query(Map).update({"scene_contents": None})
        session.query(Probabilities).update({"scene_sha256": None})
    assert run(three, PublishRequest()).nothing_new


def flip(path: Path, at: float) -> None:
    data = bytearray(path.read_bytes())
    data[int(len(data) * at)] ^= 0x10
    path.write_bytes(bytes(data))


DAMAGE: dict[str, Callable[[Path], object]] = {
    **{f"bit at {at} %": lambda path, at=at: flip(path, at / 100) for at in (0, 20, 40, 60, 80, 99)},
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "gone": lambda path: path.unlink(),
    "another": lambda path: path.write_bytes(max(path.parent.iterdir()).read_bytes()),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_probabilities_make_no_map_and_are_made_again(
    three: Settings, add_scene: AddScene, damage: str
) -> None:
    tiny_champion(three)
    scenes = [add_scene(reflectance(seed=number), sensed_at=day(number)) for number in range(3)]
    encode.run(three, EncodeRequest())
    with open_ledger(three).begin() as session:
        path = Path(three.store) / session.query(Probabilities).filter_by(scene_id=scenes[0].id).one().key
    good = path.read_bytes()
    DAMAGE[damage](path)
    summary = run(three, PublishRequest())
    assert not summary.done["maps"] and len(summary.failed) == 3 and all_maps(three) == []
    assert all(scenes[0].id in reason for reason in summary.failed.values())
    again = encode.run(three, EncodeRequest())
    assert again.items == [scenes[0].id] and again.unchanged["probabilities"] == 2
    assert path.read_bytes() == good
    assert run(three, PublishRequest()).done == {"maps": 3}


@pytest.mark.parametrize("harm", ["gone", "truncated", "garbled", "not an object"])
def test_a_map_that_cannot_be_withdrawn_is_told_and_the_others_go_on(
    three: Settings, add_scene: AddScene, harm: str
) -> None:
    crown(three)
    season(three, add_scene, [0, 1])
    run(three, PublishRequest())
    first, second = all_maps(three)
    for number in (0, 1):
        set_state(three, scene_on(three, number).id, SceneState.WITHDRAWN)
    for number in range(3):
        encoded(three, add_scene(reflectance(), sensed_at=day(number), tile="60CWS"), likely(24, 40, seed=number))
    item = Path(three.store) / first.folder / "item.json"
    harms: dict[str, bytes] = {"truncated": item.read_bytes()[:200], "garbled": b"{}", "not an object": b"[1]"}
    item.unlink() if harm == "gone" else item.write_bytes(harms[harm])
    summary = run(three, PublishRequest())
    assert list(summary.failed) == [first.id] and "it cannot be withdrawn: " in summary.failed[first.id]
    assert summary.done == {"maps": 3, "withdrawals": 1}
    assert newest(three)[second.window_end].scene_ids == [] or "60CWS" in newest(three)[second.window_end].id
    assert run(three, PublishRequest()).failed.keys() == {first.id}


def forget(settings: Settings, *ids: str) -> None:
    """As if the run had been killed between a map's item and its row."""
    with open_ledger(settings).begin() as session:
        for row in session.query(Map).filter(Map.id.in_(ids)):
            session.delete(row)


def test_a_late_arrival_after_a_kill_supersedes_the_map_that_readers_saw(three: Settings, add_scene: AddScene) -> None:
    crown(three)
    season(three, add_scene, [0, 1])
    run(three, PublishRequest())
    lost = all_maps(three)[-1]
    forget(three, lost.id)
    season(three, add_scene, [0.5])
    summary = run(three, PublishRequest())
    assert summary.done == {"maps": 3} and summary.items[0] == lost.id
    assert items(three) == sorted(row.id for row in all_maps(three))
    assert max(Counter((row.window_end, row.revision) for row in all_maps(three)).values()) == 1
    last = newest(three)[day(1)]
    assert (last.revision, last.supersedes, len(last.scene_ids)) == (2, lost.id, 3)
    assert run(three, PublishRequest()).nothing_new


def test_a_map_that_only_readers_know_is_withdrawn_with_its_acquisition(three: Settings, add_scene: AddScene) -> None:
    crown(three)
    season(three, add_scene, [0])
    run(three, PublishRequest())
    lost = all_maps(three)[0]
    forget(three, lost.id)
    set_state(three, scene_on(three, 0).id, SceneState.WITHDRAWN)
    assert run(three, PublishRequest()).done == {"maps": 1, "withdrawals": 1}
    assert items(three) == sorted(row.id for row in all_maps(three))
    assert [(row.revision, row.scene_ids) for row in all_maps(three)][-1] == (2, [])


def test_a_map_that_lost_a_race_is_removed(three: Settings, add_scene: AddScene) -> None:
    crown(three)
    season(three, add_scene, [0])
    run(three, PublishRequest())
    store, row = open_store(three.store), all_maps(three)[0]
    loser = row.id[:-8] + "00000000"
    item = json.loads(store.get(f"{row.folder}/item.json"))
    for name in release.FILES:
        store.put(f"{row.folder[:-8]}00000000/{name}", b"theirs")
    store.put(f"{row.folder[:-8]}00000000/item.json", json.dumps(item | {"id": loser}).encode())
    assert run(three, PublishRequest()).nothing_new
    assert items(three) == [row.id] and not [key for key in store.list("maps") if loser in key]


def test_the_maps_of_another_ledger_are_told_and_left_alone(three: Settings, add_scene: AddScene) -> None:
    crown(three)
    season(three, add_scene, [0, 1, 2])
    run(three, PublishRequest())
    old = items(three)
    ids = [scene_on(three, number).id for number in range(3)]
    forget(three, *old)
    with open_ledger(three).begin() as session:
        session.query(Probabilities).delete()
        for scene_id in ids[1:]:
            session.delete(session.get_one(Scene, scene_id))
        session.get_one(Scene, ids[0]).state = SceneState.DISCOVERED
    summary = run(three, PublishRequest())
    assert summary.nothing_new and items(three) == old and all_maps(three) == []
    assert "is in the store and not in this ledger" in summary.skipped["01CCV in the store"]
    assert "2 other maps" in summary.skipped["01CCV in the store"]


def test_what_a_killed_run_left_in_the_work_folder_is_removed(three: Settings, add_scene: AddScene) -> None:
    crown(three)
    left = three.work / "map-left"
    left.mkdir(parents=True)
    (left / "class.tif").write_bytes(b"part")
    assert run(three, PublishRequest()).nothing_new
    assert list(three.work.iterdir()) == []


def test_a_good_map_logs_no_error_of_the_raster_library(
    three: Settings, add_scene: AddScene, caplog: pytest.LogCaptureFixture
) -> None:
    crown(three)
    season(three, add_scene, [0])
    with caplog.at_level(logging.INFO):
        run(three, PublishRequest())
    assert not [line for line in caplog.messages if "error" in line.lower()]


def test_a_grid_of_no_numbers_is_refused_by_name(three: Settings, add_scene: AddScene) -> None:
    crown(three)
    made = season(three, add_scene, [0, 1, 2])
    bad = [(1, float("nan")), (2, 1e300)]
    for number, value in bad:
        with open_ledger(three).begin() as session:
            scene = session.get_one(Scene, scene_on(three, number).id)
            scene.transform = [value, *(scene.transform or [])[1:]]
    summary = run(three, PublishRequest())
    assert summary.done == {"maps": 1} and len(made) == 3 and not summary.failed
    assert all("is no grid" in summary.skipped[scene_on(three, number).id] for number, _ in bad)
    assert all_maps(three)[0].source == CHAMPION

"""Maps published from stored probabilities: what is written, what a repeat, a kill or a rival changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pystac
import pytest
import rasterio
from pystac.errors import DeprecatedWarning
from rio_cogeo import cog_validate
from sqlalchemy import select

from helpers.crash import crash_everywhere
from helpers.factories import write_mask
from helpers.mapped import (
    CHAMPION,
    all_maps,
    crown,
    day,
    encoded,
    from_nothing,
    likely,
    prove,
    publish_maps,
    reflectance,
    season,
    set_state,
    shortened,
    with_store,
)
from helpers.mapped import scene_on as ready_on
from helpers.racing import race
from seaice_ops.classes.legend import COLOURS
from seaice_ops.errors import ConfigError
from seaice_ops.labels.stage import LabelRequest
from seaice_ops.labels.stage import run as label
from seaice_ops.ledger.session import Ledger, open_ledger
from seaice_ops.ledger.tables import LabelSet, Map, Probabilities, Scene, SceneState
from seaice_ops.mapping.product import release
from seaice_ops.mapping.product.release import FILES
from seaice_ops.mapping.publish import PublishRequest, run
from seaice_ops.mapping.window.strips import LAYERS
from seaice_ops.settings import Settings
from seaice_ops.storage.rasters import Grid, read_raster
from seaice_ops.storage.store import ObjectStore, open_store

AddScene = Callable[..., Scene]


def label_key(settings: Settings, scene: Scene) -> str:
    with open_ledger(settings).begin() as session:
        return session.scalars(select(LabelSet).where(LabelSet.scene_id == scene.id)).one().key


@pytest.fixture
def three(settings: Settings) -> Settings:
    """Settings of windows of three acquisitions, with a champion."""
    crown(settings)
    return shortened(settings, 3)


def pixels(settings: Settings, row: Map) -> np.ndarray:
    store = open_store(settings.store)
    return np.concatenate([read_raster(store, f"{row.folder}/{layer}.tif")[0] for layer in LAYERS])


def rebuilt(made: dict[float, np.ndarray], numbers: list[float], end: float) -> np.ndarray:
    """The map of exactly these acquisitions."""
    return from_nothing([made[d] for d in numbers], [day(d) for d in numbers], day(end))


def revisions(settings: Settings) -> list[tuple[float, int]]:
    return [((row.window_end - day(0)).total_seconds() / 86_400, row.revision) for row in all_maps(settings)]


def test_consecutive_maps_differ_by_one_in_and_one_out_and_equal_a_rebuild(
    three: Settings, add_scene: AddScene
) -> None:
    made = season(three, add_scene, [0, 1, 2, 4, 5, 9], shape=(600, 40))  # more rows than a strip
    summary = run(three, PublishRequest())
    rows = all_maps(three)
    assert summary.done == {"maps": 6} and summary.items == [row.id for row in rows]
    days = sorted(made)
    for index, row in enumerate(rows):
        numbers = days[max(0, index - 2) : index + 1]
        assert row.window_end == day(days[index]) and row.window_start == day(numbers[0])
        assert row.scene_ids == [ready_on(three, d).id for d in numbers]
        np.testing.assert_array_equal(pixels(three, row), rebuilt(made, numbers, days[index]))
    for before, after in pairwise(rows[2:]):
        assert set(before.scene_ids) - set(after.scene_ids) == {before.scene_ids[0]}
        assert set(after.scene_ids) - set(before.scene_ids) == {after.scene_ids[-1]}


def test_a_day_at_a_time_gives_the_bytes_of_a_whole_season(
    three: Settings, add_scene: AddScene, tmp_path: Path
) -> None:
    made = season(three, add_scene, [0, 1, 2, 3])
    run(three, PublishRequest())
    daily = with_store(three, str(tmp_path / "daily"))
    set_aside = [ready_on(three, d).id for d in sorted(made)]
    for scene_id in set_aside:
        set_state(three, scene_id, SceneState.FETCHED)
    with open_ledger(three).begin() as session:
        for row in session.query(Map):
            session.delete(row)
    for key in open_store(three.store).list("probabilities"):
        open_store(daily.store).put(key, open_store(three.store).get(key))
    for scene_id in set_aside:
        set_state(three, scene_id, SceneState.READY)
        assert run(daily, PublishRequest()).done == {"maps": 1}
    whole, parts = open_store(three.store), open_store(daily.store)
    assert list(whole.list("maps")) == list(parts.list("maps")) != []
    assert all(whole.get(key) == parts.get(key) for key in whole.list("maps"))


def test_a_repeated_run_reports_nothing_new(three: Settings, add_scene: AddScene) -> None:
    season(three, add_scene, [0, 1, 2])
    run(three, PublishRequest())
    before = {key: open_store(three.store).get(key) for key in open_store(three.store).list()}
    again = run(three, PublishRequest(tiles=("01CCV",)))
    assert again.nothing_new and again.unchanged["maps"] == 3 and not again.items and not again.skipped
    assert {key: open_store(three.store).get(key) for key in open_store(three.store).list()} == before
    assert not list(three.work.iterdir())


def test_the_files_are_what_readers_expect(three: Settings, add_scene: AddScene) -> None:
    season(three, add_scene, [0, 1.5])
    run(three, PublishRequest())
    row = all_maps(three)[-1]
    folder = Path(three.store) / row.folder
    assert sorted(path.name for path in folder.iterdir()) == sorted([*FILES, "item.json"])
    item = pystac.Item.from_file(str(folder / "item.json"))
    assert item.id == row.id == folder.name and item.properties["seaice:scene_ids"] == row.scene_ids
    assert item.properties["seaice:shares"] == row.statistics["shares"]
    assert item.properties["created"] == "2026-02-03T11:15:29Z"  # when the last acquisition was encoded
    assert set(item.assets) == {*LAYERS, "quicklook"}
    for name, asset in item.get_assets(role="data").items() | item.get_assets(role="metadata").items():
        assert cog_validate(asset.get_absolute_href())[:2] == (True, []), name
    for asset in item.assets.values():
        path = Path(asset.get_absolute_href() or "")
        assert asset.extra_fields["file:size"] == path.stat().st_size
    with rasterio.open(folder / "class.tif") as dataset:
        scene = ready_on(three, 0)
        assert dataset.crs.to_string() == scene.crs and list(dataset.transform)[:6] == scene.transform
    shares = row.statistics["shares"].values()
    assert abs(sum(shares) - 1) < 1e-5 and 0.85 < row.statistics["valid_share"] < 0.95
    assert row.statistics["observed_km2"] == pytest.approx(sum(row.statistics["area_km2"].values()))


def test_a_late_arrival_reissues_exactly_the_windows_that_hold_it(three: Settings, add_scene: AddScene) -> None:
    made = season(three, add_scene, [0, 1, 2, 3, 4, 5])
    run(three, PublishRequest())
    first = {row.window_end: row for row in all_maps(three)}
    items = {row.id: open_store(three.store).get(f"{row.folder}/item.json") for row in first.values()}
    made |= season(three, add_scene, [2.5])
    assert run(three, PublishRequest()).done == {"maps": 3}
    once = [(d, 1) for d in (0, 1, 2)]
    assert revisions(three) == [*once, (2.5, 1), (3, 1), (3, 2), (4, 1), (4, 2), (5, 1)]
    for row in all_maps(three):
        if row.revision == 2:
            old = first[row.window_end]
            item = pystac.Item.from_file(str(Path(three.store) / row.folder / "item.json"))
            link = item.get_single_link("predecessor-version")
            assert row.supersedes == old.id and link and link.get_absolute_href()
            assert pystac.Item.from_file(str(link.get_absolute_href())).id == old.id
            assert open_store(three.store).get(f"{old.folder}/item.json") == items[old.id], "a superseded map stays"
    np.testing.assert_array_equal(pixels(three, all_maps(three)[-2]), rebuilt(made, [2.5, 3, 4], 4))


def test_a_new_baseline_of_a_scene_reissues_the_maps_that_hold_it(three: Settings, add_scene: AddScene) -> None:
    made = season(three, add_scene, [0, 1, 2, 3, 4])
    run(three, PublishRequest())
    set_state(three, ready_on(three, 1).id, SceneState.SUPERSEDED)
    made[1] = likely(24, 40, seed=99)
    encoded(three, add_scene(reflectance(), sensed_at=day(1), baseline="05.12"), made[1])
    assert run(three, PublishRequest()).done == {"maps": 3}
    assert [r for r in revisions(three) if r[1] == 2] == [(1, 2), (2, 2), (3, 2)]
    reissued = [row for row in all_maps(three) if row.revision == 2]
    np.testing.assert_array_equal(pixels(three, reissued[2]), rebuilt(made, [1, 2, 3], 3))


def test_a_withdrawn_scene_is_in_no_newest_map(three: Settings, add_scene: AddScene) -> None:
    season(three, add_scene, [0, 1, 2, 3, 4])
    run(three, PublishRequest())
    gone = ready_on(three, 4).id
    set_state(three, gone, SceneState.WITHDRAWN)
    run(three, PublishRequest())
    newest = {row.window_end: row for row in all_maps(three)}
    assert all(gone not in row.scene_ids for row in newest.values())
    assert newest[day(4)].revision == 2 and newest[day(4)].window_start == day(1)
    assert run(three, PublishRequest()).nothing_new
    ids = [ready_on(three, number).id for number in range(4)]
    for scene_id in ids:
        set_state(three, scene_id, SceneState.WITHDRAWN)
    before = {key: open_store(three.store).get(key) for key in open_store(three.store).list()}
    summary = run(three, PublishRequest())
    assert summary.done == {"withdrawals": 5} and run(three, PublishRequest()).nothing_new
    last = {row.window_end: row for row in all_maps(three)}
    assert [row.scene_ids for row in last.values()] == [[]] * 5
    row = last[day(4)]
    assert (row.revision, row.supersedes) == (3, newest[day(4)].id)
    assert row.statistics["withdrawn"].startswith(f"{ids[1]} was withdrawn: ")
    with pytest.warns(DeprecatedWarning):
        item = pystac.Item.from_file(str(Path(three.store) / row.folder / "item.json"))
    assert item.properties["deprecated"] is True and not item.assets
    assert item.properties["seaice:withdrawn"] == row.statistics["withdrawn"]
    link = item.get_single_link("predecessor-version")
    assert link and pystac.Item.from_file(str(link.get_absolute_href())).id == newest[day(4)].id
    assert all(open_store(three.store).get(key) == data for key, data in before.items()), "what was published stays"
    set_state(three, ids[2], SceneState.READY)
    assert run(three, PublishRequest()).done == {"maps": 3}
    assert {row.window_end: row for row in all_maps(three)}[day(4)].scene_ids == [ids[2]]


def test_a_new_champion_reissues_the_newest_map(three: Settings, add_scene: AddScene) -> None:
    season(three, add_scene, [0, 1, 2, 3])
    run(three, PublishRequest())
    crown(three, "unet-4/ba9876543210")
    waiting = run(three, PublishRequest())
    assert waiting.nothing_new and list(waiting.skipped) == ["01CCV 2026-02-04T20:15:29Z"]
    assert "not yet encoded by unet-4/ba9876543210" in waiting.skipped["01CCV 2026-02-04T20:15:29Z"]
    for number in (1, 2, 3):
        encoded(three, ready_on(three, number), likely(24, 40, seed=50), "unet-4/ba9876543210")
    assert run(three, PublishRequest()).done == {"maps": 1}
    assert [(row.revision, row.source) for row in all_maps(three)][-2:] == [
        (1, CHAMPION),
        (2, "unet-4/ba9876543210"),
    ]


def test_a_window_that_waits_does_not_hold_up_the_others(three: Settings, add_scene: AddScene) -> None:
    made = season(three, add_scene, [0, 1, 2, 4, 5, 6, 7])
    add_scene(reflectance(), sensed_at=day(3))
    summary = run(three, PublishRequest())
    assert summary.done == {"maps": 5} and len(summary.skipped) == 3
    np.testing.assert_array_equal(pixels(three, all_maps(three)[-1]), rebuilt(made, [5, 6, 7], 7))


@pytest.mark.parametrize("damage", ["directory", "pixels"])
def test_unreadable_probabilities_fail_their_maps_alone(three: Settings, add_scene: AddScene, damage: str) -> None:
    made = season(three, add_scene, [0, 1, 2, 3, 4, 5, 6])
    with open_ledger(three).begin() as session:
        row = session.get_one(Probabilities, (ready_on(three, 2).id, CHAMPION))
    path = Path(three.store) / row.key
    data = path.read_bytes()
    path.write_bytes(data[:300] if damage == "directory" else data[:-2000] + bytes(2000))
    summary = run(three, PublishRequest())
    assert summary.done == {"maps": 4} and len(summary.failed) == 3
    assert all(ready_on(three, 2).id in reason for reason in summary.failed.values())
    np.testing.assert_array_equal(pixels(three, all_maps(three)[-1]), rebuilt(made, [4, 5, 6], 6))
    path.unlink()
    missing = run(three, PublishRequest())
    assert len(missing.failed) == 3 and all("does not exist" in reason for reason in missing.failed.values())
    assert not list(three.work.iterdir())


def test_a_scene_on_another_grid_is_skipped_by_name(three: Settings, add_scene: AddScene) -> None:
    season(three, add_scene, [0, 1, 2])
    odd = add_scene(reflectance(30, 40), sensed_at=day(3))
    summary = run(three, PublishRequest())
    assert summary.done == {"maps": 3} and list(summary.skipped) == [odd.id]
    assert "40 x 30" in summary.skipped[odd.id] and "40 x 24" in summary.skipped[odd.id]


def test_a_tile_without_valid_pixels_is_mapped_as_not_observed(three: Settings, add_scene: AddScene) -> None:
    encoded(three, add_scene(reflectance()), np.zeros((3, 24, 40), np.uint8))
    run(three, PublishRequest())
    row = all_maps(three)[0]
    assert {tuple(p) for p in pixels(three, row).reshape(5, -1).T} == {(255, 255, 0, 255, 255)}
    assert row.statistics["valid_share"] == 0 and row.statistics["shares"]["open_water"] is None
    json.loads(open_store(three.store).get(f"{row.folder}/item.json"))


def masked(settings: Settings, name: str, land: np.ndarray) -> Settings:
    """The same settings with a land mask on the grid of the tile's scenes."""
    scene = ready_on(settings, 0)
    grid = Grid(scene.crs, tuple(scene.transform), scene.width, scene.height)
    write_mask(settings.home / f"01CCV.{name}.tif", land, grid)
    scenes = settings.scenes.model_copy(update={"land_mask": f"{{tile}}.{name}.tif"})
    on_land = settings.model_copy(update={"scenes": scenes})
    prove(on_land, CHAMPION)  # other labels: their score is another one
    return on_land


def test_land_is_no_ice_in_any_map_and_another_coast_reissues_the_newest(three: Settings, add_scene: AddScene) -> None:
    made = season(three, add_scene, [0, 1, 2, 4], shape=(600, 40))  # more rows than a strip
    land = np.zeros((600, 40), bool)
    land[500:560, 5:30] = True
    ashore = masked(three, "coast", land)
    assert run(ashore, PublishRequest()).done == {"maps": 4}
    for row in all_maps(ashore):
        numbers = [d for d in made if ready_on(three, d).id in row.scene_ids]
        series, times = [made[d] for d in numbers], [day(d) for d in numbers]
        np.testing.assert_array_equal(pixels(ashore, row), from_nothing(series, times, times[-1], land))
        assert row.statistics["land_km2"] == pytest.approx(60 * 25 * 1e-4, rel=0.01)
        assert row.statistics["valid_share"] == pytest.approx((pixels(ashore, row)[0] < 4).sum() / (~land).sum())
    with rasterio.open(Path(three.store) / row.folder / "class.tif") as dataset:
        assert dataset.colormap(1)[254] == COLOURS[254]
    assert run(ashore, PublishRequest()).nothing_new
    moved = masked(three, "newer", land.T.reshape(600, 40))
    assert run(moved, PublishRequest()).done == {"maps": 1}
    newest = all_maps(moved)[-1]
    assert newest.revision == 2 and newest.supersedes == row.id
    assert run(moved, PublishRequest()).nothing_new


def test_a_land_mask_that_is_not_there_is_a_mistake_and_nothing_is_published(
    three: Settings, add_scene: AddScene
) -> None:
    season(three, add_scene, [0, 1])
    scenes = three.scenes.model_copy(update={"land_mask": "nowhere/{tile}.tif"})
    nowhere = three.model_copy(update={"scenes": scenes})
    prove(nowhere, CHAMPION)
    with pytest.raises(ConfigError, match=r"nowhere/01CCV\.tif"):
        run(nowhere, PublishRequest())
    assert all_maps(three) == [] and not list(open_store(three.store).list("maps"))


def test_labels_make_the_maps_until_a_champion_is_proven_better(settings: Settings, add_scene: AddScene) -> None:
    scene = add_scene(reflectance())
    waiting = run(settings, PublishRequest())
    assert waiting.nothing_new and [why.split(":")[0] for why in waiting.skipped.values()] == ["not yet labelled"]
    assert label(settings, LabelRequest()).items == [scene.id]
    assert run(settings, PublishRequest()).done == {"maps": 1}
    (first,) = all_maps(settings)
    assert first.source == f"labels:colour-{settings.label_version('colour')}"
    named = read_raster(open_store(settings.store), label_key(settings, scene))[0]
    np.testing.assert_array_equal(pixels(settings, first)[0], np.where(named[0] < 4, named[0], 255))
    crown(settings)
    encoded(settings, scene, likely(24, 40, seed=1))
    prove(settings, CHAMPION, score=0.8, labels=0.8)  # no better
    assert run(settings, PublishRequest()).nothing_new
    prove(settings, CHAMPION)
    assert run(settings, PublishRequest()).done == {"maps": 1}
    assert [(row.revision, row.source) for row in all_maps(settings)] == [(1, first.source), (2, CHAMPION)]


def test_a_tile_of_no_region_is_a_mistake(three: Settings) -> None:
    with pytest.raises(ConfigError, match="33XWJ"):
        run(three, PublishRequest(tiles=("33XWJ",)))


def test_two_publishers_at_once_make_one_item_and_one_row(three: Settings, add_scene: AddScene) -> None:
    season(three, add_scene, [0, 1, 2, 3])
    answers = race(publish_maps, [(three,), (three,)])
    assert [a for a in answers if isinstance(a, BaseException)] == []
    assert sum(a["done"].get("maps", 0) for a in answers) == 4 and not any(a["failed"] for a in answers)
    assert revisions(three) == [(0, 1), (1, 1), (2, 1), (3, 1)]
    items = [key for key in open_store(three.store).list("maps") if key.endswith("item.json")]
    assert sorted(items) == sorted(f"{row.folder}/item.json" for row in all_maps(three))


def test_a_rival_with_other_inputs_leaves_nothing_behind(
    three: Settings, add_scene: AddScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run publishes revision 1 of the window, from other scenes, between our look and our row."""
    season(three, add_scene, [0])
    record = release.record

    def late(ledger: Ledger, store: ObjectStore, row: Map) -> str:
        rival = Map(
            id="rival",
            tile=row.tile,
            window_start=day(0),
            window_end=day(0),
            revision=1,
            source=CHAMPION,
            scene_ids=["other"],
            folder="maps/rival",
            statistics={},
            created_at=day(0),
        )
        with ledger.begin() as session:
            session.add(rival)
        return record(ledger, store, row)

    monkeypatch.setattr(release, "record", late)
    summary = run(three, PublishRequest())
    assert summary.nothing_new and "another run published revision 1" in next(iter(summary.skipped.values()))
    assert list(open_store(three.store).list("maps")) == []
    monkeypatch.undo()
    assert run(three, PublishRequest()).done == {"maps": 1}
    assert [(row.revision, row.supersedes) for row in all_maps(three)] == [(1, None), (2, "rival")]


def test_a_published_item_is_never_replaced(three: Settings, add_scene: AddScene) -> None:
    season(three, add_scene, [0])
    run(three, PublishRequest())
    row, store = all_maps(three)[0], open_store(three.store)
    with open_ledger(three).begin() as session:
        session.delete(session.get_one(Map, row.id))
    before = {key: store.get(key) for key in store.list("maps")}
    assert run(three, PublishRequest()).done == {"maps": 1}, "the same bytes were there: only the row was missing"
    assert {key: store.get(key) for key in store.list("maps")} == before
    with open_ledger(three).begin() as session:
        session.delete(session.get_one(Map, row.id))
    store.put(f"{row.folder}/item.json", b"{}")
    store.put(f"{row.folder}/class.tif", b"theirs")
    summary = run(three, PublishRequest())
    assert list(summary.failed) == [row.id] and "published before with different content" in summary.failed[row.id]
    assert store.get(f"{row.folder}/item.json") == b"{}" and store.get(f"{row.folder}/class.tif") == b"theirs"
    assert all_maps(three) == []


def test_withdrawing_a_map_survives_a_kill_at_every_write(three: Settings, add_scene: AddScene) -> None:
    season(three, add_scene, [0])
    run(three, PublishRequest())
    set_state(three, ready_on(three, 0).id, SceneState.WITHDRAWN)
    publish = "from seaice_ops.mapping import publish\npublish.run(settings, publish.PublishRequest())"
    assert crash_everywhere(three, publish) >= 3  # the item, its row, the run's row


def test_publishing_survives_a_kill_at_every_write(three: Settings, add_scene: AddScene) -> None:
    season(three, add_scene, [0, 1])
    boundaries = crash_everywhere(
        three,
        """
        from seaice_ops.mapping import publish
        from seaice_ops.mapping.publish import PublishRequest

        publish.run(settings, PublishRequest())
        """,
    )
    assert boundaries >= 2 * (len(FILES) + 2)


def test_publishing_on_s3(s3_url: str, three: Settings, add_scene: AddScene) -> None:
    remote = with_store(three, s3_url)
    scene = add_scene(reflectance())
    made = likely(24, 40, seed=1)
    encoded(remote, scene, made)
    assert run(remote, PublishRequest()).done == {"maps": 1}
    assert run(remote, PublishRequest()).nothing_new
    row = all_maps(remote)[0]
    np.testing.assert_array_equal(pixels(remote, row), rebuilt({0: made}, [0], 0))
    assert sorted(open_store(remote.store).list("maps")) == sorted(
        f"{row.folder}/{name}" for name in (*FILES, "item.json")
    )

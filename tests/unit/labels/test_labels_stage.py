"""The label stage: what it stores, what it says, and what it does with bad scenes and repeated runs."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from rasterio.windows import Window
from sqlalchemy import select

from seaice_ops.classes import legend
from seaice_ops.errors import ConfigError
from seaice_ops.geo.grid import pixel_metres
from seaice_ops.labels.methods import label_pixels
from seaice_ops.labels.scene import class_shares, label_raster
from seaice_ops.labels.stage import LabelRequest, labelling, run
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import LabelSet, Scene, SceneState
from seaice_ops.pixels import imagery
from seaice_ops.pixels.radiometry import UNOBSERVED, true_colour
from seaice_ops.sensors.sentinel2 import TRUE_COLOUR
from seaice_ops.settings import Settings
from seaice_ops.storage.rasters import Grid, cog_bytes, open_raster
from seaice_ops.storage.store import open_store

DAY = datetime(2026, 2, 1, 20, tzinfo=UTC)


def patches(bands: int = 5, size: int = 600, seed: int = 1) -> np.ndarray:
    """Reflectance of water, thin and thick ice in blocks of 25 pixels, with a no-data corner."""
    blocks = np.random.default_rng(seed).choice([200, 1500, 3300], (size // 25, size // 25))
    values = np.repeat(np.kron(blocks, np.ones((25, 25)))[None], bands, axis=0).astype(np.int16)
    values[:, np.add.outer(np.arange(size), np.arange(size)) < size // 3] = UNOBSERVED
    return values


def label_sets(settings: Settings) -> list[LabelSet]:
    with open_ledger(settings).begin() as session:
        return list(session.scalars(select(LabelSet).order_by(LabelSet.scene_id, LabelSet.method)))


def state(settings: Settings, scene_id: str) -> tuple[str, str | None]:
    with open_ledger(settings).begin() as session:
        scene = session.get_one(Scene, scene_id)
        return scene.state, scene.reason


def test_labels_are_stored_with_legend_tags_and_shares(settings, add_scene):
    values = patches()
    scene = add_scene(values)
    summary = run(settings, LabelRequest())
    assert (summary.done, summary.items, summary.failed) == ({"labels": 1}, [scene.id], {})
    row = label_sets(settings)[0]
    store = open_store(settings.store)
    assert hashlib.sha256(store.get(row.key)).hexdigest() == row.sha256
    assert summary.bytes_out == len(store.get(row.key))
    with open_raster(store, row.key) as dataset:
        codes, tags = dataset.read(1), dataset.tags()
        assert dataset.nodata == 255
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert list(dataset.transform)[:6] == scene.transform
        assert all(dataset.colormap(1)[code] == legend.COLOURS[code] for code in legend.CLASSES)
    assert tags["method"] == "colour"
    assert tags["version"] == row.version == settings.label_version("colour")
    assert tags["scene"] == scene.id
    assert json.loads(tags["parameters"])["thin_max"] == 204
    expected = np.select([values[0] == UNOBSERVED, values[0] == 200, values[0] == 1500], [255, 1, 2], 3)
    assert np.array_equal(codes, expected)
    assert row.shares == class_shares(codes)
    assert sum(row.shares.values()) == pytest.approx(1)
    assert row.shares["no_data"] == pytest.approx((expected == 255).mean())


def test_a_repeated_run_reports_nothing_new(settings, add_scene):
    add_scene(patches())
    run(settings, LabelRequest())
    before = open_store(settings.store).list(), label_sets(settings)[0].created_at
    again = run(settings, LabelRequest())
    assert again.nothing_new
    assert list(open_store(settings.store).list()) == list(before[0])
    assert label_sets(settings)[0].created_at == before[1]


def test_another_method_and_another_version_disturb_nothing(settings, add_scene):
    add_scene(patches())
    run(settings, LabelRequest())
    run(settings, LabelRequest("iqrah2024"))
    stricter = settings.model_copy(update={"labels": settings.labels.model_copy(update={"thin_max": 199})})
    run(stricter, LabelRequest())
    rows = label_sets(settings)
    assert len({row.key for row in rows}) == len(rows) == 3
    assert run(settings, LabelRequest()).nothing_new


def test_a_plain_true_colour_scene_is_labelled_too(settings, add_scene):
    add_scene(patches(bands=3), bands=TRUE_COLOUR)
    assert run(settings, LabelRequest("iqrah2024")).done["labels"] == 1


def test_the_same_scene_gives_the_same_bytes(settings, add_scene):
    scene, store = add_scene(patches()), open_store(settings.store)
    for method in ("colour", "iqrah2024"):
        how = labelling(settings, method)
        assert label_raster(store, scene, how) == label_raster(store, scene, how)


@given(rows=st.integers(17, 299), columns=st.integers(17, 299), method=st.sampled_from(["colour", "iqrah2024"]))
@hypothesis_settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_labels_do_not_depend_on_how_the_scene_was_read(settings, add_scene, rows, columns, method):
    with open_ledger(settings).begin() as session:
        scene = session.scalar(select(Scene))
    scene = scene or add_scene(patches(bands=3, size=300), bands=TRUE_COLOUR)
    whole = np.empty((300, 300, 3), np.uint8)
    with open_raster(open_store(settings.store), scene.key) as dataset:
        for top in range(0, 300, rows):
            for left in range(0, 300, columns):
                window = Window(left, top, min(columns, 300 - left), min(rows, 300 - top))
                part = true_colour(dataset.read(window=window), settings.scenes.ceiling)
                whole[top : top + part.shape[0], left : left + part.shape[1]] = part
        valid = dataset.read(1) != UNOBSERVED
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(imagery, "_ROWS", rows)
        direct, observed, grid = imagery.read_true_colour(open_store(settings.store), scene, settings.scenes.ceiling)
    whole[~valid] = 0
    assert np.array_equal(observed, valid)
    assert np.array_equal(direct, whole)
    assert np.array_equal(
        label_pixels(whole, valid, 10.0, method, settings.labels),
        label_pixels(direct, observed, pixel_metres(grid), method, settings.labels),
    )


def test_a_scene_whose_raster_is_damaged_or_gone_is_fetched_again_and_the_others_go_on(settings, add_scene):
    good, cut, gone = (add_scene(patches(seed=i), sensed_at=DAY + timedelta(days=i)) for i in range(3))
    store = open_store(settings.store)
    store.put(cut.key, store.get(cut.key)[:1500])
    store.delete(gone.key)
    summary = run(settings, LabelRequest())
    assert summary.items == [good.id]
    assert set(summary.failed) == {cut.id, gone.id}
    assert cut.key in summary.failed[cut.id] and "damaged" in summary.failed[cut.id]
    assert gone.key in summary.failed[gone.id]
    for scene in (cut, gone):
        assert state(settings, scene.id) == (SceneState.DISCOVERED, summary.failed[scene.id])
    assert state(settings, good.id) == (SceneState.READY, None)
    assert run(settings, LabelRequest()).nothing_new


def test_a_scene_that_cannot_be_labelled_fails(settings, add_scene):
    scene = add_scene(patches(bands=3), bands=TRUE_COLOUR)
    nowhere = cog_bytes(patches(bands=3), Grid("", (1.0, 0.0, 0.0, 0.0, -1.0, 0.0), 200, 200), nodata=UNOBSERVED)
    with open_ledger(settings).begin() as session:
        session.get_one(Scene, scene.id).sha256 = open_store(settings.store).put(scene.key, nowhere)
    summary = run(settings, LabelRequest())
    assert "no CRS" in summary.failed[scene.id]
    assert state(settings, scene.id) == (SceneState.FAILED, summary.failed[scene.id])


def test_a_scene_of_a_sensor_that_is_not_configured_waits_and_the_others_go_on(settings, add_scene):
    foreign = add_scene(patches(bands=3), bands=("blueish", "greenish", "reddish"))
    ours = add_scene(patches(bands=3), sensed_at=DAY + timedelta(days=1), bands=TRUE_COLOUR)
    summary = run(settings, LabelRequest())
    assert summary.items == [ours.id] and not summary.failed
    assert "blueish" in summary.skipped[foreign.id] and "`sensors`" in summary.skipped[foreign.id]
    assert state(settings, foreign.id)[0] is SceneState.READY


def test_a_scene_without_observed_pixels_is_all_no_data(settings, add_scene):
    add_scene(np.full((3, 64, 64), UNOBSERVED, np.int16), bands=TRUE_COLOUR)
    run(settings, LabelRequest("iqrah2024"))
    assert label_sets(settings)[0].shares == {"open_water": 0, "thin_ice": 0, "thick_ice": 0, "no_data": 1}


def test_scenes_can_be_named(settings, add_scene):
    first, second, third = (add_scene(patches(seed=i), sensed_at=DAY + timedelta(days=i)) for i in range(3))
    with open_ledger(settings).begin() as session:
        session.get_one(Scene, third.id).state = SceneState.SUPERSEDED
    assert run(settings, LabelRequest(scene_ids=(second.id, third.id))).skipped == {third.id: "the scene is superseded"}
    summary = run(settings, LabelRequest(scene_ids=(first.id, second.id)))
    assert (summary.items, summary.unchanged) == ([first.id], {"labels": 1})


@pytest.mark.parametrize(
    ("request_", "words"),
    [(LabelRequest("otsu"), "colour, iqrah2024"), (LabelRequest(scene_ids=("S2X",)), "no scene S2X")],
)
def test_a_wrong_request_says_what_there_is(settings, request_, words):
    with pytest.raises(ConfigError, match=words):
        run(settings, request_)

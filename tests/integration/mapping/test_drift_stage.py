"""The drift stage: each pair of neighbouring acquisitions once, again when its pixels change, gone with its scenes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely
from PIL import Image
from sqlalchemy import select

from helpers.crash import crash_everywhere
from helpers.mapped import day
from seaice_ops.errors import ConfigError
from seaice_ops.labels import stage as labels
from seaice_ops.ledger.scenes import move_scene
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Drift, LabelSet, Scene, SceneState
from seaice_ops.mapping.drift import stage
from seaice_ops.settings import Settings
from seaice_ops.storage.store import open_store

AddScene = Callable[..., Scene]
EAST, SOUTH = 24, -13
HOURS = 2


def bands(step: int, size: int = 512) -> np.ndarray:
    """(5, size, size) reflectance of snow with a pattern that has moved `step` times."""
    rng = np.random.default_rng(5)
    whole = np.sum([cv2.GaussianBlur(rng.normal(size=(800, 800)), (0, 0), s) * s for s in (2, 8)], axis=0)
    top, left = 150 - step * SOUTH, 150 - step * EAST
    image = np.clip(7000 + 900 * whole[top : top + size, left : left + size], 4500, 9500)
    return np.repeat(image.astype(np.int16)[None], 5, axis=0)


def at(step: int) -> datetime:
    return day(0) + timedelta(hours=HOURS * step)


@pytest.fixture
def season(settings: Settings, add_scene: AddScene) -> Settings:
    """Three labelled acquisitions, two hours apart; a fourth four days later."""
    colour = settings.model_copy(update={"labels": settings.labels.model_copy(update={"method": "colour"})})
    for step in range(3):
        add_scene(bands(step), sensed_at=at(step))
    add_scene(bands(0), sensed_at=day(4))
    labels.run(colour, labels.LabelRequest())
    return colour


def rows(settings: Settings) -> list[Drift]:
    with open_ledger(settings).begin() as session:
        return list(session.scalars(select(Drift).order_by(Drift.before_id)))


def test_each_pair_becomes_a_table_that_says_where_the_ice_went(season: Settings) -> None:
    summary = stage.run(season, stage.DriftRequest())
    assert summary.done["drifts"] == 2 and not summary.failed
    store = open_store(season.store)
    for row in rows(season):
        path = store.gdal_path(row.key)
        table = pq.read_table(path)
        assert table.num_rows == row.vectors > 30
        np.testing.assert_allclose(np.median(table["dx"]), EAST * 10, atol=2)
        np.testing.assert_allclose(np.median(table["dy"]), -SOUTH * 10, atol=2)
        speed = np.hypot(EAST, SOUTH) * 10 / (HOURS * 3600)
        np.testing.assert_allclose(row.median_speed, speed, rtol=0.02)
        points = shapely.from_wkb(table["geometry"].to_numpy(zero_copy_only=False))
        assert min(p.x for p in points) >= -180 and all(-90 < p.y < 0 for p in points)
        assert table.schema.field("speed").metadata[b"unit"] == b"m s-1"
        assert table.schema.metadata[b"before"].decode() == row.before_id
        with Image.open(path.replace(".parquet", ".png")) as picture:
            assert picture.size[0] == 512


def test_a_repeated_run_finds_nothing_new(season: Settings) -> None:
    stage.run(season, stage.DriftRequest())
    before = {row.key: open_store(season.store).get(row.key) for row in rows(season)}
    again = stage.run(season, stage.DriftRequest())
    assert again.nothing_new and again.unchanged["drifts"] == 2
    with open_ledger(season).begin() as session:
        for row in session.scalars(select(Drift)):
            session.delete(row)
    stage.run(season, stage.DriftRequest())
    assert {row.key: open_store(season.store).get(row.key) for row in rows(season)} == before


def test_a_withdrawn_acquisition_takes_its_pairs_along_and_its_neighbours_become_one(season: Settings) -> None:
    stage.run(season, stage.DriftRequest())
    middle = rows(season)[0].after_id
    with open_ledger(season).begin() as session:
        move_scene(session, session.get_one(Scene, middle), SceneState.WITHDRAWN, reason="corrupted", caller="test")
    summary = stage.run(season, stage.DriftRequest())
    assert summary.done == {"drifts withdrawn": 2, "drifts": 1}
    (row,) = rows(season)
    assert middle not in (row.before_id, row.after_id) and row.vectors > 20


def test_labels_made_anew_track_their_pairs_anew(season: Settings) -> None:
    stage.run(season, stage.DriftRequest())
    old = [row.key for row in rows(season)]
    with open_ledger(season).begin() as session:
        first = session.scalars(select(LabelSet).order_by(LabelSet.scene_id)).first()
        assert first
        first.sha256 = "f" * 64
    failed = stage.run(season, stage.DriftRequest())
    assert len(failed.failed) == 1 and failed.unchanged["drifts"] == 1
    labels.run(season, labels.LabelRequest())
    assert stage.run(season, stage.DriftRequest()).failed == {}
    assert [row.key for row in rows(season)] == old


def test_a_tile_of_no_region_is_refused(season: Settings) -> None:
    with pytest.raises(ConfigError, match="in no region"):
        stage.run(season, stage.DriftRequest(tiles=("33XWH",)))


def test_a_run_killed_anywhere_ends_as_one_that_was_not(settings: Settings, add_scene: AddScene) -> None:
    for step in range(2):
        add_scene(bands(step, size=320), sensed_at=at(step))
    colour = settings.model_copy(update={"labels": settings.labels.model_copy(update={"method": "colour"})})
    labels.run(colour, labels.LabelRequest())
    boundaries = crash_everywhere(
        colour,
        """
        from seaice_ops.storage.rasters import png_bytes
        from seaice_ops.mapping.drift import stage

        stage.run(settings, stage.DriftRequest())
        """,
    )
    assert boundaries >= 3  # picture, table, row

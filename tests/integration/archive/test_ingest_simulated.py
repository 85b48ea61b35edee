"""The simulated archive goes through search, fetch and decode, day by day, and meets its own truth."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import numpy as np
import rasterio
from sqlalchemy import select

from seaice_ops.archive import fetch, search
from seaice_ops.archive.fetch import FetchRequest
from seaice_ops.archive.search import SearchRequest
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Scene
from seaice_ops.pixels.imagery import read_bands
from seaice_ops.scenes import decode
from seaice_ops.scenes.decode import DecodeRequest
from seaice_ops.sensors.sentinel2 import BANDS
from seaice_ops.simulate import stage as simulate
from seaice_ops.simulate.stage import SimulateRequest, publication_days
from seaice_ops.storage.rasters import Grid
from seaice_ops.storage.store import open_store


def ingest(settings, request: SearchRequest) -> list:
    found = search.run(settings, request)
    ids = tuple(found.items)
    return [found, fetch.run(settings, FetchRequest(ids)), decode.run(settings, DecodeRequest(ids))]


def test_a_season_day_by_day(settings):
    request = SimulateRequest(size=128, acquisitions=16).resolved(settings)
    planned = simulate.plan(request)
    simulate.run(settings, request)
    for day in publication_days(request):
        end = datetime.combine(day, time(), UTC) + timedelta(days=1)
        ingest(settings, SearchRequest("published", end - timedelta(hours=72), end))
    with open_ledger(settings).begin() as session:
        scenes = {scene.id: scene for scene in session.scalars(select(Scene))}
    assert set(scenes) == {product.id for product in planned}
    by_state: dict[str, list[Scene]] = {}
    for scene in scenes.values():
        by_state.setdefault(scene.state.value, []).append(scene)
    assert set(by_state) == {"ready", "failed", "superseded"}
    assert all("were published" in scene.reason for scene in by_state["failed"])
    assert len({scene.identity for scene in by_state["ready"]}) == len(by_state["ready"])
    for scene in by_state["superseded"]:
        assert scenes[scene.superseded_by].baseline > scene.baseline
    store = open_store(settings.store)
    for scene in by_state["ready"]:
        _, valid, grid = read_bands(store, scene, BANDS[:4])  # a B11 pixel at the swath's edge covers less than 20 m
        with rasterio.open(settings.archive_path / "truth" / f"{scene.id}.tif") as truth:
            assert Grid.of(truth) == grid
            np.testing.assert_array_equal(truth.read(1) != 255, valid)
    ever = SearchRequest("sensed", datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
    for summary in ingest(settings, ever):
        assert summary.nothing_new, summary

"""From the archive to labels: withdrawn and published again, damaged in the store, fetched again."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
from sqlalchemy import select

from helpers.factories import BAND_IDS, SENSED, make_product, withdraw
from seaice_ops.archive import fetch, search
from seaice_ops.archive.search import SearchRequest
from seaice_ops.labels import stage as labels
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import LabelSet, Scene, SceneState
from seaice_ops.scenes import decode
from seaice_ops.settings import Settings
from seaice_ops.storage.rasters import read_raster
from seaice_ops.storage.store import open_store

DAY = timedelta(days=1)


def flat(number: int) -> dict[str, np.ndarray]:
    """Digital numbers of a scene of one brightness."""
    return {band: np.full((32 if band == "B11" else 64,) * 2, number, np.uint16) for band in BAND_IDS}


def ingest(settings: Settings, until) -> None:
    for scene_id in search.run(settings, SearchRequest("published", until - DAY, until, catch_up=True)).items:
        fetch.run(settings, fetch.FetchRequest((scene_id,)))
        decode.run(settings, decode.DecodeRequest((scene_id,)))


def only_scene(settings: Settings) -> Scene:
    with open_ledger(settings).begin() as session:
        return session.scalars(select(Scene)).one()


def classes(settings: Settings) -> set[int]:
    with open_ledger(settings).begin() as session:
        row = session.scalars(select(LabelSet)).one()
    return set(np.unique(read_raster(open_store(settings.store), row.key)[0][0]).tolist())


def test_withdrawn_pixels_leave_no_labels_behind(settings: Settings) -> None:
    archive = settings.archive_path
    archive.mkdir(parents=True)
    name = make_product(archive, bands=flat(1100), published=SENSED + timedelta(hours=2))
    ingest(settings, SENSED + DAY)
    labels.run(settings, labels.LabelRequest())
    assert classes(settings) == {1}
    withdraw(archive, name, SENSED + DAY + timedelta(hours=1))
    ingest(settings, SENSED + 2 * DAY)
    assert only_scene(settings).state is SceneState.WITHDRAWN
    for path in sorted(archive.rglob(f"{name}*/**/*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (archive / f"{name}.SAFE").rmdir()
    (archive / f"{name}.json").unlink()
    make_product(archive, bands=flat(9500), published=SENSED + 2 * DAY + timedelta(hours=1))
    ingest(settings, SENSED + 3 * DAY)
    assert labels.run(settings, labels.LabelRequest()).done["labels"] == 1
    assert classes(settings) == {3}


def test_a_damaged_scene_is_fetched_again_and_labelled(settings: Settings) -> None:
    archive = settings.archive_path
    archive.mkdir(parents=True)
    make_product(archive, bands=flat(9500), published=SENSED + timedelta(hours=2))
    ingest(settings, SENSED + DAY)
    scene, store = only_scene(settings), open_store(settings.store)
    whole = store.get(scene.key)
    store.put(scene.key, whole[:-7])
    assert scene.id in labels.run(settings, labels.LabelRequest()).failed
    assert only_scene(settings).state is SceneState.DISCOVERED
    ingest(settings, SENSED + 2 * DAY)
    assert only_scene(settings).state is SceneState.READY and store.get(scene.key) == whole
    assert labels.run(settings, labels.LabelRequest()).done["labels"] == 1
    assert classes(settings) == {3}

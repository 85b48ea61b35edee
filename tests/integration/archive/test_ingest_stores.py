"""A product from the archive to a ready scene, on a folder and on S3: the same bytes under the same key."""

from __future__ import annotations

import hashlib

import numpy as np
from test_ingest_race import ingest

from helpers.factories import make_product, numbers
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.stores import initialise
from seaice_ops.ledger.tables import Scene
from seaice_ops.pixels.imagery import read_bands
from seaice_ops.sensors.sentinel2 import BANDS
from seaice_ops.storage.store import open_store


def test_ready_scene_on_both_stores(stored):
    initialise(stored)
    stored.archive_path.mkdir(parents=True)
    bands = numbers(64)
    name = make_product(stored.archive_path, bands=bands)
    assert ingest(stored) == 1
    with open_ledger(stored).begin() as session:
        scene = session.get(Scene, name)
    store = open_store(stored.store)
    assert list(store.list()) == [f"scenes/01CCV/2026/02/{name}.tif"]
    assert hashlib.sha256(store.get(scene.key)).hexdigest() == scene.sha256
    values, valid, _ = read_bands(store, scene, BANDS[:1])
    np.testing.assert_array_equal(values[0][valid], bands["B02"][valid].clip(max=33767) - 1000.0)

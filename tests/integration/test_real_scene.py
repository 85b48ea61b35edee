"""The real Ross Sea scene: found, fetched, labelled as its authors did, encoded by an imported champion, and mapped."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pystac
import pytest
from PIL import Image

from helpers.mapped import prove
from seaice_ops.archive import fetch, search
from seaice_ops.labels import stage as labels
from seaice_ops.ledger.operations import newest_maps, ready_scenes
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.stores import initialise
from seaice_ops.ledger.tables import LabelSet
from seaice_ops.mapping import encode, publish
from seaice_ops.models import exchange, registry
from seaice_ops.scenes import decode
from seaice_ops.settings import Settings
from seaice_ops.simulate import stage as simulate
from seaice_ops.storage.rasters import read_raster
from seaice_ops.storage.store import open_store
from seaice_ops.training import stage as training

EVER = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
#: Red thick, blue thin, green water: the authors' colours, and our codes for them.
COLOURS = {(255, 0, 0): 3, (0, 0, 255): 2, (0, 255, 0): 1}


def settings_of(home: Path, **values: object) -> Settings:
    shared = {"regions": {"real": {"title": "Ross Sea", "tiles": ["01CCV"]}}, "scenes": {"ceiling": 0.9}}
    settings = Settings.model_validate({"home": home, **shared, **values})
    initialise(settings)
    return settings


def ingest_and_label(settings: Settings) -> None:
    found = tuple(search.run(settings, search.SearchRequest("sensed", *EVER)).items)
    fetch.run(settings, fetch.FetchRequest(found))
    decode.run(settings, decode.DecodeRequest(found))
    labels.run(settings, labels.LabelRequest())


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """A small model, trained on a simulated season elsewhere, and exported."""
    tiny = {"width": 2, "epochs": 2, "chip": 64, "min_scenes": 3}
    elsewhere = settings_of(tmp_path / "elsewhere", training=tiny, reference="archive/truth")
    simulate.run(elsewhere, simulate.SimulateRequest(size=128, acquisitions=5))
    ingest_and_label(elsewhere)
    (model_id,) = training.run(elsewhere, training.TrainRequest()).items
    return exchange.export_model(open_ledger(elsewhere), open_store(elsewhere.store), model_id, tmp_path / "exported")


def test_the_real_scene_becomes_a_map(tmp_path: Path, outside_data: Path, exported: Path) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    shutil.copy(outside_data / "ross_sea_s2" / "ross_B_rgb.png", archive)
    sidecar = {
        "kind": "scene", "image": "ross_B_rgb.png", "tile": "01CCV", "sensed": "2019-11-04T18:15:00Z",
        "platform": "S2A", "crs": "EPSG:32701", "transform": [43.5, 0, 300000, 0, -43.5, 2000020], "nodata": None,
    }  # fmt: skip
    (archive / "ross_B.json").write_text(json.dumps(sidecar))
    settings = settings_of(tmp_path / "home", archive={"path": str(archive)})

    ingest_and_label(settings)
    ledger = open_ledger(settings)
    champion = exchange.import_model(ledger, open_store(settings.store), exported)
    registry.promote(ledger, champion, "imported")
    prove(settings, champion)
    assert encode.run(settings, encode.EncodeRequest()).done["probabilities"] == 1
    assert publish.run(settings, publish.PublishRequest()).done["maps"] == 1

    store = open_store(settings.store)
    with open_ledger(settings).begin() as session:
        (scene,) = ready_scenes(session)
        label_set = session.get_one(LabelSet, (scene.id, "colour", settings.label_version("colour")))
        (row,) = newest_maps(session, "01CCV").values()
    codes = read_raster(store, label_set.key)[0][0]
    theirs = np.asarray(Image.open(outside_data / "ross_sea_s2" / "ross_B_author_autolabel_rgb.png").convert("RGB"))
    equal = judged = 0
    for colour, code in COLOURS.items():
        pure = (np.abs(theirs.astype(int) - colour) <= 32).all(-1) & (codes != 255)  # the authors call no-data water
        judged += pure.sum()
        equal += (codes[pure] == code).sum()
    assert judged > 0.7 * codes.size
    assert equal / judged >= 0.999
    classes, grid = read_raster(store, f"{row.folder}/class.tif")
    assert (grid.width, grid.height, grid.crs) == (506, 506, "EPSG:32701")
    assert set(np.unique(classes)) <= {1, 2, 3, 255}
    item = pystac.Item.from_dict(json.loads(store.get(f"{row.folder}/item.json")))
    assert item.properties["start_datetime"] == item.properties["end_datetime"] == "2019-11-04T18:15:00Z"

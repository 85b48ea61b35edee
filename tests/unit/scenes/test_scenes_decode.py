"""Decoding products: the COG pixel by pixel against slow arithmetic, the ledger row, and everything that goes wrong."""

from __future__ import annotations

import hashlib
import shutil
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window
from sqlalchemy import select

from helpers.factories import SENSED, band_path, make_product, numbers, product_xml, tile_xml, write_entry, write_jp2
from seaice_ops.archive import fetch, search
from seaice_ops.archive.fetch import FetchRequest
from seaice_ops.archive.search import SearchRequest
from seaice_ops.errors import ConfigError, CorruptProduct, TransientError
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Scene, SceneState
from seaice_ops.pixels.imagery import read_bands
from seaice_ops.pixels.radiometry import UNOBSERVED
from seaice_ops.scenes import decode
from seaice_ops.scenes.decode import DecodeRequest
from seaice_ops.scenes.source import open_image, read_rows
from seaice_ops.sensors.sentinel2 import BANDS
from seaice_ops.storage.store import open_store

EVER = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


@pytest.fixture
def archive(settings):
    settings.archive_path.mkdir(parents=True)
    return settings.archive_path


def fetched(settings) -> tuple[str, ...]:
    ids = tuple(search.run(settings, SearchRequest("sensed", *EVER)).items)
    fetch.run(settings, FetchRequest(ids))
    return ids


def ingest(settings):
    return decode.run(settings, DecodeRequest(fetched(settings)))


def scenes(settings) -> dict[str, Scene]:
    with open_ledger(settings).begin() as session:
        return {scene.id: scene for scene in session.scalars(select(Scene))}


def expected(bands: dict[str, np.ndarray], offset: int) -> np.ndarray:
    out = np.empty((5, *bands["B02"].shape), np.int64)
    for index, band in enumerate(BANDS):
        values = bands[band].astype(np.int64)
        if band == "B11":
            values = np.kron(values, np.ones((2, 2), np.int64))
        out[index] = np.where(values == 0, UNOBSERVED, np.clip(values + offset, UNOBSERVED + 1, 32767))
    return out


@pytest.mark.parametrize(("baseline", "offset"), [("0511", -1000), ("0301", None)])
def test_every_pixel(settings, archive, baseline, offset):
    bands = numbers(64)
    bands["B03"][40, 7] = 0  # not observed in one band only
    bands["B08"][40, 8] = 400  # darker than the offset: negative reflectance is kept
    name = make_product(archive, bands=bands, baseline=baseline, offset=offset)
    summary = ingest(settings)
    assert dict(summary.done) == {"scenes": 1}
    scene = scenes(settings)[name]
    values, valid, grid = read_bands(open_store(settings.store), scene)
    truth = expected(bands, offset or 0)
    np.testing.assert_array_equal(values, truth)
    np.testing.assert_array_equal(valid, (truth != UNOBSERVED).all(axis=0))
    assert values[3, 40, 8] == 400 + (offset or 0)
    assert (values[1, 40, 7], valid[40, 7]) == (UNOBSERVED, False)
    assert scene.valid_share == valid.mean()
    assert (grid.crs, grid.transform) == ("EPSG:32701", (10.0, 0.0, 300000.0, 0.0, -10.0, 2000020.0))


def test_ready_row_and_object(settings, archive):
    name = make_product(archive, sun_zenith=71.25)
    summary = ingest(settings)
    scene = scenes(settings)[name]
    data = open_store(settings.store).get(scene.key)
    assert scene.key == f"scenes/01CCV/2026/02/{name}.tif"
    assert (scene.sha256, scene.bytes) == (hashlib.sha256(data).hexdigest(), len(data))
    assert summary.bytes_out == len(data)
    assert (scene.state, scene.reason, scene.attempts) == (SceneState.READY, None, 0)
    assert (scene.crs, scene.width, scene.height, scene.sun_zenith) == ("EPSG:32701", 64, 64, 71.25)
    assert scene.bands == list(BANDS)
    assert scene.details["offsets"]["B11"] == -1000
    assert not settings.inbox(name).exists()


def test_cog_says_what_it_is(settings, archive):
    name = make_product(archive)
    ingest(settings)
    with rasterio.open(settings.home / "objects" / scenes(settings)[name].key) as dataset:
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert dataset.tags(ns="IMAGE_STRUCTURE")["COMPRESSION"] == "ZSTD"
        assert (dataset.dtypes, dataset.nodata, dataset.descriptions) == (("int16",) * 5, UNOBSERVED, BANDS)
        tags = dataset.tags()
    assert tags["SCENE_ID"] == name
    assert tags["SENSED"] == "2026-02-01T20:15:29+00:00"
    assert tags["OFFSETS"] == "B02=-1000 B03=-1000 B04=-1000 B08=-1000 B11=-1000"
    assert tags["RESAMPLING"].startswith("B11 from 20 m to 10 m by nearest")
    assert (tags["TRUE_COLOUR_CEILING"], tags["QUANTIFICATION"]) == ("0.3558", "10000")


def test_larger_than_a_block_and_a_strip(settings, archive):
    edge = 1100
    bands = {b: np.kron(numbers(44)[b], np.ones((25, 25), np.uint16)) for b in BANDS}
    assert bands["B02"].shape == (edge, edge)
    name = make_product(archive, bands=bands)
    ingest(settings)
    values, _, _ = read_bands(open_store(settings.store), scenes(settings)[name])
    np.testing.assert_array_equal(values, expected(bands, -1000))


def test_same_input_same_bytes(settings, archive):
    name = make_product(archive)
    ids = fetched(settings)
    decode.run(settings, DecodeRequest(ids))
    first = scenes(settings)[name].sha256
    with open_ledger(settings).begin() as session:
        session.get(Scene, name).state = SceneState.DISCOVERED
    fetch.run(settings, FetchRequest(ids))
    decode.run(settings, DecodeRequest(ids))
    assert scenes(settings)[name].sha256 == first


def test_repeated_run_reports_nothing_new(settings, archive):
    make_product(archive)
    ids = fetched(settings)
    decode.run(settings, DecodeRequest(ids))
    again = decode.run(settings, DecodeRequest(ids))
    assert again.nothing_new
    assert again.unchanged["scenes"] == 1


def test_newer_version_supersedes_the_ready_one(settings, archive):
    old = make_product(archive, baseline="0301", offset=None)
    ingest(settings)
    new = make_product(archive, baseline="0511")
    assert dict(ingest(settings).done) == {"scenes": 1, "superseded": 1}
    rows = scenes(settings)
    assert (rows[old].state, rows[old].superseded_by) == (SceneState.SUPERSEDED, new)
    assert rows[new].state is SceneState.READY


def test_older_version_decoded_late_does_not_replace_the_newer(settings, archive):
    old = make_product(archive, baseline="0301", offset=None)
    fetched(settings)
    new = make_product(archive, baseline="0511")
    search.run(settings, SearchRequest("sensed", *EVER))
    with open_ledger(settings).begin() as session:  # as if the old one's decode had begun before that search
        session.get(Scene, old).state = SceneState.FETCHED
        session.get(Scene, new).state = SceneState.READY
    assert dict(decode.run(settings, DecodeRequest((old,))).done) == {"superseded": 1}
    rows = scenes(settings)
    assert (rows[old].state, rows[old].superseded_by, rows[new].state) == (SceneState.SUPERSEDED, new, SceneState.READY)


# ---- what goes wrong


def failure(settings, name: str) -> str:
    """Ingest a broken product beside a sound one: its reason, after checking that it did no other harm."""
    good = make_product(settings.archive_path, sensed=SENSED + timedelta(days=3))
    summary = ingest(settings)
    rows = scenes(settings)
    assert (rows[good].state, dict(summary.done)) == (SceneState.READY, {"scenes": 1})
    reason = summary.failed.get(name) or summary.skipped[name]
    assert (rows[name].state, rows[name].reason, rows[name].attempts) == (SceneState.FAILED, reason, 1)
    assert rows[name].key is None
    assert not settings.inbox(name).exists()
    assert not open_store(settings.store).exists(f"scenes/01CCV/2026/02/{name}.tif")
    assert search.run(settings, SearchRequest("sensed", *EVER)).nothing_new
    return reason


def republish(archive, name):
    write_entry(archive, name, SENSED)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_truncated_jp2(settings, archive, share):
    name = make_product(archive, entry=False)
    path = band_path(archive, name, "B03")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    reason = failure(settings, name)
    assert path.name in reason and "cannot be decoded" in reason


def test_something_else_in_place_of_a_jp2(settings, archive):
    name = make_product(archive)
    band_path(archive, name, "B11").write_text("<html>service unavailable</html>")
    republish(archive, name)
    assert "_B11.jp2 cannot be decoded" in failure(settings, name)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_description_of_files_elsewhere_in_place_of_a_jp2(settings, archive, tmp_path):
    bands = {b: np.full((8, 8) if b != "B11" else (4, 4), 2000, np.uint16) for b in BANDS}
    name = make_product(archive, bands=bands)
    treasure, path = tmp_path / "treasure.jp2", band_path(archive, name, "B08")
    path.replace(treasure)
    source = f'<SimpleSource><SourceFilename relativeToVRT="0">{treasure}</SourceFilename></SimpleSource>'
    band = f'<VRTRasterBand dataType="UInt16" band="1">{source}</VRTRasterBand>'
    path.write_text(f'<VRTDataset rasterXSize="8" rasterYSize="8">{band}</VRTDataset>')
    assert rasterio.open(path).read(1).max() == 2000
    republish(archive, name)
    assert f"{path.name} cannot be decoded" in failure(settings, name)


@pytest.mark.parametrize("file", ["MTD_MSIL1C.xml", "MTD_TL.xml"])
def test_xml_that_is_not_xml(settings, archive, file):
    name = make_product(archive)
    next((archive / f"{name}.SAFE").rglob(file)).write_text("503 Service Unavailable")
    republish(archive, name)
    assert f"{file} is not XML" in failure(settings, name)


def test_metadata_of_another_product(settings, archive):
    name = make_product(archive)
    next((archive / f"{name}.SAFE").rglob("MTD_TL.xml")).write_text(tile_xml("60CWS", SENSED, 64, 62.5))
    republish(archive, name)
    assert "metadata are of S2B over 60CWS" in failure(settings, name)


def test_metadata_of_another_time(settings, archive):
    name = make_product(archive)
    wrong = product_xml(name, SENSED + timedelta(days=1), -1000)
    (archive / f"{name}.SAFE" / "MTD_MSIL1C.xml").write_text(wrong)
    republish(archive, name)
    assert "the product's name says S2B over 01CCV at 2026-02-01T20:15:29Z" in failure(settings, name)


def test_band_of_another_size(settings, archive):
    name = make_product(archive)
    path = band_path(archive, name, "B04")
    write_jp2(path, np.ones((32, 64), np.uint16), 10)
    republish(archive, name)
    assert "_B04.jp2 has 64 x 32 pixels, its metadata say 64 x 64" in failure(settings, name)


def test_band_at_another_place(settings, archive):
    name = make_product(archive)
    write_jp2(band_path(archive, name, "B04"), np.ones((64, 64), np.uint16), 11)
    republish(archive, name)
    assert "_B04.jp2 lies at" in failure(settings, name)


def test_band_of_another_type(settings, archive):
    name = make_product(archive)
    write_jp2(band_path(archive, name, "B04"), np.ones((64, 64), np.uint8), 10)
    republish(archive, name)
    assert "holds 1 bands of uint8" in failure(settings, name)


def test_grids_that_do_not_fit_each_other(settings, archive):
    name = make_product(archive)
    path = next((archive / f"{name}.SAFE").rglob("MTD_TL.xml"))
    path.write_text(path.read_text().replace("<NCOLS>32<", "<NCOLS>31<"))
    republish(archive, name)
    assert "do not fit each other" in failure(settings, name)


def test_nothing_observed_is_a_skip_with_its_reason(settings, archive):
    bands = numbers(64)
    bands["B08"][:] = 0
    assert failure(settings, make_product(archive, bands=bands)).startswith("no data")


def test_polar_night_is_a_skip_with_its_reason(settings, archive):
    assert (
        failure(settings, make_product(archive, sun_zenith=91.3)) == "night: the sun stood 91.3 degrees from the zenith"
    )


def test_failed_newest_version_gives_way_to_the_older_one(settings, archive):
    old = make_product(archive, baseline="0301", offset=None)
    new = make_product(archive, baseline="0511", entry=False)
    path = band_path(archive, new, "B02")
    path.write_bytes(path.read_bytes()[:-100])
    assert new in ingest(settings).failed
    assert dict(ingest(settings).done) == {"scenes": 1}
    assert {name: row.state.value for name, row in scenes(settings).items()} == {old: "ready", new: "failed"}


def test_lost_inbox_is_fetched_again(settings, archive):
    name = make_product(archive)
    ids = fetched(settings)
    shutil.rmtree(settings.inbox(name))
    with pytest.raises(TransientError, match=rf"is gone; {name} is to be fetched again"):
        decode.run(settings, DecodeRequest(ids))
    assert scenes(settings)[name].state is SceneState.DISCOVERED
    assert dict(ingest(settings).done) == {"scenes": 1}


def test_objects_that_cannot_be_written(settings, archive):
    name = make_product(archive)
    ids = fetched(settings)
    (settings.home / "objects").rename(settings.home / "aside")
    (settings.home / "objects").write_text("a file where the folder should be")
    with pytest.raises(ConfigError, match="objects"):
        decode.run(settings, DecodeRequest(ids))
    assert scenes(settings)[name].state is SceneState.FETCHED
    (settings.home / "objects").unlink()
    (settings.home / "aside").rename(settings.home / "objects")
    assert dict(decode.run(settings, DecodeRequest(ids)).done) == {"scenes": 1}


def test_not_fetched_and_unknown_scenes(settings, archive):
    name = make_product(archive)
    search.run(settings, SearchRequest("sensed", *EVER))
    assert decode.run(settings, DecodeRequest((name,))).skipped == {name: "not fetched yet"}
    with pytest.raises(ConfigError, match="knows no scene nobody"):
        decode.run(settings, DecodeRequest(("nobody",)))


def test_every_truncation_of_a_real_jp2_is_seen(outside_data, tmp_path):
    path = next((outside_data / "s2_metadata").glob("*.jp2"))
    data, cut = path.read_bytes(), tmp_path / "cut.jp2"
    with open_image(path) as dataset:
        rows = dataset.height
        whole = read_rows(path, dataset, 1, 0, rows)
        np.testing.assert_array_equal(whole, dataset.read(1, window=Window(0, 0, dataset.width, rows)))
    for length in (100, len(data) // 3, len(data) - 20_000, len(data) - 1):
        cut.write_bytes(data[:length])
        with pytest.raises(CorruptProduct, match=str(cut)), open_image(cut) as dataset:
            read_rows(cut, dataset, 1, 0, rows)

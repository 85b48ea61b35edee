"""Plain true-colour scenes, among them the real Ross Sea one, from the archive to exactly their original colours."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.transform import Affine

from helpers.factories import ORIGIN, make_plain, write_sidecar
from seaice_ops.archive import fetch, search
from seaice_ops.archive.fetch import FetchRequest
from seaice_ops.archive.search import SearchRequest
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Scene, SceneState
from seaice_ops.pixels.imagery import read_true_colour
from seaice_ops.pixels.picture import black_border
from seaice_ops.scenes import decode
from seaice_ops.scenes.decode import DecodeRequest
from seaice_ops.storage.store import open_store

CEILING = 0.3558
EVER = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


@pytest.fixture
def archive(settings):
    settings.archive_path.mkdir(parents=True)
    return settings.archive_path


def ingest(settings):
    ids = tuple(search.run(settings, SearchRequest("sensed", *EVER)).items)
    fetch.run(settings, FetchRequest(ids))
    return decode.run(settings, DecodeRequest(ids))


def ready(settings, scene_id) -> Scene:
    with open_ledger(settings).begin() as session:
        scene = session.get(Scene, scene_id)
    assert scene.state is SceneState.READY, scene.reason
    return scene


def colours(settings, scene_id, ceiling=CEILING):
    rgb, valid, _ = read_true_colour(open_store(settings.store), ready(settings, scene_id), ceiling)
    return rgb, valid


def write_tiff(path, rgb, *, pixel=43.5, crs="EPSG:32701", mask=None, **options):
    profile = {
        "driver": "GTiff",
        "count": rgb.shape[2],
        "dtype": rgb.dtype,
        "height": rgb.shape[0],
        "width": rgb.shape[1],
        "crs": crs,
        "transform": Affine(pixel, 0, ORIGIN[0], 0, -pixel, ORIGIN[1]),
        "photometric": "RGB",
        **options,
    }
    with rasterio.open(path, "w", **profile) as target:
        target.write(rgb.transpose(2, 0, 1))
        if mask is not None:
            target.write_mask(mask)


EVERY_VALUE = np.stack(
    [np.arange(256), np.arange(256)[::-1], np.roll(np.arange(256), 77)], axis=-1, dtype=np.uint8, casting="unsafe"
).reshape(16, 16, 3)


@pytest.mark.parametrize("ceiling", [CEILING, 0.2])
def test_all_256_values_come_back(settings, archive, ceiling):
    make_plain(archive, "every", EVERY_VALUE, ceiling=ceiling)
    ingest(settings)
    rgb, valid = colours(settings, "every", ceiling)
    np.testing.assert_array_equal(rgb, EVERY_VALUE)
    assert valid.all()


def test_the_real_ross_sea_scene(settings, archive, outside_data):
    original = np.asarray(Image.open(outside_data / "ross_sea_s2" / "ross_B_rgb.png").convert("RGB"))
    assert original.shape == (506, 506, 3)
    make_plain(archive, "ross_B", original, sensed="2019-11-04T18:15:00Z", sun_zenith=66.0, nodata=None)
    assert dict(ingest(settings).done) == {"scenes": 1}
    rgb, valid = colours(settings, "ross_B")
    np.testing.assert_array_equal(rgb, original)
    corner = black_border(original)  # its sidecar and file say nothing of no-data
    assert corner.sum() == 3709
    np.testing.assert_array_equal(valid, ~corner)
    scene = ready(settings, "ross_B")
    assert scene.bands == ["B04", "B03", "B02"]
    assert (scene.crs, scene.transform, scene.width) == ("EPSG:32701", [43.5, 0, ORIGIN[0], 0, -43.5, ORIGIN[1]], 506)
    assert (scene.valid_share, scene.sun_zenith, scene.details["ceiling"]) == (1 - 3709 / 506**2, 66.0, CEILING)
    assert scene.key == "scenes/01CCV/2019/11/ross_B.tif"
    assert not settings.inbox("ross_B").exists()


def test_the_real_file_itself_goes_through(settings, archive, outside_data):
    source = outside_data / "ross_sea_s2" / "ross_B_rgb.png"
    (archive / source.name).write_bytes(source.read_bytes())
    write_sidecar(archive, "ross", image=source.name)
    assert dict(ingest(settings).done) == {"scenes": 1}
    np.testing.assert_array_equal(colours(settings, "ross")[0], np.asarray(Image.open(source).convert("RGB")))


def test_nodata_is_all_three_channels_equal(settings, archive):
    rgb = EVERY_VALUE.copy()
    rgb[0, :3] = [[0, 0, 0], [0, 0, 5], [0, 0, 0]]
    make_plain(archive, "wedge", rgb, nodata=0)
    ingest(settings)
    out, valid = colours(settings, "wedge")
    assert np.argwhere(~valid).tolist() == [[0, 0], [0, 2]]
    np.testing.assert_array_equal(out, rgb)  # zero where nothing was observed, and zero is what nodata was
    assert ready(settings, "wedge").valid_share == 254 / 256


@pytest.mark.parametrize(("said", "observed"), [({"nodata": None}, 0.96), ({"nodata": 255}, 1.0)])
def test_a_black_border_is_no_data_only_where_nothing_is_said(settings, archive, said, observed):
    rgb = np.full((200, 200, 3), 90, np.uint8)
    rgb[:40, :40] = 0
    rgb[100:150, 100:150] = 0  # dark water inside
    make_plain(archive, "ross", rgb, **said)
    ingest(settings)
    assert ready(settings, "ross").valid_share == observed
    np.testing.assert_array_equal(colours(settings, "ross")[0], rgb)


def test_alpha_of_a_png(settings, archive):
    alpha = np.full((16, 16, 1), 255, np.uint8)
    alpha[3:5] = 0
    make_plain(archive, "clear", np.concatenate([EVERY_VALUE, alpha], axis=-1))
    ingest(settings)
    assert (colours(settings, "clear")[1] == (alpha[..., 0] > 0)).all()


@pytest.mark.parametrize("kind", ["alpha", "mask", "nodata"])
def test_geotiff_alpha_mask_and_nodata_are_honoured(settings, archive, kind):
    observed = np.ones((16, 16), bool)
    observed[5:9, 2:4] = False
    rgb = np.maximum(EVERY_VALUE, 1)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        if kind == "alpha":
            alpha = np.where(observed, 255, 0).astype(np.uint8)[..., None]
            write_tiff(archive / "ross.tif", np.concatenate([rgb, alpha], -1), alpha="YES")
        elif kind == "mask":
            write_tiff(archive / "ross.tif", rgb, mask=observed)
        else:
            write_tiff(archive / "ross.tif", np.where(observed[..., None], rgb, 0).astype(np.uint8), nodata=0)
    write_sidecar(archive, "ross", image="ross.tif")
    ingest(settings)
    out, valid = colours(settings, "ross")
    np.testing.assert_array_equal(valid, observed)
    np.testing.assert_array_equal(out[observed], rgb[observed])


def refused(settings, scene_id="ross") -> str:
    make_plain(settings.archive_path, "good", EVERY_VALUE, sensed="2026-03-01T00:00:00Z")
    summary = ingest(settings)
    assert dict(summary.done) == {"scenes": 1}
    return summary.failed[scene_id]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"pixel": 40.0}, "ross.tif lies at (40.0"),
        ({"crs": "EPSG:32702"}, "ross.tif is in EPSG:32702, its metadata say EPSG:32701"),
    ],
)
def test_geotiff_that_lies_elsewhere_than_its_sidecar_says(settings, archive, options, words):
    write_tiff(archive / "ross.tif", EVERY_VALUE, **options)
    write_sidecar(archive, "ross", image="ross.tif")
    assert words in refused(settings)


def test_sixteen_bit_colours_are_refused(settings, archive):
    write_tiff(archive / "ross.tif", EVERY_VALUE.astype(np.uint16))
    write_sidecar(archive, "ross", image="ross.tif")
    assert "three 8-bit colours are needed" in refused(settings)


def test_grey_png_is_refused(settings, archive):
    make_plain(archive, "ross", EVERY_VALUE[..., 0])
    assert "three 8-bit colours are needed" in refused(settings)


def test_four_bands_without_alpha_are_refused(settings, archive):
    write_tiff(archive / "ross.tif", np.concatenate([EVERY_VALUE, EVERY_VALUE[..., :1]], -1), alpha="NO")
    write_sidecar(archive, "ross", image="ross.tif")
    assert "a fourth band that is not alpha" in refused(settings)


@pytest.mark.parametrize("missing", [30, 100, 400])
def test_truncated_png(settings, archive, missing):
    make_plain(archive, "ross", np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8))
    path = archive / "ross.png"
    path.write_bytes(path.read_bytes()[: -12 - missing])  # 12: the chunk that says only that it is the last
    assert f"{settings.inbox('ross')}/ross.png cannot be decoded" in refused(settings)


def test_wrong_sha256(settings, archive):
    make_plain(archive, "ross", EVERY_VALUE, sha256="0" * 64)
    make_plain(archive, "good", EVERY_VALUE, sensed="2026-03-01T00:00:00Z")
    ids = tuple(search.run(settings, SearchRequest("sensed", *EVER)).items)
    summary = fetch.run(settings, FetchRequest(ids))
    assert "ross.png" in summary.failed["ross"] and "sha256 is" in summary.failed["ross"]
    assert dict(summary.done) == {"scenes": 1}


def test_two_plain_scenes_of_one_acquisition_the_later_published_wins(settings, archive):
    make_plain(archive, "first", EVERY_VALUE, published="2026-02-02T00:00:00Z")
    make_plain(archive, "second", EVERY_VALUE, published="2026-02-03T00:00:00Z")
    assert dict(ingest(settings).done) == {"scenes": 1}
    ready(settings, "second")

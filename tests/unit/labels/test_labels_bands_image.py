"""`seaice label-image` of rasters of reflectance and of Sentinel-2 products: the labels of a scene of such pixels."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine
from typer.testing import CliRunner

from helpers.factories import band_path, make_product, numbers
from seaice_ops.cli import app
from seaice_ops.errors import ConfigError, CorruptProduct
from seaice_ops.labels.bands_image import has_bands, label_bands, stored
from seaice_ops.labels.published.colour import colour
from seaice_ops.labels.reflectance.label import reflectance
from seaice_ops.pixels.radiometry import UNOBSERVED, true_colour
from seaice_ops.scenes.sentinel2.product import open_safe
from seaice_ops.sensors.sentinel2 import BANDS

FOUR = [BANDS.index(band) for band in ("B02", "B04", "B08", "B11")]


def scene(size: int = 80, seed: int = 3) -> np.ndarray:
    """(5, rows, columns) int16 reflectance x 10000 of snow, water and a wedge that was not observed."""
    rng = np.random.default_rng(seed)
    snow, water = np.array([9000, 8900, 8700, 8000, 400]), np.array([1100, 800, 500, 250, 50])
    rows, columns = np.mgrid[:size, :size] / size
    values = np.where(columns < 0.5, snow[:, None, None], water[:, None, None]) + rng.integers(0, 50, (5, size, size))
    values[:, rows + columns < 0.3] = UNOBSERVED
    return values.astype(np.int16)


def save(path, values, names=BANDS, **profile):
    tags, scales, offsets = (profile.pop(key, None) for key in ("tags", "scales", "offsets"))
    profile = {"nodata": UNOBSERVED, "crs": "EPSG:32701", "transform": Affine(10, 0, 4e5, 0, -10, 16e5)} | profile
    count, height, width = values.shape
    with rasterio.open(path, "w", "GTiff", width, height, count, dtype=values.dtype, **profile) as target:
        target.descriptions = names
        target.update_tags(**(tags or {}))
        if scales:
            target.scales, target.offsets = scales, offsets
        target.write(values)
    return path


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read(), dataset.descriptions


def test_a_raster_gets_the_labels_that_a_scene_of_it_gets(tmp_path):
    values = scene()
    expected = reflectance(values[FOUR], 62.0)
    source = save(tmp_path / "in.tif", values[::-1], BANDS[::-1], tags={"REFLECTANCE_SCALE": "0.0001"})
    done = label_bands(source, tmp_path / "out.tif", sun_zenith=62.0, preview=True)
    bands, names = read(tmp_path / "out.tif")
    for band, wanted in zip(bands, (expected.classes, expected.confidence, expected.reasons), strict=True):
        assert np.array_equal(band, wanted)
    assert names[:2] == ("class", "confidence")
    assert (done.sun_zenith, round(done.pixel_m), done.preview) == (62.0, 10, tmp_path / "out.png")
    assert {1, 3, 255} <= set(np.unique(bands[0]))


@pytest.mark.parametrize(
    ("kind", "options"),
    [("own", {}), ("options", {"scale": 0.0001, "offset": -0.1}), ("float", {}), ("tag of the sun", {})],
)
def test_scale_offset_and_sun_come_from_the_file_or_the_options(tmp_path, kind, options):
    values = scene()
    hidden = values == UNOBSERVED
    counts = np.where(hidden, 0, values + 1000).astype(np.uint16)
    if kind == "own":
        save(tmp_path / "in.tif", counts, nodata=0, scales=(0.0001,) * 5, offsets=(-0.1,) * 5)
    elif kind == "options":
        save(tmp_path / "in.tif", counts, nodata=0)
    else:
        numbers = np.where(hidden, np.nan, values / 10_000).astype(np.float32)
        save(tmp_path / "in.tif", numbers, nodata=None, tags={"SUN_ZENITH": "62"} if kind != "float" else {})
    sun = {} if kind == "tag of the sun" else {"sun_zenith": 62.0}
    label_bands(tmp_path / "in.tif", tmp_path / "out.tif", **options, **sun)
    assert np.array_equal(read(tmp_path / "out.tif")[0][0], reflectance(values[FOUR], 62.0).classes)


def test_the_published_methods_see_the_true_colour(tmp_path):
    values = scene()[[2, 1, 0]]
    source = save(tmp_path / "in.tif", values, ("B04", "B03", "B02"), tags={"REFLECTANCE_SCALE": "0.0001"})
    label_bands(source, tmp_path / "out.tif", "colour")
    seen = (values != UNOBSERVED).all(axis=0)
    assert np.array_equal(read(tmp_path / "out.tif")[0][0], colour(true_colour(values, 0.3558), seen))


def test_stored_rounds_clips_and_leaves_out_what_is_no_number():
    given = np.ma.array([0.12344, np.nan, np.inf, 9.0, -9.0, 0.5], mask=[0, 0, 0, 0, 0, 1])
    assert stored(given, 1.0, 0.0).tolist() == [1234, UNOBSERVED, UNOBSERVED, 32_767, -32_767, UNOBSERVED]


def test_what_cannot_be_labelled_is_refused_and_nothing_written(tmp_path):
    bare = save(tmp_path / "bare.tif", scene())
    narrow = save(tmp_path / "narrow.tif", scene()[:3], BANDS[:3])
    odd = save(tmp_path / "odd.tif", scene(), tags={"REFLECTANCE_SCALE": "0.0001", "SUN_ZENITH": "high"})
    worded = save(tmp_path / "worded.tif", scene(), tags={"REFLECTANCE_SCALE": "one"})
    negative = save(tmp_path / "negative.tif", scene(), tags={"REFLECTANCE_SCALE": "-1"})
    below = save(tmp_path / "below.tif", scene(), tags={"REFLECTANCE_SCALE": "0.0001", "SUN_ZENITH": "500"})
    out = tmp_path / "out.tif"
    for wrong, source, options, error in (
        ("reflectance of one stored unit is unknown", bare, {}, ConfigError),
        ("bands B08, B11 are missing", narrow, {"scale": 1e-4}, CorruptProduct),
        ("scale must be above 0", bare, {"scale": 0.0}, ConfigError),
        ("the offset a number", bare, {"scale": 1e-4, "offset": float("nan")}, ConfigError),
        ("REFLECTANCE_SCALE is 'one'", worded, {}, CorruptProduct),
        ("scale must be above 0", negative, {}, ConfigError),
        ("from 0 to 180", below, {}, ConfigError),
        ("from 0 to 180", bare, {"scale": 1e-4, "sun_zenith": -1.0}, ConfigError),
        ("SUN_ZENITH is 'high'", odd, {}, CorruptProduct),
        ("replace the image", bare, {"target": bare}, ConfigError),
    ):
        with pytest.raises(error, match=wrong):
            label_bands(source, options.pop("target", out), **options)
    assert not out.exists()
    assert has_bands(bare) and not has_bands(tmp_path / "none.tif")
    assert not has_bands(save(tmp_path / "byte.tif", scene().astype(np.uint8), nodata=0))


def test_a_products_folder_is_labelled_whatever_it_is_called(tmp_path):
    (tmp_path / "archive").mkdir()
    name = make_product(tmp_path / "archive", bands=numbers(64), entry=False)
    folder = (tmp_path / "archive" / f"{name}.SAFE").rename(tmp_path / "my scene")
    source = open_safe(folder)
    values = np.concatenate([strip for _, strip in source.strips()], axis=1)
    expected = reflectance(values[FOUR], source.sun_zenith)
    done = CliRunner().invoke(app, ["label-image", str(folder), str(tmp_path / "out.tif"), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["sun_zenith"] == pytest.approx(source.sun_zenith, rel=1e-5)
    assert np.array_equal(read(tmp_path / "out.tif")[0][0], expected.classes)


def test_a_folder_that_is_no_product_and_options_of_another_kind_are_refused_in_words(tmp_path):
    (tmp_path / "archive").mkdir()
    name = make_product(tmp_path / "archive", bands=numbers(64), entry=False)
    folder, out = tmp_path / "archive" / f"{name}.SAFE", str(tmp_path / "out.tif")
    bare = save(tmp_path / "bare.tif", scene())
    for arguments, words in (
        ([str(tmp_path), out], "no MTD_MSIL1C.xml"),
        ([str(folder), out, "--scale", "1"], "--scale cannot be given for a product's folder"),
        ([str(bare), out, "--pixel-size", "10"], "--pixel-size cannot be given for a raster of reflectance"),
        ([str(bare), out, "--method", "best"], "no labelling method 'best'"),
    ):
        done = CliRunner().invoke(app, ["label-image", *arguments])
        assert done.exit_code in (1, 2) and words in " ".join(done.output.split()), done.output
    band_path(tmp_path / "archive", name, "B08").write_bytes(b"no image")
    done = CliRunner().invoke(app, ["label-image", str(folder), out])
    assert done.exit_code != 0 and "B08" in done.output and "Traceback" not in done.output

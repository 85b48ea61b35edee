"""`label_image`: pictures of every kind in, class codes out."""

from __future__ import annotations

import io
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp
from rasterio.transform import Affine
from typer.testing import CliRunner

from seaice_ops.classes import legend
from seaice_ops.cli import app
from seaice_ops.errors import ConfigError, CorruptProduct
from seaice_ops.labels.output import picture_png
from seaice_ops.labels.picture.image import label_image, rescaled
from seaice_ops.labels.published.colour import colour
from seaice_ops.labels.published.iqrah2024 import iqrah2024
from seaice_ops.pixels.picture import black_border
from seaice_ops.settings import LabelSettings
from seaice_ops.versions import METHODS

pytestmark = pytest.mark.filterwarnings("error")

SETTINGS = LabelSettings()
UTM = Affine(10, 0, 400_000, 0, -10, 1_600_000)


def picture(seed: int = 2, shape: tuple[int, int] = (90, 110)) -> np.ndarray:
    """Noise without a pure black pixel."""
    return np.random.default_rng(seed).integers(1, 256, (*shape, 3), dtype=np.uint8)


def save(path: Path, rgb: np.ndarray, **profile) -> Path:
    interpretation = profile.pop("colorinterp", None)
    profile = {"driver": "GTiff", "crs": "EPSG:32701", "transform": UTM, "photometric": "RGB"} | profile
    height, width, count = rgb.shape
    with rasterio.open(path, "w", height=height, width=width, count=count, dtype=rgb.dtype, **profile) as target:
        if interpretation:
            target.colorinterp = interpretation
        target.write(rgb.transpose(2, 0, 1))
    return path


def codes_of(path: Path) -> np.ndarray:
    if path.suffix == ".png":
        return np.asarray(Image.open(path))
    with rasterio.open(path) as dataset:
        return dataset.read(1)


def test_a_geotiff_keeps_its_georeference(tmp_path):
    rgb = picture()
    shares = label_image(save(tmp_path / "in.tif", rgb), tmp_path / "out.tif", "colour", SETTINGS).shares
    with rasterio.open(tmp_path / "out.tif") as dataset:
        assert (dataset.crs.to_epsg(), dataset.transform, dataset.nodata) == (32701, UTM, 255)
        assert dataset.dtypes == ("uint8",)
        codes = dataset.read(1)
    assert np.array_equal(codes, colour(rgb, np.ones(rgb.shape[:2], bool)))
    assert shares["open_water"] == (codes == 1).mean()


def test_kernels_come_from_the_georeference_the_argument_or_the_paper(tmp_path):
    rgb = cv2.GaussianBlur(picture(shape=(200, 200)), (0, 0), 3)
    rgb = np.maximum(cv2.normalize(rgb, None, 0, 255, cv2.NORM_MINMAX), 1)
    everywhere = np.ones((200, 200), bool)
    source = save(tmp_path / "in.tif", rgb, transform=Affine(108, 0, 0, 0, -108, 0))
    cv2.imwrite(str(tmp_path / "in.png"), rgb[..., ::-1])
    for file, size, kernels in (
        (source, None, (3, 77)),
        (source, 54.0, (7, 155)),
        (tmp_path / "in.png", None, (7, 155)),
    ):
        label_image(file, tmp_path / "out.tif", "iqrah2024", SETTINGS, pixel_size=size)
        expected = iqrah2024(rgb, everywhere, dilate=kernels[0], median=kernels[1])
        assert np.array_equal(codes_of(tmp_path / "out.tif"), expected)


def test_png_in_png_out_with_a_preview(tmp_path):
    Image.fromarray(picture()).save(tmp_path / "in.png")
    label_image(tmp_path / "in.png", tmp_path / "deep" / "out.png", "colour", SETTINGS, preview=True)
    codes = np.asarray(Image.open(tmp_path / "deep" / "out.png"))
    assert set(np.unique(codes)) == {1, 2, 3}
    preview = np.asarray(Image.open(tmp_path / "deep" / "out.preview.png").convert("RGBA"))
    for code in legend.CLASSES:
        assert (preview[codes == code] == legend.COLOURS[code]).all()
    label_image(tmp_path / "in.png", tmp_path / "out.tif", "colour", SETTINGS, preview=True)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out.png").convert("RGBA")), preview)
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == ["out.png", "out.preview.png"]


def test_grey_palette_and_alpha_pictures(tmp_path):
    rgb = picture()
    grey, hidden = rgb[..., 0], np.arange(90 * 110).reshape(90, 110) % 7 == 0
    Image.fromarray(grey).save(tmp_path / "grey.png")
    label_image(tmp_path / "grey.png", tmp_path / "grey_labels.png", "colour", SETTINGS)
    as_rgb = np.repeat(grey[..., None], 3, 2)
    assert np.array_equal(codes_of(tmp_path / "grey_labels.png"), colour(as_rgb, ~hidden | True))
    Image.fromarray(rgb).quantize(64).save(tmp_path / "palette.png")
    label_image(tmp_path / "palette.png", tmp_path / "palette_labels.png", "colour", SETTINGS)
    shown = np.asarray(Image.open(tmp_path / "palette.png").convert("RGB"))
    assert np.array_equal(codes_of(tmp_path / "palette_labels.png"), colour(shown, ~hidden | True))
    Image.fromarray(np.dstack([rgb, np.where(hidden, 0, 255).astype(np.uint8)])).save(tmp_path / "alpha.png")
    label_image(tmp_path / "alpha.png", tmp_path / "alpha_labels.png", "colour", SETTINGS)
    assert np.array_equal(codes_of(tmp_path / "alpha_labels.png"), colour(rgb, ~hidden))


def test_no_data_from_the_argument_the_tag_and_the_mask(tmp_path):
    rgb = picture()
    rgb[20:30, 20:30] = 9
    rgb[40, 40] = (9, 9, 10)
    hidden = (rgb == 9).all(axis=2)
    expected = colour(rgb, ~hidden)
    label_image(save(tmp_path / "plain.tif", rgb), tmp_path / "a.tif", "colour", SETTINGS, nodata=9)
    label_image(save(tmp_path / "tagged.tif", rgb, nodata=9), tmp_path / "b.tif", "colour", SETTINGS)
    masked = save(tmp_path / "masked.tif", rgb)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(masked, "r+") as dataset:
        dataset.write_mask(~hidden)
    label_image(masked, tmp_path / "c.tif", "colour", SETTINGS)
    alpha = np.dstack([rgb, np.where(hidden, 0, 255).astype(np.uint8)])
    bands = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)
    label_image(save(tmp_path / "d_in.tif", alpha, colorinterp=bands), tmp_path / "d.tif", "colour", SETTINGS)
    for name in "abcd":
        assert np.array_equal(codes_of(tmp_path / f"{name}.tif"), expected), name


def test_the_preview_shows_every_code_and_nothing_where_there_is_no_data():
    codes = np.array([[1, 2, 3, 205, 210, 254, 255]], np.uint8)
    shown = np.asarray(Image.open(io.BytesIO(picture_png(codes, legend.COLOURS))).convert("RGBA"))
    assert [tuple(colour) for colour in shown[0].tolist()] == [legend.COLOURS[code] for code in codes[0].tolist()]
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(picture_png(codes)))), codes)


def test_black_regions_at_the_border_are_no_data_and_dark_water_is_not():
    rgb = np.full((200, 200, 3), 90, np.uint8)
    rgb[:32, :32] = 0  # 1024 pixels in the corner
    rgb[100:180, 60:140] = 0  # a large dark polynya inside
    rgb[:31, 100:133] = 0  # 1023 pixels at the border
    rgb[150:, 199] = (0, 0, 1)  # not black
    expected = np.zeros((200, 200), bool)
    expected[:32, :32] = True
    assert np.array_equal(black_border(rgb), expected)
    assert black_border(np.zeros((40, 40, 3), np.uint8)).all()
    assert not black_border(np.zeros((1, 1, 3), np.uint8)).any()


def test_the_real_scene_s_corner_is_found(outside_data, tmp_path):
    shares = label_image(
        outside_data / "ross_sea_s2" / "ross_B_rgb.png", tmp_path / "out.png", "iqrah2024", SETTINGS, preview=True
    ).shares
    codes = codes_of(tmp_path / "out.png")
    assert shares["no_data"] == 3709 / 506**2
    assert (codes[:40, :40] == 255).all()
    assert (codes == 1).sum() > 5000


def test_a_ceiling_moves_the_thresholds_in_reflectance(tmp_path):
    """255 = 0.2 in Level-2A: a V of 100 is reflectance 0.078, V 56 of the reference ceiling 0.3558."""
    rgb = np.array([[[53, 53, 53], [54, 55, 54], [100, 3, 3], [254, 1, 1], [255, 255, 255]]], np.uint8)
    assert rescaled(rgb, 0.2, 0.3558).max(axis=2).tolist() == [[30, 31, 56, 143, 255]]
    Image.fromarray(rgb).save(tmp_path / "in.png")
    label_image(tmp_path / "in.png", tmp_path / "out.png", "colour", SETTINGS, ceiling=0.2)
    assert codes_of(tmp_path / "out.png").tolist() == [[1, 2, 2, 2, 3]]
    assert np.array_equal(rescaled(picture(), 0.3558, 0.3558), picture())


def test_other_platforms_and_pixel_sizes_are_labelled(outside_data, tmp_path):
    folder = outside_data / "modis_sea_ice"
    for source in sorted(folder.glob("*.tif*")):
        if "landmask" in source.name:
            continue
        for method in ("colour", "iqrah2024"):
            shares = label_image(source, tmp_path / "out.tif", method, SETTINGS).shares
            assert sum(shares.values()) == pytest.approx(1)
            assert shares["thick_ice"] > 0.2


def test_what_cannot_be_labelled_says_so(tmp_path):
    good = save(tmp_path / "in.tif", picture())
    (tmp_path / "text.png").write_text("not a picture")
    deep = save(tmp_path / "deep.tif", picture().astype(np.uint16))
    for source, target, method, error, words in (
        (good, "out.jpg", "colour", ConfigError, r"\.tif or \.png"),
        (good, "out.tif", "kmeans", ConfigError, "colour, iqrah2024"),
        (tmp_path / "text.png", "out.tif", "colour", CorruptProduct, r"text\.png"),
        (tmp_path / "absent.png", "out.tif", "colour", CorruptProduct, r"absent\.png"),
        (deep, "out.tif", "colour", CorruptProduct, "uint16"),
    ):
        with pytest.raises(error, match=words):
            label_image(source, tmp_path / target, method, SETTINGS)
    with pytest.raises(ConfigError, match="cannot write"):
        label_image(good, tmp_path / "text.png" / "out.tif", "colour", SETTINGS)
    for wrong in ({"ceiling": 0.0}, {"pixel_size": -1.0}):
        with pytest.raises(ConfigError, match="above 0"):
            label_image(good, tmp_path / "out.tif", "colour", SETTINGS, **wrong)
    assert not list(tmp_path.glob("out.*"))


def test_an_output_never_replaces_the_picture(tmp_path):
    source = tmp_path / "scene.png"
    Image.fromarray(picture()).save(source)
    before = source.read_bytes()
    for target, preview in (("scene.png", False), ("scene.tif", True), ("../{0}/scene.png", True)):
        with pytest.raises(ConfigError, match="replace the image"):
            label_image(source, tmp_path / target.format(tmp_path.name), "colour", SETTINGS, preview=preview)
    assert source.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["scene.png"]


def test_grey_with_alpha_few_bits_and_transparent_palettes(tmp_path):
    rgb = picture()
    grey, hidden = rgb[..., 0], rgb[..., 1] < 60
    as_rgb = np.repeat(grey[..., None], 3, 2)
    Image.fromarray(np.dstack([grey, np.where(hidden, 0, 255).astype(np.uint8)]), "LA").save(tmp_path / "a.png")
    Image.fromarray(grey > 128).save(tmp_path / "b.png")
    palette = Image.fromarray(rgb).quantize(8)
    palette.save(tmp_path / "c.png", transparency=bytes([255, 0, 255, 255, 128, 0, 255, 255]))
    palette.save(tmp_path / "d.png", transparency=3)
    Image.fromarray(rgb).save(tmp_path / "e.png", transparency=tuple(int(v) for v in rgb[4, 4]))
    index, shown = np.asarray(palette), np.asarray(palette.convert("RGB"))
    black_and_white = np.where(as_rgb > 128, 255, 0).astype(np.uint8)
    expected = {
        "a": colour(as_rgb, ~hidden),
        "b": colour(black_and_white, ~black_border(black_and_white)),
        "c": colour(shown, ~np.isin(index, [1, 5])),
        "d": colour(shown, index != 3),
    }
    for name, codes in expected.items():
        done = label_image(tmp_path / f"{name}.png", tmp_path / "out.tif", "colour", SETTINGS)
        assert np.array_equal(codes_of(tmp_path / "out.tif"), codes), (name, done)
        assert done.shares.get("no_data", 0) == (codes == 255).mean()
    label_image(tmp_path / "e.png", tmp_path / "out.tif", "colour", SETTINGS)
    assert codes_of(tmp_path / "out.tif")[4, 4] == 255


def test_bands_are_taken_by_what_the_file_calls_them(tmp_path):
    """Near infrared is left, blue-green-red is put in order; without names the first three count."""
    rgb = picture()
    four = np.dstack([rgb, np.full(rgb.shape[:2], 3, np.uint8)])
    red, green, blue, other = ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.undefined
    everywhere = np.ones(rgb.shape[:2], bool)
    expected = iqrah2024(rgb, everywhere, dilate=37, median=837)
    plain = {"photometric": "MINISBLACK"}
    for bands, profile in (
        (four, {"colorinterp": (red, green, blue, other)}),
        (four[..., [3, 2, 1, 0]], plain | {"colorinterp": (other, blue, green, red)}),
        (rgb, plain | {"colorinterp": (other, other, other)}),
    ):
        label_image(save(tmp_path / "in.tif", bands, **profile), tmp_path / "out.tif", "iqrah2024", SETTINGS)
        assert np.array_equal(codes_of(tmp_path / "out.tif"), expected)


@pytest.mark.parametrize(
    "profile",
    [
        {"tiled": True, "blockxsize": 16, "blockysize": 32, "compress": "deflate", "interleave": "pixel"},
        {"interleave": "band", "compress": "lzw"},
        {"transform": Affine(8, 6, 400_000, 6, -8, 1_600_000)},
        {"transform": Affine(10, 0, 400_000, 0, 10, 1_600_000)},
        {"crs": "EPSG:4326", "transform": Affine(1e-4, 0, 170, 0, -1e-4, -72)},
        {"crs": "EPSG:3031", "transform": Affine(10, 0, -5e5, 0, -10, -1e6)},
    ],
)
def test_any_layout_and_georeference_is_kept(tmp_path, profile):
    rgb = picture()
    done = label_image(save(tmp_path / "in.tif", rgb, **profile), tmp_path / "out.tif", "colour", SETTINGS)
    with rasterio.open(tmp_path / "in.tif") as source, rasterio.open(tmp_path / "out.tif") as labels:
        assert (labels.crs, labels.shape) == (source.crs, source.shape)
        assert np.allclose(labels.transform, source.transform, rtol=1e-12)
        assert np.array_equal(labels.read(1), colour(rgb, np.ones(rgb.shape[:2], bool)))
    expected = {"EPSG:4326": 11.16, "EPSG:3031": 10.2}.get(profile.get("crs", ""), 10.0)  # on the ground
    assert done.pixel_m == pytest.approx(expected, abs=0.01)


def test_ground_control_points_are_kept_and_give_the_pixel_size(tmp_path):
    rgb = picture()
    points = [
        GroundControlPoint(row, column, 400_000 + 20 * column, 1_600_000 - 20 * row)
        for row in (0, 90)
        for column in (0, 110)
    ]
    profile = {"driver": "GTiff", "height": 90, "width": 110, "count": 3, "dtype": "uint8", "photometric": "RGB"}
    with rasterio.open(tmp_path / "in.tif", "w", gcps=points, crs="EPSG:32701", **profile) as target:
        target.write(rgb.transpose(2, 0, 1))
    done = label_image(tmp_path / "in.tif", tmp_path / "out.tif", "colour", SETTINGS)
    assert done.pixel_m == pytest.approx(20, rel=1e-3)
    with rasterio.open(tmp_path / "out.tif") as dataset:
        kept, crs = dataset.gcps
        assert crs.to_epsg() == 32701
        assert [(p.row, p.col, p.x, p.y) for p in kept] == [(p.row, p.col, p.x, p.y) for p in points]
        assert np.array_equal(dataset.read(1), colour(rgb, np.ones(rgb.shape[:2], bool)))


def test_jpeg_in_a_geotiff_and_alone(tmp_path):
    rgb = cv2.GaussianBlur(picture(), (0, 0), 3)
    save(tmp_path / "in.tif", rgb, photometric="YCBCR", compress="JPEG")
    Image.fromarray(rgb).save(tmp_path / "in.jpg")
    for name in ("in.tif", "in.jpg"):
        label_image(tmp_path / name, tmp_path / "out.png", "colour", SETTINGS)
        with Image.open(tmp_path / name) as image:
            shown = np.asarray(image.convert("RGB"))
        assert (codes_of(tmp_path / "out.png") == colour(shown, np.ones(shown.shape[:2], bool))).mean() > 0.99


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [0, 77, 255])
def test_one_pixel(tmp_path, method, value):
    Image.fromarray(np.full((1, 1, 3), value, np.uint8)).save(tmp_path / "in.png")
    done = label_image(tmp_path / "in.png", tmp_path / "out.tif", method, SETTINGS)
    assert sum(done.shares.values()) == 1
    assert codes_of(tmp_path / "out.tif").shape == (1, 1)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "name",
    ["aerial/ice33.png", "ross_sea_s2/ross_B_rgb.png", "modis_sea_ice/latlon_test_image-2020-06-21T00_00_00Z.tif"],
)
def test_every_method_labels_real_pictures_of_other_sensors(outside_data, tmp_path, name, method):
    done = label_image(outside_data / name, tmp_path / "out.tif", method, SETTINGS, preview=method == "iqrah2024")
    codes = codes_of(tmp_path / "out.tif")
    assert set(np.unique(codes)) <= set(legend.NAMES)
    assert np.isin(codes, legend.CLASSES).mean() > 0.5
    assert done.preview == (tmp_path / "out.png" if method == "iqrah2024" else None)


def test_what_it_went_by_is_told(outside_data, tmp_path):
    real = outside_data / "ross_sea_s2" / "ross_B_rgb.png"
    done = label_image(real, tmp_path / "out.tif", "colour", SETTINGS)
    assert (done.pixel_m, done.pixel_from) == (54, "the published size, the file states none")
    assert done.nodata_from == "black regions of 1024 pixels or more at the border"
    source = save(tmp_path / "in.tif", picture(), nodata=9)
    done = label_image(source, tmp_path / "out.tif", "colour", SETTINGS, pixel_size=3.5)
    assert (done.pixel_m, done.pixel_from, done.nodata_from) == (3.5, "as given", "by the file's no-data tag")
    assert (
        label_image(source, tmp_path / "out.tif", "colour", SETTINGS, nodata=7).nodata_from == "where all bands are 7"
    )


def test_damaged_deep_and_strange_files_are_refused(tmp_path):
    Image.fromarray(picture()).save(tmp_path / "cut.png")
    Image.fromarray(picture()[..., 0].astype(np.uint16) * 256).save(tmp_path / "deep.png")
    whole = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    cut = save(tmp_path / "cut.tif", picture(), compress="deflate")
    cut.write_bytes(cut.read_bytes()[:9000])
    two = save(tmp_path / "two.tif", picture()[..., :2], photometric="MINISBLACK", alpha="NO")
    real = save(tmp_path / "float.tif", picture().astype(np.float32))
    for source, words in (
        (tmp_path / "cut.png", "cannot be decoded"),
        (cut, "cannot be read"),
        (tmp_path / "deep.png", "uint16.*gdal_translate"),
        (real, "float32"),
        (two, "second is not alpha"),
    ):
        with pytest.raises(CorruptProduct, match=words):
            label_image(source, tmp_path / "out.tif", "colour", SETTINGS)
    with pytest.raises(ConfigError, match="0 to 255"):
        label_image(save(tmp_path / "in.tif", picture()), tmp_path / "out.tif", "colour", SETTINGS, nodata=256)


@given(st.integers(0, 2**32 - 1), st.floats(0.2, 0.95))
@settings(max_examples=40, deadline=None)
def test_black_border_equals_labelled_regions(seed, share):
    """Against connected components of the whole picture, on shapes down to a row."""
    random = np.random.default_rng(seed)
    shape = tuple(random.integers(1, 90, 2))
    black = cv2.resize(random.random((12, 12), np.float32), shape[::-1]) < share
    rgb = np.where(black[..., None], 0, random.integers(0, 3, (*shape, 3))).astype(np.uint8)
    _, region, statistics, _ = cv2.connectedComponentsWithStats((rgb.max(axis=2) == 0).astype(np.uint8), connectivity=4)
    border = np.unique(np.concatenate([region[0], region[-1], region[:, 0], region[:, -1]]))
    large = [label for label in border if label and statistics[label, cv2.CC_STAT_AREA] >= 1024]
    assert np.array_equal(black_border(rgb), np.isin(region, large))


def test_the_command_says_what_it_did(tmp_path):
    Image.fromarray(np.repeat(np.array([[9, 99], [240, 240]], np.uint8)[..., None], 3, 2)).save(tmp_path / "in.png")
    arguments = ["label-image", str(tmp_path / "in.png"), str(tmp_path / "out.tif")]
    told = CliRunner().invoke(app, [*arguments, "--preview"])
    assert told.exit_code == 0, told.output
    assert told.output.splitlines() == [
        f"{tmp_path}/out.tif: labels of {tmp_path}/in.png by colour",
        "  25.0 %    1  open water",
        "  25.0 %    2  thin / young ice",
        "  50.0 %    3  thick / snow-covered ice",
        "pixel size 54 m (the published size, the file states none); no data: black regions of 1024 pixels or more at "
        "the border",
        f"{tmp_path}/out.png: preview",
    ]
    assert json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)["shares"]["thick_ice"] == 0.5
    refused = CliRunner().invoke(app, [*arguments, "--method", "guess"])
    assert refused.exit_code == 1
    assert "there is no labelling method 'guess'" in refused.output

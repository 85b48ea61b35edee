"""`label_image`: pictures of every kind in, class codes out."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.enums import ColorInterp
from rasterio.transform import Affine

from seaice_ops import legend
from seaice_ops.errors import ConfigError, CorruptProduct
from seaice_ops.labels.colour import colour
from seaice_ops.labels.image import black_border, label_image, painted, rescaled
from seaice_ops.labels.iqrah2024 import iqrah2024
from seaice_ops.settings import LabelSettings

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
    shares = label_image(save(tmp_path / "in.tif", rgb), tmp_path / "out.tif", "colour", SETTINGS)
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
    for given, size, kernels in (
        (source, None, (3, 77)),
        (source, 54.0, (7, 155)),
        (tmp_path / "in.png", None, (7, 155)),
    ):
        label_image(given, tmp_path / "out.tif", "iqrah2024", SETTINGS, pixel_size=size)
        expected = iqrah2024(rgb, everywhere, dilate=kernels[0], median=kernels[1])
        assert np.array_equal(codes_of(tmp_path / "out.tif"), expected)


def test_png_in_png_out_with_a_preview(tmp_path):
    Image.fromarray(picture()).save(tmp_path / "in.png")
    label_image(tmp_path / "in.png", tmp_path / "deep" / "out.png", "colour", SETTINGS, preview=True)
    codes = np.asarray(Image.open(tmp_path / "deep" / "out.png"))
    assert set(np.unique(codes)) == {1, 2, 3}
    preview = np.asarray(Image.open(tmp_path / "deep" / "out.preview.png"))
    assert np.array_equal(preview, painted(codes))
    assert tuple(preview[codes == 3][0]) == legend.COLOURS[3]
    label_image(tmp_path / "in.png", tmp_path / "out.tif", "colour", SETTINGS, preview=True)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out.png")), preview)
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
    )
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
            shares = label_image(source, tmp_path / "out.tif", method, SETTINGS)
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

"""`reflectance` from a true colour alone: real pictures at three pixel sizes, a picture's own levels, 3-band labels."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from seaice_ops.classes import legend
from seaice_ops.labels.methods import label_pixels
from seaice_ops.labels.picture.image import read_picture
from seaice_ops.labels.picture.true_colour import look_of, reflectance_rgb
from seaice_ops.labels.result import NO_CONFIDENCE
from seaice_ops.labels.scene import label_raster
from seaice_ops.labels.stage import labelling
from seaice_ops.sensors.sentinel2 import TRUE_COLOUR
from seaice_ops.settings import LabelSettings
from seaice_ops.storage.store import open_store

WATER, THIN, THICK = legend.CLASSES


def real(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    picture = read_picture(folder / name)
    return reflectance_rgb(picture.rgb, picture.valid).classes, picture.rgb.max(axis=2)


def test_the_ross_sea_is_close_to_what_the_method_s_authors_made_of_it(outside_data):
    """Agreement, not accuracy: their label image is a threshold's output too, at 30 and 205."""
    folder = outside_data / "ross_sea_s2"
    classes, _ = real(folder, "ross_B_rgb.png")
    theirs = cv2.cvtColor(cv2.imread(str(folder / "ross_B_author_autolabel_rgb.png")), cv2.COLOR_BGR2RGB)
    pure = np.select([theirs[..., 1] > 223, theirs[..., 2] > 223, theirs[..., 0] > 223], [WATER, THIN, THICK], 0)
    known = (pure > 0) & (classes != legend.NODATA)
    assert (classes == pure)[known].mean() > 0.96
    recalls = [(classes == code)[known & (pure == code)].mean() for code in legend.CLASSES]
    assert min(recalls) > 0.85


def test_an_aerial_photograph_that_is_darker_has_all_classes_where_they_are(outside_data):
    """Its snow is 150, its water 25: the published limits would call all of it thin ice or water."""
    classes, v = real(outside_data, "aerial/ice33.png")
    assert (classes[1250:1480, 1285:1335] == WATER).mean() > 0.98  # the broad lead below the middle
    assert (classes[1300:1800, 450:700] == THICK).mean() > 0.99  # the floe at the lower left
    assert (classes[400:550, 1600:1750] == THICK).mean() > 0.5
    assert 0.1 < (classes == THIN).mean() < 0.35
    assert v.max() < 205


def test_a_pack_at_250_m_is_thick_with_thin_leads_and_a_veiled_sea_is_not_told(outside_data):
    folder = outside_data / "modis_sea_ice"
    pack, _ = real(folder, "latlon_test_image-2020-06-21T00_00_00Z.tif")
    assert (pack == THICK).mean() > 0.9
    assert (pack != THICK).sum() > 1000
    veiled, v = real(folder, "466-sea_of_okhostk-100km-20040421.terra.truecolor.250m.tiff")
    assert set(np.unique(veiled)) <= {THICK, legend.CLOUD}
    assert (veiled[v < 160] == legend.CLOUD).all()


pictures = arrays.arrays(np.uint8, st.tuples(st.integers(1, 30), st.integers(1, 30), st.just(3)))


@given(pictures, st.integers(0, 2**32 - 1))
@hypothesis_settings(max_examples=50, deadline=None)
def test_no_data_is_never_a_class(rgb: np.ndarray, seed: int):
    valid = np.random.default_rng(seed).random(rgb.shape[:2]) > 0.3
    rgb[~valid] = 0
    labels = reflectance_rgb(rgb, valid)
    assert np.array_equal(labels.classes == legend.NODATA, ~valid)
    assert labels.confidence is not None
    assert np.array_equal(labels.confidence == NO_CONFIDENCE, labels.classes > THICK)
    assert np.array_equal(label_pixels(rgb, valid, 54.0, "reflectance", LabelSettings()), labels.classes)
    hidden = rgb.copy()
    hidden[~valid] = 77  # what is written where nothing was observed is nobody's business
    assert look_of(hidden, valid) == look_of(rgb, valid)
    assert np.array_equal(reflectance_rgb(hidden, valid).classes, labels.classes)


@given(st.integers(1, 200), st.integers(0, 2**32 - 1))
@hypothesis_settings(max_examples=25, deadline=None)
def test_labels_do_not_depend_on_what_is_labelled_together(pixels: int, seed: int):
    rng = np.random.default_rng(seed)
    rgb = cv2.resize(rng.integers(0, 256, (9, 7, 3), dtype=np.uint8), (21, 36), interpolation=cv2.INTER_LINEAR)
    valid = rng.random(rgb.shape[:2]) > 0.1
    whole = reflectance_rgb(rgb, valid)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("seaice_ops.labels.picture.true_colour._PIXELS", pixels)
        cut = reflectance_rgb(rgb, valid)
    for one, other in ((whole.classes, cut.classes), (whole.confidence, cut.confidence), (whole.reasons, cut.reasons)):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("stretch", [0.6, 0.8, 1.0])
def test_a_picture_s_stretch_changes_no_class(stretch: float):
    rng = np.random.default_rng(3)
    truth = cv2.resize(rng.integers(1, 4, (12, 12)).astype(np.uint8), (360, 360), interpolation=cv2.INTER_NEAREST)
    grey = np.array([0, 12, 120, 240])[truth] + rng.normal(0, 3, truth.shape)
    rgb = np.repeat(np.clip(stretch * grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    classes = reflectance_rgb(rgb, np.ones(truth.shape, bool)).classes
    assert (classes == truth).mean() > 0.995


def test_a_scene_with_true_colour_only_gets_three_bands_too(settings, add_scene):
    values = np.kron(np.array([[150, 1200], [3300, 3000]]), np.ones((40, 40))).astype(np.int16)
    scene = add_scene(np.repeat(values[None], 3, axis=0), bands=TRUE_COLOUR)
    data, shares = label_raster(open_store(settings.store), scene, labelling(settings, "reflectance"))
    with rasterio.MemoryFile(data) as file, file.open() as dataset:
        assert dataset.descriptions == ("class", "confidence", "reasons")
        assert dataset.nodata == legend.NODATA
        codes, confidence, why = dataset.read()
    assert (codes[:40, :40] == WATER).all()
    assert (codes[:38, 40:] == THIN).all()
    assert (codes[40:] == THICK).all()
    assert confidence.min() >= 37
    assert confidence.max() <= 100
    assert why.max() < 32
    assert shares["thick_ice"] == pytest.approx(0.5, abs=0.001)


def test_a_scene_of_five_bands_gets_three_bands(settings, add_scene):
    values = np.full((5, 60, 80), 7800, np.int16)
    values[4] = 900
    values[:, :, :30] = np.array([950, 600, 380, 190, 60])[:, None, None]
    values[:, :5] = -32768
    scene = add_scene(values)
    data, shares = label_raster(open_store(settings.store), scene, labelling(settings, "reflectance"))
    with rasterio.MemoryFile(data) as file, file.open() as dataset:
        assert dataset.descriptions == ("class", "confidence", "reasons")
        codes, confidence, why = dataset.read()
    assert (codes[5:, :30] == WATER).all()
    assert (codes[5:, 30:] == THICK).all()
    assert (codes[:5] == legend.NODATA).all()
    assert (confidence[:5] == NO_CONFIDENCE).all()
    assert not why[:5].any()
    assert set(shares) == {"open_water", "thin_ice", "thick_ice", "no_data"}

"""Labels from reflectance: physics-like cases, abstention, and what must not change them."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from seaice_ops.classes import legend
from seaice_ops.classes import quality_flags as reasons
from seaice_ops.labels.reflectance import edges, optics
from seaice_ops.labels.reflectance import label as labeller
from seaice_ops.labels.reflectance.label import from_strips, opaque_from, reflectance
from seaice_ops.labels.reflectance.levels import references
from seaice_ops.labels.reflectance.model import draw
from seaice_ops.labels.reflectance.post_processing import LOW_SUN, NO_SUN
from seaice_ops.labels.reflectance.surfaces import BANDS
from seaice_ops.labels.reflectance.surroundings import CELL
from seaice_ops.labels.reflectance.table import SHAPE, band_codes, cell_index, coded
from seaice_ops.labels.result import NO_CONFIDENCE
from seaice_ops.pixels.radiometry import UNOBSERVED

WATER, THIN, THICK = legend.CLASSES

#: Reflectance below the air in B02, B04, B08, B11, from the albedo tables that the model cites, typical values.
SEA = (0.030, 0.010, 0.006, 0.002)
NILAS = (0.12, 0.11, 0.08, 0.02)
GREY = (0.25, 0.24, 0.18, 0.03)
GREY_WHITE = (0.38, 0.36, 0.28, 0.04)
SNOW = (0.90, 0.88, 0.84, 0.13)
OLD_SNOW = (0.84, 0.82, 0.76, 0.06)
EXPECTED = {SEA: WATER, NILAS: THIN, GREY: THIN, GREY_WHITE: THIN, SNOW: THICK, OLD_SNOW: THICK}


def seen(surface: np.ndarray, zenith: float) -> np.ndarray:
    """(4, ...) int16 as stored: `surface` (4, ...) through clear air."""
    bands = [
        optics.at_satellite(np.asarray(values, float), optics.air(band, zenith))
        for band, values in zip(BANDS, surface, strict=True)
    ]
    return np.rint(np.array(bands) * 10_000).astype(np.int16)


def cloud(surface: np.ndarray, reflects: float) -> np.ndarray:
    """A cloud above, a little darker at 1.6 um; light goes to and fro between it and the surface, added up singly."""
    bands = []
    for part, below in zip((1.0, 1.0, 1.0, 0.75), surface, strict=True):
        back = reflects * part
        bounces = sum((back * below) ** n for n in range(60))
        bands.append(back + (1 - back) ** 2 * below * bounces)
    return np.stack(bands)


def scene(size: int = 240, zenith: float = 66.0) -> tuple[np.ndarray, np.ndarray]:
    """Surface (4, size, size) and its truth: snow with stripes of each other surface, 40 pixels wide, the last 5."""
    surface = np.tile(np.array(SNOW)[:, None, None], (1, size, size))
    truth = np.full((size, size), THICK, np.uint8)
    for place, kind in enumerate((SEA, NILAS, GREY, GREY_WHITE)):
        for left, width in ((20 + 50 * place, 30), (55 + 50 * place, 5)):
            surface[:, :, left : left + width] = np.array(kind)[:, None, None]
            truth[:, left : left + width] = EXPECTED[kind]
    return surface, truth


@pytest.mark.parametrize("zenith", [50.0, 66.0, 76.0])
def test_plain_surfaces_are_told_at_any_sun(zenith: float):
    surface, truth = scene()
    labels = reflectance(seen(surface, zenith), zenith)
    told = labels.classes != legend.CLOUD
    assert np.array_equal(labels.classes[told], truth[told])
    assert edges.on_edge(truth)[~told].all()  # where snow's shares and those of pale ice beside it are averaged
    assert told.mean() > 0.95
    assert labels.confidence is not None
    assert np.median(labels.confidence) > 80


def test_a_field_and_a_lead_of_the_same_ice_are_the_same_class():
    for width in (3, 10, 400):
        surface = np.tile(np.array(SNOW)[:, None, None], (1, 60, 500))
        surface[:, :, 40 : 40 + width] = np.array(GREY)[:, None, None]
        classes = reflectance(seen(surface, 66.0), 66.0).classes
        assert (classes[:, 40 : 40 + width] == THIN).all()
        assert (np.delete(classes, np.s_[40 : 40 + width], axis=1) == THICK).all()


@pytest.mark.parametrize("reflects", [0.1, 0.15, 0.2])
def test_thin_cloud_is_seen_through(reflects: float):
    surface, truth = scene()
    veiled = surface.copy()
    veiled[:, :120] = cloud(surface[:, :120], reflects)
    labels = reflectance(seen(veiled, 66.0), 66.0)
    below = np.s_[5:115]
    known = labels.classes[below] <= THICK
    assert known.mean() > 0.85
    if reflects > 0.1:  # dark nilas below more than that looks like water below a little more
        known[:, 70:110] = False
    assert (labels.classes == truth)[below][known].mean() > 0.85
    assert labels.reasons is not None
    dark = truth[below] == WATER
    assert ((labels.reasons[below] & reasons.CLOUD) > 0)[dark].mean() > 0.95
    assert np.array_equal(labels.classes[125:], truth[125:])


def test_a_shadow_on_snow_is_no_thin_ice():
    surface, truth = scene()
    zenith = 66.0
    for band, values in zip(BANDS, surface, strict=True):
        values[:120] = optics.lit(values[:120], optics.air(band, zenith).diffuse, np.float64(0.5))
    labels = reflectance(seen(surface, zenith), zenith)
    snow = truth[5:115] == THICK
    assert (labels.classes[5:115][snow] == THICK).mean() > 0.9
    assert labels.reasons is not None
    assert ((labels.reasons[5:115] & reasons.SHADOW) > 0)[snow].mean() > 0.9


def test_an_opaque_cloud_is_no_class_of_its_own_surface():
    surface, _ = scene()
    surface[:] = np.array([0.65, 0.66, 0.67, 0.55])[:, None, None]
    surface[:, :20] = np.array(SNOW)[:, None, None]
    labels = reflectance(seen(surface, 66.0), 66.0)
    assert labels.reasons is not None
    assert ((labels.reasons[40:] & reasons.CLOUD) > 0).all()
    assert (labels.classes[40:] == legend.CLOUD).all()
    assert (labels.classes[:15] == THICK).all()


@pytest.mark.parametrize("zenith", [45.0, 66.0, 80.0])
def test_no_snow_is_as_bright_at_1_6_um_as_a_cloud_that_hides_it(zenith: float):
    draws = draw(1 << 14, zenith)
    clear = (draws.cloud < 0.03) & (draws.sunlight == 1)
    assert draws.bands[3, clear].max() < 0.75 * opaque_from(zenith)
    assert 0.3 < opaque_from(45.0) < opaque_from(zenith + 1) < opaque_from(84.0) < 0.65


def test_the_sun_decides_what_can_be_known():
    surface, _ = scene(60)
    bands = seen(surface, 70.0)
    bands[1, 3, 4] = UNOBSERVED
    night = reflectance(bands, NO_SUN)
    expected = np.full((60, 60), legend.LOW_SUN, np.uint8)
    expected[3, 4] = legend.NODATA
    assert np.array_equal(night.classes, expected)
    assert night.confidence is not None
    assert night.reasons is not None
    assert (night.confidence == NO_CONFIDENCE).all()
    assert ((night.reasons & reasons.LOW_SUN) > 0)[expected != legend.NODATA].all()
    assert night.reasons[3, 4] == 0
    dusk = reflectance(seen(surface, LOW_SUN), LOW_SUN)
    assert dusk.reasons is not None
    assert (dusk.reasons & reasons.LOW_SUN > 0).all()
    assert (dusk.classes <= THICK).mean() > 0.9


stored = arrays.arrays(
    np.int16,
    st.tuples(st.just(4), st.integers(1, 40), st.integers(1, 40)),
    elements=st.one_of(st.integers(-100, 12_000), st.sampled_from([UNOBSERVED, 32_767, 0])),
)


@given(stored, st.one_of(st.none(), st.floats(20, 89)))
@hypothesis_settings(max_examples=40, deadline=None)
def test_no_data_is_never_a_class_and_a_class_always_has_a_confidence(bands: np.ndarray, zenith: float | None):
    if zenith is not None:
        zenith = 60.0 + zenith % 3 if zenith < NO_SUN else zenith  # one table is enough
    labels = reflectance(bands, zenith)
    missing = (bands == UNOBSERVED).any(axis=0)
    assert np.array_equal(labels.classes == legend.NODATA, missing)
    assert set(np.unique(labels.classes)) <= {WATER, THIN, THICK, legend.CLOUD, legend.LOW_SUN, legend.NODATA}
    assert labels.confidence is not None
    assert labels.reasons is not None
    known = labels.classes <= THICK
    assert np.array_equal(labels.confidence == NO_CONFIDENCE, ~known)
    assert (labels.confidence[known] <= 100).all()
    assert (labels.reasons[missing] == 0).all()
    assert (labels.reasons[labels.classes == legend.CLOUD] > 0).all()
    assert (labels.reasons < 32).all()
    full = (bands == 32_767).any(axis=0) & ~missing
    assert ((labels.reasons & reasons.SATURATED) > 0)[full].all()


def test_strips_of_any_height_give_the_same_labels():
    surface, _ = scene(200)
    noise = np.random.default_rng(0).normal(0, 0.03, surface.shape)
    bands = seen(np.clip(surface + noise, 0.001, 1), 66.0)
    bands[:, 50:60, 70:90] = UNOBSERVED
    whole = reflectance(bands, 66.0)
    for strip in (1, 2, 7, 64, 199, 1000):
        rows: list[int] = []

        def read(top: int, bottom: int, rows: list[int] = rows) -> NDArray[np.int16]:
            rows.extend(range(top, bottom))
            return bands[:, top:bottom]

        cut = from_strips(read, (200, 200), 66.0, strip)
        for one, other in zip(vars(whole).values(), vars(cut).values(), strict=True):
            assert np.array_equal(one, other)
        assert rows == 2 * list(range(200))  # decoding is what takes time: twice, and no row more


def test_land_has_no_say_in_what_the_sea_beside_it_is():
    surface, _ = scene(96)
    bands = seen(surface, 66.0)
    bands[:, 3, 5] = UNOBSERVED
    land = np.zeros((96, 96), bool)
    land[:, :40] = True
    found = []
    for height in (300, 9000):  # dark forest, bright rock
        bands[:, :, :40][bands[:, :, :40] != UNOBSERVED] = height
        found.append(from_strips(lambda top, bottom: bands[:, top:bottom], (96, 96), 66.0, 32, land))
    for one, other in zip(vars(found[0]).values(), vars(found[1]).values(), strict=True):
        assert np.array_equal(one, other)
    expected = np.full((96, 40), legend.LAND, np.uint8)
    expected[3, 5] = legend.NODATA
    assert np.array_equal(found[0].classes[:, :40], expected)
    assert (found[0].classes[:, 40:] <= THICK).mean() > 0.9
    assert found[0].confidence is not None and (found[0].confidence[:, :40] == NO_CONFIDENCE).all()


def test_what_is_asked_of_the_whole_scene_does_not_depend_on_the_strips(monkeypatch):
    bands = np.random.default_rng(1).integers(0, 9000, (4, 1500, 1301)).astype(np.int16)
    bands[:, 1400:, 1200:] = UNOBSERVED
    asked = []
    for strip in (CELL, 5 * CELL, 4000 // CELL * CELL):
        monkeypatch.setattr(labeller, "BLOCK", strip)
        asked.append(labeller._scene_statistics(lambda top, bottom: bands[:, top:bottom], (1500, 1301)))
    for other in asked[1:]:
        assert all(np.array_equal(one, same) for one, same in zip(asked[0], other, strict=True))
    assert asked[0][0].shape[1] == -(-1500 // 8) * -(-1301 // 8)
    assert asked[0][1].shape == (5, -(-1500 // CELL), -(-1301 // CELL))


def test_turning_and_mirroring_a_scene_turns_and_mirrors_its_labels():
    surface, _ = scene(4 * CELL)
    noise = np.random.default_rng(2).normal(0, 0.03, surface.shape)
    bands = seen(np.clip(surface + noise, 0.001, 1), 66.0)
    classes = reflectance(bands, 66.0).classes
    for turns in range(4):
        turned = np.rot90(bands, turns, axes=(1, 2))
        assert np.array_equal(reflectance(np.ascontiguousarray(turned), 66.0).classes, np.rot90(classes, turns))
    assert np.array_equal(reflectance(np.ascontiguousarray(bands[:, :, ::-1]), 66.0).classes, classes[:, ::-1])


@pytest.mark.parametrize("factor", [0.88, 0.95, 1.08])
def test_how_bright_the_snow_is_changes_no_class(factor: float):
    surface, truth = scene()
    dimmed = seen(surface * np.array([factor, factor, factor, 1.0])[:, None, None], 66.0)
    assert (reflectance(dimmed, 66.0).classes == truth).mean() > 0.99


def test_a_veil_over_the_whole_scene_is_taken_from_its_water():
    surface, truth = scene()
    hazy = seen(surface, 66.0) + np.array([300, 200, 120, 0], np.int16)[:, None, None]
    veil, _ = references(hazy.reshape(4, -1), 66.0)
    assert veil[:3] == pytest.approx((0.045, 0.024, 0.013), abs=0.008)
    assert (reflectance(hazy, 66.0).classes == truth).mean() > 0.99


def test_without_snow_or_water_nothing_is_scaled():
    grey = seen(np.tile(np.array(GREY)[:, None], (1, 4000)), 66.0)
    assert references(grey, 66.0) == ((0.0,) * 4, (1.0,) * 4)
    assert (reflectance(grey.reshape(4, 50, 80), 66.0).classes == THIN).all()


@given(st.floats(0, 1.2), st.floats(0, 84), st.sampled_from(list(BANDS)))
def test_the_air_can_be_taken_away_again(surface: float, zenith: float, band: str):
    air = optics.air(band, zenith)
    assert optics.at_surface(optics.at_satellite(np.array(surface), air), air) == pytest.approx(surface, abs=1e-9)
    assert 0 < air.path < 0.3
    assert 0 < air.transmittance < 1
    assert 0 < air.diffuse < 1


def test_rayleigh_depths_are_the_tabulated_ones():
    """Bodhaine et al. 1999 (J. Atmos. Oceanic Technol. 16), sea level, 360 ppm: 0.5 um 0.1431, 0.7 um 0.0364."""
    assert optics.rayleigh_depth(0.5) == pytest.approx(0.1431, rel=0.015)
    assert optics.rayleigh_depth(0.7) == pytest.approx(0.0364, rel=0.015)


@given(stored)
@hypothesis_settings(max_examples=30, deadline=None)
def test_cells_are_those_of_plain_logarithms(bands: np.ndarray):
    """The oracle takes each pixel alone and computes what the tables hold."""
    zenith, codes = 66.0, band_codes(66.0)
    index = cell_index(coded(codes, bands))
    for row in range(min(bands.shape[1], 4)):
        for column in range(min(bands.shape[2], 4)):
            levels = {}
            for number, band in enumerate(BANDS):
                air = optics.air(band, zenith)
                above = max(bands[number, row, column] / 10_000, air.path - 0.1) - air.path
                below = above / (air.transmittance + air.spherical_albedo * above)
                shift, least = (0.01, 0.004) if band == "B11" else (0.04, 0.01)
                code = round(math.log(max(below + shift, least) / least) / 0.02)
                levels[band] = {UNOBSERVED: 0, 32_767: 255}.get(int(bands[number, row, column]), min(254, max(1, code)))
            cells = (
                (levels["B04"] - 56) // 2,
                max(0, levels["B08"] - max(0, levels["B04"] - 38)) // 2,
                max(0, levels["B02"] - max(0, levels["B04"] - 8)) // 2,
                levels["B11"] // 4,
            )
            inside = [min(size - 1, max(0, cell)) for cell, size in zip(cells, SHAPE, strict=True)]
            assert index[row, column] == np.ravel_multi_index(inside, SHAPE)


@given(
    arrays.arrays(np.uint8, (9, 11), elements=st.sampled_from([1, 2, 3, 205, 255])),
    arrays.arrays(np.uint8, (9, 11)),
)
@hypothesis_settings(max_examples=60, deadline=None)
def test_edges_are_those_of_a_loop_over_pixels(classes: np.ndarray, brightness: np.ndarray):
    expected, on_edge = classes.copy(), np.zeros(classes.shape, bool)
    for row in range(9):
        for column in range(11):
            near, wide = (np.s_[max(0, row - n) : row + n + 1, max(0, column - n) : column + n + 1] for n in (1, 2))
            of_near = classes[near][classes[near] <= 3]
            of_wide = classes[wide][classes[wide] <= 3]
            if classes[row, column] > 3:
                continue
            on_edge[row, column] = len(set(of_near.tolist())) > 1
            known = brightness[wide][classes[wide] <= 3]
            dark, bright = int(known.min()), int(known.max())
            between = of_wide.max() - of_wide.min() == 1
            across = classes[row, column] >= 2 and {1, 3} <= set(of_near.tolist())
            if dark < round(bright * 11 / 16) and (between or across):
                brighter = brightness[row, column] > dark + (bright - dark) // 2
                expected[row, column] = of_wide.max() if brighter else of_wide.min()
    found = edges.unmixed(classes, brightness, *edges.extremes(brightness, classes > THICK))
    assert np.array_equal(found, expected)
    assert np.array_equal(edges.on_edge(classes), on_edge)


def test_a_pixel_half_water_half_snow_is_no_thin_ice():
    surface = np.tile(np.array(SNOW)[:, None, None], (1, 60, 60))
    surface[:, :, 30:] = np.array(SEA)[:, None, None]
    for share in (0.2, 0.4, 0.6, 0.8):
        surface[:, :, 29] = (share * np.array(SNOW) + (1 - share) * np.array(SEA))[:, None]
        labels = reflectance(seen(surface, 66.0), 66.0)
        assert THIN not in labels.classes
        assert labels.reasons is not None
        assert (labels.reasons[:, 29] & reasons.MIXED_EDGE > 0).all()


def test_real_farmland_cloud_is_called_cloud(outside_data):
    """Clear snow-free land has no class here, but real cloud must raise the cloud bit far more often than clear
    ground: bands blue, green, red, near infrared, 1.6 um, 2.2 um."""
    data = np.load(outside_data / "cloud_mask" / "sentinel2.npz")
    image, mask = data["img"], data["msk"][..., 0]
    bands = np.rint(image[..., [0, 2, 3, 4]] * 10_000).astype(np.int16).transpose(2, 0, 1)
    why = reflectance(np.ascontiguousarray(bands), 50.0).reasons
    assert why is not None
    core = cv2.erode((mask == 4).astype(np.uint8), np.ones((9, 9))) > 0
    assert (why[core] & reasons.CLOUD > 0).mean() > 0.9

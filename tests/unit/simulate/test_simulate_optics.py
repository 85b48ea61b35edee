"""Spectra, snow, clouds, air and sensor against published values and against what must hold of any light."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as bounded
from hypothesis import strategies as st

from seaice_ops.classes import legend
from seaice_ops.simulate import air, clouds, ground, spectra
from seaice_ops.simulate.clouds import OPAQUE, Sky, clear, overcast, sky
from seaice_ops.simulate.geometry import Geometry, seen_from
from seaice_ops.simulate.ocean import uniform
from seaice_ops.simulate.scattering import two_stream
from seaice_ops.simulate.sensor import observe

SHAPE = (32, 32)
SUN = Geometry(sun_zenith=65.0)


def of(code: int, **what: float):
    return uniform(np.full(SHAPE, code, np.uint8), **what)


def seen(code: int, above: Sky | None = None, geometry: Geometry = SUN, **what: float) -> np.ndarray:
    """Mean top-of-atmosphere reflectance per band of an even surface."""
    return observe(1, of(code, **what), above or clear(SHAPE), geometry).reflectance.mean(axis=(1, 2))


def all_wave(bands) -> float:
    # shares of sunlight at the ground: 47 % below 0.7 um, 37 % to 1.2 um, 16 % beyond
    return 0.47 * sum(bands[:3]) / 3 + 0.37 * bands[3] + 0.16 * bands[4]


@pytest.mark.parametrize("name", spectra.ALL_WAVE)
def test_spectra_agree_with_published_all_wave_albedo(name: str) -> None:
    bands = spectra.snow_albedo(np.array([0.2]))[:, 0] if name == "SNOW" else getattr(spectra, name)
    assert all_wave(list(bands)) == pytest.approx(spectra.ALL_WAVE[name], abs=0.06)


@pytest.mark.parametrize(
    ("radius", "near_infrared", "swir"),
    [(0.05, (0.92, 0.97), (0.22, 0.33)), (0.2, (0.86, 0.93), (0.07, 0.14)), (1.0, (0.70, 0.85), (0.01, 0.04))],
)
def test_snow_albedo_by_grain_lies_where_wiscombe_and_warren_put_it(radius, near_infrared, swir) -> None:
    bands = spectra.snow_albedo(np.array([radius]))[:, 0]
    assert (bands[:3] > 0.89).all()
    assert near_infrared[0] < bands[3] < near_infrared[1]
    assert swir[0] < bands[4] < swir[1]
    assert (np.diff(bands) < 0).all()


@pytest.mark.parametrize(("zenith", "low", "high"), [(55, 0.95, 1.03), (66, 0.88, 0.97), (80, 0.74, 0.88)])
def test_snow_seen_from_above_darkens_with_the_sun_as_measured(zenith: float, low: float, high: float) -> None:
    assert low < Geometry(zenith).bright < high  # Hudson et al. 2006, nadir, 0.6 um


def test_snow_depends_on_the_view() -> None:
    facing, behind = (Geometry(75.0, 100.0, 10.0, azimuth).bright for azimuth in (100.0, 280.0))
    assert facing != pytest.approx(behind, abs=0.005)
    assert behind > facing  # away from the sun the forward lobe begins


def test_spectra_are_continuous_and_brighten_with_thickness() -> None:
    steps = np.linspace(0, 0.25, 200, dtype=np.float32)[None]
    assert (np.diff(spectra.thin_ice(steps)[:, 0]) >= 0).all()
    np.testing.assert_allclose(spectra.thin_ice(steps[:, :1])[:, 0, 0], spectra.WATER, rtol=1e-6)


def test_glint_is_small_where_the_tiles_are() -> None:
    assert 0 <= spectra.glint(Geometry(70.0), 5.0) < spectra.glint(Geometry(55.0), 14.0) < 0.02
    assert spectra.glint(Geometry(20.0), 5.0) > 0.02  # elsewhere it is not


@bounded(max_examples=60, deadline=None)
@given(lost=st.floats(1e-6, 0.2), asymmetry=st.floats(0.7, 0.88), mu=st.floats(0.06, 1.0))
def test_cloud_makes_no_light(lost: float, asymmetry: float, mu: float) -> None:
    optics = two_stream(1 - lost, asymmetry, mu)
    assert (optics.passed + optics.back <= 1 + 1e-5).all()
    assert (optics.direct <= optics.passed + 1e-6).all() and (optics.back >= 0).all()
    assert (np.diff(optics.passed) <= 1e-5).all()
    if lost <= 1.1e-6:
        np.testing.assert_allclose(optics.passed + optics.back, 1, atol=2e-3)


def test_two_streams_without_absorption_are_the_textbook_s() -> None:
    optics, depth = two_stream(1 - 1e-6, 0.85, 0.5), 8.0
    field = np.full((1, 1), depth, np.float32)
    tau, g = (1 - 0.85**2) * depth, 0.85 / 1.85
    expected = (2 + 3 * 0.5 + (2 - 3 * 0.5) * np.exp(-tau / 0.5)) / (4 + 3 * (1 - g) * tau)  # Meador and Weaver, w = 1
    assert optics.at(optics.passed, field)[0, 0] == pytest.approx(expected, abs=5e-3)


def test_cloud_is_bright_where_snow_is_dark_and_ice_cloud_less() -> None:
    water, ice = (seen(legend.THICK, overcast(SHAPE, 15.0, ice=ice, geometry=SUN)) for ice in (False, True))
    bare = seen(legend.THICK)
    assert np.abs(water[:3] / bare[:3] - 1).max() < 0.2  # hardly told from snow in the visible
    assert 0.5 < water[4] < 0.75 and 0.25 < ice[4] < 0.45 and bare[4] < 0.15
    assert (seen(legend.THIN, overcast(SHAPE, 2.0, ice=False, geometry=SUN)) > seen(legend.THIN) + 0.03).all()


def test_shadow_darkens_all_bands_and_blue_the_least() -> None:
    dark = replace(clear(SHAPE), light=(np.full(SHAPE, 0.2, np.float32), np.full(SHAPE, 0.2, np.float32)))
    for code in (legend.THICK, legend.THIN):
        ratio = seen(code, dark) / seen(code)
        assert (ratio < 0.75).all()
        assert ratio[0] == max(ratio)


def test_a_shadow_falls_away_from_the_sun_with_a_soft_edge() -> None:
    found = 0
    for seed in range(12):
        geometry = seen_from(seed, 65.0, 90.0)
        above = sky(seed, (256, 256), geometry)
        light = above.light[0]
        assert light.min() > 0 and light.max() < 1.45  # beside bright cloud a little more than a clear sky gives
        found += bool(light.min() < 0.7 and light.max() > 0.95)
        assert light.std() == 0 or np.abs(np.diff(light, axis=0)).max() < 0.6
    assert found >= 2
    codes = np.full((80, 80), legend.WATER, np.uint8)
    codes[:, :30] = legend.LAND  # a shelf in the west, the sun in the west: the shadow lies east of the front
    dark = ground.front_shadow(uniform(codes), Geometry(70.0, sun_azimuth=270.0))
    assert dark[40, 33] > 0.9 > 0.1 > dark[40, 45]
    assert not ground.front_shadow(uniform(codes), Geometry(70.0, sun_azimuth=90.0))[:, 33:].any()


def test_slopes_that_face_the_sun_are_brighter() -> None:
    slope = np.tile(0.2 * np.arange(40, dtype=np.float32), (40, 1))  # rises eastwards by 2 %
    light = ground.relief(slope, Geometry(75.0, sun_azimuth=90.0))[20, 20]
    assert light == pytest.approx(1 - 0.02 * np.tan(np.radians(75)), abs=0.01)
    assert ground.relief(slope, Geometry(75.0, sun_azimuth=270.0))[20, 20] > 1.05


def test_water_beside_ice_is_brightened_in_blue_most() -> None:
    codes = np.full((400, 400), legend.THICK, np.uint8)
    codes[190:210] = legend.WATER
    lead = observe(1, uniform(codes), clear(codes.shape), SUN).reflectance[:, 197:203].mean(axis=(1, 2))
    gain = lead - observe(1, uniform(codes * 0 + legend.WATER), clear(codes.shape), SUN).reflectance.mean(axis=(1, 2))
    assert gain[0] == max(gain) and 0.02 < gain[0] < 0.09
    assert gain[4] < 0.01


def test_air_is_that_of_published_optical_depths() -> None:
    # Bodhaine et al. 1999, J. Atmos. Oceanic Technol. 16: at 492, 665 and 833 nm and standard pressure
    for band, expected in ((0, 0.153), (2, 0.0448), (3, 0.0180)):
        assert air.molecules(band) == pytest.approx(expected, rel=0.03)
    assert air.mass(0.0) == pytest.approx(1, abs=1e-3)
    assert 2.8 < air.mass(70.0) < 2.95
    blue, red = (air.sky_light(band, 0.03, SUN) for band in (0, 2))
    assert 0.05 < red < blue < 0.4


def test_light_is_neither_made_nor_negative() -> None:
    for code in (legend.WATER, legend.THIN, legend.THICK):
        for zenith in (52.0, 70.0, 82.0):
            geometry = Geometry(zenith)
            for above in (clear(SHAPE), overcast(SHAPE, 1.0, ice=True, geometry=geometry)):
                found = seen(code, above, geometry)
                assert (found > 0).all() and (found < 1.3).all()


def test_skies_differ_and_some_are_cut() -> None:
    skies = [sky(seed, (128, 128), SUN, 0.125) for seed in range(60)]
    cut = [s.unseen.mean() for s in skies]
    assert 8 < sum(share > 0 for share in cut) < 32
    assert max(cut) < 0.7
    assert min(s.depth.max() for s in skies) < 0.3 < OPAQUE < max(s.depth.max() for s in skies)
    assert {len(s.layers) for s in skies} == {0, 1, 2}


def test_bands_lie_a_fraction_of_a_pixel_apart() -> None:
    codes = np.full((128, 128), legend.WATER, np.uint8)
    cv2.circle(codes, (64, 64), 30, legend.THICK, -1)
    image = observe(3, uniform(codes), clear(codes.shape), SUN).reflectance[:4].astype(np.float64)
    shifts = [np.hypot(*cv2.phaseCorrelate(image[0], band)[0]) for band in image[1:]]
    assert 0.01 < max(shifts) < 0.5


def test_blur_keeps_the_mean() -> None:
    field = np.random.default_rng(0).random((200, 240), np.float32)
    for sigma in (0.1, 1.0, 30.0):
        assert clouds.blurred(field, sigma).mean() == pytest.approx(field.mean(), abs=0.01)


def test_the_simulator_knows_no_labelling() -> None:
    for path in Path(spectra.__file__).parent.glob("*.py"):
        text = path.read_text()
        assert not any(word in text for word in ("seaice_ops.labels", "water_max", "thin_max", "ndsi"))

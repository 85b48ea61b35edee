"""The labeller's model against published and measured values: air at a low sun, wet ice, ponds, water."""

from __future__ import annotations

import numpy as np
import pytest

from seaice_ops.classes.legend import THICK, THIN, WATER
from seaice_ops.labels.reflectance import optics
from seaice_ops.labels.reflectance.surfaces import melting_spectrum, pond_spectrum, surfaces, water_spectrum
from seaice_ops.sensors.sentinel2 import MICROMETRES

#: B02 / B04 of snow at the satellite by the sun's zenith distance: medians of Landsat-8 over lakes and Sentinel-3 over
#: the Laptev Sea, and what they are worth where the beam crosses ten atmospheres.
MEASURED = {69.0: (1.02, 0.04), 75.0: (1.02, 0.04), 80.0: (1.05, 0.04), 82.0: (1.12, 0.05), 84.0: (1.20, 0.11)}


def snow_at_satellite(band: str, albedo: float, zenith: float) -> float:
    air = optics.air(band, zenith)
    lit = optics.lit(np.float64(albedo), air.diffuse, np.float64(optics.snow_seen(zenith)))
    return float(optics.at_satellite(lit, air, np.float64(albedo)))


@pytest.mark.parametrize("zenith", MEASURED)
def test_snow_is_as_blue_at_the_satellite_as_measured(zenith: float) -> None:
    measured, slack = MEASURED[zenith]
    ratio = snow_at_satellite("B02", 0.96, zenith) / snow_at_satellite("B04", 0.945, zenith)
    assert ratio == pytest.approx(measured, abs=slack)


def test_snow_is_bluer_the_lower_the_sun() -> None:
    ratios = [snow_at_satellite("B02", 0.96, z) / snow_at_satellite("B04", 0.945, z) for z in (69, 75, 80, 82, 84)]
    assert ratios == sorted(ratios)


def test_transmittance_is_that_of_6s() -> None:
    """Vermote et al. 1997: ((2/3 + mu) + (2/3 - mu) exp(-depth / mu)) / (4/3 + depth), both ways."""
    for zenith in (0.0, 45.0, 70.0):
        mu, depth = np.cos(np.radians(zenith)), optics.rayleigh_depth(MICROMETRES["B02"])
        ways = [((2 / 3 + m) + (2 / 3 - m) * np.exp(-depth / m)) / (4 / 3 + depth) for m in (mu, 1.0)]
        ozone = np.exp(-0.021 * 0.35 * (optics.ozone_mass(zenith) + 1))
        assert optics.air("B02", zenith).transmittance == pytest.approx(ways[0] * ways[1] * ozone, abs=0.04)


def test_air_masses_are_the_tabulated_ones() -> None:
    """Kasten & Young 1989: 1.000, 2.904 at 70, 5.6 at 80, 10.3 at 85 degrees; ozone at 22 km less at a low sun."""
    assert [optics.air_mass(z) for z in (0, 70, 80, 85)] == pytest.approx([1.0, 2.904, 5.58, 10.3], rel=0.01)
    assert optics.ozone_mass(60) == pytest.approx(1.99, abs=0.02)
    assert optics.ozone_mass(84) < optics.air_mass(84)


def test_smooth_ice_mirrors_what_fresnel_says() -> None:
    """Fresnel's reflection for n = 1.31: 0.018 straight down, 0.42 at 82 degrees."""
    assert optics.smooth_seen(0) == pytest.approx((1 - 0.018) / 0.94, abs=0.002)
    assert optics.smooth_seen(82) == pytest.approx((1 - 0.42) / 0.94, abs=0.01)


@pytest.mark.parametrize("zenith", [45.0, 62.0, 80.0])
def test_wet_young_ice_is_drawn_as_dark_at_1_6_um_as_measured(zenith: float) -> None:
    """Real wet ice has 0.006 to 0.02 there (Sentinel-2 over lakes), and flat grey ice 0.91 of B04 in B08."""
    kind = np.ones(1 << 14, np.int64)
    surface, _, classes = surfaces(kind, zenith, np.random.default_rng(0))
    thin = surface[:, classes == THIN]
    grey = (thin[1] > 0.3) & (thin[1] < 0.45)
    assert 0.1 < (thin[3] < 0.02).mean() < 0.6
    assert (thin[2, grey] / thin[1, grey] > 0.88).mean() > 0.05


def test_no_open_water_is_bright_and_ponds_are_thick_ice() -> None:
    even = np.linspace(0, 1, 50)
    assert max(water_spectrum(a, 0.03 * b).max() for a in even for b in even) < 0.08
    for deep in even:
        pond = pond_spectrum(np.full(50, deep), even)
        assert (pond[2] < 0.21).all() and (pond[0] > 0.17).all() and (pond[0] > pond[1]).all()
    surface, _, classes = surfaces(np.full(1 << 14, 2), 60.0, np.random.default_rng(0))
    ponds = (surface[0] > 0.2) & (surface[2] < 0.25 * surface[0])
    assert ponds.mean() > 0.03 and (classes == THICK).all()
    assert (surfaces(np.zeros(99, np.int64), 60.0, np.random.default_rng(0))[2] == WATER).all()


def test_nothing_melts_under_a_low_sun() -> None:
    surface, _, _ = surfaces(np.full(1 << 13, 2), 80.0, np.random.default_rng(0))
    assert ((surface[0] > 0.2) & (surface[2] < 0.2 * surface[0])).mean() < 0.005


def test_bare_melting_ice_is_within_what_was_measured() -> None:
    """Sentinel-2 north of Greenland in July: B02 .56 to .70, B04 .41 to .53, B08 .22 to .33."""
    rng = np.random.default_rng(1)
    blue, red, infrared, _ = melting_spectrum(*rng.random((3, 4000)))
    like = (abs(blue - 0.65) < 0.05) & (abs(red - 0.48) < 0.05) & (abs(infrared - 0.28) < 0.06)
    assert like.mean() > 0.01

"""One acquisition in memory: what the product's files decode to, with its truth and conditions."""

from __future__ import annotations

import numpy as np
import pytest

from seaice_ops.classes import conditions, legend
from seaice_ops.pixels import radiometry
from seaice_ops.sensors.sentinel2 import BANDS
from seaice_ops.simulate import marks
from seaice_ops.simulate.example import Example, acquisition
from seaice_ops.simulate.world import World, any_world


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    return [acquisition(seed, 256) for seed in range(8)]


def test_same_seed_same_bytes(examples: list[Example]) -> None:
    again = acquisition(3, 256)
    for name in ("reflectance", "valid", "truth", "conditions"):
        assert getattr(again, name).tobytes() == getattr(examples[3], name).tobytes()
    assert again.sun_zenith == examples[3].sun_zenith
    assert (again.truth != examples[4].truth).mean() > 0.05


def test_shapes_types_and_no_data(examples: list[Example]) -> None:
    for example in examples:
        assert example.reflectance.shape == (len(BANDS), 256, 256)
        assert example.reflectance.dtype == np.int16
        assert example.truth.dtype == example.conditions.dtype == np.uint8
        assert (example.valid == (example.reflectance != radiometry.UNOBSERVED).all(axis=0)).all()
        assert (
            (example.truth == legend.NODATA) == (example.reflectance[:4] == radiometry.UNOBSERVED).any(axis=0)
        ).all()
        assert set(np.unique(example.truth)) <= {*legend.CLASSES, legend.CLOUD, legend.LAND, legend.NODATA}
        assert example.conditions.max() < 2 * max(conditions.NAMES)
        assert not example.conditions[~np.isin(example.truth, legend.CLASSES)].any()


def test_light_stays_within_what_a_surface_can_send_back(examples: list[Example]) -> None:
    for example in examples:
        seen = example.reflectance[:, example.valid] / radiometry.SCALE
        assert np.percentile(seen, 0.01) > -0.01
        assert np.percentile(seen, 99.99) < 1.35  # sunlit cloud over sunlit snow


def test_conditions_agree_with_the_truth(examples: list[Example]) -> None:
    for example in examples:
        bits, truth = example.conditions, example.truth
        assert (truth[bits & conditions.WIDE_THIN > 0] == legend.THIN).all()
        assert (truth[bits & conditions.NARROW_LEAD > 0] != legend.THICK).all()
        low = bits[np.isin(truth, legend.CLASSES)] & conditions.LOW_SUN > 0
        assert low.all() if example.sun_zenith >= marks.LOW_SUN_ZENITH else not low.any()
    found = {bit for bit in conditions.NAMES for example in examples if (example.conditions & bit).any()}
    assert found >= {conditions.THIN_CLOUD, conditions.SHADOW, conditions.NARROW_LEAD, conditions.MIXED}


def test_clear_skies_hold_no_cloud() -> None:
    example = acquisition(2, 128, cloudless=True)
    assert not (example.conditions & conditions.THIN_CLOUD).any()
    assert not (example.truth == legend.CLOUD).any()


@pytest.mark.parametrize("code", legend.CLASSES)
def test_a_world_without_a_class(code: int) -> None:
    world = World(coast=False, shore=(0.3, 0.2), without=code)
    truth = acquisition(1, 256, world=world, cloudless=True).truth
    assert not (truth == code).any()
    assert sum((truth == other).any() for other in legend.CLASSES) == 2


def test_worlds_differ() -> None:
    worlds = [any_world(seed) for seed in range(200)]
    assert len(set(worlds)) > 15
    assert {world.without for world in worlds} == {None, *legend.CLASSES}


def bar(width: int, length: int = 300) -> np.ndarray:
    mask = np.zeros((320, 320), bool)
    mask[10 : 10 + length, 100 : 100 + width] = True
    return mask


@pytest.mark.parametrize(("width", "inside"), [(2, False), (4, True), (9, True), (13, False)])
def test_leads_are_narrow_from_30_to_100_m(width: int, inside: bool) -> None:
    assert marks.narrow(bar(width)).mean() == pytest.approx(bar(width).mean() if inside else 0, abs=0.002)
    assert not marks.narrow(bar(5, length=20)).any()


@pytest.mark.parametrize(("width", "inside"), [(150, False), (215, True)])
def test_fields_are_wide_beyond_2_km(width: int, inside: bool) -> None:
    thin = bar(width)
    thin[120:140, 150:170] = False  # a floe of 200 m
    found = marks.wide(thin)
    assert not found[~thin].any()
    assert (found.sum() > 0.85 * thin.sum()) if inside else not found.any()


def test_the_sun_can_be_set() -> None:
    low = acquisition(5, 128, sun_zenith=78.0)
    assert low.sun_zenith == 78.0
    classed = np.isin(low.truth, legend.CLASSES)
    assert (low.conditions[classed] & conditions.LOW_SUN).all()
    assert not (acquisition(5, 128, sun_zenith=70.0).conditions & conditions.LOW_SUN).any()

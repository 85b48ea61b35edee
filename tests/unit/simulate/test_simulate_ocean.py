"""The ice: patterns that drift as one, a coast that stands still, a lead and a break-up on their dates."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seaice_ops.classes import legend
from seaice_ops.simulate.noise import cells, lattice, smooth
from seaice_ops.simulate.ocean import Surface, drift, surface
from seaice_ops.simulate.product import render
from seaice_ops.simulate.season import SimulateRequest, plan, season_of
from seaice_ops.simulate.sensor import digital_numbers

REQUEST = SimulateRequest(tiles=("01CCV", "60CWS"), size=256)
SEASON = season_of(REQUEST)
TILE = "60CWS"


def at(days: float) -> Surface:
    return surface(1, TILE, 256, SEASON, SEASON.begins + timedelta(days=days))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**63), x=st.integers(-500, 500), y=st.integers(-500, 500))
def test_smooth_noise_is_one_plane(seed: int, x: int, y: int) -> None:
    whole = smooth(seed, (x, y), (60, 70), 17.0, 3)
    part = smooth(seed, (x + 20, y + 10), (50, 50), 17.0, 3)
    np.testing.assert_allclose(whole[10:, 20:], part, atol=1e-4)


def test_smooth_noise_has_unit_spread() -> None:
    field = smooth(5, (0.0, 0.0), (600, 600), 10.0, 4)
    assert abs(field.mean()) < 0.1
    assert field.std() == pytest.approx(1, abs=0.15)


def test_lattice_is_uniform_and_depends_on_everything() -> None:
    rows, columns = np.arange(-200, 200)[:, None], np.arange(-200, 200)[None, :]
    values = lattice(3, rows, columns)
    assert np.histogram(values, bins=10, range=(0, 1))[0] / values.size == pytest.approx(0.1, abs=0.005)
    assert len(np.unique(values)) == values.size
    assert not np.isin(lattice(4, rows, columns), values).any()


def test_cells_move_as_one() -> None:
    whole = cells(7, (0.0, 0.0), (160, 160), 30.0)
    moved = cells(7, (40.0, 24.0), (120, 120), 30.0)
    same = np.isclose(whole.value[24:144, 40:160], moved.value)
    assert same.mean() > 0.97  # ties at borders may fall either way
    assert np.median(np.abs(whole.edge[24:144, 40:160] - moved.edge)) < 0.5
    assert 0 <= whole.edge.min() < 1


def test_pack_drifts_by_hundreds_of_metres_an_hour() -> None:
    hours = np.array([drift(1, TILE, hour / 24) for hour in range(24 * 10)])
    speed = np.hypot(*np.diff(hours, axis=0).T)
    assert 150 < np.median(speed) < 900


def test_floes_are_found_again_where_they_drifted() -> None:
    earlier, later = at(2.0), at(2.0 + 1 / 24)
    a, b = (np.array(drift(1, TILE, days)) / 10 for days in (2.0, 2.0 + 1 / 24))
    east, south = np.rint(b - a).astype(int)
    pack = np.s_[40:90, 80:200]
    before = earlier.tone[pack]
    after = later.tone[40 + south : 90 + south, 80 + east : 200 + east]
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.8
    assert np.corrcoef(before.ravel(), later.tone[pack].ravel())[0, 1] < 0.6


def test_shelf_and_fast_ice_stand_still_until_the_breakup() -> None:
    early, before, after, end = (at(days) for days in (0.5, 9.2, 9.5, 16.9))
    assert (early.codes == legend.LAND).mean() > 0.02
    for other in (before, after, end):
        assert ((early.codes == legend.LAND) == (other.codes == legend.LAND)).all()
    assert SEASON.begins + timedelta(days=9.2) < SEASON.breakup < SEASON.begins + timedelta(days=9.5)
    still = np.logical_and.reduce([at(days).codes == legend.THICK for days in np.arange(0, 9.2, 0.7)])
    broken = still & (after.codes == legend.WATER)
    broken[:170] = False  # floes of the pack that happened to lie there each time
    assert broken.mean() > 0.02
    assert (end.codes[broken] != legend.THICK).all()  # for good


def test_the_lead_opens_and_closes() -> None:
    opens, closes = ((when - SEASON.begins).total_seconds() / 86400 for when in SEASON.lead)
    row = np.s_[40:85]
    water = [(at(days).codes[row] == legend.WATER).any(axis=0).mean() for days in (opens - 0.1, (opens + closes) / 2)]
    assert water[1] > 0.9 > water[0] + 0.3
    assert (at(closes + 0.01).codes[row] == legend.WATER).any(axis=0).mean() < 0.6


@pytest.mark.parametrize("size", [256, 512])
def test_classes_are_well_populated(size: int) -> None:
    request = replace(REQUEST, size=size)
    counts = np.zeros(256)
    for product in plan(request)[::8]:
        counts += np.bincount(render(request, product).truth.ravel(), minlength=256)
    shares = counts[list(legend.CLASSES)] / counts[list(legend.CLASSES)].sum()
    assert shares.min() > 0.08
    assert shares.max() < 0.62
    assert {code for code in range(256) if counts[code]} <= {*legend.CLASSES, legend.CLOUD, legend.LAND, legend.NODATA}


def test_thin_ice_is_both_narrow_and_kilometres_wide() -> None:
    import cv2

    thin = (surface(1, TILE, 1024, SEASON, SEASON.begins + timedelta(days=1.8)).codes == legend.THIN).astype(np.uint8)
    width = 2 * cv2.distanceTransform(thin, cv2.DIST_L2, 5)
    opened = cv2.morphologyEx(thin, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (11, 11)))
    assert width.max() > 100  # pixels of 10 m
    assert (thin & ~opened & 1).mean() > 0.005  # what an opening of 110 m removes


def test_digital_numbers_keep_zero_for_what_was_not_seen() -> None:
    request = replace(REQUEST, size=128)
    images = [render(request, product) for product in plan(request)[::3]]
    image = next(image for image in images if not image.valid.all())
    for offset in (0, 1000):
        numbers = digital_numbers(image, offset)
        assert ((numbers == 0) == ~image.valid).all()
        error = numbers[:, image.valid] - offset - image.reflectance[:, image.valid] * 10_000
        assert np.abs(error[:, (image.reflectance[:, image.valid] > 0.001).all(axis=0)]).max() <= 0.51
    assert ((image.truth == legend.NODATA) == ~image.valid).all()

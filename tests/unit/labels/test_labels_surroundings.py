"""What lies around pixels: means of cells, the network's weights, their places, and how shares are weighted."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from seaice_ops.classes.legend import THICK, THIN, WATER
from seaice_ops.labels.reflectance import optics, surroundings
from seaice_ops.labels.reflectance.model import draw
from seaice_ops.labels.reflectance.pixels import _weigh
from seaice_ops.labels.reflectance.surfaces import BANDS
from seaice_ops.labels.reflectance.surroundings import (
    CELL,
    LEAST,
    MOST,
    at_pixels,
    cell_sums,
    class_weights,
    features,
    taught,
)
from seaice_ops.labels.reflectance.table import WHOLE
from seaice_ops.pixels.radiometry import UNOBSERVED

NOTHING, ALL = (0.0,) * 4, (1.0,) * 4


@given(st.integers(1, 3 * CELL), st.integers(1, 3 * CELL), st.integers(0, 9))
@hypothesis_settings(max_examples=25, deadline=None)
def test_cells_are_those_of_a_loop_over_pixels(rows: int, columns: int, seed: int):
    rng = np.random.default_rng(seed)
    bands = rng.integers(-900, 9000, (4, rows, columns)).astype(np.int16)
    bands[rng.integers(4), rng.random((rows, columns)) < 0.1] = UNOBSERVED
    looked_at = {3, 12, 19, 28}
    expected = np.zeros((5, -(-rows // CELL), -(-columns // CELL)))
    for row, column in np.ndindex(rows, columns):
        pixel = bands[:, row, column]
        if {row % CELL, column % CELL} <= looked_at and (pixel != UNOBSERVED).all():
            expected[:, row // CELL, column // CELL] += [*pixel, 1]
    assert np.allclose(cell_sums(bands), expected / 16, rtol=1e-5, atol=1e-4)


def test_a_cell_s_mean_is_taken_over_what_was_observed():
    bands = np.full((4, 4 * CELL, 4 * CELL), 3000, np.int16)
    plain = class_weights(cell_sums(bands), 66.0, NOTHING, ALL)
    bands[:, :CELL] = UNOBSERVED
    bands[2, CELL + 5, :] = UNOBSERVED
    assert np.array_equal(class_weights(cell_sums(bands), 66.0, NOTHING, ALL), plain)


def test_what_was_never_observed_has_weights_too():
    weights = class_weights(cell_sums(np.full((4, 70, 40), UNOBSERVED, np.int16)), 66.0, NOTHING, ALL)
    assert weights.shape == (3, 2, 3)
    assert weights.min() >= LEAST
    assert (weights.max(axis=2) == MOST).all()


def test_the_network_is_its_layers_written_out():
    stored = json.loads(
        (surroundings.resources.files("seaice_ops.labels.reflectance") / "surroundings.json").read_text()
    )
    given_ = np.random.default_rng(0).normal(size=(5, 9))
    values = given_
    for index, (weights, offsets) in enumerate(zip(stored["weights"], stored["offsets"], strict=True)):
        values = (values if index == 0 else np.where(values > 0, values, 0)) @ np.array(weights).T + np.array(offsets)
    assert np.allclose(taught()(given_.astype(np.float32)), values, rtol=1e-4, atol=1e-4)


@given(st.data())
@hypothesis_settings(max_examples=40, deadline=None)
def test_weights_at_a_pixel_do_not_depend_on_the_block(data: st.DataObject):
    rows, columns = data.draw(st.integers(1, 200), "rows"), data.draw(st.integers(1, 200), "columns")
    cells = -(-rows // CELL), -(-columns // CELL), 3
    weights = np.random.default_rng(3).integers(LEAST, MOST + 1, cells).astype(np.uint8)
    whole = at_pixels(weights, slice(0, rows), slice(0, columns))
    top, left = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, columns - 1))
    bottom, right = data.draw(st.integers(top + 1, rows)), data.draw(st.integers(left + 1, columns))
    block = at_pixels(weights, slice(top, bottom), slice(left, right))
    assert np.array_equal(block, whole[top:bottom, left:right])


def test_weights_change_evenly_from_one_cell_s_centre_to_the_next():
    weights = np.zeros((1, 3, 3), np.uint8)
    weights[:] = np.array([10, 200, 90])[:, None]
    line = at_pixels(weights, slice(0, CELL), slice(0, 3 * CELL))[4, :, 0].astype(float)
    centres = (np.arange(3) + 0.5) * CELL - 0.5
    assert np.abs(line - np.interp(np.arange(3 * CELL), centres, [10, 200, 90])).max() <= 1


@pytest.mark.parametrize("part", [0.0, 0.02, 0.5, 1.0])
def test_shares_are_multiplied_where_there_is_a_veil(part: float):
    rng = np.random.default_rng(5)
    shares = np.rint(WHOLE * rng.dirichlet((1, 1, 1), (40, 50))).astype(np.uint8)
    water, thin = shares[..., 0], np.minimum(shares[..., 1], WHOLE - shares[..., 0])
    around = rng.integers(LEAST, MOST + 1, (*water.shape, 3)).astype(np.uint8)
    veiled = (rng.random(water.shape) < part).astype(np.uint8)
    parts = np.stack([water, thin, WHOLE - water.astype(int) - thin]) * np.moveaxis(around, -1, 0).astype(float)
    expected = WHOLE * parts[:2] / parts.sum(axis=0)
    weighted = water.copy(), thin.copy()
    _weigh(*weighted, veiled, around)
    found = np.stack(weighted).astype(float)
    assert np.array_equal(found[:, veiled == 0], np.stack([water, thin])[:, veiled == 0])
    # Eight bits: half a step in each of the parts.
    step = WHOLE * MOST / parts.sum(axis=0)
    assert (np.abs(found - expected) <= step + 1)[:, veiled > 0].all()


@pytest.mark.parametrize("zenith", [52, 66, 80])
def test_what_lies_around_tells_more_than_nothing(zenith: int):
    """In the model itself the favoured class is more often right than a guess among three."""
    draws = draw(1 << 14, zenith, seed=7)
    around = [
        optics.at_surface(values, optics.air(band, zenith))
        for seen in (draws.near, draws.far)
        for values, band in zip(seen, BANDS, strict=True)
    ]
    favoured = np.array([WATER, THIN, THICK])[taught()(features(np.stack(around), zenith)).argmax(axis=1)]
    assert (favoured == draws.classes).mean() > 0.4

"""One acquisition in memory, without files: the pixels that a labelling method gets, and their reference."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from seaice_ops.pixels import radiometry
from seaice_ops.simulate.clouds import clear, sky
from seaice_ops.simulate.geometry import seen_from
from seaice_ops.simulate.noise import derive
from seaice_ops.simulate.ocean import surface
from seaice_ops.simulate.product import stored
from seaice_ops.simulate.season import SimulateRequest, season_of
from seaice_ops.simulate.sensor import OFFSET, Image, observe
from seaice_ops.simulate.world import World, any_world

PIXEL_M = 10.0
_DAYS = 17.0  # a season's length: before, during and after its lead and its break-up


@dataclass(frozen=True)
class Example:
    """One acquisition and its reference."""

    reflectance: NDArray[np.int16]
    """(5, rows, columns) reflectance x 10000 in `sentinel2.BANDS` order, `radiometry.UNOBSERVED` where not observed."""
    valid: NDArray[np.bool_]
    """(rows, columns) pixels that were observed in every band."""
    sun_zenith: float
    """Sun zenith angle, degrees."""
    truth: NDArray[np.uint8]
    """(rows, columns) legend codes."""
    conditions: NDArray[np.uint8]
    """(rows, columns) bits of `seaice_ops.classes.conditions`."""
    pixel_m: float
    """Edge of a pixel, metres."""


def acquisition(
    seed: int, size: int = 1024, *, sun_zenith: float | None = None, world: World | None = None, cloudless: bool = False
) -> Example:
    """The acquisition of `seed`, `size` x `size` pixels (even): any season, layout, sky and sun. Same seed, same bytes.

    `sun_zenith`, degrees, is otherwise drawn from 52 to 82; `world` and `cloudless` replace what the seed draws.
    """
    rng = np.random.default_rng(derive(seed, "example"))
    drawn, azimuth, days = float(rng.uniform(52, 82)), float(rng.uniform(20, 130)), float(rng.uniform(0, _DAYS))
    geometry = seen_from(seed, drawn if sun_zenith is None else sun_zenith, azimuth)
    season = season_of(SimulateRequest(size=size))
    ground = surface(seed, "example", size, season, season.begins + timedelta(days=days), world or any_world(seed))
    shape = ground.land.shape
    above = clear(shape) if cloudless else sky(seed, shape, geometry)
    return decoded(observe(seed, ground, above, geometry), geometry.sun_zenith)


def decoded(image: Image, sun_zenith: float) -> Example:
    """The example that reading the product's files gives: quantised, each 20 m pixel of B11 repeated."""
    bands = []
    for values in stored(image, OFFSET).values():
        repeat = image.truth.shape[0] // values.shape[0]
        reflectance = np.clip(values.astype(np.int32) - OFFSET, radiometry.UNOBSERVED + 1, 32_767).astype(np.int16)
        reflectance[values == 0] = radiometry.UNOBSERVED
        bands.append(reflectance.repeat(repeat, axis=0).repeat(repeat, axis=1))
    stack = np.stack(bands)
    valid = (stack != radiometry.UNOBSERVED).all(axis=0)
    return Example(stack, valid, sun_zenith, image.truth, image.conditions, PIXEL_M)

"""One acquisition in memory, as a labeller meets it, with what lay there and how it was seen. No files."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seaice_ops import imagery
from seaice_ops.simulate.noise import derive
from seaice_ops.simulate.ocean import surface
from seaice_ops.simulate.product import stored
from seaice_ops.simulate.season import OLDER, SimulateRequest, plan, season_of
from seaice_ops.simulate.sensor import OFFSET, Image, observe, sky
from seaice_ops.simulate.sun import sun_angles
from seaice_ops.simulate.tiles import tile_of

PIXEL_M = 10.0
_TILE = "01CCV"


@dataclass(frozen=True)
class Example:
    """`reflectance` int16 (5, rows, columns) x 10000 in `imagery.BANDS` order, `imagery.NODATA` where not observed;
    `valid` where every band was observed; `sun_zenith` degrees; `truth` u8 legend codes; `conditions` u8 bit mask
    (`seaice_ops.conditions`); `pixel_m` metres."""

    reflectance: NDArray[np.int16]
    valid: NDArray[np.bool_]
    sun_zenith: float
    truth: NDArray[np.uint8]
    conditions: NDArray[np.uint8]
    pixel_m: float


def acquisition(seed: int, size: int = 1024, *, sun_zenith: float | None = None) -> Example:
    """The acquisition of `seed`, `size` x `size` pixels: any day of a season, any sky. The same seed gives the same.

    `sun_zenith`, degrees, replaces the day's own.
    """
    request = SimulateRequest(tiles=(_TILE,), seed=seed, size=size)
    looks = [product for product in plan(request) if product.kind != OLDER]
    product = looks[derive(seed, "look") % len(looks)]
    zenith, azimuth = sun_angles(*tile_of(_TILE).centre(size), product.sensed)
    zenith = zenith if sun_zenith is None else sun_zenith
    ground = surface(seed, _TILE, size, season_of(request), product.sensed)
    above = sky(derive(seed, "sky"), ground.codes.shape, zenith, azimuth)
    return decoded(observe(derive(seed, "look"), ground, above, zenith), zenith)


def decoded(image: Image, sun_zenith: float) -> Example:
    """What is read back from the product's files: quantised, B11 at 20 m with each pixel repeated."""
    bands = []
    for values in stored(image, OFFSET).values():
        repeat = image.truth.shape[0] // values.shape[0]
        reflectance = np.clip(values.astype(np.int32) - OFFSET, imagery.NODATA + 1, 32_767).astype(np.int16)
        reflectance[values == 0] = imagery.NODATA
        bands.append(reflectance.repeat(repeat, axis=0).repeat(repeat, axis=1))
    stack = np.stack(bands)
    valid = (stack != imagery.NODATA).all(axis=0)
    return Example(stack, valid, sun_zenith, image.truth, image.conditions, PIXEL_M)

"""What a satellite sees of the surfaces (`reflectance_surfaces`) below all skies, with what lies beside them.

Cloud stands between a pixel and us, and another place of it between the pixel and the sun, as cloud is high and the sun
low: what shades the ground is seldom what hides it. And light that cloud or air turn on its way up comes from hundreds
of metres around: water amid snow looks grey below a veil, and in blue always. So a draw is a pixel with its
surroundings: shares of the classes, their surfaces, and places of one sky.

A table of these draws (`reflectance_table`) is what a pixel is compared with, and what its surroundings say is learnt
from them too (`surroundings_teach`): the ranges and the shares of skies are the labeller's whole prior knowledge.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seaice_ops.classes.legend import THICK
from seaice_ops.labels.reflectance import optics
from seaice_ops.labels.reflectance.surfaces import BANDS, Floats, surfaces

#: Half width of a band's noise (triangular), reflectance: several times the specification, for compression too.
NOISE = 0.0045

#: Mean optical depth of the thickest skies drawn, and of the clearest; share of skies with cloud.
DEEPEST, CLEAREST, CLOUDY = 10.0, 0.03, 0.75

#: Share of draws shaded by what no cloud explains, down to this share of the direct beam: ridges, shelf fronts. So many
#: are where the sun is 66 degrees from the zenith or lower; shadows are shorter, and fewer, where it is higher.
SHADED, DARKEST = 0.26, 0.03

#: Slope of snow and older ice towards or away from the sun over a pixel (standard deviation): sastrugi of 0.1 to 0.3 m
#: (Warren et al. 1998, J. Geophys. Res. 103), drifts, ridges.
SLOPE = 0.04

#: Path reflectance of the draws differs by this share of it (full width) under a usual sun: pressure, aerosol and the
#: exact view are not ours to know. It grows with the root of the air mass.
PATH = 0.4

#: Gain of each band (standard deviation): calibration is not known better (S2 MPC, L1C Data Quality Report: 3 %).
GAIN = 0.02

#: Ozone of the draws, atm cm (Fioletov 2008, Atmos.-Ocean 46).
OZONE = 0.27, 0.45

#: Aerosol of the draws, relative to the usual: 0.025 to 0.07 at 550 nm (Tomasi et al. 2007, JGR 112).
HAZE = 0.5, 1.4

_FAR = 3  # places of the sky that what is far around is seen through
_TOGETHER = 1 << 13  # draws that are made together: what fits into a processor's cache


@dataclass(frozen=True)
class Draws:
    """`bands`, `near` and `far` (4, n): top-of-atmosphere reflectance of BANDS of a pixel, and its mean over some tens
    and some hundreds of metres around. What made it: `classes` (n,) u8 legend codes, `cloud` (n,) optical depth of
    the cloud over the pixel, `sunlight` (n,) direct light that arrives, relative to what passes that cloud."""

    bands: Floats
    near: Floats
    far: Floats
    classes: NDArray[np.uint8]
    cloud: Floats
    sunlight: Floats


def draw(count: int, sun_zenith: float, seed: int = 0) -> Draws:
    """`count` pixels, each class a third of them, under a sun `sun_zenith` degrees from the zenith."""
    rng = np.random.default_rng([seed, round(100 * sun_zenith)])
    parts = [_drawn(min(_TOGETHER, count - first), sun_zenith, rng) for first in range(0, count, _TOGETHER)]
    planes = zip(*(vars(part).values() for part in parts), strict=True)
    return Draws(*(np.concatenate(pieces, axis=-1) for pieces in planes))


def _drawn(count: int, sun_zenith: float, rng: np.random.Generator) -> Draws:
    mu = math.cos(math.radians(sun_zenith))
    surface, near, far, classes = _ground(count, sun_zenith, rng)
    above, sunward = _sky(count, rng)
    towards_us, thin_at_swir, air_mass, tone = rng.random((4, count))
    shaded = SHADED * min(1.0, math.tan(math.radians(sun_zenith)) / math.tan(math.radians(optics.USUAL_ZENITH)))
    front = np.where(rng.random(count) < shaded, DARKEST + (1 - DARKEST) * rng.random(count), 1.0)
    steep = SLOPE * min(math.tan(math.radians(sun_zenith)), 3.0) * rng.standard_normal(count)
    slope = np.where(classes == THICK, np.clip(1 + steep, 0.25, 1.35), 1.0)
    unsure = PATH * math.sqrt(optics.air_mass(sun_zenith) / optics.air_mass(optics.USUAL_ZENITH))
    noise = NOISE * (rng.random((len(BANDS), count)) + rng.random((len(BANDS), count)) - 1)
    seen = np.empty((3, len(BANDS), count))
    haze, ozone = (low + (high - low) * rng.random(count) for low, high in (HAZE, OZONE))
    beam, beam_near, beam_far = (ground[-1] / ground[1] for ground in (surface, near, far))
    for index, band in enumerate(BANDS):
        air, aside = optics.air(band, sun_zenith), optics.adjacency_share(band)
        diffuse = optics.sky_share(band, sun_zenith, haze)
        part, absorbs = (0.6 + 0.4 * thin_at_swir, 0.02) if band == "B11" else (1.0, 0.0)
        light = [optics.cloud_transmittance(part * depth, absorbs, mu) for depth in sunward]
        around = optics.lit(far[index], diffuse, beam_far * np.mean(light[1:], axis=0))

        def over(ground: Floats, depth: Floats) -> Floats:
            return optics.under_cloud(ground, around, part * depth, absorbs, mu, 0.8 + 0.4 * towards_us)  # noqa: B023

        wide = np.asarray(np.mean([over(around, depth) for depth in above[2:]], axis=0), np.float64)
        pixel = optics.lit(surface[index] * (1 + 0.02 * (tone - 0.5)), diffuse, light[0] * front * slope * beam)
        beside = optics.lit(near[index], diffuse, light[0] * front * beam_near)
        mixed = (over(pixel, above[0]), over(beside, above[1]))
        layers = [(1 - aside) * below + aside * wide for below in mixed] + [wide]
        more = air.path * unsure * (air_mass - 0.5)
        scale = optics.ozone_change(band, sun_zenith, ozone) * (1 + GAIN * rng.standard_normal(count))
        seen[:, index] = [(optics.at_satellite(layer, air, wide) + more) * scale for layer in layers]
    lost = optics.cloud_transmittance(sunward[0], 0.0, mu) * front / optics.cloud_transmittance(above[0], 0.0, mu)
    return Draws(seen[0] + noise, seen[1], seen[2], classes, above[0], np.minimum(lost, 1.0))


def _ground(
    count: int, sun_zenith: float, rng: np.random.Generator
) -> tuple[Floats, Floats, Floats, NDArray[np.uint8]]:
    """(5, n) albedo of pixels and of what lies near and far around them in BANDS, and the part of B04 that the direct
    beam shows; and the pixels' classes.

    Around are shares of the three kinds, far away little more often the pixel's own, near often; mostly the same ice
    and water as in the pixel, farther away partly other.
    """
    kind = np.arange(count) % 3
    own = (np.arange(3)[:, None] == kind).astype(np.float64)
    surface, beam, classes = surfaces(kind, sun_zenith, rng)
    surface = np.concatenate([surface, surface[1:2] * beam])
    wide = _shares(rng.gamma(2 + 0.5 * own))
    close = _shares(rng.gamma(0.5 * 16 ** rng.random(count) * wide + own))
    near, far = np.zeros((2, *surface.shape))
    for this in range(3):
        one, other = (surface[:, rng.choice(np.flatnonzero(kind == this), count)] for _ in range(2))
        same = (kind == this) & (rng.random(count) < 0.9)
        one = np.where(same, surface, one)
        near += close[this] * one
        far += wide[this] * (one + 0.7 * rng.random(count) * (other - one))
    return surface, near + 0.2 * (surface - near), far, classes


def _shares(amounts: Floats) -> Floats:
    amounts = np.maximum(amounts, 1e-9)
    return np.asarray(amounts / amounts.sum(axis=0), np.float64)


def _sky(count: int, rng: np.random.Generator) -> tuple[list[Floats], list[Floats]]:
    """Optical depths (n,) of places of a sky: over the pixel, near it, far around; in the sun's way to the pixel and to
    places far around."""
    usual = np.where(rng.random(count) < CLOUDY, DEEPEST * rng.random(count) ** 1.5, CLEAREST)
    gaps = 0.9 * rng.random(count)

    def place() -> Floats:
        hidden = rng.random(count) >= gaps
        return np.where(hidden, 2 * usual, CLEAREST) * rng.random(count)

    def like(depth: Floats, how_much: float) -> Floats:
        return np.asarray(depth * np.exp(how_much * rng.standard_normal(count)), np.float64)

    def either(share: float, one: Floats, other: Floats) -> Floats:
        return np.where(rng.random(count) < share, one, other)

    pixel = place()
    sunward = either(0.3, like(pixel, 0.4), place())
    near = either(0.7, like(pixel, 0.3), (pixel + place()) / 2)
    above = [pixel, near, *(either(0.3, pixel, place()) for _ in range(_FAR))]
    return above, [sunward, *(either(0.3, sunward, place()) for _ in range(_FAR))]

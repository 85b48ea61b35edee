"""Random draws of the top-of-atmosphere reflectance of pixels and their surroundings, below all kinds of sky.

Cloud is high and the sun low, so the cloud that shades a pixel is seldom the cloud that hides it. Each draw therefore
has separate optical depths above the pixel and in the sun's direction. Cloud and air also scatter light from hundreds
of metres around into the line of sight (adjacency effect): water amid snow looks grey below thin cloud, and in blue
always. So a draw is a pixel with its surroundings: shares of the classes, their surfaces (`surfaces`), and places of
one sky.

Pixels are compared with a table of these draws (`table`), and the weights of the surroundings are learnt from them too
(`surroundings_teach`). The ranges and shares below are all the prior knowledge of this labelling method.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seaice_ops.classes.legend import THICK
from seaice_ops.labels.reflectance import optics
from seaice_ops.labels.reflectance.surfaces import BANDS, Floats, surfaces

#: Half width of a band's triangular noise, reflectance: several times the specification, to cover compression too.
NOISE = 0.0045

#: Mean optical depth of the thickest cloud drawn and of a clear sky; share of skies with cloud.
DEEPEST, CLEAREST, CLOUDY = 10.0, 0.03, 0.75

#: Share of draws in the shadow of ridges or shelf fronts, and the least share of the direct beam that reaches them.
#: It holds for a sun zenith of 66 degrees or more; a higher sun casts shorter and fewer shadows.
SHADED, DARKEST = 0.26, 0.03

#: Standard deviation of the slope (rise over run) of snow and older ice towards the sun over a pixel: sastrugi of 0.1
#: to 0.3 m (Warren et al. 1998, J. Geophys. Res. 103), drifts, ridges.
SLOPE = 0.04

#: Full width of the draws' relative error in path reflectance at the usual sun zenith: pressure, aerosol and the exact
#: view angle are unknown. It grows with the square root of the air mass.
PATH = 0.4

#: Standard deviation of each band's relative gain error (S2 MPC, L1C Data Quality Report: 3 %).
GAIN = 0.02

#: Range of the draws' ozone column, atm cm (Fioletov 2008, Atmos.-Ocean 46).
OZONE = 0.27, 0.45

#: Range of the draws' aerosol optical depth relative to the usual: 0.025 to 0.07 at 550 nm (Tomasi et al. 2007, JGR
#: 112).
HAZE = 0.5, 1.4

_FAR_PLACES = 3  # places of the sky through which the far surroundings are seen
_CHUNK = 1 << 13  # draws made at once: they fit into a processor's cache


@dataclass(frozen=True)
class Draws:
    """`n` drawn pixels: their reflectance, that of their surroundings, and the class and sky behind it."""

    bands: Floats
    """(4, n) top-of-atmosphere reflectance of the pixel in BANDS."""
    near: Floats
    """(4, n) its mean over some tens of metres around."""
    far: Floats
    """(4, n) its mean over some hundreds of metres around."""
    classes: NDArray[np.uint8]
    """(n,) u8 legend codes."""
    cloud: Floats
    """(n,) optical depth of the cloud above the pixel."""
    sunlight: Floats
    """(n,) direct sunlight at the pixel relative to what the cloud above it would transmit, at most 1."""


def draw(count: int, sun_zenith: float, seed: int = 0) -> Draws:
    """`count` draws under a sun `sun_zenith` degrees from the zenith: a third each of water, young ice and thick ice.

    Young ice hidden by snow counts as thick. The same arguments give the same draws.
    """
    rng = np.random.default_rng([seed, round(100 * sun_zenith)])
    parts = [_drawn(min(_CHUNK, count - first), sun_zenith, rng) for first in range(0, count, _CHUNK)]
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
    """(5, n) albedo of pixels, of their near and of their far surroundings; and (n,) u8 classes of the pixels.

    The first four rows are BANDS, the fifth is B04 times the direct-beam factor of `surfaces`. The surroundings are
    mixtures of the three kinds of surface. The pixel's own kind is frequent nearby and little more frequent than the
    others far away; far surroundings partly hold other ice and water of the same kind.
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
    """Optical depths (n,) at places of one sky, in two lists.

    First above the pixel, above its near and its far surroundings; then in the sun's direction from the pixel and
    from its far surroundings.
    """
    usual = np.where(rng.random(count) < CLOUDY, DEEPEST * rng.random(count) ** 1.5, CLEAREST)
    gaps = 0.9 * rng.random(count)

    def place() -> Floats:
        hidden = rng.random(count) >= gaps
        return np.where(hidden, 2 * usual, CLEAREST) * rng.random(count)

    def like(depth: Floats, sigma: float) -> Floats:
        return np.asarray(depth * np.exp(sigma * rng.standard_normal(count)), np.float64)

    def either(share: float, one: Floats, other: Floats) -> Floats:
        return np.where(rng.random(count) < share, one, other)

    pixel = place()
    sunward = either(0.3, like(pixel, 0.4), place())
    near = either(0.7, like(pixel, 0.3), (pixel + place()) / 2)
    above = [pixel, near, *(either(0.3, pixel, place()) for _ in range(_FAR_PLACES))]
    return above, [sunward, *(either(0.3, sunward, place()) for _ in range(_FAR_PLACES))]

"""From the surface to digital numbers: sun, air, clouds, shadows, the swath's edge, blur, noise, 16 bits."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, exp, radians, sin, tan

import cv2
import numpy as np
from numpy.typing import NDArray

from seaice_ops import legend
from seaice_ops.simulate import spectra
from seaice_ops.simulate.marks import conditions_of
from seaice_ops.simulate.noise import Field, derive, smooth
from seaice_ops.simulate.ocean import Surface

SCALE = 10_000
OFFSET = 1000  # added since processing baseline 04.00

#: Reflectance noise: signal-to-noise ratio at a reference reflectance (Drusch et al. 2012, Remote Sens. Environ. 120,
#: reference radiances under a sun 60 degrees from the zenith), scaled as photon noise.
_SNR = (154.0, 168.0, 142.0, 174.0, 100.0)
_SNR_AT = (0.41, 0.44, 0.45, 0.62, 0.10)

#: Share of sky light, which a cloud's shadow does not take away, on ground among bright ice.
_SKY_LIGHT = (0.52, 0.46, 0.41, 0.36, 0.26)


#: Optical depth of 300 Dobson units of ozone (the Chappuis bands; representative of tables such as 6S's).
_OZONE = (0.006, 0.025, 0.017, 0.0, 0.0)


@dataclass(frozen=True)
class Sky:
    """Optical depth of cloud at each pixel, share of direct sun lost to shadow (0..1), and what was not observed."""

    cloud: Field
    shadow: Field
    unseen: NDArray[np.bool_]


@dataclass(frozen=True)
class Image:
    """(5, rows, columns) top-of-atmosphere reflectance, what was observed, the reference class codes and conditions."""

    reflectance: Field
    valid: NDArray[np.bool_]
    truth: NDArray[np.uint8]
    conditions: NDArray[np.uint8]


#: Optical depth beyond which nobody could say what lies below: such pixels are cloud in the reference.
OPAQUE = 5.0


def sky(seed: int, shape: tuple[int, int], sun_zenith: float, sun_azimuth: float) -> Sky:
    """The sky of one acquisition: clear, wisps, a veil or a bank; shadows fall away from the sun; one in three
    acquisitions is cut by the swath's edge."""
    rng = np.random.default_rng(derive(seed, "sky"))
    scale = shape[0] / 1024
    height_px = float(rng.uniform(25, 70)) * scale
    reach = height_px * min(tan(radians(sun_zenith)), 4.0)
    east, south = -sin(radians(sun_azimuth)) * reach, cos(radians(sun_azimuth)) * reach
    amount = float(rng.choice((-1.9, -1.2, -0.7, -0.2), p=(0.24, 0.34, 0.25, 0.17)))
    stretch = (float(rng.uniform(0.7, 2.2)), float(rng.uniform(0.6, 1.3)))
    origin = (float(rng.uniform(0, 1e5)), float(rng.uniform(0, 1e5)))

    def depth(shift: tuple[float, float]) -> Field:
        place = origin[0] - shift[0], origin[1] - shift[1]
        pattern = smooth(derive(seed, "cloud"), place, shape, 420 * scale, 6, stretch, persistence=0.55)
        return np.asarray(1.7 * np.maximum(pattern + np.float32(amount), 0) ** 1.5, np.float32)

    shadow = 1 - np.exp(-depth((east, south)))
    return Sky(depth((0.0, 0.0)) + 0.01, (0.9 * shadow).astype(np.float32), _wedge(rng, shape))


def _wedge(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels beyond the swath's edge: a corner, in one acquisition of three."""
    cut, corner = rng.uniform(), int(rng.integers(4))
    offset, lean = rng.uniform(0.15, 0.75), rng.uniform(0.5, 1.6)
    across = np.linspace(0, 1, shape[1], dtype=np.float32)[None, :]
    down = np.linspace(0, 1, shape[0], dtype=np.float32)[:, None]
    across = 1 - across if corner % 2 else across
    down = 1 - down if corner // 2 else down
    return (across + lean * down < offset) if cut < 1 / 3 else np.zeros(shape, bool)


def observe(seed: int, ground: Surface, above: Sky, sun_zenith: float) -> Image:
    """What the satellite sees of `ground` below the sky `above`."""
    surface = _ground(ground, above.shadow, sun_zenith)
    mu = max(cos(radians(sun_zenith)), 0.1)
    rng = np.random.default_rng(derive(seed, "noise"))
    for band in range(len(spectra.BANDS)):
        seen = _through_air(band, _through_cloud(band, surface[band], above.cloud, mu), mu)
        seen = np.asarray(cv2.GaussianBlur(seen, (0, 0), 0.6), np.float32)
        spread = np.sqrt(np.maximum(seen, 0.01) * np.float32(_SNR_AT[band])) / np.float32(_SNR[band])
        surface[band] = seen + spread * rng.standard_normal(seen.shape, np.float32)
    truth = np.where((above.cloud > OPAQUE) & (ground.codes != legend.LAND), legend.CLOUD, ground.codes)
    truth[above.unseen] = legend.NODATA
    truth = truth.astype(np.uint8)
    marks = conditions_of(truth, above.cloud, above.shadow, sun_zenith, _mixed(ground.codes))
    return Image(surface, ~above.unseen, truth, marks)


def _mixed(codes: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Pixels beside another class."""
    return np.asarray(cv2.morphologyEx(codes, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0, np.bool_)


def _ground(ground: Surface, shadow: Field, sun_zenith: float) -> Field:
    """Reflectance at the surface: spectra, relief shaded by a low sun, less light to the nadir from it, shadow."""
    bright = (ground.codes == legend.THICK) | (ground.codes == legend.LAND)
    relief = 1 + np.float32(0.006 * min(tan(radians(sun_zenith)), 5.0)) * ground.slope
    falling = np.float32(1 - 0.003 * max(sun_zenith - 50, 0))
    snow = spectra.thick_ice(ground.snow) * (relief * falling)
    thin = spectra.thin_ice(ground.thickness)
    thin += ground.dusting * (np.asarray(spectra.SNOW, np.float32)[:, None, None] * 0.9 - thin)
    out = np.where(bright, snow, thin)
    for band, sky_light in enumerate(_SKY_LIGHT):
        out[band] *= 1 - np.float32(1 - sky_light) * shadow
    return out


def _through_cloud(band: int, below: Field, depth: Field, mu: float) -> Field:
    """Two-stream cloud over a reflecting surface: (1 - g) tau scatters back, the rest is passed both ways."""
    scattered = np.float32(1 - spectra.CLOUD_ASYMMETRY) * depth
    deep = np.float32(spectra.DEEP_CLOUD[band])
    up = deep * scattered / (scattered + np.float32(2 * mu))
    both = (1 - up / deep * np.float32(0.98)) * (1 - deep * scattered / (scattered + 2))
    return np.asarray(up + both * below / (1 - up * below), np.float32)


def _through_air(band: int, below: Field, mu: float) -> Field:
    """Rayleigh scattering (optical depth after Hansen and Travis 1974, Space Sci. Rev. 16) below ozone, nadir view."""
    wavelength = spectra.WAVELENGTH_UM[band]
    tau = 0.008569 * wavelength**-4 * (1 + 0.0113 * wavelength**-2 + 0.00013 * wavelength**-4)
    phase = 0.75 * (1 + mu**2)
    path = phase / (4 * (mu + 1)) * (1 - exp(-tau * (1 / mu + 1)))
    passed = 1 / ((1 + tau / (2 * mu)) * (1 + tau / 2))
    ozone = exp(-_OZONE[band] * (1 / mu + 1))
    lit = np.float32(passed) * below / (1 - np.float32(tau / (1 + tau)) * below)
    return np.asarray(np.float32(ozone) * (np.float32(path) + lit), np.float32)


def digital_numbers(image: Image, offset: int) -> NDArray[np.uint16]:
    """(5, rows, columns) DN = reflectance x 10000 + offset, at least 1; 0 where not observed."""
    numbers = np.clip(np.rint(image.reflectance * np.float32(SCALE) + np.float32(offset)), 1, 65_534)
    return np.where(image.valid, numbers, 0).astype(np.uint16)

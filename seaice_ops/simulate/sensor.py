"""The sensor: digital numbers from the surface, through cloud, air, blur, band misregistration, stripes and noise."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import cv2
import numpy as np
from numpy.typing import NDArray

from seaice_ops.classes import legend
from seaice_ops.sensors.sentinel2 import BANDS
from seaice_ops.simulate import spectra
from seaice_ops.simulate.air import ADJACENCY_PX, OZONE, sky_light, through_air
from seaice_ops.simulate.clouds import OPAQUE, Sky, blurred, through
from seaice_ops.simulate.geometry import Geometry
from seaice_ops.simulate.ground import front_shadow, reflectance
from seaice_ops.simulate.marks import conditions_of
from seaice_ops.simulate.noise import Field, derive
from seaice_ops.simulate.ocean import Surface

SCALE = 10_000
OFFSET = 1000  # added since processing baseline 04.00
SATURATED = 65_535

#: Signal-to-noise ratio of each band at its reference reflectance (Drusch et al. 2012, Remote Sens. Environ. 120:
#: reference radiances at a sun zenith of 60 degrees); the noise scales like photon noise.
_SNR = (154.0, 168.0, 142.0, 174.0, 100.0)
_SNR_AT = (0.41, 0.44, 0.45, 0.62, 0.10)

#: Radiance at which each band saturates (W/m2/sr/um) and solar irradiance at the top of the atmosphere (W/m2/um):
#: mission requirements in Drusch et al. 2012. Under a polar sun no pixel saturates.
_SATURATION = (615.5, 559.0, 484.1, 307.8, 69.8)
_IRRADIANCE = (1959.7, 1823.2, 1512.1, 1041.6, 245.6)

#: Blur of optics and detectors, standard deviation in pixels of 10 m (MTF about 0.2 at the Nyquist frequency of the
#: 10 m and the 20 m bands). Then misregistration of bands (below 0.3 px, 2 sigma) and relative difference of
#: neighbouring columns: the mission's data quality reports (Gascon et al. 2017, Remote Sens. 9, 584).
_BLUR_PX = (0.6, 0.6, 0.6, 0.6, 1.1)
_MISREGISTRATION_PX, _STRIPES = 0.12, 0.0015


@dataclass(frozen=True)
class Image:
    """One acquisition and its truth."""

    reflectance: Field
    """(5, rows, columns) at the top of the atmosphere."""
    valid: NDArray[np.bool_]
    """(rows, columns) where the swath was observed."""
    truth: NDArray[np.uint8]
    """(rows, columns) legend codes; CLOUD where a cloud hides the surface, NODATA where nothing was observed."""
    conditions: NDArray[np.uint8]
    """(rows, columns) bits of `classes.conditions`."""
    surface: NDArray[np.uint8]
    """(rows, columns) legend codes of what lies below any cloud; NODATA where nothing was observed."""


def observe(seed: int, ground: Surface, above: Sky, geometry: Geometry) -> Image:
    """The image of `ground` below the sky `above`; wind, haze, ozone and noise are drawn from `seed`."""
    rng = np.random.default_rng(derive(seed, "sensor"))
    wind, haze = float(rng.uniform(2, 14)), float(rng.uniform(0.015, 0.06))
    ozone = float(rng.uniform(*OZONE))
    diffuse = [sky_light(band, haze, geometry) for band in range(len(BANDS))]
    image, front = reflectance(ground, wind, geometry, diffuse), front_shadow(ground, geometry)
    for band in range(len(BANDS)):
        swir = spectra.WAVELENGTH_UM[band] > 1.0
        image[band] *= _light(band, above, front, haze, geometry)
        for layer in above.layers:
            image[band] = through(layer, swir, image[band], blurred(image[band], ADJACENCY_PX), geometry)
        seen = through_air(band, image[band], blurred(image[band], ADJACENCY_PX), haze, geometry, ozone)
        image[band] = _measured(band, seen, rng, geometry)
    truth = np.where((above.depth > OPAQUE) & ~ground.land, legend.CLOUD, ground.codes)
    truth[above.unseen] = legend.NODATA
    lost = 1 - _light(_RED, above, front, haze, geometry)
    marks = conditions_of(truth.astype(np.uint8), above.depth, lost, geometry.sun_zenith, ground.mixed)
    surface = np.where(above.unseen, legend.NODATA, ground.codes).astype(np.uint8)
    return Image(image, ~above.unseen, truth.astype(np.uint8), marks, surface)


_RED = 2


def _light(band: int, above: Sky, front: Field, haze: float, geometry: Geometry) -> Field:
    """(rows, columns) light at each pixel relative to a clear sky's; cloud and shelf front take direct light only."""
    scattered = np.float32(sky_light(band, haze, geometry))
    direct = above.light[spectra.WAVELENGTH_UM[band] > 1.0] * (1 - front)
    return np.asarray(scattered + (1 - scattered) * direct, np.float32)


def _measured(band: int, seen: Field, rng: np.random.Generator, geometry: Geometry) -> Field:
    """(rows, columns) measured reflectance: blurred, shifted by part of a pixel, striped, noisy, saturated."""
    across, down = (_shifted_blur(_BLUR_PX[band], float(shift)) for shift in rng.normal(0, _MISREGISTRATION_PX, 2))
    seen = np.asarray(cv2.sepFilter2D(seen, cv2.CV_32F, across, down, borderType=cv2.BORDER_REFLECT_101), np.float32)
    seen *= 1 + np.float32(_STRIPES) * rng.standard_normal(seen.shape[1], np.float32)
    spread = np.sqrt(np.maximum(seen, 0.01) * np.float32(_SNR_AT[band])) / np.float32(_SNR[band])
    seen += spread * rng.standard_normal(seen.shape, np.float32)
    return np.minimum(seen, np.float32(_SATURATION[band] * pi / (_IRRADIANCE[band] * geometry.mu_sun)))


def _shifted_blur(sigma: float, shift: float) -> NDArray[np.float64]:
    """(11,) weights of a Gaussian on whole pixels, its centre `shift` pixels off the middle one."""
    weights = np.exp(-0.5 * ((np.arange(-5, 6) - shift) / sigma) ** 2)
    return np.asarray(weights / weights.sum(), np.float64)


def digital_numbers(image: Image, offset: int) -> NDArray[np.uint16]:
    """(5, rows, columns) DN = reflectance x 10000 + offset, at least 1; 0 where not observed."""
    numbers = np.clip(np.rint(image.reflectance * np.float32(SCALE) + np.float32(offset)), 1, SATURATED - 1)
    return np.where(image.valid, numbers, 0).astype(np.uint16)

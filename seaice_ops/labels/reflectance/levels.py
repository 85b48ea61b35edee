"""Haze and band calibration of a scene, estimated from its own water and snow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seaice_ops.labels.reflectance import optics
from seaice_ops.labels.reflectance.surfaces import BANDS, SNOW
from seaice_ops.pixels.radiometry import SCALE
from seaice_ops.pixels.radiometry import UNOBSERVED as NODATA

_SAMPLE = 160  # rows and columns, about, of the lattice on which water and snow are searched


def references(sample: NDArray[np.int16], zenith: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(veil, gain) for each of BANDS: path reflectance to subtract beyond the model air's, and a divisor.

    With both, the scene's water and snow are as bright as the model's. `sample` (4, n) int16 reflectance x 10000,
    `zenith` of the sun in degrees. Water is dark and blue. Snow is bright and flat from blue to near infrared, and dark
    at 1.6 um, where cloud is bright. With fewer than 50 pixels or one in 200 of water the veil is 0; likewise for snow
    the gain is 1.
    """
    seen = sample[:, (sample != NODATA).all(axis=0)] / SCALE
    below = np.stack(
        [optics.at_surface(values, optics.air(band, zenith)) for values, band in zip(seen, BANDS, strict=True)]
    )
    blue, red, infrared, short = below
    water = (
        (red < 0.1)
        & (infrared < 0.035)
        & (infrared < 0.85 * red)
        & (blue > 1.15 * red)
        & (blue < _BRIGHTEST_SEA)
        & (short < 0.02)
    )
    veil, gain = np.zeros(4), np.ones(4)
    if _enough(water):
        dark = water & (infrared <= np.percentile(infrared[water], 50))
        veil[:3] = np.clip(np.median(below[:3, dark], axis=1) - _SEA, -0.03, 0.08)
        below = below - veil[:, None]
    snow = (red > 0.55) & (infrared > 0.85 * red) & (short < 0.28 * infrared)
    if _enough(snow):
        bright = snow & (red > 0.9 * np.percentile(red[snow], 90))
        known = _CALIBRATION_ERROR * max(1.0, optics.air_mass(zenith) / optics.air_mass(optics.USUAL_ZENITH))
        gain[:3] = np.clip(np.median(below[:3, bright], axis=1) / _snow(zenith), 1 - known, 1 + known)
    return tuple(veil), tuple(gain)


def _enough(found: NDArray[np.bool_]) -> bool:
    return bool(found.sum() >= max(50, found.size // 200))


#: Largest correction of a band's gain: the mission's requirement on absolute radiometry. It grows with the air mass
#: where the sun is low, because an error of the model's air is common to ice and snow. A larger difference of the snow
#: comes from its slope and grain, which the ice beside it does not share.
_CALIBRATION_ERROR = 0.05

#: Reflectance of the model's water and of its brightest snow in B02, B04, B08.
_SEA = np.array([0.026, 0.009, 0.005])
_SNOW = np.array([1.0, 0.98, 0.95]) * SNOW

#: Largest reflectance of open water in B02 below a clear sky; melt ponds on thick ice are brighter.
_BRIGHTEST_SEA = 0.16


def _snow(zenith: float) -> NDArray[np.float64]:
    """(3,) reflectance of the model's brightest snow under the scene's sun, in B02, B04, B08."""
    sky = np.array([optics.sky_share(band, zenith) for band in BANDS[:3]])
    return np.asarray(_SNOW * (sky + (1 - sky) * optics.snow_seen(zenith)), np.float64)


def lattice(bands: NDArray[np.int16], top: int, shape: tuple[int, ...]) -> NDArray[np.int16]:
    """(4, n) int16: every k-th pixel of every k-th row of a scene of `shape` (rows, columns).

    `bands` (4, rows, columns) int16 is the strip that begins at row `top`. The sample of the whole scene does not
    depend on how it is cut into strips.
    """
    step = max(1, min(shape) // _SAMPLE)
    return bands[:, (-top) % step :: step, ::step].reshape(len(bands), -1)

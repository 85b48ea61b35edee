"""What a scene's own water and snow say of its haze and of its bands' calibration."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seaice_ops.labels.reflectance import optics
from seaice_ops.labels.reflectance.surfaces import BANDS, SNOW
from seaice_ops.pixels.radiometry import SCALE
from seaice_ops.pixels.radiometry import UNOBSERVED as NODATA

_SAMPLE = 160  # rows and columns of the lattice that water and snow are looked for on


def references(sample: NDArray[np.int16], zenith: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """What the scene's own water and snow say of each of BANDS: path reflectance to take away beyond the model air's,
    and what to divide by, so that both are as bright as the model's. `sample` (4, n) int16 stored reflectance.

    Water is dark and blue, snow bright and flat from blue to near infrared and dark at 1.6 um, which cloud is not.
    Where fewer than one pixel in 200 is, nothing is known and nothing changed.
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
        known = _CALIBRATED * max(1.0, optics.air_mass(zenith) / optics.air_mass(optics.USUAL_ZENITH))
        gain[:3] = np.clip(np.median(below[:3, bright], axis=1) / _snow(zenith), 1 - known, 1 + known)
    return tuple(veil), tuple(gain)


def _enough(found: NDArray[np.bool_]) -> bool:
    return bool(found.sum() >= max(50, found.size // 200))


#: How far a band may be off (the mission's requirement on absolute radiometry), and more in proportion to the air's
#: mass where the sun is low: what the model's air is off by, ice and snow share. Snow that differs more does so by its
#: slope and grain, which ice beside it does not share.
_CALIBRATED = 0.05

#: The model's water and brightest snow in B02, B04, B08.
_SEA = np.array([0.026, 0.009, 0.005])
_SNOW = np.array([1.0, 0.98, 0.95]) * SNOW

#: No water is as blue, below a clear sky, as a melt pond on thick ice.
_BRIGHTEST_SEA = 0.16


def _snow(zenith: float) -> NDArray[np.float64]:
    """The model's brightest snow under the scene's sun."""
    sky = np.array([optics.sky_share(band, zenith) for band in BANDS[:3]])
    return np.asarray(_SNOW * (sky + (1 - sky) * optics.snow_seen(zenith)), np.float64)


def lattice(bands: NDArray[np.int16], top: int, shape: tuple[int, ...]) -> NDArray[np.int16]:
    """(4, n) int16: every k-th pixel of every k-th row of a scene of `shape`, of which `bands` (4, rows, columns) begin
    at row `top`: the same however the scene is cut into strips."""
    step = max(1, min(shape) // _SAMPLE)
    return bands[:, (-top) % step :: step, ::step].reshape(len(bands), -1)

"""Surface reflectance of each pixel: the spectra of what it holds, weighted by share, under a low sun.

The shares of water, thin ice and thick ice come from `ocean`, the spectra from `spectra`. Snow and ice are not flat.
Sastrugi of 0.1 to 0.3 m (Warren, Brandt and O'Rawe Hinton 1998, J. Geophys. Res. 103) and ridges of a metre or two (Tin
and Jeffries 2003, Cold Reg. Sci. Technol. 36) are lit by the cosine of the sun on their slopes, down to their own
shadow. The shadow of a shelf's front, some 35 m high, is many pixels long.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import cv2
import numpy as np

from seaice_ops.sensors.sentinel2 import BANDS
from seaice_ops.simulate import spectra
from seaice_ops.simulate.clouds import blurred
from seaice_ops.simulate.geometry import Geometry
from seaice_ops.simulate.noise import Field
from seaice_ops.simulate.ocean import Surface

_PIXEL_M = 10.0
_FRONT_M = 35.0

#: Reflectance per band of young ice that is fully covered by frost flowers or a dusting (Zatko and Warren 2015).
_FROST = (0.72, 0.72, 0.70, 0.58, 0.09)


def reflectance(ground: Surface, wind: float, geometry: Geometry, diffuse: Sequence[float]) -> Field:
    """(5, rows, columns) float32 reflectance of the surface in full sunlight.

    `wind` in m/s roughens the water; `diffuse` is the share of skylight in each band. Snow reflects skylight with its
    full albedo and a low sun's beam with less (`Geometry.bright`), so that it is bluer at a low sun. Smooth ice mirrors
    part of the beam away.
    """
    thin = spectra.smoothed(spectra.thin_ice(ground.thickness), ground.smooth)
    deep = spectra.snow(ground.grain, geometry)
    mirrored = spectra.glint(geometry, wind)
    mirrored_away = np.float32(spectra.mirrored_beam(geometry.mu_sun)) * ground.smooth
    deep_pond = np.clip((1.1 - ground.tone) / 0.2, 0, 1).astype(np.float32)
    lit = relief(ground.height, geometry)
    water, thick = ground.shares
    new, pond, bare = 1 - water - thick, thick * ground.pond, thick * ground.bare
    cover = thick - pond - bare
    out = np.empty_like(thin)
    for band in range(len(BANDS)):
        beam = 1 - np.float32(diffuse[band])
        snowy = 1 + np.float32((1 / geometry.bright - 1) * diffuse[band])
        level = geometry.bright**0.5 * float(beam) + diffuse[band]  # bare ice scatters less forwards (Perovich 1996)
        thin[band] *= 1 - beam * mirrored_away
        ponded = np.float32(spectra.POND[band]) + deep_pond * np.float32(spectra.DEEP_POND[band] - spectra.POND[band])
        iced = thin[band] + ground.frost * (np.float32(_FROST[band] * geometry.bright) - thin[band])
        out[band] = water * np.float32(spectra.WATER[band] + mirrored) * ground.tone
        out[band] += new * iced * ground.tone + pond * ponded
        out[band] += (
            bare * np.float32(spectra.FIRST_YEAR[band] * level) * ground.tone + cover * deep[band] * snowy
        ) * lit
    return out


def relief(height: Field, geometry: Geometry) -> Field:
    """(rows, columns) light on the slopes of `height` (metres) relative to level ground, from 0.25 (shadow) to 1.35."""
    east = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3, scale=1 / (8 * _PIXEL_M))
    south = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3, scale=1 / (8 * _PIXEL_M))
    away = geometry.away
    towards = np.float32(away[0]) * east + np.float32(away[1]) * south  # rising away from the sun: facing it
    return np.asarray(np.clip(1 + np.float32(min(geometry.slant, 6.0)) * towards, 0.25, 1.35), np.float32)


def front_shadow(ground: Surface, geometry: Geometry) -> Field:
    """(rows, columns) share of direct sunlight that the shelf's front takes from the ice and water beside it."""
    length = min(_FRONT_M * geometry.slant / _PIXEL_M, 60.0)
    if not ground.land.any() or length < 0.5:
        return np.zeros(ground.land.shape, np.float32)
    reach = ceil(length)
    line = np.zeros((2 * reach + 1, 2 * reach + 1), np.uint8)
    # A pixel is dark where the shelf stands on its way to the sun, against the direction in which shadows fall.
    end = reach - round(length * geometry.away[0]), reach - round(length * geometry.away[1])
    cv2.line(line, (reach, reach), end, 1)
    dark = cv2.dilate(ground.land.astype(np.uint8), line) > 0
    return blurred((dark & ~ground.land).astype(np.float32), 0.7)

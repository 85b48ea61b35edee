"""Labels from calibrated reflectance: class, confidence and reasons of every pixel (docs/labels.md).

Each pixel is compared with a physical model of ice, water, cloud, shadow and air under the scene's sun
(`reflectance_model`). From the scene as a whole comes only its snow: what the brightest clear snow reflects in the
blue, red and near infrared sets the scene's gains. Then a pixel's label depends on nothing but itself and few pixels
around it, more where brightness is even and fewer at edges, so that fields and leads of any width are alike.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from seaice_ops import legend
from seaice_ops.imagery import NODATA, SCALE
from seaice_ops.labels import edges, optics, reasons
from seaice_ops.labels.reflectance_model import BANDS, SNOW
from seaice_ops.labels.reflectance_table import DEPTH_STEPS, SHAPE, band_codes, cell_index, nearest_zenith, table
from seaice_ops.labels.result import NONE, Labels

#: Sun zenith in degrees from which on brightness says little (LOW_SUN) and nothing (210): at 80 degrees the direct
#: beam crosses 5.6 atmospheres, at 85 more than 10, and slopes of 5 degrees lie in their own shadow.
LOW_SUN, NO_SUN = 80.0, 85.0

#: Confidence in % below which a pixel under cloud or in shadow is 205.
HIDDEN = 53

#: Optical depth from which on a cloud hides the surface, whatever the class.
OPAQUE = 4.0

#: The sun where a scene does not say: the middle of the polar season.
USUAL_ZENITH = 66.0

#: Edge of the window within which even brightness lets pixels agree on a class.
_WIDE = 9

#: How far the labels of an array's pixels reach.
REACH = edges.REACH + 1 + _WIDE // 2

_SAMPLE = 256  # rows and columns of the lattice that the scene's snow is looked for on
_STRIP = 512

#: (first row, row after the last) -> (4, rows, columns) int16 stored reflectance of BANDS.
Reader = Callable[[int, int], NDArray[np.int16]]


def reflectance(bands: NDArray[np.int16], sun_zenith: float | None) -> Labels:
    """Label a whole scene: `bands` (4, rows, columns) int16 reflectance x 10000 in BANDS order, NODATA (-32768) where
    not observed; `sun_zenith` in degrees. A pixel that lacks a band is NODATA (255)."""
    return from_strips(lambda top, bottom: bands[:, top:bottom], bands.shape[1:], sun_zenith)


def from_strips(read: Reader, shape: tuple[int, ...], sun_zenith: float | None, strip: int = _STRIP) -> Labels:
    """`reflectance` of a scene of `shape` (rows, columns) that is read twice, `strip` rows at a time; the labels do
    not depend on `strip`."""
    rows, columns = shape
    zenith = USUAL_ZENITH if sun_zenith is None else sun_zenith
    planes = np.empty((3, rows, columns), np.uint8)
    if zenith >= NO_SUN:
        codes, cells = np.zeros((4, 65_536), np.uint8), np.zeros((int(np.prod(SHAPE)), 4), np.uint8)
    else:
        codes, cells = (
            band_codes(zenith, *references(_lattice(read, rows, columns), zenith)),
            table(nearest_zenith(zenith)),
        )
    for top in range(0, rows, strip):
        bottom = min(top + strip, rows)
        first, last = max(0, top - REACH), min(rows, bottom + REACH)
        for plane, piece in zip(planes, _label(read(first, last), codes, cells, zenith), strict=True):
            plane[top:bottom] = piece[top - first : bottom - first]
    return Labels(*planes)


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
    water = (red < 0.1) & (infrared < 0.035) & (infrared < 0.85 * red) & (blue > 1.15 * red) & (short < 0.02)
    veil, gain = np.zeros(4), np.ones(4)
    if _enough(water):
        dark = water & (infrared <= np.percentile(infrared[water], 50))
        veil[:3] = np.clip(np.median(below[:3, dark], axis=1) - _SEA, -0.03, 0.08)
        below = below - veil[:, None]
    snow = (red > 0.55) & (infrared > 0.85 * red) & (short < 0.28 * infrared)
    if _enough(snow):
        bright = snow & (red > 0.9 * np.percentile(red[snow], 90))
        gain[:3] = np.clip(np.median(below[:3, bright], axis=1) / _SNOW, 1 - _CALIBRATED, 1 + _CALIBRATED)
    return tuple(veil), tuple(gain)


def _enough(found: NDArray[np.bool_]) -> bool:
    return bool(found.sum() >= max(50, found.size // 200))


#: How far a band may be off (the mission's requirement on absolute radiometry). Snow that differs more does so by its
#: slope, grain and the sun's height, which ice beside it does not share.
_CALIBRATED = 0.05

#: The model's water and brightest snow in B02, B04, B08.
_SEA = np.array([0.026, 0.009, 0.005])
_SNOW = np.array([0.97, 0.95, 0.92]) * SNOW


def _lattice(read: Reader, rows: int, columns: int) -> NDArray[np.int16]:
    """(4, n) int16: every k-th pixel of every k-th row, the same however the scene is read."""
    step = max(1, min(rows, columns) // _SAMPLE)
    taken = []
    for top in range(0, rows, _STRIP):
        bands = read(top, min(top + _STRIP, rows))
        taken.append(bands[:, (-top) % step :: step, ::step].reshape(len(bands), -1))
    return np.concatenate(taken, axis=1)


def _label(
    bands: NDArray[np.int16], codes: NDArray[np.uint8], cells: NDArray[np.uint8], zenith: float
) -> tuple[NDArray[np.uint8], ...]:
    """Class, confidence and reasons of a strip, right from `REACH` pixels inside it."""
    index = cell_index(codes, bands)
    found = cv2.split(cells.view(np.uint32).ravel()[index].view(np.uint8).reshape(*index.shape, 4))
    *shares, sky = (np.asarray(plane, np.uint8) for plane in found)
    red, missing = bands[BANDS.index("B04")], (bands == NODATA).any(axis=0)
    classes, confidence = _agreed(shares, red, missing)
    why = sky & np.uint8(reasons.CLOUD | reasons.SHADOW)
    classes[missing] = legend.NODATA
    classes = edges.unmixed(classes, red)
    edge = edges.on_edge(classes)
    unsure = (confidence < HIDDEN) & (why > 0) & ~edge  # an edge that can be seen is not hidden
    classes[(unsure | (sky >= OPAQUE * DEPTH_STEPS)) & (classes <= legend.THICK)] = legend.CLOUD
    if zenith >= NO_SUN:
        classes[~missing] = legend.LOW_SUN
    if zenith >= LOW_SUN:
        why |= reasons.LOW_SUN
    why[(bands == np.iinfo(np.int16).max).any(axis=0)] |= reasons.SATURATED
    why |= edge * np.uint8(reasons.MIXED_EDGE)
    cv2.copyTo(confidence // 4 * 3, edge.view(np.uint8), confidence)
    confidence[classes > legend.THICK] = NONE
    why[missing] = 0
    return classes, confidence, why


def _agreed(
    shares: list[NDArray[np.uint8]], red: NDArray[np.int16], missing: NDArray[np.bool_]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The class whose shares are largest in a pixel and its neighbours together, and its part of them all in %.

    A pixel's own share is noisy where the table is thinly filled or the light is weak. Eight neighbours have a say
    everywhere, and `_WIDE` x `_WIDE` pixels where brightness is so even that no edge can lie among them.
    """
    window = np.ones((_WIDE, _WIDE), np.uint8)
    brightest = np.asarray(cv2.dilate(red, window), np.int16)
    even = np.asarray(cv2.subtract(brightest, cv2.erode(red, window))) <= brightest >> 2  # saturates at no-data
    for share in shares:
        share[missing] = 0
        near = cv2.blur(share, (3, 3))
        share[:] = near
        cv2.copyTo(cv2.blur(near, (_WIDE, _WIDE)), even.view(np.uint8), share)
    water, thin, thick = shares
    ice = cv2.max(thin, thick)
    icy = np.asarray(ice) > water
    classes = icy.view(np.uint8) + (icy & (thick > thin)).view(np.uint8) + np.uint8(legend.WATER)
    total = cv2.add(cv2.add(water, thin), thick)
    return classes, np.asarray(cv2.divide(cv2.max(water, ice), total, scale=100), np.uint8)

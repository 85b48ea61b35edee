"""A scene's rasters as pictures of one size: what `sheet` puts side by side. Arrays in, (rows, columns, 3) u8 out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from seaice_ops.classes.legend import CLASSES, COLOURS, LAND, NODATA, THICK, WATER

Codes = NDArray[np.uint8]
Rgb = NDArray[np.uint8]
Colour = tuple[int, int, int]

#: Where nothing was observed: stripes of these two, which no class looks like.
NOTHING: Colour = (236, 239, 243)
STRIPE: Colour = (205, 211, 219)

#: Two labellers: one step apart, water against thick ice, not all name a class.
ONE_STEP: Colour = (245, 158, 11)
TWO_STEPS: Colour = (200, 30, 45)
ONE_ABSTAINS: Colour = (140, 110, 175)

#: Percent of the brightest pixels that the display of the true colour may lose.
_CLIPPED = 0.5


def shrunk(codes: Codes, edge: int) -> Codes:
    """`codes` within `edge` x `edge` pixels: of those that fall together the commonest code, the lowest of equals.

    Scenes that are smaller already are enlarged by repeating pixels.
    """
    rows, columns = _fitted(codes.shape, edge)
    if rows >= codes.shape[0]:
        return np.asarray(cv2.resize(codes, (columns, rows), interpolation=cv2.INTER_NEAREST), np.uint8)
    best, share = np.zeros((rows, columns), np.uint8), np.full((rows, columns), -1.0, np.float32)
    for code in np.flatnonzero(np.bincount(codes.ravel(), minlength=256)):
        mask = (codes == code).astype(np.uint8) * np.uint8(255)
        part = np.asarray(cv2.resize(mask, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)
        more = part > share
        best[more], share[more] = code, part[more]
    return best


def true_colour(rgb: Rgb, valid: NDArray[np.bool_], edge: int) -> tuple[Rgb, float]:
    """The image within `edge` x `edge` pixels, brightened until its brightest pixels are white, and by how much."""
    rows, columns = _fitted(valid.shape, edge)
    smaller = rows < valid.shape[0]
    size, way = (columns, rows), cv2.INTER_AREA if smaller else cv2.INTER_NEAREST
    image = np.asarray(cv2.resize(rgb, size, interpolation=way), np.float32)
    seen = np.asarray(cv2.resize(valid.astype(np.uint8) * np.uint8(255), size, interpolation=way)) > 127
    brightest = float(np.percentile(image[seen], 100 - _CLIPPED)) if seen.any() else 255.0
    gain = max(1.0, 250.0 / max(brightest, 1.0))
    shown = np.clip(image * gain, 0, 255).astype(np.uint8)
    return striped(shown, ~seen), gain


def legend_colours(codes: Codes) -> Rgb:
    """Class codes in the legend's colours."""
    table = np.zeros((256, 3), np.uint8)
    for code, colour in COLOURS.items():
        table[code] = colour[:3]
    return striped(table[codes], codes == NODATA)


def striped(rgb: Rgb, where: NDArray[np.bool_]) -> Rgb:
    """`rgb` with stripes `where` nothing was observed, drawn in place."""
    diagonal = np.arange(where.shape[0])[:, None] + np.arange(where.shape[1])
    rgb[where] = NOTHING
    rgb[where & (diagonal % 10 < 2)] = STRIPE
    return rgb


def confidence(percent: Codes, edge: int) -> Rgb:
    """Confidence, u8 percent with 255 for none, from dark (0) to bright (100)."""
    small = _thinned(percent, edge)
    shown = ramp()[np.minimum(small, 100)]
    return striped(shown, small > 100)


def ramp() -> Rgb:
    """The colours of 0 to 100 %, (101, 3)."""
    levels = np.rint(np.linspace(0, 255, 101)).astype(np.uint8)[:, None]
    return np.ascontiguousarray(cv2.applyColorMap(levels, cv2.COLORMAP_CIVIDIS)[:, 0, ::-1])


def disagreement(labels: Mapping[str, Codes]) -> Rgb:
    """The class, paled, where all methods agree; elsewhere the number of steps between the classes that they give."""
    stack = np.stack(list(labels.values()))
    named = np.isin(stack, CLASSES)
    low = np.where(named, stack, np.uint8(THICK)).min(0)
    high = np.where(named, stack, np.uint8(WATER)).max(0)
    some, every = named.any(0), named.all(0)
    shown = striped(paled(legend_colours(stack[0])), stack[0] == NODATA)
    shown[some & ~every] = ONE_ABSTAINS
    apart = np.where(some, high.astype(np.int16) - low, 0)
    shown[apart == 1] = ONE_STEP
    shown[apart == 2] = TWO_STEPS
    return shown


def errors(truth: Codes, codes: Codes) -> Rgb:
    """Truth, paled, and on it how far the labels are from it; truth's cloud and land are left as they are."""
    judged = np.isin(truth, CLASSES)
    shown = disagreement({"truth": truth, "labels": np.where(judged, codes, truth)})
    return striped(shown, judged & (codes == NODATA))


def paled(rgb: Rgb) -> Rgb:
    """Colours two thirds of the way to white."""
    return np.asarray(255 - (255 - rgb.astype(np.int16)) // 3, np.uint8)


def occurring(rasters: Iterable[Codes]) -> list[int]:
    """The codes to explain: the classes always, others where they occur, no-data last."""
    found = {int(code) for codes in rasters for code in np.unique(codes)} | set(CLASSES)
    return [code for code in COLOURS if code in found and code != LAND] + [c for c in (LAND,) if c in found]


def _thinned(values: Codes, edge: int) -> Codes:
    rows, columns = _fitted(values.shape, edge)
    return np.asarray(cv2.resize(values, (columns, rows), interpolation=cv2.INTER_NEAREST), np.uint8)


def _fitted(shape: tuple[int, ...], edge: int) -> tuple[int, int]:
    """(rows, columns) of a scene brought to `edge` along its longer side."""
    scale = edge / max(shape)
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))

"""Judge one scene's labels by its pixels: counts against truth, counts against each other, flags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from seaice_ops.classes import metrics, quality_flags
from seaice_ops.classes.legend import NODATA
from seaice_ops.quality import flags, tables
from seaice_ops.quality.reading import Picture
from seaice_ops.quality.ssim import ssim
from seaice_ops.quality.tables import Counts

#: Methods that cut V at thresholds.
ON_BRIGHTNESS = ("colour", "iqrah2024")

History = Mapping[str, Sequence[Mapping[str, float]]]


@dataclass(frozen=True)
class Judged:
    """The findings about one scene. The first three are empty without a truth."""

    truth: dict[str, Counts]
    """By method, the (256, 4, 4) outcomes against truth on observed pixels."""
    common: dict[str, Counts]
    """The same on the pixels to which every method gives a class."""
    ssim: dict[str, float | None]
    """By method, the similarity to truth."""
    agreement: dict[tuple[str, str], Counts]
    """By pair of methods, (4, 4) outcomes."""
    flags: list[flags.Flag]
    """Signs that labels are wrong."""


def judge(picture: Picture, shares: Mapping[str, Mapping[str, float]], history: History, thin_max: int) -> Judged:
    """`shares` by method are the scene's own, `history` those of the tile's other scenes of the season."""
    agreement = tables.compare(picture.labels, picture.valid)
    signs = _signs(picture, shares, history, thin_max)
    for (first, second), table in agreement.items():
        signs += flags.of_agreement(first, second, tables.agreement(table)["same"])
    if picture.truth is None:
        return Judged({}, {}, {}, agreement, signs)
    seen = picture.conditions if picture.conditions is not None else np.zeros(1, np.uint8)
    same = tables.same_pixels(list(picture.labels.values()), picture.valid)
    return Judged(
        truth=_against(picture, seen, picture.valid),
        common=_against(picture, seen, same),
        ssim={method: ssim(picture.truth, codes, picture.valid) for method, codes in picture.labels.items()},
        agreement=agreement,
        flags=signs,
    )


def _against(picture: Picture, seen: NDArray[np.uint8], where: NDArray[np.bool_]) -> dict[str, Counts]:
    assert picture.truth is not None
    return {method: metrics.by_condition(picture.truth, codes, seen, where) for method, codes in picture.labels.items()}


def _signs(
    picture: Picture, shares: Mapping[str, Mapping[str, float]], history: History, thin_max: int
) -> list[flags.Flag]:
    found: list[flags.Flag] = []
    bright = brightness(picture.rgb, picture.valid)
    for method, codes in picture.labels.items():
        found += flags.of_shares(method, shares[method], history.get(method, ()))
        if method in ON_BRIGHTNESS:
            found += flags.of_brightness(method, bright, thin_max)
        reasons = picture.reasons.get(method)
        if reasons is not None and (observed := codes != NODATA).any():
            found += flags.of_saturation(method, float(((reasons & quality_flags.SATURATED) > 0)[observed].mean()))
    return found


def brightness(rgb: NDArray[np.uint8], valid: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(256,) counts of V = max(red, green, blue) of the valid pixels."""
    counts = np.zeros(256, np.int64)
    for top in range(0, len(rgb), 256):
        red, green, blue = cv2.split(np.ascontiguousarray(rgb[top : top + 256]))
        v = np.asarray(cv2.max(cv2.max(red, green), blue))
        counts += np.bincount(v[valid[top : top + 256]], minlength=256)
    return counts

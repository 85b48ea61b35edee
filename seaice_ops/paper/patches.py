"""Scenes cut into the protocol's patches, with the published auto-labels and the filter's image of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seaice_ops.classes.legend import CLASSES, THICK, THIN, WATER
from seaice_ops.labels.methods import label_pixels
from seaice_ops.paper.scenes import LabelledScene
from seaice_ops.quality.ssim import ssim
from seaice_ops.settings import LabelSettings

PATCH = 256

#: Grey level of each class in the published filter's image; black where not observed.
_GREY = np.zeros(256, np.uint8)
_GREY[[WATER, THIN, THICK]] = 0, 155, 255

#: Index of each code in `legend.CLASSES`, 255 for codes that are no class.
_INDEX = np.full(256, 255, np.uint8)
_INDEX[list(CLASSES)] = range(len(CLASSES))

ORIGINAL, FILTERED = "original", "filtered"
AUTO, MAN = "auto", "man"

Codes = NDArray[np.uint8]


@dataclass(frozen=True)
class Patches:
    """The `n` patches of all scenes."""

    images: dict[str, Codes]
    """By ORIGINAL, FILTERED: (n, 256, 256, 4) u8 red, green, blue, and 255 where observed."""
    labels: dict[str, Codes]
    """By AUTO, MAN: (n, 256, 256) u8 class index, 255 for no class."""
    scene: NDArray[np.int64]
    """(n,) number of the acquisition."""
    cover: NDArray[np.float64]
    """(n,) share of thin cloud and shadow among the observed pixels; NaN where unknown."""
    similar: dict[str, float | None]
    """By ORIGINAL, FILTERED: mean SSIM over whole scenes of the auto-labels to the hand labels; None without any."""

    def __len__(self) -> int:
        return len(self.scene)


def cut(
    scenes: Iterable[LabelledScene], settings: LabelSettings, progress: Callable[[str], None] = lambda name: None
) -> Patches:
    """All patches with at least one observed pixel; the rest at a scene's right and lower edge is not used.

    The filter's background, threshold and stretches are fitted on the whole scene.
    """
    parts: dict[str, list[Codes]] = {name: [] for name in (ORIGINAL, FILTERED, AUTO, MAN)}
    number: list[int] = []
    cover: list[float] = []
    similar: dict[str, list[float]] = {ORIGINAL: [], FILTERED: []}
    for index, scene in enumerate(scenes):
        raw, auto = (label_pixels(scene.rgb, scene.valid, scene.pixel_m, m, settings) for m in ("colour", "iqrah2024"))
        seen = scene.valid.astype(np.uint8) * np.uint8(255)
        layers = {
            ORIGINAL: np.dstack([scene.rgb, seen]),
            FILTERED: np.dstack([_GREY[auto]] * 3 + [seen]),
            AUTO: _INDEX[auto],
            MAN: np.where(scene.valid, _INDEX[scene.hand], np.uint8(255)),
        }
        for where in _windows(scene.valid):
            for name, layer in layers.items():
                parts[name].append(layer[where])
            number.append(index)
            cover.append(np.nan if scene.veiled is None else float(scene.veiled[where][scene.valid[where]].mean()))
        for name, codes in ((ORIGINAL, raw), (FILTERED, auto)):
            value = ssim(scene.hand, codes, scene.valid)
            similar[name] += [] if value is None else [value]
        progress(scene.name)
    stacks = {name: _stack(layers, name) for name, layers in parts.items()}
    return Patches(
        images={name: stacks[name] for name in (ORIGINAL, FILTERED)},
        labels={name: stacks[name] for name in (AUTO, MAN)},
        scene=np.array(number, np.int64),
        cover=np.array(cover, np.float64),
        similar={name: float(np.mean(values)) if values else None for name, values in similar.items()},
    )


def by_patch(patches: Patches, seed: int) -> NDArray[np.bool_]:
    """(n,) bool, the published split: a random fifth of the patches is for testing (True); scenes are in both parts."""
    order = np.random.default_rng(seed).permutation(len(patches))
    test = np.zeros(len(patches), np.bool_)
    test[order[: max(1, round(len(patches) / 5))]] = True
    return test


def by_acquisition(patches: Patches, seed: int) -> NDArray[np.bool_]:
    """(n,) bool, the honest split: a fifth of the acquisitions, with all their patches, is for testing (True)."""
    scenes = np.unique(patches.scene)
    drawn = np.random.default_rng(seed).permutation(scenes)[: max(1, round(len(scenes) / 5))]
    return np.isin(patches.scene, drawn)


def _windows(valid: NDArray[np.bool_]) -> Iterable[tuple[slice, slice]]:
    rows, columns = valid.shape
    for row in range(0, rows - PATCH + 1, PATCH):
        for column in range(0, columns - PATCH + 1, PATCH):
            where = slice(row, row + PATCH), slice(column, column + PATCH)
            if valid[where].any():
                yield where


def _stack(layers: list[Codes], name: str) -> Codes:
    bands = () if name in (AUTO, MAN) else (4,)
    return np.stack(layers) if layers else np.zeros((0, PATCH, PATCH, *bands), np.uint8)

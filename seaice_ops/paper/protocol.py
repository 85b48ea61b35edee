"""The published protocol and the honest one, on the same scenes.

U-Net-Auto learns the filter's auto-labels (the published final ones), U-Net-Man the hand labels, each from original and
from filtered images.

- As published: patches are split at random, so that training and test share scenes. A model is scored against labels
  of the kind that it learnt: U-Net-Auto against the auto-labels.
- Honest: acquisitions are split, and every model is scored against the hand labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seaice_ops.classes import metrics
from seaice_ops.classes.legend import CLASSES, NODATA
from seaice_ops.errors import ConfigError
from seaice_ops.paper.networks import answers
from seaice_ops.paper.patches import AUTO, FILTERED, MAN, ORIGINAL, Patches, by_acquisition, by_patch
from seaice_ops.summary import counted

#: Share of thin cloud and shadow that separates the published table's groups of patches.
CLOUDY = 0.10

ALL, MUCH, LITTLE = "all", ">= 10 % cloud", "< 10 % cloud"
PUBLISHED, HONEST = "published", "honest"

#: (labels, images, group) -> accuracy in %, as published.
PAPER = {
    (AUTO, ORIGINAL, ALL): 90.18,
    (MAN, ORIGINAL, ALL): 91.39,
    (AUTO, FILTERED, ALL): 98.97,
    (MAN, FILTERED, ALL): 98.40,
    (AUTO, ORIGINAL, MUCH): 79.91,
    (MAN, ORIGINAL, MUCH): 88.74,
    (AUTO, FILTERED, MUCH): 99.28,
    (MAN, FILTERED, MUCH): 98.91,
    (AUTO, ORIGINAL, LITTLE): 93.60,
    (MAN, ORIGINAL, LITTLE): 92.27,
    (AUTO, FILTERED, LITTLE): 98.87,
    (MAN, FILTERED, LITTLE): 98.23,
}
PAPER_SSIM = {ORIGINAL: 0.89, FILTERED: 0.9964}

#: The auto-labels themselves, scored like a model: what a table of three grey levels reaches without learning.
TABLE = "look-up table"

Codes = NDArray[np.uint8]


@dataclass(frozen=True)
class Recipe:
    """Training of a network: channels of its first level (16 in the paper), epochs, patches a step, seed."""

    width: int
    epochs: int
    batch: int
    seed: int


SMALL = Recipe(width=8, epochs=8, batch=8, seed=1)
FULL = Recipe(width=16, epochs=50, batch=32, seed=1)


@dataclass(frozen=True)
class Score:
    """Scores of one model on one group of test patches, shares 0..1; None where there was nothing to score."""

    labels: str
    """Labels that it learnt: AUTO, MAN, or TABLE for the auto-labels themselves."""
    images: str
    """Images that it learnt from: ORIGINAL or FILTERED."""
    protocol: str
    """PUBLISHED or HONEST."""
    group: str
    """Group of the test patches: ALL, MUCH or LITTLE cloud."""
    patches: int
    """Number of test patches."""
    accuracy: float | None
    """Share of right pixels."""
    precision: float | None
    """Mean over the classes."""
    recall: float | None
    """Mean over the classes."""
    f1: float | None
    """Mean over the classes."""


def run(patches: Patches, recipe: Recipe, work: Path, epoch_done: Callable[[], None] = lambda: None) -> list[Score]:
    """All scores, from eight trainings of `recipe.epochs` epochs; `epoch_done` is called after each epoch.

    Temporary files lie below `work`. Raises `ConfigError` where the patches are too few to be split.
    """
    if len(patches) < 5 or len(np.unique(patches.scene)) < 2:
        raise ConfigError(
            f"{len(patches)} patches of {counted(len(np.unique(patches.scene)), 'scenes')} cannot be split; give more"
        )
    found = []
    for protocol, split in ((PUBLISHED, by_patch), (HONEST, by_acquisition)):
        test = split(patches, recipe.seed)
        for images in (ORIGINAL, FILTERED):
            for labels in (AUTO, MAN):
                predicted = answers(
                    patches.images[images][~test],
                    patches.labels[labels][~test],
                    patches.images[images][test],
                    width=recipe.width,
                    epochs=recipe.epochs,
                    batch=recipe.batch,
                    seed=recipe.seed,
                    work=work,
                    epoch_done=epoch_done,
                )
                reference = patches.labels[labels if protocol == PUBLISHED else MAN][test]
                found += _scores(predicted, reference, patches.cover[test], (labels, images, protocol))
        reference = patches.labels[AUTO if protocol == PUBLISHED else MAN][test]
        found += _scores(patches.labels[AUTO][test], reference, patches.cover[test], (TABLE, FILTERED, protocol))
    return found


def _scores(predicted: Codes, reference: Codes, cover: NDArray[np.float64], name: tuple[str, str, str]) -> list[Score]:
    groups = {ALL: np.ones(len(cover), np.bool_), MUCH: cover >= CLOUDY, LITTLE: cover < CLOUDY}
    return [_score(predicted[chosen], reference[chosen], name, group) for group, chosen in groups.items()]


def _score(predicted: Codes, reference: Codes, name: tuple[str, str, str], group: str) -> Score:
    codes = np.full(256, NODATA, np.uint8)
    codes[: len(CLASSES)] = CLASSES
    scores = metrics.scores(metrics.confusion(codes[reference], codes[predicted]))
    precision, recall = (_mean(scores["classes"], figure) for figure in ("precision", "recall"))
    return Score(*name, group, len(predicted), scores["accuracy"], precision, recall, scores["macro_f1"])


def _mean(classes: dict[str, Any], figure: str) -> float | None:
    known = [value for each in classes.values() if (value := each[figure]) is not None]
    return float(np.mean(known)) if known else None

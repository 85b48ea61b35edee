"""The gate on a golden set of held-out truth: every rule that a challenger breaks is a reason to refuse it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seaice_ops.classes.legend import CLASSES, NAMES
from seaice_ops.training.judge.figures import Table, calibration_error, lower_bound, macro_f1, recall, worst
from seaice_ops.training.judge.gate import Verdict


@dataclass(frozen=True)
class Evidence:
    """Results of a model on the golden set; all models that are compared are scored on the same pixels."""

    acquisitions: Mapping[str, Table]
    """Outcomes by acquisition."""
    slices: Mapping[str, Table]
    """Outcomes by region, season, condition, ice type, tile; a pixel may be in several slices."""
    confidence: NDArray[np.float64]
    """(n, 3) bins by confidence: pixels, sum of confidences, pixels that were right."""
    flips: float
    """Share of stable pixels whose class changes from one acquisition to the next."""
    seconds: float
    """Time to classify a fixed number of pixels on one machine."""

    @property
    def total(self) -> Table:
        """The outcomes of all acquisitions."""
        return sum(self.acquisitions.values(), np.zeros((4, 4), np.int64))


@dataclass(frozen=True)
class Rules:
    """Limits on what a challenger may lose; in macro-F1 (0..1) unless said otherwise."""

    acquisitions: int = 5
    """Fewest acquisitions with truth."""
    class_pixels: int = 1000
    """Fewest true pixels of each class, and of a slice that counts."""
    bar: float = 0.6
    """Lowest macro-F1 of any champion."""
    teacher: float = 0.1
    """Largest shortfall against the labels that it learnt from, whose abstentions count as wrong."""
    champion: float = 0.005
    """Largest loss, by the bootstrap's lower bound, against the champion and against the best champion so far."""
    recall: float = 0.02
    """Largest loss of any class's recall (0..1)."""
    slice: float = 0.01
    """Largest loss of any slice."""
    acquisition: float = 0.1
    """Largest loss of any one acquisition."""
    factor: float = 1.1
    """Largest calibration error, flip rate and time, relative to the champion's."""
    calibration: float = 0.005
    """Calibration error allowed in addition."""


def judge(
    challenger: Evidence, champion: Evidence | None, teacher: Table, best: Evidence | None, rules: Rules
) -> Verdict:
    """Promote a challenger that breaks no rule.

    `champion` makes the maps now (None: there is none), `best` is the best champion so far, and `teacher` holds the
    outcomes of the labels on the same pixels.
    """
    reasons = [*_too_little_truth(challenger, rules)]
    if not reasons:
        reasons += _alone(challenger, teacher, rules)
        reasons += _beside(challenger, champion, rules) if champion else ()
        reasons += _loss("the best champion so far", challenger, best, rules) if best else ()
    if reasons:
        return Verdict(False, f"refused: {'; '.join(reasons)}", "truth")
    return Verdict(True, f"passed: macro-F1 against truth {float(macro_f1(challenger.total)):.4f}", "truth")


def _too_little_truth(challenger: Evidence, rules: Rules) -> Iterator[str]:
    count = len(challenger.acquisitions)
    if count < rules.acquisitions:
        yield f"too little truth: {count} acquisitions, {rules.acquisitions} are needed"
    for code, pixels in zip(CLASSES, challenger.total[:3].sum(1).tolist(), strict=True):
        if pixels < rules.class_pixels:
            yield f"too little truth: {pixels} pixels of {NAMES[code]}, {rules.class_pixels} are needed"


def _alone(challenger: Evidence, teacher: Table, rules: Rules) -> Iterator[str]:
    score, labels = float(macro_f1(challenger.total)), float(macro_f1(teacher))
    if not score >= rules.bar:
        yield f"macro-F1 {score:.4f} is below the bar of {rules.bar}"
    if score < labels - rules.teacher:
        yield f"macro-F1 {score:.4f} is far below that of its labels, {labels:.4f}"


def _beside(challenger: Evidence, champion: Evidence, rules: Rules) -> Iterator[str]:
    yield from _loss("the champion", challenger, champion, rules)
    for code, ours, theirs in zip(CLASSES, recall(challenger.total), recall(champion.total), strict=True):
        if ours < theirs - rules.recall:
            yield f"recall of {NAMES[code]} {ours:.3f}, champion {theirs:.3f}"
    name, gain = worst(challenger.slices, champion.slices, rules.class_pixels)
    if gain < -rules.slice:
        yield f"slice {name} loses {-gain:.3f} of macro-F1"
    name, gain = worst(challenger.acquisitions, champion.acquisitions, rules.class_pixels)
    if gain < -rules.acquisition:
        yield f"acquisition {name} loses {-gain:.3f} of macro-F1"
    ours, theirs = calibration_error(challenger.confidence), calibration_error(champion.confidence)
    if not ours <= rules.factor * theirs + rules.calibration:
        yield f"calibration error {ours:.3f}, champion {theirs:.3f}"
    if challenger.flips > rules.factor * champion.flips:
        yield f"flip rate on stable pixels {challenger.flips:.4f}, champion {champion.flips:.4f}"
    if challenger.seconds > rules.factor * champion.seconds:
        yield f"it takes {challenger.seconds / champion.seconds:.2f} times the champion's time"


def _loss(whom: str, challenger: Evidence, other: Evidence, rules: Rules) -> Iterator[str]:
    bound = lower_bound(challenger.acquisitions, other.acquisitions)
    if not bound > -rules.champion:
        yield f"macro-F1 may be {-bound:.4f} below {whom} (bootstrap over acquisitions), {rules.champion} is allowed"

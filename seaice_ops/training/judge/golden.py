"""The gate on a golden set of held-out truth: every rule that a challenger breaks is a reason to refuse it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seaice_ops.classes.legend import CLASSES, NAMES
from seaice_ops.training.judge.figures import Table, calibration_error, lower_bound, macro_f1, recall, worst


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
    """Share of stable pixels whose class changes from one acquisition to the next; NaN where none is stable."""
    seconds: float
    """Time to classify a fixed number of pixels on one machine; NaN where nobody measured it."""

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
    """Largest shortfall against the labels that it learnt from, whose abstentions count as wrong. A champion below the
    labels makes no map (`mapping.due.source`), so that this only keeps out what has not learnt."""
    champion: float = 0.005
    """Largest loss, by the bootstrap's lower bound, against the champion and against the best champion so far."""
    recall: float = 0.02
    """Largest loss of any class's recall (0..1)."""
    slice: float = 0.01
    """Largest loss of any slice."""
    acquisition: float = 0.1
    """Largest loss of any one acquisition."""
    factor: float = 1.1
    """Largest calibration error and flip rate, relative to the rival's."""
    calibration: float = 0.005
    """Calibration error allowed in addition."""
    slower: float = 1.5
    """Largest time, relative to the rival's. Times on a shared machine differ by a fifth."""


@dataclass(frozen=True)
class Check:
    """One rule, applied."""

    rule: str
    """Its name: a field of `Rules`, or `flips`."""
    kept: bool
    """False: a reason to refuse."""
    words: str
    """The figures and their limit, in words."""


@dataclass(frozen=True)
class Verdict:
    """The decision and every rule that was applied."""

    promote: bool
    reason: str
    checks: tuple[Check, ...]


def judge(
    challenger: Evidence, champion: Evidence | None, teacher: Table, best: Evidence | None, rules: Rules
) -> Verdict:
    """Promote a challenger that breaks no rule.

    `champion` makes the maps now (None: there is none), `best` is the best champion so far (None: the champion is it),
    and `teacher` holds the outcomes of the labels on the same pixels.
    """
    checks = [*_enough_truth(challenger, rules)]
    if all(check.kept for check in checks):
        checks += _alone(challenger, teacher, rules)
        for whom, other in (("the champion", champion), ("the best champion so far", best)):
            checks += _beside(whom, challenger, other, rules) if other else ()
    if broken := [check.words for check in checks if not check.kept]:
        return Verdict(False, f"refused: {'; '.join(broken)}", tuple(checks))
    figure = float(macro_f1(challenger.total))
    return Verdict(True, f"passed: macro-F1 against truth {figure:.4f}", tuple(checks))


def _enough_truth(challenger: Evidence, rules: Rules) -> Iterator[Check]:
    count = len(challenger.acquisitions)
    words = f"too little truth: {count} acquisitions, {rules.acquisitions} are needed"
    few = count < rules.acquisitions
    yield Check("acquisitions", not few, words if few else f"{count} acquisitions with truth")
    for code, pixels in zip(CLASSES, challenger.total[:3].sum(1).tolist(), strict=True):
        few = pixels < rules.class_pixels
        words = f"too little truth: {pixels} pixels of {NAMES[code]}, {rules.class_pixels} are needed"
        yield Check("class_pixels", not few, words if few else f"{pixels:,} pixels of {NAMES[code]} with truth")


def _alone(challenger: Evidence, teacher: Table, rules: Rules) -> Iterator[Check]:
    score, labels = float(macro_f1(challenger.total)), float(macro_f1(teacher))
    kept = score >= rules.bar
    yield Check("bar", kept, f"macro-F1 {score:.4f} is {'not ' if kept else ''}below the bar of {rules.bar}")
    kept = score >= labels - rules.teacher
    words = "beside" if kept else "far below"
    yield Check("teacher", kept, f"macro-F1 {score:.4f} is {words} that of its labels, {labels:.4f}")


def _beside(whom: str, challenger: Evidence, other: Evidence, rules: Rules) -> Iterator[Check]:
    """What a challenger may lose to `other`. A figure that cannot be compared is a reason to refuse."""
    bound = lower_bound(challenger.acquisitions, other.acquisitions)
    kept = bound > -rules.champion
    words = f"macro-F1 may be {-bound:.4f} below {whom} (bootstrap over acquisitions), {rules.champion} is allowed"
    yield Check("champion", kept, words if bound < 0 or not kept else f"macro-F1 is {bound:.4f} or more above {whom}")
    for code, ours, theirs in zip(CLASSES, recall(challenger.total), recall(other.total), strict=True):
        words = f"recall of {NAMES[code]} {ours:.3f}, {whom} {theirs:.3f}"
        yield Check("recall", bool(ours >= theirs - rules.recall), words)
    name, gain = worst(challenger.slices, other.slices, rules.class_pixels)
    yield Check("slice", gain >= -rules.slice, _changed(f"slice {name}", gain, whom))
    name, gain = worst(challenger.acquisitions, other.acquisitions, rules.class_pixels)
    yield Check("acquisition", gain >= -rules.acquisition, _changed(f"acquisition {name}", gain, whom))
    mine, its = calibration_error(challenger.confidence), calibration_error(other.confidence)
    kept = mine <= rules.factor * its + rules.calibration
    yield Check("calibration", kept, f"calibration error {mine:.3f}, {whom} {its:.3f}")
    if not np.isnan(other.flips):
        kept = challenger.flips <= rules.factor * other.flips
        yield Check("flips", kept, f"flip rate on stable pixels {challenger.flips:.4f}, {whom} {other.flips:.4f}")
    if not np.isnan(other.seconds):
        kept = challenger.seconds <= rules.slower * other.seconds
        words = f"it takes {challenger.seconds / other.seconds:.2f} times {whom}'s time"
        yield Check("slower", kept, f"it takes less than {rules.slower} times {whom}'s time" if kept else words)


def _changed(what: str, gain: float, whom: str) -> str:
    if np.isnan(gain):
        return f"{what} cannot be compared with {whom}"
    return f"{what} {'loses' if gain < 0 else 'gains'} {abs(gain):.3f} of macro-F1 to {whom}"

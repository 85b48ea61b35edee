"""The gate on truth: poisoned challengers are refused for the right reason, and an equal or better one passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from seaice_ops.classes.metrics import outcomes, scores
from seaice_ops.training.judge.figures import calibration_error, lower_bound, macro_f1, recall, worst
from seaice_ops.training.judge.golden import Evidence, Rules, judge

SIZE, COUNT = 20_000, 12
RULES = Rules()
THIN_CLOUD, LEAD, TILE, REGION = "condition: thin cloud", "ice type: lead", "tile: 01CCV", "region: east"


class Season:
    """Pixels with truth, and predictions of them that can be poisoned."""

    def __init__(self) -> None:
        rng = np.random.default_rng(7)
        self.truth = rng.integers(1, 4, (COUNT, SIZE)).astype(np.uint8)
        wrong = rng.random(self.truth.shape) < 0.08
        self.predicted = np.where(wrong, rng.integers(1, 4, self.truth.shape), self.truth).astype(np.uint8)
        self.auto = np.where(rng.random(self.truth.shape) < 0.03, 205, self.truth).astype(np.uint8)
        draw = rng.random(self.truth.shape)
        of_tile = np.arange(COUNT)[:, None] % 4 == 0
        self.where = {
            THIN_CLOUD: draw < 0.05,
            LEAD: (draw > 0.95) & (self.truth != 3),
            TILE: np.broadcast_to(of_tile, draw.shape),
            REGION: np.broadcast_to(np.arange(COUNT)[:, None] % 3 == 1, draw.shape),
        }

    def evidence(self, predicted: np.ndarray, sharpness: float = 1.0) -> Evidence:
        """`sharpness` is a factor on the logits: it changes the confidence, never the class."""
        named = {f"day {i}": outcomes(self.truth[i], predicted[i]) for i in range(COUNT)}
        slices = {name: outcomes(self.truth, predicted, np.ascontiguousarray(w)) for name, w in self.where.items()}
        right = float((predicted == self.truth).mean())
        odds = (right / (1 - right)) ** sharpness
        bins = np.array([[predicted.size, predicted.size * odds / (1 + odds), predicted.size * right]])
        return Evidence(named, slices, bins, flips=0.02, seconds=10.0)

    def teacher(self) -> np.ndarray:
        return outcomes(self.truth, self.auto)


SEASON = Season()
CHAMPION = SEASON.evidence(SEASON.predicted)


def poisoned(where: np.ndarray, code: int) -> Evidence:
    return SEASON.evidence(np.where(where, np.uint8(code), SEASON.predicted))


def spoilt(share: float, where: np.ndarray | None = None, seed: int = 3) -> Evidence:
    """A share of the pixels gets another class than the true one."""
    chosen = np.random.default_rng(seed).random(SEASON.truth.shape) < share
    chosen &= np.ones_like(chosen) if where is None else where
    return SEASON.evidence(np.where(chosen, SEASON.truth % 3 + 1, SEASON.predicted).astype(np.uint8))


def without_water() -> Evidence:
    """A tenth of the water called thin ice, made up for by more thick ice found."""
    rng = np.random.default_rng(5)
    lost = (SEASON.truth == 1) & (rng.random(SEASON.truth.shape) < 0.1)
    predicted = np.where((SEASON.truth != 1) & (rng.random(SEASON.truth.shape) < 0.9), SEASON.truth, SEASON.predicted)
    return SEASON.evidence(np.where(lost, 2, predicted).astype(np.uint8))


def one_day_thick() -> Evidence:
    predicted = SEASON.predicted.copy()
    predicted[5] = 3
    return SEASON.evidence(predicted)


def without_slice(name: str) -> Evidence:
    return replace(CHAMPION, slices={other: table for other, table in CHAMPION.slices.items() if other != name})


def few(evidence: Evidence, count: int) -> Evidence:
    return replace(evidence, acquisitions=dict(list(evidence.acquisitions.items())[:count]))


def tiny(evidence: Evidence) -> Evidence:
    """A few pixels of truth in each acquisition."""
    return replace(evidence, acquisitions={name: table // 400 for name, table in evidence.acquisitions.items()})


POISONED: dict[str, tuple[Callable[[], Evidence], str]] = {
    "logits x 8": (lambda: SEASON.evidence(SEASON.predicted, 8), "calibration error"),
    "logits x 0.1": (lambda: SEASON.evidence(SEASON.predicted, 0.1), "calibration error"),
    "water recall -.10, macro-F1 as before": (without_water, "recall of open water"),
    "all thin cloud called thick": (lambda: poisoned(SEASON.where[THIN_CLOUD], 3), f"slice {THIN_CLOUD}"),
    "narrow leads all thick": (lambda: poisoned(SEASON.where[LEAD], 3), f"slice {LEAD}"),
    "one scene all thick": (one_day_thick, "acquisition day 5"),
    "30 % of one tile wrong": (lambda: spoilt(0.3, SEASON.where[TILE]), f"slice {TILE}"),
    "a region forgotten": (lambda: spoilt(0.6, SEASON.where[REGION]), f"slice {REGION}"),
    "labels without truth": (lambda: few(CHAMPION, 0), "too little truth: 0 acquisitions"),
    "a tie on a few pixels of truth": (lambda: tiny(CHAMPION), "too little truth"),
    "twice as slow": (lambda: replace(CHAMPION, seconds=20.0), "2.00 times the champion's time"),
    "a slice that it does not see at all": (lambda: without_slice(REGION), f"slice {REGION} loses"),
    "flips that nobody can count": (lambda: replace(CHAMPION, flips=float("nan")), "flip rate"),
    "confidence that nobody can count": (
        lambda: replace(CHAMPION, confidence=np.zeros((1, 3))),
        "calibration error nan",
    ),
    "macro-F1 .1": (lambda: spoilt(0.95), "below the bar"),
    "restless on stable pixels": (lambda: replace(CHAMPION, flips=0.03), "flip rate"),
    "far below its teacher": (lambda: spoilt(0.2), "far below that of its labels"),
    "trained on its own predictions": (lambda: SEASON.evidence(SEASON.predicted, 3), "calibration error"),
}


@pytest.mark.parametrize("name", POISONED)
def test_a_poisoned_challenger_is_refused_for_the_right_reason(name: str) -> None:
    make, reason = POISONED[name]
    verdict = judge(make(), CHAMPION, SEASON.teacher(), CHAMPION, RULES)
    assert not verdict.promote and reason in verdict.reason, verdict.reason


def test_the_water_that_a_macro_f1_does_not_miss() -> None:
    assert macro_f1(without_water().total) > macro_f1(CHAMPION.total) - 0.005


def test_a_first_model_has_to_be_good_for_something() -> None:
    bad = judge(spoilt(0.9), None, SEASON.teacher(), None, RULES)
    assert not bad.promote and "below the bar of 0.6" in bad.reason
    assert judge(CHAMPION, None, SEASON.teacher(), None, RULES).promote


def test_an_equal_and_a_better_challenger_pass() -> None:
    better = np.where(np.random.default_rng(2).random(SEASON.truth.shape) < 0.3, SEASON.truth, SEASON.predicted)
    for challenger in (CHAMPION, SEASON.evidence(better)):
        verdict = judge(challenger, CHAMPION, SEASON.teacher(), CHAMPION, RULES)
        assert verdict.promote, verdict.reason


def test_successors_that_are_each_a_little_worse_do_not_slide_down() -> None:
    champion = best = CHAMPION
    refused = None
    for step in range(1, 22):
        challenger = spoilt(0.004 * step, seed=11)
        verdict = judge(challenger, champion, SEASON.teacher(), best, RULES)
        if not verdict.promote:
            refused = verdict.reason
            break
        champion = challenger
    assert refused is not None and "below the best champion so far" in refused
    assert macro_f1(champion.total) > macro_f1(best.total) - 0.006


def test_what_the_best_champion_had_is_not_lost_in_two_steps() -> None:
    """Each successor loses little of thin cloud to the champion before it, all of it together to the best one."""
    half = SEASON.evidence(np.where(SEASON.where[THIN_CLOUD] & (SEASON.truth == 1), 2, SEASON.predicted).astype("u1"))
    verdict = judge(half, half, SEASON.teacher(), CHAMPION, replace(RULES, champion=0.5, recall=0.5))
    assert not verdict.promote and f"slice {THIN_CLOUD} loses" in verdict.reason
    assert "the best champion so far" in verdict.reason and "to the champion" not in verdict.reason


TABLES = hnp.arrays(np.int64, (4, 4), elements=st.integers(0, 500))


@given(TABLES)
def test_macro_f1_without_abstentions_is_that_of_the_scores(table: np.ndarray) -> None:
    table[:, 3] = table[3] = 0
    expected = scores(table)["macro_f1"]
    found = float(macro_f1(table))
    assert np.isnan(found) if expected is None else found == pytest.approx(expected)


@given(TABLES, st.integers(1, 400), st.integers(0, 2))
def test_abstaining_never_helps(table: np.ndarray, pixels: int, code: int) -> None:
    table[code, code] += pixels
    lost = table.copy()
    lost[code, code] -= pixels
    lost[code, 3] += pixels
    assert macro_f1(lost) < macro_f1(table) and recall(lost)[code] < recall(table)[code]


@given(st.lists(TABLES, min_size=1, max_size=6))
def test_nobody_is_worse_than_itself(tables: list[np.ndarray]) -> None:
    named = {str(i): table + 1 for i, table in enumerate(tables)}
    assert lower_bound(named, named, draws=50) == 0 and worst(named, named, 0)[1] == 0


def test_the_bootstrap_is_that_of_drawing_acquisitions_one_by_one() -> None:
    ours, theirs = spoilt(0.01, seed=1).acquisitions, spoilt(0.01, seed=2).acquisitions
    rng, names = np.random.default_rng(99), list(ours)
    drawn = []
    for _ in range(2000):
        picks = rng.choice(names, len(names))
        drawn.append(macro_f1(sum(ours[p] for p in picks)) - macro_f1(sum(theirs[p] for p in picks)))
    assert lower_bound(ours, theirs) == pytest.approx(np.quantile(drawn, 0.05), abs=2e-4)
    with pytest.raises(ValueError, match="same acquisitions"):
        lower_bound(ours, {})


def test_calibration_error_of_known_bins() -> None:
    assert calibration_error(np.array([[100, 90.0, 90], [100, 60.0, 40]])) == pytest.approx(0.1)

"""When a target counts as met."""

from __future__ import annotations

import numpy as np
import pytest

from seaice_ops.classes import conditions
from seaice_ops.quality.targets import Target, targets

EVERY = (0, conditions.THIN_CLOUD, conditions.SHADOW, conditions.LOW_SUN)


def counts(right: int = 9800, wrong: int = 100, silent: int = 0, lead: int = 5000) -> np.ndarray:
    """The same for each class and condition; in wide fields and leads `lead` of 5000 thin pixels are right."""
    table = np.full((4, 4), wrong, np.int64)
    np.fill_diagonal(table, right)
    table[:, 3], table[3] = silent, 0
    found = np.zeros((256, 4, 4), np.int64)
    for bits in EVERY:
        found[bits] = table
    for bits in (conditions.WIDE_THIN, conditions.NARROW_LEAD):
        found[bits, 1] = (0, lead, 5000 - lead, 0)
    return found


def met(found: list[Target]) -> dict[str, bool]:
    return {each.name.partition(",")[0]: each.met for each in found}


def test_good_labels_meet_all_and_name_their_worst_case() -> None:
    found = targets(counts(), counts(), {"theirs": counts(right=9000, wrong=500, lead=4000)})
    assert all(met(found).values()) and len(found) == 7
    assert found[-1].value == pytest.approx(0.0, abs=0.2) and "theirs" in found[-1].where


@pytest.mark.parametrize(
    ("change", "missed"),
    [
        ({"right": 9400, "wrong": 300}, "macro-F1"),
        ({"silent": 1200}, "largest abstention of a class under a condition"),
        ({"lead": 4400}, "thin ice recall in fields wider than 2 km"),
        ({"lead": 4400}, "thin ice recall in leads of 30 to 100 m"),
        ({"right": 8000, "wrong": 1000}, "macro-F1 under shadow"),
    ],
)
def test_what_falls_short_is_said(change: dict[str, int], missed: str) -> None:
    assert not met(targets(counts(**change), counts(**change), {}))[missed]


def test_being_as_good_is_not_being_better() -> None:
    found = targets(counts(), counts(), {"theirs": counts()})
    assert found[-1].value == 0.0 and not found[-1].met
    one_worse = counts()
    one_worse[conditions.SHADOW, 2] = (500, 500, 9000, 0)
    found = targets(one_worse, one_worse, {"theirs": counts(right=9700, wrong=150)})
    assert not found[-1].met and "shadow" in found[-1].where


def test_too_little_truth_judges_nothing() -> None:
    few = counts()
    few[conditions.NARROW_LEAD, 1] = (0, 999, 0, 0)
    few[conditions.WIDE_THIN] = 0
    found = met(targets(few, few, {}))
    assert not found["thin ice recall in leads of 30 to 100 m"]
    assert not found["thin ice recall in fields wider than 2 km"]
    assert all(not each.met for each in targets(np.zeros((256, 4, 4), np.int64), few, {}) if each.relation != ">")


def test_a_class_of_which_nothing_is_said_is_an_abstention() -> None:
    silent = counts()
    silent[conditions.SHADOW, 1] = (0, 0, 0, 10_000)
    worst = next(each for each in targets(silent, silent, {}) if each.relation == "<=")
    assert worst.value == 1.0 and worst.where == "thin ice, shadow" and not worst.met

"""Targets for our labels, on truth that was never used to make them, and a check of each."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from seaice_ops.classes.legend import CLASSES, SLUGS, THIN
from seaice_ops.quality.tables import BY_CLASS, CONDITIONS, Counts, figures

#: Pixels of the truth below which a class under a condition is not judged: a few floes say nothing.
SUPPORT = 1000

MACRO_F1, HARD_MACRO_F1, RECALL, ABSTAINED = 0.95, 0.85, 0.90, 0.10


_HOLDS: dict[str, Callable[[float, float], bool]] = {">=": operator.ge, "<=": operator.le, ">": operator.gt}


@dataclass(frozen=True)
class Target:
    """`value` is to be in this `relation` to `wanted`; None where there was too little to judge by. `where` names the
    worst case among those that a target is about."""

    name: str
    wanted: float
    value: float | None
    where: str = ""
    relation: Literal[">=", "<=", ">"] = ">="

    @property
    def met(self) -> bool:
        """True if the target is reached; a target that could not be judged is not."""
        return self.value is not None and _HOLDS[self.relation](self.value, self.wanted)


def targets(ours: Counts, same: Counts, others: Mapping[str, Counts]) -> list[Target]:
    """All targets, from (256, 4, 4) outcomes: `ours` on all observed pixels; `same` ours and `others` the published
    labels (by name), all on the pixels that every one of them gives a class."""
    found = figures(ours)
    recalls = [
        ("wide thin ice", "thin ice recall in fields wider than 2 km"),
        ("narrow lead", "thin ice recall in leads of 30 to 100 m"),
    ]
    return [
        Target("macro-F1, all conditions mixed", MACRO_F1, found["all"]["macro_f1"]),
        _largest_abstention(found),
        *(Target(name, RECALL, _cell(found, condition, SLUGS[THIN], "recall")) for condition, name in recalls),
        *(Target(f"macro-F1 under {name}", HARD_MACRO_F1, _macro(found, name)) for name in ("thin cloud", "shadow")),
        *(_smallest_lead(figures(same), figures(theirs), name) for name, theirs in others.items()),
    ]


def _largest_abstention(found: dict[str, Any]) -> Target:
    cases = [
        (each["abstained"], f"{_word(slug)}, {condition}")
        for condition, scores in found.items()
        for slug, each in scores["classes"].items()
        if each["abstained"] is not None and _seen(each) >= SUPPORT
    ]
    value, where = max(cases, default=(None, ""))
    return Target("largest abstention of a class under a condition", ABSTAINED, value, where, "<=")


def _smallest_lead(ours: dict[str, Any], theirs: dict[str, Any], name: str) -> Target:
    """By F1; by recall under conditions that are drawn around a class."""
    cases = []
    for condition, slug in _cells(ours):
        figure = "recall" if condition in BY_CLASS else "f1"
        mine, other = (_cell(each, condition, slug, figure) for each in (ours, theirs))
        if mine is not None and other is not None:
            cases.append((mine - other, f"{figure} of {_word(slug)}, {condition}: {mine:.3f}, theirs {other:.3f}"))
    value, where = min(cases, default=(None, ""))
    return Target(f"smallest lead over {name} of a class under a condition", 0.0, value, where, ">")


def _cells(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for condition in CONDITIONS:
        for code in CLASSES:
            if condition in found and found[condition]["classes"][SLUGS[code]]["pixels"] >= SUPPORT:
                yield condition, SLUGS[code]


def _cell(found: dict[str, Any], condition: str, slug: str, figure: str) -> float | None:
    if condition not in found or found[condition]["classes"][slug]["pixels"] < SUPPORT:
        return None
    value: float | None = found[condition]["classes"][slug][figure]
    return value


def _macro(found: dict[str, Any], condition: str) -> float | None:
    value: float | None = found[condition]["macro_f1"] if condition in found else None
    return value


def _seen(each: dict[str, Any]) -> float:
    """Pixels of the class in the truth, with those for which nothing was said."""
    return float("inf") if each["abstained"] == 1 else each["pixels"] / (1 - each["abstained"])


def _word(slug: str) -> str:
    return slug.replace("_", " ")

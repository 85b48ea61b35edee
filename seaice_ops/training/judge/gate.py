"""The gate: decides from scores on the same held-out pixels if a challenger becomes champion. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: References that a model can be judged against, the better one first.
JUDGES = ("truth", "auto-labels")

Scores = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Verdict:
    """The decision, why, and what it was judged against (None: nothing to judge by was needed or found)."""

    promote: bool
    reason: str
    against: str | None


def decide(challenger: Scores, champion: Scores | None, margin: float) -> Verdict:
    """Promote a first model, or one whose macro-F1 is at least the champion's less `margin`.

    The scores are `metrics.scores` by judge; truth decides where both were judged by it, else the auto-labels.
    """
    if champion is None:
        return Verdict(True, "there was no champion", None)
    for judge in JUDGES:
        ours, theirs = (scores.get(judge, {}).get("macro_f1") for scores in (challenger, champion))
        if ours is not None and theirs is not None:
            better = ours >= theirs - margin
            figures = f"macro-F1 against {judge} {ours:.4f}, champion {theirs:.4f}, margin {margin:.4f}"
            return Verdict(better, f"{'passed' if better else 'refused'}: {figures}", judge)
    return Verdict(False, "refused: challenger and champion have no common score", None)

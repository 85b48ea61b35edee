"""The gate, case by case."""

from __future__ import annotations

import pytest

from seaice_ops.training.judge.gate import decide


def scores(truth: float | None, auto: float | None) -> dict[str, dict[str, float | None]]:
    pairs = {"truth": truth, "auto-labels": auto}
    return {judge: {"macro_f1": value} for judge, value in pairs.items() if value is not None}


CASES = [
    # challenger, champion, promoted?, judged against
    (scores(0.1, 0.1), None, True, None),
    (scores(0.90, 0.1), scores(0.90, 0.9), True, "truth"),
    (scores(0.895, 0.1), scores(0.90, 0.9), True, "truth"),
    (scores(0.894, 0.99), scores(0.90, 0.5), False, "truth"),
    (scores(0.99, 0.7), scores(None, 0.9), False, "auto-labels"),
    (scores(None, 0.95), scores(0.99, 0.9), True, "auto-labels"),
    (scores(None, None), scores(0.9, 0.9), False, None),
    ({"truth": {"macro_f1": None}, "auto-labels": {"macro_f1": 0.8}}, scores(0.9, 0.7), True, "auto-labels"),
]


@pytest.mark.parametrize(("challenger", "champion", "promoted", "against"), CASES)
def test_decide(challenger: dict, champion: dict | None, promoted: bool, against: str | None) -> None:
    verdict = decide(challenger, champion, 0.005)
    assert (verdict.promote, verdict.against) == (promoted, against)
    assert against is None or against in verdict.reason

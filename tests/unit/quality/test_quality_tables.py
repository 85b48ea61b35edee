"""Counts by condition, abstention and agreement, against loops over pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seaice_ops.classes import conditions, metrics
from seaice_ops.quality import tables

CODES = np.array([1, 2, 3, 205, 210, 254, 255], np.uint8)
SLOT = {1: 0, 2: 1, 3: 2}

pixels = st.integers(1, 60).flatmap(
    lambda n: st.tuples(
        arrays(np.uint8, n, elements=st.sampled_from(CODES.tolist())),
        arrays(np.uint8, n, elements=st.sampled_from(CODES.tolist())),
        arrays(np.uint8, n, elements=st.integers(0, 63)),
        arrays(np.bool_, n),
    )
)


@given(pixels)
@settings(max_examples=60, deadline=None)
def test_counts_are_what_a_loop_counts(drawn: tuple[np.ndarray, ...]) -> None:
    truth, predicted, bits, where = drawn
    wanted = np.zeros((256, 4, 4), np.int64)
    for t, p, b, w in zip(truth.tolist(), predicted.tolist(), bits.tolist(), where.tolist(), strict=True):
        if w and t != 255:
            wanted[b, SLOT.get(t, 3), SLOT.get(p, 3)] += 1
    step, metrics._STEP = metrics._STEP, 7
    try:
        counts = metrics.by_condition(truth, predicted, bits, where)
    finally:
        metrics._STEP = step
    np.testing.assert_array_equal(counts, wanted)
    np.testing.assert_array_equal(metrics.outcomes(truth, predicted, where), wanted.sum(0))
    unclean = conditions.THIN_CLOUD | conditions.SHADOW | conditions.LOW_SUN | conditions.MIXED
    np.testing.assert_array_equal(tables.under(counts, "clean"), sum(wanted[b] for b in range(256) if not b & unclean))
    np.testing.assert_array_equal(tables.under(counts, "narrow lead"), sum(wanted[b] for b in range(256) if b & 16))
    np.testing.assert_array_equal(
        tables.under(counts, "thin cloud or shadow"), sum(wanted[b] for b in range(256) if b & 3)
    )


def test_abstentions_count_neither_for_nor_against() -> None:
    truth = np.array([1, 1, 1, 1, 2, 2, 3, 205, 254, 255], np.uint8)
    predicted = np.array([1, 1, 2, 205, 2, 210, 3, 3, 254, 1], np.uint8)
    found = metrics.scores(metrics.outcomes(truth, predicted))
    assert found["pixels"] == 5 and found["accuracy"] == pytest.approx(4 / 5)
    water, thin, thick = found["classes"].values()
    assert (water["recall"], water["abstained"], water["pixels"]) == (pytest.approx(2 / 3), 0.25, 3)
    assert (thin["precision"], thin["recall"], thin["abstained"]) == (0.5, 1.0, 0.5)
    assert (thick["f1"], thick["abstained"]) == (1.0, 0.0)
    assert found["abstained"] == pytest.approx(2 / 7) and found["named_no_class"] == 0.5
    assert "abstained" not in metrics.scores(metrics.confusion(truth, predicted))


def test_figures_name_the_conditions_that_occur() -> None:
    truth = np.array([2, 2, 2, 1], np.uint8)
    counts = metrics.by_condition(truth, truth, np.array([8, 8, 1, 0], np.uint8))
    found = tables.figures(counts)
    assert set(found) == {"all", "clean", "wide thin ice", "thin cloud", "thin cloud or shadow"}
    assert found["wide thin ice"]["classes"]["thin_ice"]["pixels"] == 2
    assert tables.figures(np.zeros((256, 4, 4), np.int64)).keys() == {"all"}


@given(pixels)
@settings(max_examples=40, deadline=None)
def test_agreement_is_the_same_whoever_comes_first(drawn: tuple[np.ndarray, ...]) -> None:
    first, second, _, valid = drawn
    one = tables.agreement(tables.compare({"a": first, "b": second}, valid)["a", "b"])
    other = tables.agreement(tables.compare({"b": second, "a": first}, valid)["b", "a"])
    assert {k: v for k, v in one.items() if k != "table"} == {k: v for k, v in other.items() if k != "table"}
    both = [(a, b) for a, b, v in zip(first, second, valid, strict=True) if v and a in SLOT and b in SLOT]
    assert one["pixels"] == len(both)
    assert one["same"] == (pytest.approx(np.mean([a == b for a, b in both])) if both else None)
    single = sum(bool(v) and ((a in SLOT) != (b in SLOT)) for a, b, v in zip(first, second, valid, strict=True))
    assert one["one_abstains"] == (pytest.approx(single / valid.sum()) if valid.any() else None)
    np.testing.assert_array_equal(
        tables.same_pixels([first, second], valid),
        [v and a in SLOT and b in SLOT for a, b, v in zip(first, second, valid, strict=True)],
    )


def test_agreement_is_never_called_accuracy() -> None:
    found = tables.agreement(np.diag([5, 3, 2, 1]))
    assert found["same"] == 1.0 and found["overlap"] == {"open_water": 1.0, "thin_ice": 1.0, "thick_ice": 1.0}
    assert "accuracy" not in str(found)

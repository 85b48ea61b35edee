"""The current clock against a slow oracle, and what it promises: newest evidence first, gaps filled, nothing old."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import hmmlearn.hmm
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from seaice_ops.classes.legend import LAND, NODATA, THICK, THIN, WATER
from seaice_ops.mapping.evidence import from_labels
from seaice_ops.mapping.window.current import FAST_DAYS, MEMORY_DAYS, NEVER, ashore, current
from seaice_ops.mapping.window.steady import NOT_STABLE, fast_ice, steady
from seaice_ops.mapping.window.vote import PLANES, shift

START = datetime(2026, 2, 1, tzinfo=UTC)
SURE = {WATER: (230, 20, 5), THIN: (20, 215, 20), THICK: (5, 20, 230), 0: (0, 0, 0)}


def series(*codes: int) -> NDArray[np.uint8]:
    """(acquisitions, 3, 1, 1) evidence of one pixel."""
    return np.array([SURE[code] for code in codes], np.uint8)[:, :, None, None]


def at(*days: float) -> list[datetime]:
    return [START + timedelta(days=day) for day in days]


def clock(evidence: NDArray[np.uint8], times: list[datetime], fast: bool = False, end: datetime | None = None):
    shape = evidence.shape[2:]
    layers = current(evidence.__getitem__, times, range(len(times)), end or times[-1], np.full(shape, fast))
    return tuple(int(layer[0, 0]) for layer in layers)


def state(evidence: NDArray[np.uint8], times: list[datetime], fast: bool) -> list[float]:
    """What the formulas leave of each class after the last acquisition."""
    s, last = [0.0, 0.0, 0.0], None
    for p, time in zip(evidence, times, strict=True):
        if not p.any():
            continue
        dt = math.inf if last is None else (time - last) / timedelta(days=1)
        if fast:
            r = math.exp(-dt / FAST_DAYS)
            s = [(r * a + (1 - r) / 3) * (b / 255 + 1 / 512) for a, b in zip(s, p.tolist(), strict=True)]
            s = [a / sum(s) for a in s]
        else:
            s = [a * math.exp(-dt / MEMORY_DAYS) + b / 255 for a, b in zip(s, p.tolist(), strict=True)]
        last = time
    return [float(v) for v in evidence[-1]] if evidence[-1].any() and not fast else s


def oracle(evidence: NDArray[np.uint8], times: list[datetime], end: datetime, fast: bool) -> tuple[int, int, int]:
    seen = [(int(np.argmax(p)), time) for p, time in zip(evidence, times, strict=True) if p.any()]
    if not seen:
        return NODATA, NEVER, NODATA
    s = state(evidence, times, fast)
    best = int(np.argmax(s))
    last = seen[-1][1]
    decided = max((time for k, time in seen if k == best), default=last)
    age = (end - decided) / timedelta(days=1)
    if age > (15 if fast else 5):
        return NODATA, int(age), NODATA
    known = math.exp(-((end - last) / timedelta(days=1)) / (FAST_DAYS if fast else MEMORY_DAYS))
    return best + 1, int(age), int(100 * (known * s[best] / sum(s) + (1 - known) / 3) + 0.5)


def tied(evidence: NDArray[np.uint8], times: list[datetime], fast: bool) -> bool:
    """Whether float32 cannot tell the two likeliest classes apart."""
    s = sorted(state(evidence, times, fast))
    return s[-1] - s[-2] <= 1e-5 * s[-1]


@given(
    arrays(np.uint8, (6, 3), elements=st.sampled_from([0, 3, 40, 90, 140, 200, 255])),
    st.lists(st.floats(0.02, 4), min_size=6, max_size=6),
    st.booleans(),
    st.floats(0, 12),
)
def test_it_is_what_the_formulas_say(p: NDArray[np.uint8], gaps: list[float], fast: bool, after: float) -> None:
    times = at(*np.cumsum(gaps))
    end = times[-1] + timedelta(days=after)
    expected = oracle(p, times, end, fast)
    found = clock(p[:, :, None, None], times, fast, end)
    if not tied(p, times, fast):
        assert found[:2] == expected[:2]
        assert abs(found[2] - expected[2]) <= 1


def test_pack_is_what_the_newest_acquisition_saw() -> None:
    assert clock(series(THICK, THICK, THICK, WATER), at(0, 1, 2, 3))[:2] == (WATER, 0)


def test_a_gap_is_filled_by_the_days_before_and_says_how_old_that_is() -> None:
    code, age, confidence = clock(series(WATER, THIN, THIN, 0), at(0, 1, 2, 4))
    assert (code, age) == (THIN, 2)
    assert confidence < clock(series(WATER, THIN, THIN), at(0, 1, 2))[2]


def test_evidence_that_is_too_old_is_no_class_but_keeps_its_age() -> None:
    assert clock(series(THICK, 0), at(0, 6)) == (NODATA, 6, NODATA)
    assert clock(series(THICK, 0), at(0, 6), fast=True)[:2] == (THICK, 6)
    assert clock(series(THICK, 0), at(0, 16), fast=True) == (NODATA, 16, NODATA)
    assert clock(series(0, 0), at(0, 6)) == (NODATA, NEVER, NODATA)


def test_one_wrong_acquisition_does_not_move_fast_ice_and_two_do() -> None:
    steady = [THICK] * 8
    assert clock(series(*steady, WATER), at(*range(9)), fast=True)[0] == THICK
    assert clock(series(*steady, WATER, WATER), at(*range(10)), fast=True)[0] == WATER


def test_land_is_land() -> None:
    layers = ashore(np.zeros((3, 1, 2), np.uint8), np.array([[True, False]]))
    assert layers[:, 0, 0].tolist() == [LAND, NEVER, NODATA] and not layers[:, 0, 1].any()


def test_what_is_steady_and_which_of_it_is_fast_ice() -> None:
    rows = [[THICK] * 10, [THICK] * 9 + [WATER], [THICK] * 8 + [WATER] * 2, [WATER] * 10, [THIN] * 10, [THICK] * 4]
    rows += [[0] * 10, [THICK] * 10]
    evidence = np.array([[SURE[c] for c in [*row, *[0] * 10][:10]] for row in rows], np.uint8)
    series = evidence.transpose(1, 2, 0)[:, :, None, :]
    state = np.zeros((PLANES, 1, len(rows)), np.uint16)
    shift(state, series.__getitem__, range(0), range(10))
    kept = steady(state, timedelta(days=12))
    assert kept.tolist() == [[THICK, THICK, NOT_STABLE, WATER, THIN, NOT_STABLE, NODATA, THICK]]
    assert not (steady(state, timedelta(days=9)) == THICK).any()
    shore = np.zeros((1, len(rows)), bool)
    assert not fast_ice(kept, shore).any()
    shore[0, 0] = True
    assert fast_ice(kept, shore).tolist() == [[False, True, *[False] * 6]]


@given(st.lists(st.sampled_from([WATER, THIN, THICK, 0]), min_size=2, max_size=12))
def test_on_fast_ice_it_is_the_forward_pass_of_a_hidden_markov_model(codes: list[int]) -> None:
    seen = [code for code in codes if code]
    if not seen or not codes[-1]:
        return
    even = {code: tuple(230 if code == k else 12 for k in (WATER, THIN, THICK)) if code else (0, 0, 0) for code in SURE}
    evidence = np.array([even[code] for code in seen], np.uint8)[:, :, None, None]
    layers = clock(evidence, at(*range(len(seen))), fast=True)
    stay = math.exp(-1 / FAST_DAYS)
    model = hmmlearn.hmm.CategoricalHMM(n_components=3, n_features=3)
    model.startprob_ = np.full(3, 1 / 3)
    model.transmat_ = stay * np.eye(3) + (1 - stay) / 3
    likelihood = np.array([even[code] for code in (WATER, THIN, THICK)]) / 255 + 1 / 512
    model.emissionprob_ = likelihood / likelihood.sum(axis=1, keepdims=True)
    posterior = model.predict_proba(np.array(seen)[:, None] - 1)[-1]
    assert layers[2] == int(100 * posterior.max() + 0.5) or abs(layers[2] - 100 * posterior.max()) < 0.51
    if np.sort(posterior)[-1] - np.sort(posterior)[-2] > 1e-5:
        assert layers[0] == int(posterior.argmax()) + 1


def test_labels_become_probabilities_by_their_confidence() -> None:
    classes = np.array([[WATER, THIN, THICK, 205, 255, LAND]], np.uint8)
    p = from_labels(classes, np.array([[100, 60, 255, 90, 255, 255]], np.uint8))
    assert p[:, 0, 0].tolist() == [255, 0, 0]
    assert p[:, 0, 1].tolist() == [51, 153, 51]
    assert p[:, 0, 2].tolist() == [25, 25, 204]
    assert not p[:, 0, 3:].any()
    assert (from_labels(classes)[:, 0, 2] == p[:, 0, 2]).all()

"""Scores, true colour, summaries, errors and keys against slow oracles and worked examples."""

from __future__ import annotations

import pickle
from collections import Counter
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from seaice_ops import errors
from seaice_ops.classes.legend import CLASSES, COLOURS, NAMES, SLUGS
from seaice_ops.classes.metrics import confusion, scores
from seaice_ops.pixels.radiometry import true_colour
from seaice_ops.storage import keys
from seaice_ops.storage.store import _KEY
from seaice_ops.summary import Summary, timed

CODES = st.sampled_from([0, 1, 2, 3, 4, 205, 254, 255])
RASTERS = hnp.arrays(np.uint8, (6, 7), elements=CODES)


@profile(deadline=None)
@given(truth=RASTERS, predicted=RASTERS)
def test_confusion_counts_pairs_of_classes_and_nothing_else(truth: np.ndarray, predicted: np.ndarray) -> None:
    pairs = Counter(zip(truth.ravel().tolist(), predicted.ravel().tolist(), strict=True))
    expected = [[pairs[t, p] for p in CLASSES] for t in CLASSES]
    assert confusion(truth, predicted).tolist() == expected


@profile(deadline=None)
@given(matrix=hnp.arrays(np.int64, (3, 3), elements=st.integers(0, 50)))
def test_scores_are_what_their_definitions_say(matrix: np.ndarray) -> None:
    found, total = scores(matrix), int(matrix.sum())
    assert found["pixels"] == total and found["confusion"] == matrix.tolist()
    if total == 0:
        assert found["accuracy"] is found["majority"] is found["macro_f1"] is found["mean_iou"] is None
        return
    assert found["accuracy"] == pytest.approx(np.trace(matrix) / total)
    assert found["majority"] == pytest.approx(max(matrix.sum(1)) / total)
    f1s = []
    for i, code in enumerate(CLASSES):
        hits, missed, false = matrix[i, i], matrix[i].sum() - matrix[i, i], matrix[:, i].sum() - matrix[i, i]
        figures = found["classes"][SLUGS[code]]
        assert figures["pixels"] == hits + missed
        if hits + missed + false:
            f1s.append(2 * hits / (2 * hits + missed + false))
            assert figures["f1"] == pytest.approx(f1s[-1])
            assert figures["iou"] == pytest.approx(hits / (hits + missed + false))
        else:
            assert figures["f1"] is figures["iou"] is figures["precision"] is figures["recall"] is None
    assert found["macro_f1"] == pytest.approx(np.mean(f1s))


def test_scores_of_a_worked_example() -> None:
    found = scores(np.array([[8, 2, 0], [1, 4, 0], [0, 0, 0]]))
    assert found["accuracy"] == 0.8 and found["majority"] == pytest.approx(10 / 15)
    assert found["classes"]["open_water"] == {
        "precision": pytest.approx(8 / 9),
        "recall": 0.8,
        "f1": pytest.approx(16 / 19),
        "iou": pytest.approx(8 / 11),
        "pixels": 10,
    }
    assert found["macro_f1"] == pytest.approx((16 / 19 + 8 / 11) / 2)  # thick ice does not occur


@profile(deadline=None)
@given(
    reflectance=hnp.arrays(np.int16, (3, 3, 4), elements=st.integers(-32_768, 32_767)),
    ceiling=st.sampled_from([0.2, 0.3558, 0.9, 1.5]),
)
def test_true_colour_is_scaled_rounded_and_clipped(reflectance: np.ndarray, ceiling: float) -> None:
    rgb = true_colour(reflectance, ceiling)
    assert rgb.shape == (3, 4, 3) and rgb.dtype == np.uint8 and rgb.flags.c_contiguous
    for band, row, column in np.ndindex(reflectance.shape):
        exact = 255.0 * int(reflectance[band, row, column]) / 10_000 / ceiling
        assert abs(int(rgb[row, column, band]) - min(max(exact, 0.0), 255.0)) <= 0.5 + 1e-6


def test_true_colour_of_worked_values() -> None:
    values = np.array([0, 3558, 1779, -5, 9000], np.int16)
    assert true_colour(np.stack([values[None]] * 3), 0.3558)[0, :, 0].tolist() == [0, 255, 128, 0, 255]


def test_every_class_has_a_name_a_slug_and_a_colour_of_its_own() -> None:
    assert set(NAMES) == set(SLUGS) == set(COLOURS) >= set(CLASSES)
    for table in (NAMES, SLUGS, COLOURS):
        assert len(set(table.values())) == len(table)


def test_summaries_read_well_and_travel() -> None:
    summary = Summary("ingest", done=Counter(scenes=12, superseded=3), unchanged=Counter(scenes=4), seconds=1.23456)
    summary.failed["S2B_x"] = "truncated"
    assert summary.sentence() == "ingest: 12 scenes, 3 superseded; 1 failed"
    assert Summary.from_dict(summary.to_dict()).to_dict() == summary.to_dict()
    assert Summary("map").sentence() == "map: nothing new"
    assert Summary("encode", done=Counter(probabilities=1, maps=1)).sentence() == "encode: 1 probability, 1 map"
    assert Summary("ingest", done=Counter(scenes=2, superseded=1)).sentence() == "ingest: 2 scenes, 1 superseded"
    assert Summary("map", skipped={"a": "low sun"}).sentence() == "map: nothing new; 1 skipped"


def test_nothing_new_means_nothing_done_and_nothing_failed() -> None:
    assert Summary("x", unchanged=Counter(maps=3), skipped={"a": "b"}, done=Counter(maps=0)).nothing_new
    assert not Summary("x", done=Counter(maps=1)).nothing_new and not Summary("x", failed={"a": "b"}).nothing_new


def test_time_is_taken_also_of_a_stage_that_fails() -> None:
    with pytest.raises(ValueError, match="half way"), timed("x") as summary:
        raise ValueError("half way")
    assert summary.seconds > 0


@pytest.mark.parametrize(
    "error", [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, Exception)]
)
def test_errors_say_their_message_and_can_be_handed_between_processes(error: type[Exception]) -> None:
    one = error("scenes/a.tif is missing")
    again = pickle.loads(pickle.dumps(one))
    assert type(again) is error and str(again) == str(one) == "scenes/a.tif is missing"
    assert isinstance(one, errors.SeaIceError)


def test_keys_name_objects() -> None:
    day = datetime(2026, 2, 3, 20, 15, 29, tzinfo=UTC)
    folder = keys.map_folder("01CCV", day, "01CCV_20260203T201529_r1_0123abcd")
    for key in (
        keys.scene("01CCV", day, "S2B_MSIL1C_20260203T201529_N0511_R028_T01CCV_20260203T201530"),
        keys.label_set("iqrah2024", "1-0a1b2c3d", "01CCV", "S2B_x"),
        keys.probabilities("unet-8/0123abcd", "01CCV", "S2B_x"),
        keys.model("unet-8/0123abcd", "weights.safetensors"),
        keys.map_item(folder),
    ):
        assert _KEY.fullmatch(key), key
    assert folder == "maps/01CCV/2026/02/01CCV_20260203T201529_r1_0123abcd"

"""Which scenes train and which judge: whole days, never both."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from helpers.training_cases import DAY, add_labelled, small, snapshot
from seaice_ops.errors import ExpectedSkip
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import LabelSet, Scene, SceneState
from seaice_ops.sensors.sentinel2 import BANDS, TRUE_COLOUR
from seaice_ops.settings import Settings
from seaice_ops.training.data.snapshot import check_unchanged, held_out_days


@given(st.sets(st.dates(), min_size=2, max_size=60), st.integers(2, 9))
def test_held_out_days(days: set[date], every: int) -> None:
    ordered = sorted(days)
    held = held_out_days(ordered, every)
    assert held and set(held) < days
    if len(days) >= every:
        assert held == [day for i, day in enumerate(ordered, 1) if i % every == 0]


def test_new_days_leave_the_side_of_the_old_ones() -> None:
    days = [date(2026, 2, 1) + timedelta(days=i) for i in range(40)]
    for known in range(5, 40):
        assert set(held_out_days(days[:known], 5)) == set(held_out_days(days, 5)) & set(days[:known])


def test_one_day_cannot_be_split() -> None:
    with pytest.raises(ExpectedSkip, match="one day"):
        held_out_days([date(2026, 2, 1)], 5)


def test_all_tiles_of_a_day_go_together(settings: Settings, add_scene: Callable[..., Scene]) -> None:
    settings = small(settings)
    for day in range(4):
        add_labelled(settings, add_scene, day, size=32)
        add_labelled(settings, add_scene, day, size=32, tile="60CWS")
    manifest = snapshot(settings)
    assert len(manifest.train) == 6 and len(manifest.held_out) == 2
    assert {scene[11:19] for scene in manifest.held_out} == {f"{DAY + timedelta(days=2):%Y%m%d}"}
    assert not set(manifest.train) & set(manifest.held_out)
    assert snapshot(settings) == manifest


def test_only_ready_scenes_with_these_labels(settings: Settings, add_scene: Callable[..., Scene]) -> None:
    settings = small(settings)
    rows = [add_labelled(settings, add_scene, day, size=32) for day in range(5)]
    with open_ledger(settings).begin() as session:
        session.get_one(Scene, rows[0].id).state = SceneState.SUPERSEDED
    manifest = snapshot(settings)
    assert set(manifest.train) | set(manifest.held_out) == {row.id for row in rows[1:]}
    plain = add_labelled(settings, add_scene, 7, size=32, bands=TRUE_COLOUR)
    assert plain.id in {*snapshot(settings).train, *snapshot(settings).held_out}
    wide = snapshot(small(settings, bands=BANDS))
    assert {*wide.train, *wide.held_out} == {row.id for row in rows[1:]}
    assert wide.preprocessing.bands == BANDS and wide.architecture.bands == 5
    other = settings.model_copy(update={"labels": settings.labels.model_copy(update={"thin_max": 200})})
    with pytest.raises(ExpectedSkip, match="0 scenes have colour labels; training waits for 3"):
        snapshot(other)


def test_what_changes_the_model_changes_its_id(settings: Settings, add_scene: Callable[..., Scene]) -> None:
    settings = small(settings)
    for day in range(3):
        add_labelled(settings, add_scene, day, size=32)
    first = snapshot(settings).model_id
    assert snapshot(small(settings, epochs=3)).model_id != first
    add_labelled(settings, add_scene, 3, size=32)
    assert snapshot(settings).model_id != first


def test_a_scene_published_again_is_another_training_set(settings: Settings, add_scene: Callable[..., Scene]) -> None:
    settings = small(settings, min_new_scenes=2)
    rows = [add_labelled(settings, add_scene, day, size=32) for day in range(3)]
    first = snapshot(settings)
    assert first.contents == {row.id: row.sha256 for row in rows}
    with open_ledger(settings).begin() as session:
        session.get_one(Scene, rows[0].id).sha256 = "f" * 64
    with pytest.raises(ExpectedSkip, match="2 scenes have colour labels"):  # the labels are of what it held before
        snapshot(settings)
    with open_ledger(settings).begin() as session:
        session.scalars(select(LabelSet).where(LabelSet.scene_id == rows[0].id)).one().scene_sha256 = "f" * 64
    again = snapshot(settings)
    assert again.model_id != first.model_id
    assert (again.train, again.held_out) == (first.train, first.held_out)
    with open_ledger(settings).begin() as session:
        row = session.get_one(Scene, rows[0].id)
    check_unchanged([row], again)
    check_unchanged([row], first.model_copy(update={"contents": None}))
    with pytest.raises(ExpectedSkip, match=f"{row.id}: withdrawn or published again"):
        check_unchanged([row], first)

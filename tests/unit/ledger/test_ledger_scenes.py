"""The moves of a scene: the table in the documentation, the guard of each move, and the events that they leave."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy import select

from helpers.ledger_rows import a_scene
from seaice_ops.ledger.scenes import MOVES, add_scene, fail_scene, move_scene, put_back_scene
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Scene, SceneEvent, SceneState, storable

PAGE = Path(__file__).parents[3] / "docs" / "ledger-and-objects.md"
DISCOVERED, FETCHED, READY, FAILED, SUPERSEDED, WITHDRAWN = SceneState


@pytest.fixture
def ledger(settings):
    return open_ledger(settings)


def added(ledger, number: int = 0, state: SceneState = DISCOVERED) -> Scene:
    with ledger.begin() as session:
        assert add_scene(session, a_scene(number, state=state), caller="search")
    return row(ledger, a_scene(number).id)


def row(ledger, scene_id: str) -> Scene:
    with ledger.begin() as session:
        return session.get_one(Scene, scene_id)


def events(ledger) -> list[tuple]:
    with ledger.begin() as session:
        found = session.scalars(select(SceneEvent).order_by(SceneEvent.scene_id, SceneEvent.number))
        return [(event.before, event.after, event.reason, event.caller) for event in found]


def test_the_documentation_prints_the_moves_as_they_are():
    lines = re.findall(r"^\| (?:\(nothing\)|`(\w+)`) \| `(\w+)` \| (.+) \|$", PAGE.read_text(), flags=re.MULTILINE)
    assert {(before or None, after): when for before, after, when in lines} == MOVES
    assert len(lines) == len(MOVES)


@pytest.mark.parametrize("after", SceneState)
@pytest.mark.parametrize("before", [None, *SceneState])
def test_only_the_moves_of_the_table_are_made(ledger, before, after):
    scene = a_scene(0, state=before or after, moves=0)
    with ledger.begin() as session:
        if before:
            session.add(a_scene(0, state=before))
            session.flush()

    def move(session):
        return (
            move_scene(session, scene, after, caller="t", sha256="0")
            if before
            else add_scene(session, scene, caller="t")
        )

    with ledger.begin() as session:
        if (before, after) in MOVES:
            assert move(session)
        else:
            with pytest.raises(ValueError, match=f"does not go from {before or 'nothing'} to {after}"):
                move(session)
    assert [event[:2] for event in events(ledger)] == ([(before, after)] if (before, after) in MOVES else [])


def test_moves_leave_their_reasons_and_callers(ledger):
    scene = added(ledger)
    with ledger.begin() as session:
        assert put_back_scene(session, scene, "no such file", caller="fetch 1")
    scene = row(ledger, scene.id)
    assert (scene.state, scene.reason, scene.attempts, scene.claimed_by) == (DISCOVERED, "no such file", 1, None)
    for after, values in ((FETCHED, {}), (READY, {"sha256": "ab"}), (SUPERSEDED, {"superseded_by": "better"})):
        with ledger.begin() as session:
            assert move_scene(session, scene, after, caller="decode", **values)
        scene = row(ledger, scene.id)
    assert (scene.reason, scene.superseded_by, scene.moves) == (None, "better", 5)
    assert events(ledger) == [
        (None, DISCOVERED, None, "search"),
        (DISCOVERED, DISCOVERED, "no such file", "fetch 1"),
        (DISCOVERED, FETCHED, None, "decode"),
        (FETCHED, READY, "sha256 ab", "decode"),
        (READY, SUPERSEDED, "by better", "decode"),
    ]


def test_a_scene_that_went_away_and_came_back_is_not_the_one_that_was_seen(ledger):
    seen = scene = added(ledger)
    for after in (FETCHED, WITHDRAWN, DISCOVERED):
        with ledger.begin() as session:
            assert move_scene(session, scene, after, caller="another")
        scene = row(ledger, scene.id)
    assert scene.state is seen.state
    with ledger.begin() as session:
        assert not move_scene(session, seen, FETCHED, caller="late")
        assert not fail_scene(session, seen, "late", caller="late")
    assert "late" not in {event[3] for event in events(ledger)}


def test_a_transaction_that_is_rolled_back_leaves_neither_state_nor_event(ledger):
    scene = added(ledger)
    with pytest.raises(RuntimeError), ledger.begin() as session:
        assert move_scene(session, scene, FETCHED, caller="fetch")
        raise RuntimeError
    assert row(ledger, scene.id).state is DISCOVERED
    assert len(events(ledger)) == 1


@pytest.mark.parametrize("state", SceneState)
def test_a_part_fails_with_its_merged_scene_unless_it_is_ready_or_withdrawn(ledger, state):
    whole, part = added(ledger), a_scene(1, state=state)
    with ledger.begin() as session:
        session.add(part)
        session.flush()
        assert fail_scene(session, whole, "B04 is damaged", caller="decode", part=part.id)
    after = row(ledger, part.id)
    fails = state in (DISCOVERED, FETCHED, SUPERSEDED)
    assert (after.state, after.attempts) == ((FAILED, 1) if fails else (state, 0))
    assert after.reason == ("B04 is damaged" if fails else None)


@pytest.mark.parametrize(
    ("text", "kept"), [("a\0b", "a\ufffdb"), ("a\ud800b", "a\ufffdb"), ("é" * 9, "é" * 8), ("", "")]
)
def test_text_of_others_is_made_storable(text, kept):
    assert storable(text, 8) == kept
    kept.encode()

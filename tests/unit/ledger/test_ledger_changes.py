"""The moves of a dated change: which there are, who made them, and that a stale look changes nothing."""

from __future__ import annotations

from itertools import product

import pytest

from helpers.ledger_changes import a_change
from seaice_ops.errors import ConfigError, DecidedMeanwhile
from seaice_ops.ledger.changes import (
    APPROVED,
    CONFIRMED,
    GONE,
    MOVES,
    PROVISIONAL,
    REJECTED,
    add_change,
    changes_of,
    decide,
    get_change,
    move_change,
    relabel,
    reopen,
)
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import ChangeEvent, ChangeState
from seaice_ops.settings import Settings


def test_moves_are_guarded_and_leave_who_and_when(settings: Settings) -> None:
    ledger = open_ledger(settings)
    with ledger.begin() as session:
        assert add_change(session, a_change(), caller="cli")
        assert not add_change(session, a_change(), caller="cli")
        seen = get_change(session, "c1")
    with ledger.begin() as session:
        assert move_change(session, seen, CONFIRMED, caller="cli", confidence=91)
        assert not move_change(session, seen, CONFIRMED, caller="cli")  # it was seen as provisional
        row = get_change(session, "c1")
        assert (row.state, row.moves, row.confidence) == (CONFIRMED, 2, 91)
        assert decide(session, row, APPROVED, who="ann", reason="seen on radar")
        assert (row.state, row.decided_by, row.decided_class, row.reason) == (APPROVED, "ann", 1, "seen on radar")
        events = session.query(ChangeEvent).order_by(ChangeEvent.number).all()
    assert [(e.number, e.before, e.after, e.caller) for e in events] == [
        (1, None, PROVISIONAL, "cli"),
        (2, PROVISIONAL, CONFIRMED, "cli"),
        (3, CONFIRMED, APPROVED, "ann"),
    ]


def test_no_other_moves_exist(settings: Settings) -> None:
    with open_ledger(settings).begin() as session:
        add_change(session, a_change(), caller="cli")
        row = get_change(session, "c1")
        for before, after in product(ChangeState, ChangeState):
            row.state = before
            if (before, after) not in MOVES:
                with pytest.raises(ValueError, match="does not go"):
                    move_change(session, row, after, caller="cli")
        row.state = PROVISIONAL


def test_a_decision_stands_until_it_is_taken_back(settings: Settings) -> None:
    with open_ledger(settings).begin() as session:
        add_change(session, a_change(), caller="cli")
        row = get_change(session, "c1")
        assert decide(session, row, REJECTED, who="ann")
        assert not decide(session, row, REJECTED, who="ann")  # the same again
        for other in (
            lambda: decide(session, row, APPROVED, who="ann"),
            lambda: decide(session, row, REJECTED, who="bob"),
        ):
            with pytest.raises(DecidedMeanwhile, match="rejected by ann"):
                other()
        with pytest.raises(DecidedMeanwhile):
            relabel(session, row, 2, who="bob")
        assert reopen(session, row, who="bob") and not reopen(session, row, who="bob")
        assert (row.state, row.decided_by, row.decided_class) == (PROVISIONAL, None, None)
        assert relabel(session, row, 2, who="bob") and row.decided_class == 2 and row.state is APPROVED
        assert not relabel(session, row, 2, who="bob")
        assert relabel(session, row, 1, who="ann") and (row.decided_class, row.decided_by) == (1, "ann")
        assert [each.id for each in changes_of(session, ["01CCV"], [APPROVED])] == ["c1"]


def test_what_is_gone_or_unknown_cannot_be_decided(settings: Settings) -> None:
    with open_ledger(settings).begin() as session:
        add_change(session, a_change(), caller="cli")
        row = get_change(session, "c1")
        assert move_change(session, row, GONE, caller="cli")
        with pytest.raises(ConfigError, match="not found any more"):
            decide(session, row, APPROVED, who="ann")
        with pytest.raises(ConfigError, match="knows no change"):
            get_change(session, "c2")

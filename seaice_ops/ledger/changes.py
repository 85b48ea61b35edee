"""The life of a dated change. Only this module changes a change's state.

Each move is one guarded statement: it changes the row only if nobody has moved it since the caller saw it. It follows
a move of `MOVES`, and its row in `change_event`, with who and when, is written in the same transaction. Each operation
takes an open session.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from seaice_ops.errors import ConfigError, DecidedMeanwhile
from seaice_ops.ledger.operations import insert_new, now
from seaice_ops.ledger.tables import Change, ChangeEvent, ChangeState

PROVISIONAL, CONFIRMED = ChangeState.PROVISIONAL, ChangeState.CONFIRMED
APPROVED, REJECTED, GONE = ChangeState.APPROVED, ChangeState.REJECTED, ChangeState.GONE

#: The states in which a person may decide, and those in which one has.
OPEN, DECIDED = (CONFIRMED, PROVISIONAL), (APPROVED, REJECTED)

#: Every move that there is, and when it is made. None is a change that the ledger does not know yet.
MOVES: Mapping[tuple[ChangeState | None, ChangeState], str] = MappingProxyType(
    {
        (None, PROVISIONAL): "it is found, and few maps have followed it",
        (None, CONFIRMED): "it is found, and enough maps have followed it",
        (PROVISIONAL, PROVISIONAL): "it is found again with other pixels or dates",
        (PROVISIONAL, CONFIRMED): "further acquisitions show it too",
        (PROVISIONAL, GONE): "it is not found any more",
        (PROVISIONAL, APPROVED): "a person approves it",
        (PROVISIONAL, REJECTED): "a person rejects it",
        (CONFIRMED, CONFIRMED): "it is found again with other pixels or dates",
        (CONFIRMED, PROVISIONAL): "acquisitions that confirmed it are no longer there",
        (CONFIRMED, GONE): "it is not found any more",
        (CONFIRMED, APPROVED): "a person approves it",
        (CONFIRMED, REJECTED): "a person rejects it",
        (GONE, PROVISIONAL): "it is found again, and few maps have followed it",
        (GONE, CONFIRMED): "it is found again, and enough maps have followed it",
        (APPROVED, APPROVED): "a person corrects its class",
        (APPROVED, PROVISIONAL): "a person takes the approval back",
        (REJECTED, PROVISIONAL): "a person takes the rejection back",
    }
)


def get_change(session: Session, change_id: str) -> Change:
    """The change's row; raises `ConfigError` where the ledger does not know it."""
    row = session.get(Change, change_id)
    if row is None:
        raise ConfigError(f"the ledger knows no change {change_id}; `seaice changes list` names them")
    return row


def changes_of(
    session: Session, tiles: Iterable[str] | None = None, states: Iterable[ChangeState] | None = None
) -> list[Change]:
    """The changes of `tiles` in `states` (default: all), by tile, time and id."""
    query = select(Change).order_by(Change.tile, Change.at, Change.id)
    if tiles is not None:
        query = query.where(Change.tile.in_(list(tiles)))
    if states is not None:
        query = query.where(Change.state.in_(list(states)))
    return list(session.scalars(query))


def add_change(session: Session, row: Change, *, caller: str) -> bool:
    """Insert a new change in its first state; False where its id is taken."""
    _require_move(None, row.state)
    row.moves = 1
    added = insert_new(session, row)
    if added:
        session.add(_event(row.id, 1, None, row.state, MOVES[None, row.state], caller))
    return added


def move_change(
    session: Session, seen: Change, after: ChangeState, *, caller: str, reason: str | None = None, **values: Any
) -> bool:
    """Bring a change from the state in which it was `seen` to `after`, with other columns' `values`.

    False, and nothing changed, where it has moved since, even if it is in the same state again. `seen` may have been
    read in an earlier transaction. Raises `ValueError` for a move that is not in `MOVES`.
    """
    _require_move(seen.state, after)
    change_id, before, number = seen.id, seen.state, seen.moves + 1
    guarded = update(Change).where(Change.id == change_id, Change.state == before, Change.moves == number - 1)
    fate = {"state": after, "reason": reason, "moves": number, "updated_at": now(), **values}
    result: Any = session.execute(guarded.values(**fate).execution_options(synchronize_session=False))
    if not result.rowcount:
        return False
    if seen in session:
        session.refresh(seen)
    session.add(_event(change_id, number, before, after, reason or MOVES[before, after], caller))
    return True


def decide(
    session: Session, seen: Change, after: ChangeState, *, who: str, reason: str | None = None, code: int | None = None
) -> bool:
    """Record a person's decision about the change as it was `seen`: APPROVED (with a class `code`) or REJECTED.

    The same decision by the same person again changes nothing: False. Raises `DecidedMeanwhile` where another one was
    made first, or the change has moved since it was seen, and `ConfigError` where it is not found any more.
    """
    if seen.state in DECIDED:
        same = seen.state is after and seen.decided_by == who and (code is None or code == seen.decided_class)
        if same:
            return False
        raise DecidedMeanwhile(
            f"{seen.id} was {seen.state} by {seen.decided_by} at {seen.decided_at:%Y-%m-%d %H:%M} UTC; "
            "`seaice changes reopen` takes that back"
        )
    if seen.state is GONE:
        raise ConfigError(f"{seen.id} is not found any more in its tile; there is nothing to decide")
    chosen = (code or seen.after_class) if after is APPROVED else None
    _moved(session, seen, after, who, reason, {"decided_class": chosen, "decided_by": who, "decided_at": now()})
    return True


def relabel(session: Session, seen: Change, code: int, *, who: str, reason: str | None = None) -> bool:
    """Correct the class after the change: approves it with class `code`, or corrects an approval that was made.

    Answers and raises as `decide` does.
    """
    if seen.state is not APPROVED:
        return decide(session, seen, APPROVED, who=who, reason=reason, code=code)
    if seen.decided_class == code:
        return False
    _moved(session, seen, APPROVED, who, reason, {"decided_class": code, "decided_by": who, "decided_at": now()})
    return True


def reopen(session: Session, seen: Change, *, who: str, reason: str | None = None) -> bool:
    """Take a decision back; False where there is none. Raises `DecidedMeanwhile` where it has moved since."""
    if seen.state not in DECIDED:
        return False
    nobody = {"decided_class": None, "decided_by": None, "decided_at": None}
    _moved(session, seen, PROVISIONAL, who, reason, nobody)
    return True


def _moved(
    session: Session, seen: Change, after: ChangeState, who: str, reason: str | None, values: dict[str, Any]
) -> None:
    if not move_change(session, seen, after, caller=who, reason=reason, **values):
        raise DecidedMeanwhile(f"{seen.id} has changed since you looked at it; look again (`seaice changes show`)")


def _require_move(before: ChangeState | None, after: ChangeState) -> None:
    if (before, after) not in MOVES:
        raise ValueError(f"a change does not go from {before or 'nothing'} to {after}")


def _event(
    change_id: str, number: int, before: ChangeState | None, after: ChangeState, reason: str | None, caller: str
) -> ChangeEvent:
    return ChangeEvent(
        change_id=change_id, number=number, at=now(), before=before, after=after, reason=reason, caller=caller
    )

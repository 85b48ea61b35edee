"""The circuit breaker of an archive: a service that does not answer is left alone, by all workers at once.

It opens after `archive.outage.failures` outages in a row. Then one worker may try at a time, after waits that double,
until an answer closes it. The state is one row of the ledger, changed under its lock. A worker killed during its try
costs a wait of `archive.outage.probe_s`. Only outages count (no connection, time-outs, 5xx): an answer of 4xx shows
that the service works.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import select

from seaice_ops.errors import ArchiveUnavailable, CorruptProduct, QuotaExceeded, SeaIceError
from seaice_ops.ledger import tables
from seaice_ops.ledger.operations import insert_new, now
from seaice_ops.ledger.session import Ledger
from seaice_ops.settings import ArchiveSettings, OutageSettings


@dataclass(frozen=True)
class State:
    """`failures` in a row; `opened_at` None while closed; `retry_at` is when the next worker may try."""

    failures: int = 0
    opened_at: datetime | None = None
    retry_at: datetime | None = None
    reason: str | None = None


def wait(state: State, rules: OutageSettings) -> timedelta:
    """The wait of an open breaker after its last failure: doubling from the first wait to the longest."""
    doublings = min(max(0, state.failures - rules.failures), 60)
    return timedelta(seconds=min(rules.first_wait_s * 2**doublings, rules.longest_wait_s))


def entered(state: State, rules: OutageSettings, at: datetime) -> tuple[State, datetime | None]:
    """(new state, the caller's leave to try, as the time until which it is the only one); None where it got no leave.

    While closed nobody needs leave.
    """
    if state.opened_at is None or (state.retry_at and at < state.retry_at):
        return state, None
    until = at + timedelta(seconds=rules.probe_s)
    return replace(state, retry_at=until), until


def failed(state: State, rules: OutageSettings, at: datetime, reason: str, leave: datetime | None) -> State:
    """After an outage. While open only the try that has leave counts: older calls say nothing new."""
    if state.opened_at is not None and state.retry_at != leave:
        return state
    state = replace(state, failures=state.failures + 1, reason=reason[:2048])
    if state.failures < rules.failures:
        return state
    return replace(state, opened_at=state.opened_at or at, retry_at=at + wait(state, rules))


def succeeded(state: State, leave: datetime | None) -> State:
    """After an answer: closed, unless it is open and the call has no leave (it is from before)."""
    return state if state.opened_at is not None and state.retry_at != leave else State()


@contextmanager
def guarded(ledger: Ledger, archive: ArchiveSettings) -> Iterator[None]:
    """Run a block that asks the archive, unless the archive is being left alone.

    Raises `ArchiveUnavailable` at once while it is, with the reason, since when, and when the next try is due. An
    outage in the block is counted and raised as `ArchiveUnavailable` too; every other error passes unchanged.
    """
    kind, rules = archive.kind, archive.outage
    leave = _enter(ledger, kind, rules)
    try:
        yield
    except Exception as error:
        reason = outage(error)
        if reason is None:
            if _answered(error):
                _change(ledger, kind, lambda state: succeeded(state, leave))
            raise
        after = _change(ledger, kind, lambda state: failed(state, rules, now(), reason, leave))
        if isinstance(error, ArchiveUnavailable):
            error.again = error.again or after.retry_at
            raise
        raise ArchiveUnavailable(f"{kind} does not answer: {reason}", again=after.retry_at) from None
    _change(ledger, kind, lambda state: succeeded(state, leave))


def _enter(ledger: Ledger, archive: str, rules: OutageSettings) -> datetime | None:
    """Leave to try an open breaker, None while it is closed; raises `ArchiveUnavailable` where another has leave."""
    leave = None

    def enter(state: State) -> State:
        nonlocal leave
        changed, leave = entered(state, rules, now())
        return changed

    state = _change(ledger, archive, enter)
    if state.opened_at is not None and leave is None:
        raise ArchiveUnavailable(sentence(archive, state), again=state.retry_at)
    return leave


def current(ledger: Ledger, archive: str) -> State:
    """The breaker of that archive (`archive.kind` of the settings)."""
    with ledger.begin() as session:
        row = session.get(tables.Breaker, archive)
        return _state(row) if row else State()


def sentence(archive: str, state: State) -> str:
    """One sentence for people: the fault, since when, and when the next try is due. `state` is open."""
    return (
        f"{archive} has not answered since {state.opened_at:%Y-%m-%dT%H:%MZ} ({state.failures} failures in a row, the "
        f"last: {state.reason}); next try at {state.retry_at:%Y-%m-%dT%H:%M:%SZ}"
    )


def outage(error: BaseException) -> str | None:
    """The reason for which `error` means that the service is down; None where it means something else.

    Known by what it or its causes are (`ArchiveUnavailable`, an error of connecting, a time-out) or by an HTTP status
    of 500 and above on the error or its response, whichever library raised it.
    """
    for each in _causes(error):
        if isinstance(each, (QuotaExceeded, CorruptProduct)):
            return None
        status = _status(each)
        if _is_no_answer(each) or (status is not None and status >= 500):
            return _words(error)
        if status is not None:
            return None
    return None


def _words(error: BaseException) -> str:
    """The words of `error` that may be shown: another library's message may hold an address with a token."""
    return str(error) if isinstance(error, SeaIceError) else type(error).__name__


def _answered(error: BaseException) -> bool:
    """True where `error` shows that the service works; an error of our own disk or settings shows nothing."""
    return any(isinstance(each, CorruptProduct) or _status(each) is not None for each in _causes(error))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _is_no_answer(error: BaseException) -> bool:
    """No whole answer came. The HTTP libraries' errors are known by name, so that none of them is imported."""
    names = {f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in type(error).__mro__}
    return isinstance(error, (ArchiveUnavailable, ConnectionError, TimeoutError)) or bool(names & _NO_ANSWER)


_NO_ANSWER = {"httpx.TransportError", "requests.ConnectionError", "requests.Timeout"}


def _status(error: BaseException) -> int | None:
    response = getattr(error, "response", None)
    found = (
        getattr(error, "status", None),
        getattr(error, "status_code", None),
        getattr(response, "status_code", None),
    )
    return next((code for code in found if isinstance(code, int)), None)


def _change(ledger: Ledger, archive: str, change: Callable[[State], State]) -> State:
    """Apply `change` to the row under its lock, write it only if it differs, and return the new state."""
    query = select(tables.Breaker).where(tables.Breaker.archive == archive).with_for_update()
    with ledger.begin() as session:
        row = session.scalar(query)
        if row is None:
            if change(State()) == State():
                return State()
            insert_new(session, tables.Breaker(archive=archive, failures=0, updated_at=now()))
            row = session.scalars(query).one()
        before = _state(row)
        after = change(before)
        if after != before:
            row.failures, row.opened_at, row.retry_at = after.failures, after.opened_at, after.retry_at
            row.reason, row.updated_at = after.reason, now()
    return after


def _state(row: tables.Breaker) -> State:
    return State(row.failures, row.opened_at, row.retry_at, row.reason)

"""The circuit breaker: its states against a model that remembers every call, and what counts as an outage."""

from __future__ import annotations

from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from hypothesis import settings as profile
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from seaice_ops.archive.limits import breaker
from seaice_ops.archive.limits.breaker import State
from seaice_ops.errors import ArchiveUnavailable, ConfigError, CorruptProduct, QuotaExceeded, TransientError
from seaice_ops.ledger.session import open_ledger
from seaice_ops.settings import OutageSettings, Settings

NOON = datetime(2026, 2, 1, 12, tzinfo=UTC)
RULES = OutageSettings(failures=3, first_wait_s=60, longest_wait_s=400, probe_s=900)


class Workers(RuleBasedStateMachine):
    """Workers that ask, fail, succeed or die in any order, beside a plain account of what may happen."""

    calls = Bundle("calls")

    def __init__(self) -> None:
        super().__init__()
        self.state, self.at = State(), NOON
        self.down_in_a_row = 0
        self.open = False
        self.next_try = NOON
        self.trying: datetime | None = None  # the leave of the one that tries

    @rule(minutes=st.integers(0, 30))
    def time_passes(self, minutes: int) -> None:
        self.at += timedelta(minutes=minutes, microseconds=1)

    @rule(target=calls)
    def enter(self) -> object:
        was_open = self.open
        self.state, leave = breaker.entered(self.state, RULES, self.at)
        if not was_open:
            assert leave is None
            return None, self.open
        assert (leave is not None) == (self.at >= self.next_try)
        if leave is None:
            return multiple()  # it is refused and asks nothing
        assert self.trying is None or self.at >= self.trying, "two try at once"
        self.next_try = self.trying = leave
        return leave, True

    def _ended(self, leave: datetime | None) -> bool:
        """Whether the end of this call says something."""
        self.trying = None if leave == self.trying else self.trying
        return not self.open or leave == self.next_try

    @rule(call=consumes(calls))
    def outage(self, call: tuple[datetime | None, bool]) -> None:
        counts = self._ended(call[0])
        self.state = breaker.failed(self.state, RULES, self.at, "no answer", call[0])
        if counts:
            self.down_in_a_row += 1
            if self.down_in_a_row >= 3:
                self.open = True
                wait = [60, 120, 240, 400][min(self.down_in_a_row - 3, 3)]
                self.next_try = self.at + timedelta(seconds=wait)

    @rule(call=consumes(calls))
    def answer(self, call: tuple[datetime | None, bool]) -> None:
        if self._ended(call[0]):
            self.open, self.down_in_a_row = False, 0
        self.state = breaker.succeeded(self.state, call[0])

    @rule(call=consumes(calls))
    def killed(self, call: object) -> None:
        """It never comes back: its leave runs out."""

    @invariant()
    def agrees(self) -> None:
        assert (self.state.opened_at is not None) == self.open
        assert self.state.failures == self.down_in_a_row
        assert not self.open or self.state.retry_at == self.next_try


TestWorkers = Workers.TestCase
TestWorkers.settings = profile(max_examples=60, stateful_step_count=40, deadline=None)


def of_service(settings: Settings, **rules: float) -> Settings:
    archive = {**settings.archive.model_dump(), "kind": "cdse", "outage": rules}
    return Settings.model_validate({**settings.model_dump(), "archive": archive})


def guarded(settings: Settings) -> AbstractContextManager[None]:
    return breaker.guarded(open_ledger(settings), settings.archive)


def current(settings: Settings) -> State:
    return breaker.current(open_ledger(settings), settings.archive.kind)


def ask(settings: Settings, error: Exception | None = None) -> None:
    with guarded(settings):
        if error:
            raise error


def status_error(code: int) -> httpx.HTTPStatusError:
    request = httpx.Request("GET", "http://archive/x?token=secret")
    return httpx.HTTPStatusError("bad", request=request, response=httpx.Response(code, request=request))


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


OUTAGES = [
    ArchiveUnavailable("down"),
    ConnectionRefusedError("refused"),
    TimeoutError("slow"),
    httpx.ReadTimeout("slow"),
    httpx.ConnectError("refused"),
    status_error(500),
    status_error(503),
    caused(TransientError("cannot search"), httpx.ConnectError("refused")),
]
OTHERS = [
    status_error(404),
    status_error(403),
    status_error(429),
    QuotaExceeded("wait"),
    CorruptProduct("truncated"),
    ConfigError("wrong"),
    TransientError("the disk is full"),
    KeyError("a fault of ours"),
]


@pytest.mark.parametrize("error", OUTAGES, ids=repr)
def test_outages_are_counted_and_raised_as_such(settings: Settings, error: Exception) -> None:
    service = of_service(settings, failures=2)
    for count in (1, 2):
        with pytest.raises(ArchiveUnavailable) as caught:
            ask(service, error)
        assert current(service).failures == count
        assert "secret" not in str(caught.value)
    assert current(service).opened_at is not None


@pytest.mark.parametrize("error", OTHERS, ids=repr)
def test_other_errors_pass_unchanged_and_do_not_open(settings: Settings, error: Exception) -> None:
    service = of_service(settings, failures=1)
    with pytest.raises(type(error)) as caught:
        ask(service, error)
    assert caught.value is error and current(service) == State()


def test_an_answer_between_failures_starts_the_count_anew(settings: Settings) -> None:
    service = of_service(settings, failures=2)
    for error in (TimeoutError(), None, TimeoutError(), status_error(404), TimeoutError()):
        with suppress(ArchiveUnavailable, httpx.HTTPStatusError):
            ask(service, error)
    state = current(service)
    assert state.failures == 1 and state.opened_at is None


def test_while_open_nothing_is_asked_and_the_error_says_why_since_and_until(settings: Settings) -> None:
    service = of_service(settings, failures=1, first_wait_s=100)
    with pytest.raises(ArchiveUnavailable):
        ask(service, ArchiveUnavailable("https://archive/x answers 503"))
    state = current(service)
    with pytest.raises(ArchiveUnavailable) as caught, guarded(service):
        raise AssertionError("the block must not run")
    words = str(caught.value)
    assert "answers 503" in words and f"since {state.opened_at:%Y-%m-%dT%H:%M}" in words and "next try at" in words
    assert caught.value.again == state.retry_at


def test_a_try_that_is_answered_closes_it(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [NOON]
    monkeypatch.setattr(breaker, "now", lambda: clock[0])
    service = of_service(settings, failures=1, first_wait_s=60)
    with pytest.raises(ArchiveUnavailable):
        ask(service, TimeoutError())
    clock[0] += timedelta(seconds=61)
    with pytest.raises(ArchiveUnavailable):
        ask(service, TimeoutError())
    assert current(service).retry_at == clock[0] + timedelta(seconds=120)
    assert current(service).opened_at == NOON
    clock[0] += timedelta(seconds=121)
    ask(service)
    assert current(service) == State()
    ask(service)


def test_our_own_troubles_during_a_try_decide_nothing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [NOON]
    monkeypatch.setattr(breaker, "now", lambda: clock[0])
    service = of_service(settings, failures=1, first_wait_s=60, probe_s=10)
    with pytest.raises(ArchiveUnavailable):
        ask(service, TimeoutError())
    clock[0] += timedelta(seconds=61)
    with pytest.raises(TransientError, match="disk"):
        ask(service, TransientError("the disk is full"))
    assert current(service).opened_at == NOON
    clock[0] += timedelta(seconds=11)
    ask(service)
    assert current(service) == State()


def test_an_archive_that_works_costs_no_row(settings: Settings) -> None:
    service = of_service(settings)
    ask(service)
    assert current(service) == State()

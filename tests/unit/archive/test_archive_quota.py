"""Quotas: rolling windows against a slow oracle, the pace of requests, and counts that no kill loses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st
from sqlalchemy import select

from helpers.racing import race
from seaice_ops.archive.limits import pacing, quota
from seaice_ops.errors import QuotaExceeded
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import TransferUsage
from seaice_ops.settings import ArchiveSettings, Settings

AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
THIS_HOUR = AT.replace(minute=0)

rows = st.lists(
    st.tuples(st.integers(0, 800), st.integers(0, 1000)).map(lambda v: (THIS_HOUR - v[0] * quota.HOUR, v[1])),
    max_size=12,
    unique_by=lambda row: row[0],
)


def slow_used(found: list[tuple[datetime, int]], at: datetime) -> int:
    """Every hour of which any second lies within the 30 days before `at`, looked at one by one."""
    total = 0
    for hour, n in found:
        last_moment = hour + timedelta(minutes=59, seconds=59, microseconds=999999)
        if last_moment > at - timedelta(days=30) - timedelta(microseconds=1):
            total += n
    return total


@profile(deadline=None)
@given(rows, st.integers(0, 900))
def test_the_rolling_window_is_the_sum_of_its_hours(found: list[tuple[datetime, int]], later: int) -> None:
    at = AT + later * quota.HOUR
    assert quota.used(found, at) == slow_used(found, at)


@profile(deadline=None)
@given(rows, st.integers(0, 3000), st.integers(1, 3000))
def test_room_is_the_first_moment_at_which_it_fits(found: list[tuple[datetime, int]], need: int, limit: int) -> None:
    moment = quota.room_at(found, AT, need, limit)
    if need > limit:
        assert moment is None
        return
    assert moment is not None and slow_used(found, moment) + need <= limit
    # Nothing earlier would do, hour by hour: rows begin and end at full hours.
    for hours in range(int((moment - AT) / quota.HOUR) + 1):
        earlier = THIS_HOUR + (hours + 1) * quota.HOUR - timedelta(microseconds=1)
        if AT <= earlier < moment:
            assert slow_used(found, earlier) + need > limit


@profile(deadline=None)
@given(rows, st.integers(1, 3000))
def test_exhaustion_is_foretold_by_going_on_at_the_same_pace(found: list[tuple[datetime, int]], limit: int) -> None:
    recent = [(hour, n) for hour, n in found if hour > AT - timedelta(days=7)]
    span = max(24.0, max(((AT - hour) / quota.HOUR for hour, _ in recent), default=0.0))
    pace = sum(n for _, n in recent) / span
    expected = None
    for hours in range(721):
        if slow_used(found, AT + hours * quota.HOUR) + pace * hours >= limit:
            expected = AT + hours * quota.HOUR
            break
    assert quota.exhausted_at(found, AT, limit) == expected


@profile(deadline=None)
@given(
    st.integers(1, 120),
    st.lists(st.floats(0, 5, allow_subnormal=False), min_size=1, max_size=200),
)
def test_no_minute_sees_more_requests_than_are_allowed(limit: int, gaps: list[float]) -> None:
    due, now, starts = 0.0, 1_000_000.0, []
    for gap in gaps:
        now += gap
        start, due = pacing.reserve(due, now, limit)
        assert start >= now
        starts.append(start)
    starts.sort()
    for first in range(len(starts)):
        inside = sum(1 for start in starts[first:] if start < starts[first] + 60 - 1e-3)
        assert inside <= limit


def test_requests_flow_at_the_full_pace_and_begin_at_once() -> None:
    due, starts = 0.0, []
    for _ in range(4000):
        start, due = pacing.reserve(due, 0.0, 2000)
        starts.append(start)
    assert starts[199] == 0 and max(starts) < 130
    assert sum(start < 60 for start in starts) == 2000


def test_a_reservation_from_before_the_clock_was_set_back_is_ignored() -> None:
    assert pacing.reserve(10_000.0, 100.0, 60)[0] == 100.0


@given(st.integers(1, 3000), st.floats(0, 300), st.floats(0, 500))
def test_while_held_nobody_may_ask_and_then_at_once(limit: int, seconds: float, before: float) -> None:
    now = 1_000_000.0
    due = pacing.held(now + before, now, seconds, limit)
    start, _ = pacing.reserve(due, now, limit)
    assert start >= now + seconds - 1e-6
    if before == 0:
        assert start <= now + seconds + 1e-6
    assert pacing.reserve(pacing.held(0.0, now, 1e9, limit), now, limit)[0] <= now + pacing.STALE / 2 + 1e-6


@pytest.fixture
def service(settings: Settings) -> Settings:
    return with_quota(settings)


def with_quota(settings: Settings, **values: int) -> Settings:
    archive = {**settings.archive.model_dump(), "kind": "cdse", "quota": values}
    return Settings.model_validate({**settings.model_dump(), "archive": archive})


def meter_of(settings: Settings) -> quota.Meter:
    return quota.Meter(open_ledger(settings), settings.archive, settings.work)


def usage_of(settings: Settings) -> quota.Usage | None:
    return quota.usage(open_ledger(settings), settings.archive, settings.work)


def kept(settings: Settings) -> dict[datetime, tuple[int, int]]:
    with open_ledger(settings).begin() as session:
        return {row.hour: (row.bytes, row.requests) for row in session.scalars(select(TransferUsage))}


def test_a_transfer_costs_few_writes_and_nothing_is_lost(service: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    writes = []
    real = quota.add_usage
    monkeypatch.setattr(quota, "add_usage", lambda *a: (writes.append(a), real(*a)))
    meter = meter_of(service)
    for _ in range(5):
        meter.before_request()
    for _ in range(600):
        meter.received(1_000_000)
    assert len(writes) <= 3
    found = usage_of(service)
    assert found is not None and (found.bytes, found.requests) == (600_000_000, 5)
    meter.flush()
    meter.flush()
    assert [sum(each) for each in zip(*kept(service).values(), strict=True)] == [600_000_000, 5]


def test_what_a_killed_worker_counted_is_kept_by_the_next(service: Settings) -> None:
    code = (
        "import os, signal, sys\n"
        "from seaice_ops.archive.limits.quota import Meter\n"
        "from seaice_ops.ledger.session import open_ledger\n"
        "from seaice_ops.settings import Settings\n"
        "s = Settings.model_validate_json(sys.argv[1])\n"
        "m = Meter(open_ledger(s), s.archive, s.work)\n"
        "m.before_request(); m.received(12345)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, service.model_dump_json()], env=os.environ)
    assert done.returncode == -signal.SIGKILL and kept(service) == {}
    meter_of(service).flush()
    assert list(kept(service).values()) == [(12345, 1)]


def test_an_hour_that_is_over_keeps_its_own_bytes(service: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [THIS_HOUR.timestamp() + 3599.0]
    monkeypatch.setattr(quota.time, "time", lambda: clock[0])
    meter = meter_of(service)
    meter.received(10)
    clock[0] += 2
    meter.received(5)
    meter.flush()
    assert kept(service) == {THIS_HOUR: (10, 0), THIS_HOUR + quota.HOUR: (5, 0)}


def test_a_ledger_that_does_not_answer_loses_no_count(service: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    meter = meter_of(service)
    meter.received(10)

    def down(*arguments: object) -> None:
        raise OSError("down")

    with monkeypatch.context() as patch:
        patch.setattr(quota, "add_usage", down)
        with pytest.raises(OSError, match="down"):
            meter.flush()
    meter.received(1)
    meter.flush()
    assert [n for n, _ in kept(service).values()] == [11]


def test_over_the_quota_nothing_is_asked_and_the_error_says_until_when(settings: Settings) -> None:
    service = with_quota(settings, bytes_per_30_days=1000)
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=10)
    quota.add_usage(open_ledger(service), "cdse", hour, 1000, 1)
    with pytest.raises(QuotaExceeded, match=r"there is room again from") as caught:
        meter_of(service).before_request()
    assert caught.value.again == hour + timedelta(days=30, hours=1)
    assert quota.room_for(open_ledger(service), service.archive, service.work, 2000) is None
    found = usage_of(service)
    assert found and found.share == 1.0 and found.again == caught.value.again and "100.0 %" in found.sentence()


def test_the_defaults_are_the_services_own() -> None:
    defaults = ArchiveSettings().quota
    assert (defaults.connections, defaults.requests_per_minute, defaults.bytes_per_30_days) == (4, 2000, 12 * 10**12)


def test_a_folder_has_no_quota_and_always_room(settings: Settings) -> None:
    assert usage_of(settings) is None
    assert quota.room_for(open_ledger(settings), settings.archive, settings.work, 10**18, AT) == AT


def hold(service_json: str, log: str) -> None:
    meter = meter_of(Settings.model_validate_json(service_json))
    with meter.connection():
        with Path(log).open("a") as out:
            out.write(f"{time.monotonic()} 1\n")
        time.sleep(0.15)
        with Path(log).open("a") as out:
            out.write(f"{time.monotonic()} -1\n")


def test_no_more_connections_are_open_at_once_than_allowed(settings: Settings, tmp_path: Path) -> None:
    service = with_quota(settings, connections=2)
    log = tmp_path / "log"
    assert race(hold, [(service.model_dump_json(), str(log))] * 5) == [None] * 5
    events = sorted((float(t), int(n)) for t, n in (line.split() for line in log.read_text().splitlines()))
    open_now = [sum(n for _, n in events[: i + 1]) for i in range(len(events))]
    assert max(open_now) <= 2 and open_now[-1] == 0
    meter = meter_of(service)
    with meter.connection(), meter.connection():  # two are to be had at once, and free again
        pass


def ask(service_json: str, times: int) -> float:
    meter = meter_of(Settings.model_validate_json(service_json))
    for _ in range(times):
        meter.before_request()
        meter.received(100)
    return time.time()


def test_workers_share_one_pace_and_one_count(settings: Settings) -> None:
    service = with_quota(settings, requests_per_minute=1200)  # 120 at once, then 18 a second
    began = time.time()
    ended = race(ask, [(service.model_dump_json(), 50)] * 3)
    assert max(ended) - began > 30 / 19  # the 30 requests above the burst took their time
    found = usage_of(service)
    assert found is not None and (found.bytes, found.requests) == (15_000, 150)


def test_what_one_worker_is_told_holds_the_others(service: Settings) -> None:
    meter_of(service).hold(0.4)
    began = time.monotonic()
    meter_of(service).before_request()
    assert 0.35 < time.monotonic() - began < 5

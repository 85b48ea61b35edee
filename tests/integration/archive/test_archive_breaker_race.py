"""Workers that ask at the same moment: one of them tries a broken archive, and their counts add up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from helpers.racing import race
from seaice_ops.archive.limits import breaker, quota
from seaice_ops.errors import ArchiveUnavailable
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Breaker, TransferUsage
from seaice_ops.settings import Settings

HOUR = datetime(2026, 2, 1, 5, tzinfo=UTC)


@pytest.fixture
def service(ledger: Settings) -> Settings:
    archive = {**ledger.archive.model_dump(), "kind": "cdse", "outage": {"failures": 3, "first_wait_s": 60}}
    return Settings.model_validate({**ledger.model_dump(), "archive": archive})


def attempt(settings_json: str, works: bool) -> str:
    try:
        settings = Settings.model_validate_json(settings_json)
        with breaker.guarded(open_ledger(settings), settings.archive):
            if not works:
                raise TimeoutError
            return "asked"
    except ArchiveUnavailable as error:
        return "failed" if "TimeoutError" in str(error) and "next try" not in str(error) else "refused"


def make_due(settings: Settings) -> None:
    with open_ledger(settings).begin() as session:
        row = session.get(Breaker, "cdse")
        assert row is not None
        row.retry_at = datetime.now(UTC) - timedelta(seconds=1)


def test_failures_at_the_same_moment_are_all_counted_and_one_worker_tries(service: Settings) -> None:
    told = race(attempt, [(service.model_dump_json(), False)] * 3)
    assert told == ["failed"] * 3 and breaker.current(open_ledger(service), "cdse").failures == 3
    make_due(service)
    told = race(attempt, [(service.model_dump_json(), False)] * 4)
    assert sorted(told) == ["failed", "refused", "refused", "refused"]
    assert breaker.current(open_ledger(service), "cdse").failures == 4
    make_due(service)
    told = race(attempt, [(service.model_dump_json(), True)] * 3)
    assert "asked" in told and breaker.current(open_ledger(service), "cdse") == breaker.State()


def add(settings_json: str, times: int) -> None:
    settings = Settings.model_validate_json(settings_json)
    for _ in range(times):
        quota.add_usage(open_ledger(settings), "cdse", HOUR, 10**12, 3)


def test_counts_of_workers_add_up(service: Settings) -> None:
    assert race(add, [(service.model_dump_json(), 5)] * 3) == [None] * 3
    with open_ledger(service).begin() as session:
        row = session.get(TransferUsage, ("cdse", HOUR))
    assert row is not None and (row.bytes, row.requests) == (15 * 10**12, 45)

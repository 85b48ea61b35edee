"""The quota and an outage are shown where operators look: status, its JSON, the page, the doctor; and told once."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient

from seaice_ops.archive.limits import breaker, quota
from seaice_ops.errors import ArchiveUnavailable
from seaice_ops.ledger.operations import now
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.watermarks import advance_watermarks
from seaice_ops.ops import notify
from seaice_ops.ops.doctor import _ask, _outage, _quota
from seaice_ops.ops.overview.collect import overview
from seaice_ops.ops.overview.to_json import to_json
from seaice_ops.ops.overview.to_text import to_text
from seaice_ops.ops.pages.app import create
from seaice_ops.settings import Settings


@pytest.fixture
def service(settings: Settings) -> Settings:
    archive = {"kind": "cdse", "outage": {"failures": 1, "first_wait_s": 1e-6}, "quota": {"bytes_per_30_days": 10**12}}
    return Settings.model_validate({**settings.model_dump(), "archive": archive})


def use(settings: Settings, days_ago: int, n_bytes: int) -> None:
    hour = now().replace(minute=0, second=0, microsecond=0) - timedelta(days=days_ago)
    quota.add_usage(open_ledger(settings), "cdse", hour, n_bytes, 7)


def fail(settings: Settings) -> None:
    with (
        pytest.raises(ArchiveUnavailable),
        breaker.guarded(open_ledger(settings), settings.archive),
    ):
        raise TimeoutError


def text_of(settings: Settings) -> str:
    return "\n".join(line.plain for line in to_text(overview(settings), 400))


def test_status_and_page_show_what_is_used_and_what_is_wrong(service: Settings) -> None:
    use(service, 2, 250 * 10**9)
    fail(service)
    with open_ledger(service).begin() as session:
        advance_watermarks(session, "cdse", service.tiles, now())
    status = to_json(overview(service))
    assert json.loads(json.dumps(status)) == status
    shown = status["archive"]["quota"]
    assert (shown["bytes"], shown["limit"], shown["share"], shown["requests"]) == (250 * 10**9, 10**12, 0.25, 7)
    assert shown["full_on"] and shown["room_from"] is None
    assert status["archive"]["outage"]["failures"] == 1
    page = TestClient(create(lambda: service, [])).get("/").text
    for text in (text_of(service), page):
        for words in (
            "250.0 GB of 1.00 TB in 30 days (25.0 %), 7 requests",
            "full on",
            "has not answered since",
            "published until",
        ):
            assert words in text, words


def test_a_folder_shows_neither(settings: Settings) -> None:
    nothing = {"quota": None, "outage": None, "searched_until": None}
    assert to_json(overview(settings))["archive"] == {"kind": "folder", **nothing}
    assert (
        "quota" not in text_of(settings) and 'id="quota"' not in TestClient(create(lambda: settings, [])).get("/").text
    )
    assert _quota(settings) == "a folder archive has none"


def test_the_doctor_warns_a_week_before_the_quota_is_used_up(service: Settings) -> None:
    use(service, 6, 10**9)
    assert _ask("quota", "", lambda: _quota(service)).ok
    use(service, 1, 600 * 10**9)
    found = _ask("quota", "", lambda: _quota(service))
    assert not found.ok and "at this pace full on" in found.what
    assert _ask("outage", "", lambda: _outage(service)).ok
    folder = Settings.model_validate({**service.model_dump(), "archive": {}, "ledger": "sqlite:////no/such/ledger"})
    assert "has none" in _ask("outage", "", lambda: _outage(folder)).what
    fail(service)
    assert not _ask("outage", "", lambda: _outage(service)).ok


def test_an_outage_is_told_once_and_its_end_once(service: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(notify, "notify", lambda settings, subject, text, level: told.append(f"{level}: {subject}"))
    notify.tell_outage(service)
    for _ in range(3):
        fail(service)
        notify.tell_outage(service)
    assert told == ["error: the archive does not answer"]
    with breaker.guarded(open_ledger(service), service.archive):
        pass
    notify.tell_outage(service)
    notify.tell_outage(service)
    assert told[1:] == ["info: the archive answers again"]

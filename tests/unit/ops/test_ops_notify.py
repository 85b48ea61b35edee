"""The notifier against real servers on the loopback interface, and which maps are late."""

from __future__ import annotations

import json
import logging
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from helpers.ledger_rows import FIRST, a_map, a_model, a_scene
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Map, Scene, SceneState
from seaice_ops.ops import notify as module
from seaice_ops.ops.notify import LateMap, notify, tell_late_maps
from seaice_ops.settings import Settings

SECRET = "T0K3N-in-the-path"


class Hook(HTTPServer):
    """A webhook that keeps what it gets and answers `status` after `delay` seconds."""

    status, delay = 200, 0.0

    def __init__(self) -> None:
        self.got: list[dict] = []
        super().__init__(("127.0.0.1", 0), _HookHandler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/services/{SECRET}"


class _HookHandler(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append({"path": self.path, "type": self.headers["Content-Type"], "json": json.loads(body)})
        time.sleep(self.server.delay)
        try:
            self.send_response(self.server.status)
            self.end_headers()
        except BrokenPipeError:
            pass

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hook() -> Iterator[Hook]:
    with Hook() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def told(settings: Settings, hook: Hook, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("TEST_WEBHOOK", hook.url)
    return with_notify(settings, webhook_env="TEST_WEBHOOK")


def with_notify(settings: Settings, **values: object) -> Settings:
    return Settings.model_validate({**settings.model_dump(), "notify": values})


def test_without_configuration_the_log_is_told(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    for level in ("info", "warning", "error"):
        with caplog.at_level(logging.INFO):
            notify(settings, "label failed", "disk full", level)
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [
        (level, "label failed: disk full") for level in ("INFO", "WARNING", "ERROR")
    ]


def test_the_webhook_gets_the_notification_and_its_address_is_in_no_log(
    told: Settings, hook: Hook, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        notify(told, "2 late maps", '01CCV: …\n60CWS: "quoted"', "warning")
    [got] = hook.got
    assert got["path"].endswith(SECRET) and got["type"] == "application/json"
    message = got["json"]
    assert message["text"] == '2 late maps\n01CCV: …\n60CWS: "quoted"' and message["level"] == "warning"
    assert message["subject"] == "2 late maps" and message["sent_at"].endswith("+00:00")
    assert SECRET not in caplog.text


@pytest.mark.parametrize("status", [404, 500, 302])
def test_a_webhook_that_refuses_is_logged_without_its_address(
    told: Settings, hook: Hook, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    hook.status = status
    with caplog.at_level(logging.DEBUG, logger="seaice_ops"), caplog.at_level(logging.INFO):
        notify(told, "s", "t")
    assert SECRET not in caplog.text and f"TEST_WEBHOOK answered {status}" in caplog.text


def test_a_webhook_that_is_gone_or_slow_or_nonsense_does_not_harm_the_caller(
    told: Settings, hook: Hook, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "TIMEOUT", 0.2)
    hook.delay = 1.0
    start = time.monotonic()
    notify(told, "s", "t")
    assert time.monotonic() - start < 0.9
    for url in (f"http://127.0.0.1:1/{SECRET}", f"no-scheme/{SECRET}", f"http://[bad/{SECRET}"):
        monkeypatch.setenv("TEST_WEBHOOK", url)
        notify(told, "s", "t")
    monkeypatch.delenv("TEST_WEBHOOK")
    notify(told, "s", "t")
    assert caplog.text.count("in this log only") == 4 and "TEST_WEBHOOK" in caplog.text
    assert SECRET not in caplog.text


class _Smtp(socketserver.StreamRequestHandler):
    """Enough of SMTP to take one message."""

    def handle(self) -> None:
        self.wfile.write(b"220 test\r\n")
        while line := self.rfile.readline():
            verb = line[:4].upper().strip()
            if verb == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                body = b""
                while not body.endswith(b"\r\n.\r\n"):
                    body += self.rfile.readline()
                self.server.messages.append(body)  # type: ignore[attr-defined]
            self.wfile.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")
            if verb == b"QUIT":
                return


def test_mail_goes_through_airflows_connection(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Smtp) as server:
        server.messages = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        extra = {"disable_tls": True, "disable_ssl": True, "from_email": "ice@example.org"}
        connection = {"conn_type": "smtp", "host": "127.0.0.1", "port": server.server_address[1], "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", json.dumps(connection))
        try:
            notify(with_notify(settings, email_to=["ops@example.org"]), "label failed", "<b>disk</b> full")
        finally:
            server.shutdown()
            thread.join()
        [message] = server.messages  # type: ignore[attr-defined]
    text = message.decode()
    assert "Subject: [sea ice] label failed" in text and "To: ops@example.org" in text


def test_mail_that_cannot_be_sent_does_not_harm_the_caller(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    connection = {"conn_type": "smtp", "host": "127.0.0.1", "port": 1, "login": "ice", "password": SECRET}
    monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", json.dumps({**connection, "extra": {"retry_limit": 1}}))
    notify(with_notify(settings, email_to=["ops@example.org"]), "s", "t")
    assert "e-mail could not be reached" in caplog.text and SECRET not in caplog.text


def put(settings: Settings, *rows: Scene | Map) -> None:
    with open_ledger(settings).begin() as session:
        session.add(a_model())
        session.flush()
        session.add_all(rows)


def late_maps(settings: Settings, at: datetime) -> list[LateMap]:
    with open_ledger(settings).begin() as session:
        return module.late_maps(session, settings.tiles, settings.mapping.late_after_hours, at)


def test_a_map_is_late_when_newer_scenes_have_waited_too_long(settings: Settings) -> None:
    put(settings, *[a_scene(day) for day in range(5)], a_map(2), a_map(1), a_map(2, revision=2), a_scene(0, "60CWS"))
    ready = FIRST + timedelta(days=3, hours=7)  # when the first scene after the map's window became ready
    assert [late.tile for late in late_maps(settings, ready + timedelta(hours=35.9))] == ["60CWS"]
    first, second = late_maps(settings, ready + timedelta(hours=37))
    assert (first.tile, first.waiting, first.hours) == ("01CCV", 2, 37.0)
    assert first.window_end == FIRST + timedelta(days=2)
    assert first.sentence() == "01CCV: its newest map ends 2026-02-03T20:15Z; 2 newer scenes have waited for up to 37 h"
    assert second.sentence() == "60CWS: it has no map yet; 1 newer scene has waited for up to 109 h"


def test_other_states_and_other_tiles_make_nothing_late(settings: Settings) -> None:
    put(settings, a_scene(0), a_map(0), a_scene(3, "59CMV"))
    others = [state for state in SceneState if state is not SceneState.READY]
    put_more = [a_scene(day, state=state) for day, state in enumerate(others, 1)]
    with open_ledger(settings).begin() as session:
        session.add_all(put_more)
    assert late_maps(settings, FIRST + timedelta(days=300)) == []


@profile(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    scenes=st.sets(st.integers(0, 12), max_size=6),
    maps=st.sets(st.integers(0, 12), max_size=4),
    hours=st.integers(0, 400),
)
def test_late_maps_agree_with_the_definition(settings: Settings, scenes: set[int], maps: set[int], hours: int) -> None:
    with open_ledger(settings).begin() as session:
        session.query(Map).delete()
        session.query(Scene).delete()
        session.merge(a_model())
        session.add_all([*map(a_scene, scenes), *map(a_map, maps)])
    newer = [day for day in scenes if day > max(maps, default=-1)]
    waited = [hours - (24 * day + 7) for day in newer]
    found = late_maps(settings, FIRST + timedelta(hours=hours))
    assert bool(found) is (max(waited, default=0) > 36)
    if found:
        assert (found[0].waiting, found[0].hours) == (len(newer), max(waited))


def test_late_maps_are_told_in_one_notification(settings: Settings) -> None:
    calls: list[dict] = []
    tell: Callable[..., None] = lambda _, **values: calls.append(values)  # noqa: E731
    assert tell_late_maps(settings, tell) == [] and calls == []
    put(settings, a_scene(0), a_scene(0, "60CWS"))
    assert len(tell_late_maps(settings, tell)) == 2
    [call] = calls
    assert call["subject"] == "2 late maps" and call["level"] == "warning"
    assert [line[:5] for line in call["text"].splitlines()] == ["01CCV", "60CWS"]


def test_a_webhook_is_reached_whatever_no_proxy_holds(
    told: Settings, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.invalid:3128")
    monkeypatch.setenv("no_proxy", "[::1],fd00::/8,127.0.0.0/8")
    notify(told, "late", "01CCV", "warning")
    assert len(hook.got) == 1

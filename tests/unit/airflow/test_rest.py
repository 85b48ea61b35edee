"""What is asked of Airflow is asked again when it was not answered, and never taken for done when it was refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import httpx
import pytest

from seaice_ops.airflow import rest
from seaice_ops.errors import ConfigError, SeaIceError, TransientError
from seaice_ops.settings import Settings

NOON = datetime(2026, 2, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest.time, "sleep", lambda seconds: None)


def airflow(answers: Iterator[httpx.Response | Exception], seen: list[str]) -> httpx.Client:
    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(f"{request.method} {request.url.path}")
        found = next(answers)
        if isinstance(found, Exception):
            raise found
        return found

    return httpx.Client(base_url="http://airflow", transport=httpx.MockTransport(answer))


@pytest.mark.parametrize("trouble", [lambda: httpx.Response(500), lambda: httpx.ReadTimeout("timed out")])
def test_a_server_error_and_silence_are_asked_again(trouble: Callable[[], httpx.Response | Exception]) -> None:
    seen: list[str] = []
    client = airflow(iter([trouble(), trouble(), httpx.Response(200, json={"state": "success"})]), seen)
    assert rest.run_state(client, "d", "r") == "success"
    assert seen == ["GET /dags/d/dagRuns/r"] * 3


def test_silence_ends_in_a_transient_error_and_a_refusal_at_once() -> None:
    seen: list[str] = []
    with pytest.raises(TransientError, match="does not answer /dags/d/dagRuns/r"):
        rest.run_state(airflow((httpx.ReadTimeout("timed out") for _ in range(99)), seen), "d", "r")
    assert len(seen) == rest.ATTEMPTS
    refused = airflow(iter([httpx.Response(403, text="no")]), seen)
    with pytest.raises(SeaIceError, match="refused GET /dags/d/dagRuns/r: 403 no"):
        rest.run_state(refused, "d", "r")


def test_a_run_that_an_unanswered_attempt_made_is_not_made_twice() -> None:
    seen: list[str] = []
    client = airflow(iter([httpx.Response(404), httpx.ReadTimeout("timed out"), httpx.Response(409)]), seen)
    rest.run_once(client, "d", "r", NOON, NOON)
    assert seen == ["GET /dags/d/dagRuns/r", "POST /dags/d/dagRuns", "POST /dags/d/dagRuns"]


def test_a_run_by_hand_is_started_once_and_has_no_dates() -> None:
    seen: list[str] = []
    bodies: list[dict] = []
    answers = iter([httpx.ReadTimeout("timed out"), httpx.Response(409)])

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(f"{request.method} {request.url.path}")
        bodies.append(json.loads(request.content))
        found = next(answers)
        if isinstance(found, Exception):
            raise found
        return found

    rest.start_run(httpx.Client(base_url="http://airflow", transport=httpx.MockTransport(answer)), "d", "r")
    assert seen == ["POST /dags/d/dagRuns"] * 2
    assert bodies == [{"dag_run_id": "r", "logical_date": None}] * 2


def test_a_run_that_exists_is_cleared() -> None:
    seen: list[str] = []
    rest.run_once(
        airflow(iter([httpx.Response(200, json={}), httpx.Response(200, json={})]), seen), "d", "r", NOON, NOON
    )
    assert seen == ["GET /dags/d/dagRuns/r", "POST /dags/d/dagRuns/r/clear"]


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({}, "seaice up"),
        ({"URL": "http://airflow"}, "set SEAICE_AIRFLOW_TOKEN"),
        ({"URL": "http://airflow", "USER": "ops"}, "PASSWORD"),
    ],
)
def test_an_airflow_that_nobody_named_is_asked_for(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], words: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"SEAICE_AIRFLOW_{name}", value)
    with pytest.raises(ConfigError, match=words):
        rest.find(settings)


def test_a_token_or_a_login_opens_airflow(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, dict[str, str]]] = []

    def post(url: str, json: dict[str, str], timeout: float, trust_env: bool) -> httpx.Response:
        asked.append((url, json))
        return httpx.Response(201, json={"access_token": "fresh"})

    monkeypatch.setattr(rest.httpx, "post", post)
    for name, value in {"URL": "http://airflow/", "USER": "ops", "PASSWORD": "secret"}.items():
        monkeypatch.setenv(f"SEAICE_AIRFLOW_{name}", value)
    client = rest.find(settings)
    assert asked == [("http://airflow/auth/token", {"username": "ops", "password": "secret"})]
    assert client.headers["Authorization"] == "Bearer fresh" and str(client.base_url) == "http://airflow/api/v2/"
    monkeypatch.setenv("SEAICE_AIRFLOW_TOKEN", "given")
    assert rest.find(settings).headers["Authorization"] == "Bearer given" and len(asked) == 1


@pytest.mark.parametrize(("status", "error"), [(401, ConfigError), (503, TransientError)])
def test_a_refused_login_is_not_repeated_and_shows_no_password(
    monkeypatch: pytest.MonkeyPatch, status: int, error: type[Exception]
) -> None:
    monkeypatch.setattr(rest.httpx, "post", lambda url, **kwargs: httpx.Response(status))
    with pytest.raises(error, match=str(status)) as caught:
        rest.sign_in("http://airflow", "ops", "secret")
    assert "secret" not in str(caught.value)

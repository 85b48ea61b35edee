"""What is asked of Airflow is asked again when it was not answered, and never taken for done when it was refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import httpx
import pytest

from seaice_ops import rest
from seaice_ops.errors import SeaIceError, TransientError

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


def test_a_run_that_exists_is_cleared() -> None:
    seen: list[str] = []
    rest.run_once(
        airflow(iter([httpx.Response(200, json={}), httpx.Response(200, json={})]), seen), "d", "r", NOON, NOON
    )
    assert seen == ["GET /dags/d/dagRuns/r", "POST /dags/d/dagRuns/r/clear"]

"""A running Airflow through its REST API: what the demo, the season backfill and the tests ask of it."""

from __future__ import annotations

import os
import time
from datetime import datetime
from typing import Any

import httpx

from seaice_ops.airflow.console import Console, running
from seaice_ops.errors import ConfigError, SeaIceError, TransientError
from seaice_ops.settings import Settings

Json = dict[str, Any]
ATTEMPTS = 6


def connect(console: Console) -> httpx.Client:
    """A client with a session token of the console's user."""
    return sign_in(console.url, console.user, console.password)


def find(settings: Settings) -> httpx.Client:
    """A client of the Airflow that SEAICE_AIRFLOW_URL names, else of the console that runs over this home.

    With the address go SEAICE_AIRFLOW_TOKEN, or SEAICE_AIRFLOW_USER and SEAICE_AIRFLOW_PASSWORD. Raises `ConfigError`
    where there is no Airflow or no login.
    """
    url, token = os.environ.get("SEAICE_AIRFLOW_URL", "").rstrip("/"), os.environ.get("SEAICE_AIRFLOW_TOKEN")
    if url and token:
        return with_token(url, token)
    if url:
        user, password = (os.environ.get(f"SEAICE_AIRFLOW_{name}") for name in ("USER", "PASSWORD"))
        if not user or not password:
            raise ConfigError("SEAICE_AIRFLOW_URL is set; set SEAICE_AIRFLOW_TOKEN, or ..._USER and ..._PASSWORD, too")
        return sign_in(url, user, password)
    console = running(settings)
    if console is None:
        raise ConfigError("no Airflow is known: start the console with `seaice up`, or set SEAICE_AIRFLOW_URL")
    return connect(console)


def sign_in(url: str, user: str, password: str) -> httpx.Client:
    """A client with a new session token; raises `ConfigError` where it is refused, `TransientError` for silence."""
    try:
        # No proxies, as in `with_token`: Airflow is on this machine or in its network.
        login = {"username": user, "password": password}
        answer = httpx.post(f"{url}/auth/token", json=login, timeout=60, trust_env=False)
    except httpx.HTTPError as error:
        raise TransientError(f"Airflow at {url} does not answer: {type(error).__name__}") from None
    if answer.is_server_error:
        raise TransientError(f"Airflow at {url} answers {answer.status_code}")
    if answer.is_error:
        raise ConfigError(f"Airflow at {url} refuses the login of {user!r}: {answer.status_code}")
    return with_token(url, answer.json()["access_token"])


def with_token(url: str, token: str) -> httpx.Client:
    """A client that shows `token`."""
    return httpx.Client(
        base_url=f"{url}/api/v2",
        headers={"Authorization": f"Bearer {token}"},
        timeout=60,
        transport=httpx.HTTPTransport(retries=3),
    )


def ask(client: httpx.Client, method: str, path: str, **kwargs: Any) -> Json:
    """One request and its answer; raises `SeaIceError` with the answer's text where it is refused."""
    return _accepted(send(client, method, path, **kwargs), method, path)


def send(client: httpx.Client, method: str, path: str, **kwargs: Any) -> httpx.Response:
    """Send until an answer comes that is not a server's error; raises `TransientError` after some attempts.

    With SQLite Airflow answers 500 or 503 when a request could not get its turn to write, and has then done nothing.
    A request that was not answered may have been done. So only what may be done twice is sent by this function.
    """
    for attempt in range(ATTEMPTS):
        last = attempt == ATTEMPTS - 1
        try:
            answer = client.request(method, path, **kwargs)
            if last or not answer.is_server_error:
                return answer
        except httpx.HTTPError as error:
            if last:
                raise TransientError(f"Airflow does not answer {path}: {error}") from error
        time.sleep(2)
    raise AssertionError("unreachable")


def _accepted(answer: httpx.Response, method: str, path: str) -> Json:
    if answer.is_error:
        raise SeaIceError(f"Airflow refused {method} {path}: {answer.status_code} {answer.text[:500]}")
    found: Json = answer.json() if answer.content else {}
    return found


def active_runs(client: httpx.Client) -> list[Json]:
    """All DAG runs that are queued or running."""
    query = {"state": ["queued", "running"], "limit": 100}
    return list(ask(client, "GET", "/dags/~/dagRuns", params=query)["dag_runs"])


def failed_tasks(client: httpx.Client, since: datetime) -> list[str]:
    """``dag.task [map index] (run)`` of tasks that failed for good in runs started after `since`."""
    query = {"state": ["failed"], "start_date_gte": since.isoformat(), "limit": 50}
    found = ask(client, "GET", "/dags/~/dagRuns/~/taskInstances", params=query)["task_instances"]
    return [f"{t['dag_id']}.{t['task_id']} ({t['dag_run_id']})" for t in found]


def known_dags(client: httpx.Client) -> set[str]:
    """Ids of the DAGs that Airflow has read; a new Airflow is healthy before it has read any."""
    return {str(dag["dag_id"]) for dag in ask(client, "GET", "/dags", params={"limit": 100})["dags"]}


def run_once(client: httpx.Client, dag_id: str, run_id: str, start: datetime, end: datetime) -> None:
    """Run `dag_id` for the data interval [start, end): a new run, or the existing one of that id again."""
    if send(client, "GET", f"/dags/{dag_id}/dagRuns/{run_id}").status_code == httpx.codes.NOT_FOUND:
        interval = {"data_interval_start": start.isoformat(), "data_interval_end": end.isoformat()}
        start_run(client, dag_id, run_id, logical_date=start.isoformat(), **interval)
    else:
        ask(client, "POST", f"/dags/{dag_id}/dagRuns/{run_id}/clear", json={"dry_run": False})


def start_run(client: httpx.Client, dag_id: str, run_id: str, **fields: str | None) -> None:
    """Start the run of that id, once: an attempt that was not answered may have started it."""
    body = {"dag_run_id": run_id, "logical_date": None, **fields}
    answer = send(client, "POST", f"/dags/{dag_id}/dagRuns", json=body)
    if answer.status_code != httpx.codes.CONFLICT:
        _accepted(answer, "POST", f"/dags/{dag_id}/dagRuns")


def run_state(client: httpx.Client, dag_id: str, run_id: str) -> str:
    """State of one run: queued, running, success or failed."""
    return str(ask(client, "GET", f"/dags/{dag_id}/dagRuns/{run_id}")["state"])


def note(client: httpx.Client, dag_id: str, run_id: str, text: str) -> None:
    """Set the note that Airflow's UI shows beside a run."""
    ask(client, "PATCH", f"/dags/{dag_id}/dagRuns/{run_id}", json={"note": text[:1000]})

"""A running Airflow through its REST API: what the demo and the tests ask of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import httpx

from seaice_ops.console import Console
from seaice_ops.errors import SeaIceError, TransientError

Json = dict[str, Any]
ATTEMPTS = 6


def connect(console: Console) -> httpx.Client:
    """A client with a session token of the console's user."""
    answer = httpx.post(f"{console.url}/auth/token", json={"username": console.user, "password": console.password})
    answer.raise_for_status()
    return httpx.Client(
        base_url=f"{console.url}/api/v2",
        headers={"Authorization": f"Bearer {answer.json()['access_token']}"},
        timeout=60,
        transport=httpx.HTTPTransport(retries=3),
    )


def ask(client: httpx.Client, method: str, path: str, **kwargs: Any) -> Json:
    """One request and its answer; raises `SeaIceError` with the answer's text where it is refused."""
    return _accepted(_send(client, method, path, **kwargs), method, path)


def _send(client: httpx.Client, method: str, path: str, **kwargs: Any) -> httpx.Response:
    """Send until an answer comes that is no server's error; raises `TransientError` after some attempts.

    On SQLite Airflow gives up a request whose turn to write did not come, and has then done nothing of it. A request
    that was not answered may have been done: what is sent here may be done twice.
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


def wait_until(condition: Callable[[], bool], what: str, patience: float, poll: float = 1.5) -> None:
    """Poll `condition`; raises `TransientError` after `patience` seconds."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise TransientError(f"{what}: not done after {patience:.0f} s")
        time.sleep(poll)


def run_once(client: httpx.Client, dag_id: str, run_id: str, start: datetime, end: datetime) -> None:
    """Run `dag_id` for the data interval [start, end): a new run, or the existing one of that id again."""
    runs = f"/dags/{dag_id}/dagRuns"
    if _send(client, "GET", f"{runs}/{run_id}").status_code == httpx.codes.NOT_FOUND:
        body = {
            "dag_run_id": run_id,
            "logical_date": start.isoformat(),
            "data_interval_start": start.isoformat(),
            "data_interval_end": end.isoformat(),
        }
        answer = _send(client, "POST", runs, json=body)
        if answer.status_code != httpx.codes.CONFLICT:  # an attempt that went unanswered had made it
            _accepted(answer, "POST", runs)
    else:
        ask(client, "POST", f"{runs}/{run_id}/clear", json={"dry_run": False})


def trigger(client: httpx.Client, dag_id: str) -> str:
    """Start a run by hand; its id."""
    return str(ask(client, "POST", f"/dags/{dag_id}/dagRuns", json={"logical_date": None})["dag_run_id"])


def run_state(client: httpx.Client, dag_id: str, run_id: str) -> str:
    """State of one run: queued, running, success or failed."""
    return str(ask(client, "GET", f"/dags/{dag_id}/dagRuns/{run_id}")["state"])


def cancel_backfills(client: httpx.Client) -> None:
    """Cancel every backfill of `seaice_ingest` that has not ended."""
    for backfill in ask(client, "GET", "/backfills", params={"dag_id": "seaice_ingest"})["backfills"]:
        if backfill["completed_at"] is None:
            ask(client, "PUT", f"/backfills/{backfill['id']}/cancel")


def end_leftovers(client: httpx.Client, before: datetime) -> int:
    """Cancel backfills and fail runs that an interrupted Airflow left active `before`, so that they can run anew."""
    cancel_backfills(client)
    left = [run for run in active_runs(client) if datetime.fromisoformat(run["queued_at"] or run["run_after"]) < before]
    for run in left:
        ask(client, "PATCH", f"/dags/{run['dag_id']}/dagRuns/{run['dag_run_id']}", json={"state": "failed"})
    return len(left)

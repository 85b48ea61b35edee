"""Seasons rebuilt by Airflow's real scheduler and API: the form, the queue, a killed driver, a dry run, the command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from helpers.ledger_changes import a_change
from seaice_ops.airflow import console, rest
from seaice_ops.ledger.changes import add_change, get_change
from seaice_ops.ledger.operations import ready_scenes
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.stores import initialise
from seaice_ops.ledger.tables import ChangeState
from seaice_ops.settings import Settings
from seaice_ops.simulate import stage as simulate

ROOT = Path(__file__).parents[3]
SEASON = "seaice_backfill_season"
REGIONS = {"east": ["01CCV"], "west": ["60CWS"]}
PATIENCE = 400.0


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("backfill") / "home"


@pytest.fixture(scope="module")
def settings(home: Path) -> Iterator[Settings]:
    """A home of two regions of one tile each, and its simulated archive; looks at Airflow are seconds apart."""
    config = home / "two.yaml"
    home.mkdir()
    regions = {name: {"title": name, "tiles": tiles} for name, tiles in REGIONS.items()}
    config.write_text(yaml.safe_dump({"regions": regions}))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"HOME": str(home), "CONFIG": str(config), "RETRY_SECONDS": "6"}.items():
            patch.setenv(f"SEAICE_{name}", value)
        made = Settings.load()
        initialise(made)
        simulate.run(made, simulate.SimulateRequest(size=64, acquisitions=4))
        yield made


@pytest.fixture(scope="module")
def client(settings: Settings) -> Iterator[httpx.Client]:
    """The API of a console in which only the DAGs of this test run."""
    with console.served(settings, settings.home / "two.yaml") as served, rest.connect(served) as client:
        for dag in ("seaice_autolabel", "seaice_update_maps", "seaice_retrain"):
            until(lambda dag=dag: _pause(client, dag), f"{dag} is known")
        until(lambda: rest.send(client, "GET", f"/dags/{SEASON}").status_code == 200, "the season's DAG is known")
        yield client


def _pause(client: httpx.Client, dag: str) -> bool:
    return rest.send(client, "PATCH", f"/dags/{dag}", json={"is_paused": True}).status_code == 200


def until(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(1)
    return found


@pytest.fixture(scope="module")
def days(settings: Settings) -> tuple[date, date]:
    """The first two days of the simulated season."""
    planned = simulate.plan(simulate.SimulateRequest(size=64, acquisitions=4).resolved(settings))
    first = min(p.sensed.date() for p in planned)
    return first, first.replace(day=first.day + 1)


def form(region: str, days: tuple[date, date], **values: Any) -> dict[str, Any]:
    return {"region": region, "start": str(days[0]), "end": str(days[1]), **values}


def trigger(client: httpx.Client, conf: dict[str, Any]) -> str:
    body = {"logical_date": None, "conf": conf}
    return rest.ask(client, "POST", f"/dags/{SEASON}/dagRuns", json=body)["dag_run_id"]


def run_of(client: httpx.Client, run_id: str) -> dict[str, Any]:
    return rest.ask(client, "GET", f"/dags/{SEASON}/dagRuns/{run_id}")


def ended(client: httpx.Client, run_id: str) -> dict[str, Any]:
    return until(lambda: (run := run_of(client, run_id))["state"] in ("success", "failed") and run, f"{run_id} ends")


def backfills(client: httpx.Client) -> list[dict[str, Any]]:
    return rest.ask(client, "GET", "/backfills", params={"dag_id": "seaice_ingest", "order_by": "id"})["backfills"]


def wanted(settings: Settings, region: str, days: tuple[date, date]) -> set[str]:
    planned = simulate.plan(simulate.SimulateRequest(size=64, acquisitions=4).resolved(settings))
    return {
        p.id
        for p in planned
        if p.tile in REGIONS[region] and p.kind not in ("older", "truncated") and days[0] <= p.sensed.date() <= days[1]
    }


def ready(settings: Settings) -> set[str]:
    with open_ledger(settings).begin() as session:
        return {scene.id for scene in ready_scenes(session)}


def test_a_dry_run_says_what_it_would_cost_and_starts_nothing(
    settings: Settings, client: httpx.Client, days: tuple[date, date]
) -> None:
    run = ended(client, trigger(client, form("east", days)))
    assert run["state"] == "success" and run["note"].startswith("dry run: east")
    n = len(wanted(settings, "east", days))
    assert f"2 days: {n} products to fetch of {n} found" in run["note"]
    assert backfills(client) == [] and ready(settings) == set()


def test_a_season_that_is_none_is_refused_in_the_runs_note(client: httpx.Client) -> None:
    run = ended(client, trigger(client, {"region": "east", "season": "2025-27"}))
    assert run["state"] == "failed" and run["note"].startswith("refused: '2025-27' is not a season; write 2025-26")


def test_seasons_queue_survive_their_drivers_and_rebuild_their_own_tiles_only(
    settings: Settings, client: httpx.Client, days: tuple[date, date]
) -> None:
    east = trigger(client, form("east", days, dry_run=False))
    west = trigger(client, form("west", days, dry_run=False))
    until(lambda: backfills(client), "the first season begins")
    until(lambda: east in (run_of(client, west)["note"] or ""), "the second season says for which one it waits")

    rest.ask(client, "PATCH", f"/dags/{SEASON}/dagRuns/{east}", json={"state": "failed"})  # its driver is killed
    rest.ask(client, "POST", f"/dags/{SEASON}/dagRuns/{east}/clear", json={"dry_run": False})  # and run again
    assert ended(client, east)["state"] == "success"
    assert wanted(settings, "east", days) <= ready(settings)
    assert ended(client, west)["state"] == "success"

    made = backfills(client)
    assert [b["dag_run_conf"]["region"] for b in made] == ["east", "west"], "adopted, and one after the other"
    assert made[0]["completed_at"] <= made[1]["created_at"]
    assert made[1]["reprocess_behavior"] == "completed", "the same days ran for another region"
    assert made[0]["from_date"][:10] == str(days[0]) and made[0]["to_date"][:10] == str(days[1])
    assert ready(settings) == wanted(settings, "east", days) | wanted(settings, "west", days)
    assert "done: every day has run; 2 of 2 days done" in run_of(client, west)["note"]


def test_the_command_shows_the_estimate_and_finds_everything_done(
    settings: Settings, client: httpx.Client, days: tuple[date, date]
) -> None:
    before = len(backfills(client))
    command = [sys.executable, "-m", "seaice_ops.cli", "backfill", "west", "--json"]
    command += ["--from", str(days[0]), "--to", str(days[1]), "--run"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["estimate"]["missing"] == len(wanted(settings, "west", days) - ready(settings)) == 0
    assert said["progress"]["state"] == "done" and said["progress"]["done"] == 2
    assert len(backfills(client)) == before


def test_a_person_is_asked_about_a_change_and_the_answer_is_a_decision(
    settings: Settings, client: httpx.Client
) -> None:
    with open_ledger(settings).begin() as session:
        add_change(session, a_change(state=ChangeState.CONFIRMED), caller="test")
    review = "/dags/seaice_review_changes/dagRuns/asked"
    rest.start_run(client, "seaice_review_changes", "asked")
    task = f"{review}/taskInstances/review.ask/0"
    until(lambda: rest.send(client, "GET", f"{task}/hitlDetails").status_code == 200, "the question is asked")
    until(lambda: rest.ask(client, "GET", task)["state"] == "awaiting_input", "the task waits")
    body = rest.ask(client, "GET", f"{task}/hitlDetails")["body"]
    assert "![before](/seaice/changes/c1/before.png)" in body
    time.sleep(5)  # within a second the scheduler does not know yet that the worker has gone, and would ask again
    answer = {"chosen_options": ["Approve"], "params_input": {"class_after": "thin ice"}}
    rest.ask(client, "PATCH", f"{task}/hitlDetails", json=answer)
    assert rest.send(client, "PATCH", f"{task}/hitlDetails", json=answer).status_code == 409

    def ended() -> bool:
        waits = rest.ask(client, "GET", task)["state"] == "awaiting_input"
        if waits and not rest.ask(client, "GET", f"{task}/hitlDetails")["response_received"]:
            rest.send(client, "PATCH", f"{task}/hitlDetails", json=answer)  # a slow machine's scheduler asked again
        return rest.run_state(client, "seaice_review_changes", "asked") == "success"

    until(ended, "the run ends")
    with open_ledger(settings).begin() as session:
        row = get_change(session, "c1")
    assert (row.state, row.decided_class, row.decided_by) == (ChangeState.APPROVED, 2, "admin")
    assert rest.ask(client, "GET", f"{review}/taskInstances/review.announce/0")["state"] == "success"

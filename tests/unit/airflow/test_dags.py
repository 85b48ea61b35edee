"""The DAG files: they parse cheaply, hold wiring only, and are wired as the runbooks say."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DAG_FILES = sorted((ROOT / "dags").glob("*.py"))

PARSE = """
import json, sys, time
import airflow.sdk
from airflow.dag_processing.dagbag import DagBag
start = time.process_time()
bag = DagBag({folder!r})
seconds = time.process_time() - start
print(json.dumps({{
    "seconds": seconds,
    "errors": bag.import_errors,
    "heavy": [name for name in ("torch", "rasterio", "pyspark", "cv2", "horovod") if name in sys.modules],
    "dags": {{dag.dag_id: {{
        "doc": dag.doc_md, "catchup": dag.catchup, "schedule": type(dag.timetable).__name__,
        "tasks": {{task.task_id: {{
            "pool": task.pool, "queue": task.queue, "retries": task.retries,
            "down": sorted(task.downstream_task_ids),
            "policy": task.retry_policy is not None, "told": bool(task.on_failure_callback),
            "outlets": [asset.name for asset in task.outlets], "mapped": task.is_mapped,
            "rule": getattr(task.trigger_rule, "value", task.trigger_rule),
            "owner": task.owner,
        }} for task in dag.tasks}},
    }} for dag in bag.dags.values()}},
}}))
"""


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> dict:
    home = tmp_path_factory.mktemp("airflow")
    env = {
        **os.environ, "AIRFLOW_HOME": str(home), "SEAICE_HOME": str(home),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"), "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }  # fmt: skip
    code = PARSE.format(folder=str(ROOT / "dags"))
    result = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True, cwd=home)
    return json.loads(result.stdout.strip().splitlines()[-1])


def test_every_file_parses_cheaply_without_heavy_libraries(parsed: dict) -> None:
    assert parsed["errors"] == {}
    assert parsed["seconds"] < 2.0
    assert parsed["heavy"] == []


def test_every_file_is_one_dag_with_a_runbook(parsed: dict) -> None:
    assert sorted(parsed["dags"]) == [path.stem for path in DAG_FILES]
    for path in DAG_FILES:
        dag = parsed["dags"][path.stem]
        assert dag["doc"] == ast.get_docstring(ast.parse(path.read_text()), clean=False)
        assert "**When.**" in dag["doc"] and "| you see |" in dag["doc"]
        assert dag["catchup"] is False


def test_every_task_has_an_owner_retries_and_an_alert_route(parsed: dict) -> None:
    for dag in parsed["dags"].values():
        for task in dag["tasks"].values():
            assert task["owner"] == "sea-ice-ops"
            assert task["retries"] >= 3 and task["policy"] and task["told"]


def test_dag_files_hold_no_logic() -> None:
    logic = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.If, ast.For, ast.While, ast.Try, ast.Lambda)
    for path in DAG_FILES:
        found = [type(node).__name__ for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, logic)]
        assert found == [], f"{path.name}: {found}"


def test_schedules_pools_and_wiring(parsed: dict) -> None:
    dags = parsed["dags"]
    assert {name: dag["schedule"] for name, dag in dags.items()} == {
        "seaice_ingest": "CronDataIntervalTimetable",
        "seaice_backfill_season": "NullTimetable",
        "seaice_autolabel": "AssetTriggeredTimetable",
        "seaice_update_maps": "PartitionedAssetTimetable",
        "seaice_retrain": "CronTriggerTimetable",
        "seaice_review_changes": "CronTriggerTimetable",
        "seaice_account": "CronTriggerTimetable",
    }
    ingest = dags["seaice_ingest"]["tasks"]
    assert ingest["ingest"]["mapped"] and ingest["ingest"]["pool"] == "copernicus"
    assert ingest["ingest"]["down"] == ["announce_scenes", "close_ingest"]
    assert ingest["announce_scenes"]["outlets"] == ["seaice_scenes"]
    assert ingest["announce_scenes"]["rule"] == "all_done"
    assert ingest["close_ingest"]["rule"] == "none_failed"
    assert dags["seaice_account"]["tasks"]["account"]["down"] == ["explain"]
    label = dags["seaice_autolabel"]["tasks"]
    assert label["labels_due"]["down"] == ["label"] and label["label"]["down"] == ["announce_labels"]
    train = dags["seaice_retrain"]["tasks"]["train"]
    assert (train["pool"], train["queue"]) == ("gpu", "gpu")
    assert dags["seaice_update_maps"]["tasks"]["publish"]["outlets"] == ["seaice_maps"]

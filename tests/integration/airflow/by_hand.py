"""Run each DAG once by hand in one process, as `airflow dags test` does, and print how each run ended."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from airflow.dag_processing.dagbag import DagBag
from airflow.utils.db import initdb

ROOT = Path(__file__).parents[3]

initdb()
bag = DagBag(str(ROOT / "dags"))
for dag_id, date, conf in json.loads(sys.argv[1]):
    moment = datetime.fromisoformat(date).replace(tzinfo=UTC) if date else None
    run = bag.get_dag(dag_id).test(logical_date=moment, run_conf=conf)
    states = {ti.task_id: str(ti.state) for ti in run.get_task_instances()}
    print("ENDED", json.dumps({"dag": dag_id, "state": str(run.state), "tasks": states}), flush=True)

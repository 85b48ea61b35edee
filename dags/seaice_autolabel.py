"""
# Auto-label new scenes

**When.** Whenever `seaice_ingest` announces scenes; several announcements become one run.

**What.** `labels_due` counts the scenes without labels of the configured method (`labels.method`, docs/labels.md) -> `label`
is one Spark application for all of them, one Spark task a scene -> `announce_labels` wakes `seaice_update_maps`, one run a
tile.

| you see | it means | do |
|---|---|---|
| all pink (skipped) | every scene has its labels | nothing |
| `label` red | Spark did not take or finish the application; its log ends with the reason | check the `spark_default` connection and the cluster, clear the task: scenes already labelled are not done again |
"""

from __future__ import annotations

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import DAG, task

import seaice_airflow as seaice

with DAG(
    dag_id="seaice_autolabel",
    schedule=[seaice.SCENES],
    catchup=False,
    max_active_runs=1,
    default_args=seaice.DEFAULT_ARGS,
    doc_md=__doc__,
    tags=["sea-ice", "labels"],
):
    due = task(seaice.labels_due, task_id="labels_due")()
    label = SparkSubmitOperator(
        task_id="label", conn_id="spark_default", name="seaice_autolabel", **seaice.spark_application()
    )
    announced = task(
        seaice.announce_labels, task_id="announce_labels", outlets=[seaice.LABELS], trigger_rule="none_failed"
    )()
    # `announce_labels` runs beside a skipped `label` too: maps may be due although no label is.
    due >> label >> announced

"""
# Auto-label new scenes

**When.** Whenever `seaice_ingest` announces scenes; several announcements become one run. A run by hand does the same.

**What.** `labels_due` counts the scenes without labels of the configured method (`labels.method`, docs/labels.md).
-> `label` is one Spark application for all of them, with one Spark task a scene. -> `announce_labels` starts
`seaice_update_maps`, one run a tile.

| you see | it means | do |
|---|---|---|
| all pink (skipped) | every scene has its labels, every tile its maps | nothing |
| `label` red | Spark did not start or finish the application; the end of its log has the reason | check the connection `spark_default` and the cluster, then clear the task: labelled scenes are not labelled again |
"""

from __future__ import annotations

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import DAG, task

from seaice_ops.airflow import labels
from seaice_ops.airflow.assets import LABELS, SCENES
from seaice_ops.airflow.outcome import DEFAULT_ARGS

with DAG(
    dag_id="seaice_autolabel",
    schedule=[SCENES],
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    doc_md=__doc__,
    tags=["sea-ice", "labels"],
):
    due = task(labels.due, task_id="labels_due")()
    label = SparkSubmitOperator(
        task_id="label", conn_id="spark_default", name="seaice_autolabel", **labels.application()
    )
    announced = task(labels.announce, task_id="announce_labels", outlets=[LABELS], trigger_rule="none_failed")()
    # `announce_labels` runs beside a skipped `label` too: maps may be due although no label is.
    due >> label >> announced

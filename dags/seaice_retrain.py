"""
# Retrain the classifier

**When.** Mondays at 03:00 UTC, or by hand.

**What.** `snapshot` freezes the training set and holds out whole acquisition days. -> `train` runs Horovod in the pool `gpu`.
-> `evaluate` scores the challenger, the champion and the auto-labels on the held-out days: against reference labels where
there are any, and against auto-labels, never mixed. -> `promote` lets the gate decide (docs/models.md), and starts `seaice_update_maps` for
every tile with due maps.

| you see | it means | do |
|---|---|---|
| `snapshot` pink (skipped) | too few labelled scenes, or too few new ones since the champion; the log has the numbers | nothing |
| `train` orange (retry) | a rank failed or was killed; the next try resumes at the last finished epoch | read the log if it happens twice |
| `promote` ends without a promotion | the challenger broke a rule of the gate; the log has the reason and the address of the verdict | `seaice model show challenger`; nothing else: the champion, or the labels, go on |

**Roll back:** `seaice model rollback` makes the previous champion the champion again. The next run of `seaice_update_maps`
issues each tile's newest map again.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, CronTriggerTimetable, task

from horovod_operator import HorovodOperator
from seaice_ops.airflow import training
from seaice_ops.airflow.assets import MODEL, POOL_GPU, QUEUE_GPU
from seaice_ops.airflow.outcome import DEFAULT_ARGS

with DAG(
    dag_id="seaice_retrain",
    schedule=CronTriggerTimetable("0 3 * * 1", timezone="UTC"),
    start_date=datetime(2015, 7, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    doc_md=__doc__,
    tags=["sea-ice", "training"],
):
    model_id = task(training.snapshot, task_id="snapshot")()
    trained = HorovodOperator(task_id="train", model_id=model_id, pool=POOL_GPU, queue=QUEUE_GPU)
    evaluated = task(training.evaluate, task_id="evaluate")(model_id)
    promoted = task(training.promote, task_id="promote", outlets=[MODEL])(model_id)
    trained >> evaluated >> promoted

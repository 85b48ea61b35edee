"""
# Rebuild a season of a region

**When.** By hand: *Trigger* shows a form. By default it is a **dry run**, which only estimates.

**What.** `estimate` counts what the archive holds for these days, by sensing time, and says how many products, bytes and
hours they are (log, XCom, the run's note). -> `drive` gives the days to Airflow's own backfill of `seaice_ingest`, oldest first,
a piece at a time (at most a month, at most a tenth of the quota), and looks once a minute how far it is. Seasons queue: each
waits for those that were triggered before it. Progress is kept in the ledger and in Airflow's runs. So a run that was killed,
cleared or triggered again goes on where it stopped.

| you see | it means | do |
|---|---|---|
| `drive` pink (skipped): dry run | nothing was started; the note has the estimate | trigger again with *Dry run* off |
| `drive` turquoise (up for reschedule) | it works or waits; the note says for what: a piece, another season, the quota, an outage | nothing; the runs of `seaice_ingest` show the progress |
| `estimate` red: ConfigError | the form names no days; the note has the reason | trigger again |
| done, but days failed | runs of `seaice_ingest` failed; the note has their number | correct the cause, trigger again with *Do again: failed* |
| you want it to stop | | mark this run failed, and cancel the backfill of `seaice_ingest` |
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, task

from seaice_ops.airflow import season
from seaice_ops.airflow.outcome import DEFAULT_ARGS, WAITING

with DAG(
    dag_id=season.DAG_ID,
    schedule=None,
    start_date=datetime(2015, 7, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=16,
    default_args=DEFAULT_ARGS,
    params=season.form(),
    doc_md=__doc__,
    tags=["sea-ice", "ingest"],
):
    found = task.sensor(season.estimate, task_id="estimate", **WAITING)()
    task.sensor(season.drive, task_id="drive", **season.LOOKING)(found)

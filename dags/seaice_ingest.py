"""
# Ingest new Sentinel-2 scenes

**When.** Every day at 00:00 UTC, for the day that has just ended.

**What.** `search` finds products, records them in the ledger and returns the scenes to ingest, at most as many as Airflow maps
tasks over; the next run takes the others. Older versions are superseded, products of two ground stations are merged,
withdrawn products are marked. -> `ingest` is one task a scene: fetch it, check its checksum, decode it into one COG.
-> `announce_scenes` starts `seaice_autolabel`. -> `close_ingest` reports late maps and regions without a new scene for a week.

- A **scheduled run** looks for what the archive *published* since each tile's watermark, the time up to which earlier runs have
  found everything, and `archive.overlap_hours` before that. Days on which the archive, the scheduler or the disk was down are
  caught up by the next run, however many they were.
- A **run by hand** does the same: with a logical date for the day before it, without one until now.
- A **backfill** run looks for what was *sensed* in its interval.
- The run's conf may name one region, `{"region": "ross_sea"}`. Without it all regions are searched.
- It may list products instead, `{"products": ["S2B_MSIL1C_..."]}`, as the account does (docs/account.md): only these are
  ingested, those that failed before too. The form of a run by hand has a field for them.

The pool `copernicus` limits how many scenes are fetched or decoded at once. Give it as many slots as the workers have cores.
Connections and requests have their own limits in `archive.quota`.

| you see | it means | do |
|---|---|---|
| `ingest` pink (skipped): product set aside | the product is unusable (truncated, wrong checksum); the log has the reason, `seaice status` lists it | nothing; a newer version from the archive is taken by itself |
| `ingest` pink: nothing to do | the scene shows nothing (night, no data) | nothing |
| `ingest` pink: put off | the archive stopped answering, or its quota is used up | nothing: a later run takes the scene up |
| `search` turquoise (up for reschedule) | the archive does not answer, or its quota is used up; the log says since when and until when | nothing: it goes on by itself; see docs/quota.md |
| `ingest` orange (retry) | the archive or the disk failed for now | wait |
| `search` red | a setting, the credentials or the run's conf is wrong; the message says which | correct it, clear the task |

**Rebuild a past season:** trigger `seaice_backfill_season`. It estimates the cost, keeps to the quota, and queues.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, CronDataIntervalTimetable, task

from seaice_ops.airflow import ingest
from seaice_ops.airflow.assets import POOL_COPERNICUS, SCENES
from seaice_ops.airflow.outcome import DEFAULT_ARGS, WAITING

with DAG(
    dag_id="seaice_ingest",
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=datetime(2015, 7, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=2,
    default_args=DEFAULT_ARGS,
    params=ingest.form(),
    doc_md=__doc__,
    tags=["sea-ice", "ingest"],
):
    scenes = task.sensor(ingest.search, task_id="search", **WAITING)()
    ingested = task(
        ingest.ingest,
        task_id="ingest",
        pool=POOL_COPERNICUS,
        map_index_template="{{ task.op_kwargs['scene_id'] }}",
    ).expand(scene_id=scenes)
    announced = task(ingest.announce, task_id="announce_scenes", outlets=[SCENES], trigger_rule="all_done")()
    # `announce_scenes` runs even beside a failed scene; `close_ingest` does not, so that the run turns red.
    closed = task(ingest.close, task_id="close_ingest", trigger_rule="none_failed")()
    ingested >> [announced, closed]

"""
# Ingest new Sentinel-2 scenes

**When.** Every day at 00:00 UTC, for the day that just ended. One run finds the products that the archive *published*
since the tiles' watermarks, up to which earlier runs found everything (and `archive.overlap_hours` before, for what is shown
late): days on which the service, the scheduler or the disk was down are caught up by the next run, however many. A
**backfill** run finds what was *sensed* in its interval, over the region that its conf names or over all. All end in the same
ledger, in any order.

**What.** `search` registers products (versions that are not the best are superseded, products from two ground stations
merged, withdrawn ones marked) -> `ingest`, one task a scene: fetch with checksum, decode once into one COG ->
`announce_scenes` wakes `seaice_autolabel` -> `close_ingest` tells about late maps and regions without a new scene for a week.

The pool `copernicus` is how many scenes are in hand at once, some fetched while others are decoded; give it as many slots as
the workers have cores. Connections and requests are counted by `archive.quota`, whatever its slots.

| you see | it means | do |
|---|---|---|
| `ingest` pink (skipped) | the product is unusable (truncated, wrong checksum, no data); the log has the reason, `seaice status` lists it | nothing; a newer version from the archive is taken by itself |
| `search` turquoise (up for reschedule) | the archive does not answer, or its quota is used up; the log says since when and until when | nothing: it goes on by itself; see docs/quota.md |
| `ingest` pink: put off | the same happened to a scene's files | nothing: a later run takes the scene up |
| `ingest` orange (retry) | the archive or the disk failed for now | wait |
| `search` red | a setting or the credentials are wrong; the message says which | correct it, clear the task |

**Rebuild a past season:** trigger `seaice_backfill_season`: it estimates, keeps to the quota and queues. Without it, for all
regions: `airflow backfill create --dag-id seaice_ingest --from-date 2026-02-01T00:00:00+00:00
--to-date 2026-02-12T00:00:00+00:00 --reprocess-behavior completed`. Repeating is harmless: what is there is not done again.
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

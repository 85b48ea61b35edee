"""
# Update a tile's maps

**When.** One run for each tile (the run's *partition key*) whose labels or whose champion model are new. Started by hand
without a partition key it looks at every tile.

**What.** `encode` keeps the champion's class probabilities of each new scene, once -> `publish` shifts the window by one
acquisition a map and publishes: pixels first, the STAC item last. A late scene re-issues the maps it belongs to as new
revisions; a withdrawn one re-issues them without it, and a map of which nothing is left is withdrawn; a promoted model
re-issues each tile's newest map.

| you see | it means | do |
|---|---|---|
| `encode` pink: no champion yet | no model has been trained or imported | run `seaice_retrain`, or `seaice model import` |
| `publish` red: PublishConflict | another writer published this map with other content first; nothing was overwritten | compare versions of the two writers, then clear the task |
"""

from __future__ import annotations

from airflow.sdk import DAG, AssetAny, PartitionedAssetTimetable, task

from seaice_ops.airflow import maps
from seaice_ops.airflow.assets import LABELS, MAPS, MODEL
from seaice_ops.airflow.outcome import DEFAULT_ARGS

with DAG(
    dag_id="seaice_update_maps",
    schedule=PartitionedAssetTimetable(assets=AssetAny(LABELS, MODEL)),
    catchup=False,
    max_active_runs=4,
    default_args=DEFAULT_ARGS,
    doc_md=__doc__,
    tags=["sea-ice", "maps"],
):
    encoded = task(maps.encode, task_id="encode")()
    published = task(maps.publish, task_id="publish", outlets=[MAPS])()
    encoded >> published

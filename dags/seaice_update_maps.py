"""
# Update a tile's maps

**When.** One run for each tile (the run's *partition key*) with new labels, an approved change or a new champion model. A run by hand without a
partition key is for all tiles.

**What.** `encode` computes the champion's class probabilities of each new scene, once. -> `publish` shifts the window by one
acquisition a map and publishes: pixels first, the STAC item last; then it lists the maps in the catalogue. Maps are issued again as new revisions where a scene came
late, where one was withdrawn, and, for each tile's newest map, where a model was promoted. A map of which no scene is left is
withdrawn. `drift` tracks the ice between neighbouring acquisitions; maps do not wait for it.

| you see | it means | do |
|---|---|---|
| `encode` pink (skipped): no champion yet | no model has been trained or imported | run `seaice_retrain`, or `seaice model import` |
| `publish` red: PublishConflict | another writer published this map first, with other content; nothing was overwritten | compare the software versions of the two writers, then clear the task |
"""

from __future__ import annotations

from airflow.sdk import DAG, AssetAny, PartitionedAssetTimetable, task

from seaice_ops.airflow import maps
from seaice_ops.airflow.assets import CHANGES, LABELS, MAPS, MODEL
from seaice_ops.airflow.outcome import DEFAULT_ARGS

with DAG(
    dag_id="seaice_update_maps",
    schedule=PartitionedAssetTimetable(assets=AssetAny(LABELS, MODEL, CHANGES)),
    catchup=False,
    max_active_runs=4,
    default_args=DEFAULT_ARGS,
    doc_md=__doc__,
    tags=["sea-ice", "maps"],
):
    encoded = task(maps.encode, task_id="encode")()
    published = task(maps.publish, task_id="publish", outlets=[MAPS])()
    encoded >> published
    task(maps.drift, task_id="drift")()

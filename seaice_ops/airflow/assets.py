"""The names that DAGs share: assets, pools and queues."""

from __future__ import annotations

from airflow.sdk import Asset

SCENES = Asset("seaice_scenes", uri="seaice://scenes")
LABELS = Asset("seaice_labels", uri="seaice://labels")
MODEL = Asset("seaice_model", uri="seaice://model")
CHANGES = Asset("seaice_changes", uri="seaice://changes")
MAPS = Asset("seaice_maps", uri="seaice://maps")

POOL_COPERNICUS = "copernicus"
POOL_GPU = "gpu"
QUEUE_GPU = "gpu"

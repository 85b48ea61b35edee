"""The tasks of `seaice_autolabel`: is there anything to label, the Spark application, and which tiles' maps are due."""

from __future__ import annotations

import logging
from pathlib import Path

import seaice_ops
from seaice_ops.airflow.assets import LABELS
from seaice_ops.airflow.outcome import CALLER_TEMPLATE, task_run
from seaice_ops.errors import ExpectedSkip
from seaice_ops.settings import Settings

log = logging.getLogger(__name__)


def due() -> str:
    """Skip the Spark application where no scene waits; else pack the code that its executors need, and return where."""
    from seaice_ops.labels.spark.package import zip_package

    with task_run() as run:
        waiting = waiting_for_labels(run.settings)
        if not waiting:
            raise ExpectedSkip("every ready scene has its labels")
        log.info("%d scenes wait for labels", waiting)
        return str(zip_package(run.settings.work / "spark" / "seaice_ops.zip", run.settings.sensors))


def application() -> dict[str, object]:
    """The labelling application as arguments of `SparkSubmitOperator`; its driver is a child of the task."""
    from seaice_ops.labels.spark.package import spark_conf

    return {
        "conf": spark_conf(),
        "application": str(Path(seaice_ops.__file__).parent / "labels" / "spark" / "spark_job.py"),
        "py_files": "{{ ti.xcom_pull(task_ids='labels_due') }}",
        "application_args": ["--caller", CALLER_TEMPLATE],
    }


def announce() -> list[str]:
    """Emit the asset `seaice_labels`, one partition for each tile whose maps are due."""
    from seaice_ops.mapping.due.tile_state import tiles_due

    with task_run() as run:
        tiles = list(tiles_due(run.settings))
        if not tiles:
            raise ExpectedSkip("every tile's maps are up to date")
        run.context["outlet_events"][LABELS].add_partitions(tiles)
        return tiles


def waiting_for_labels(settings: Settings) -> int:
    """The number of ready scenes without labels of the configured method."""
    from seaice_ops.ledger.operations import unlabelled_scenes
    from seaice_ops.ledger.session import open_ledger

    method = settings.labels.method
    with open_ledger(settings).begin() as session:
        return len(unlabelled_scenes(session, method, settings.label_version(method)))

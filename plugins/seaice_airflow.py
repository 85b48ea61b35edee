"""What the DAGs share: assets, pools, how errors end a task, who is told, and the tasks' bodies.

A body turns Airflow's context into a stage's request and calls the stage. It imports the stage when it runs, never
when a DAG file is parsed. Nothing here decides what is to be done: the ledger and the stages do.
"""

from __future__ import annotations

import functools
import inspect
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import Asset, ExceptionRetryPolicy, PokeReturnValue, RetryAction, RetryRule
from airflow.sdk.exceptions import AirflowException, AirflowSkipException

import seaice_ops
from seaice_ops.errors import (
    ArchiveUnavailable,
    CorruptProduct,
    ExpectedSkip,
    QuotaExceeded,
    SeaIceError,
    TrainingFailed,
    TransientError,
)
from seaice_ops.settings import Settings

log = logging.getLogger(__name__)

SCENES = Asset("seaice_scenes", uri="seaice://scenes")
LABELS = Asset("seaice_labels", uri="seaice://labels")
MODEL = Asset("seaice_model", uri="seaice://model")
MAPS = Asset("seaice_maps", uri="seaice://maps")

POOL_COPERNICUS = "copernicus"
POOL_GPU = "gpu"
QUEUE_GPU = "gpu"

#: First match decides. A task that dies without an exception (killed, out of memory) uses its plain retries.
RETRIES = ExceptionRetryPolicy(
    rules=[
        RetryRule(TransientError, RetryAction.RETRY, reason="the outside world failed for now"),
        RetryRule(TrainingFailed, RetryAction.RETRY, reason="training resumes at its last finished epoch"),
        RetryRule(SeaIceError, RetryAction.FAIL, reason="trying again would not help; the message says what would"),
        RetryRule(AirflowException, RetryAction.DEFAULT, reason="Airflow's own retries"),
        RetryRule(Exception, RetryAction.FAIL, reason="a fault of the program; please report it"),
    ]
)


def tell_failure(context: Any) -> None:
    """Airflow's failure callback: one notification for each task that failed for good."""
    from seaice_ops.ops.notify import notify

    instance = context["task_instance"]
    where = f"{instance.dag_id}.{instance.task_id}"
    notify(
        Settings.load(),
        subject=f"{where} failed",
        text=f"run {instance.run_id}, try {instance.try_number}: {context.get('exception')}",
        level="error",
    )


DEFAULT_ARGS: dict[str, Any] = {
    "owner": "sea-ice-ops",
    "retries": 3,
    "retry_delay": timedelta(seconds=float(os.environ.get("SEAICE_RETRY_SECONDS", 300))),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(hours=2),
    "retry_policy": RETRIES,
    "on_failure_callback": tell_failure,
}


#: A sensor that gives its worker back between looks. It waits out an outage of a month before it fails.
WAITING: dict[str, Any] = {
    "mode": "reschedule",
    "poke_interval": float(os.environ.get("SEAICE_RETRY_SECONDS", 300)),
    "timeout": timedelta(days=30).total_seconds(),
}


def stage_task(body: Callable[..., Any]) -> Callable[..., Any]:
    """Make a task's body end as an operator expects: nothing to do and set-aside products are skips with a reason."""

    @functools.wraps(body)
    def run(*args: Any, **context: Any) -> Any:
        settings = Settings.load()
        instance = context.get("ti")
        caller = f"{instance.dag_id}.{instance.task_id} {instance.run_id}" if instance else ""
        try:
            return body(settings, *args, caller=caller, **context)
        except ExpectedSkip as reason:
            raise AirflowSkipException(f"nothing to do: {reason}") from None
        except CorruptProduct as reason:
            from seaice_ops.ops.notify import notify

            notify(settings, subject="product set aside", text=str(reason), level="warning")
            raise AirflowSkipException(f"set aside: {reason}") from None

    # Airflow binds a task's arguments by signature; `settings` and `caller` are ours to give.
    signature = inspect.signature(body)
    theirs = [each for each in signature.parameters.values() if each.name not in ("settings", "caller")]
    run.__signature__ = signature.replace(parameters=theirs)  # type: ignore[attr-defined]
    del run.__wrapped__  # type: ignore[attr-defined]
    return run


def tiles_asked_for(settings: Settings, dag_run: Any) -> tuple[str, ...] | None:
    """Tiles of the region that a run's conf names, for a season's backfill; None (all tiles) without one."""
    name = (dag_run.conf or {}).get("region")
    return settings.region(name).tiles if name else None


def waits_for_archive(body: Callable[..., Any]) -> Callable[..., PokeReturnValue]:
    """Make a sensor's body wait, instead of failing, while the archive does not answer or the quota is used up."""

    @functools.wraps(body)
    def run(settings: Settings, *args: Any, **context: Any) -> PokeReturnValue:
        with telling_outages(settings):
            try:
                return PokeReturnValue(True, body(settings, *args, **context))
            except (ArchiveUnavailable, QuotaExceeded) as reason:
                log.warning("waiting: %s", reason)
                return PokeReturnValue(False)

    return run


def put_off_with_archive(body: Callable[..., Any]) -> Callable[..., Any]:
    """Make a scene's task end as skipped, with the reason, in an outage: the next run's search takes the scene up."""

    @functools.wraps(body)
    def run(settings: Settings, *args: Any, **context: Any) -> Any:
        with telling_outages(settings):
            try:
                return body(settings, *args, **context)
            except (ArchiveUnavailable, QuotaExceeded) as reason:
                raise AirflowSkipException(f"put off, a later run takes it up: {reason}") from None

    return run


@contextmanager
def telling_outages(settings: Settings) -> Iterator[None]:
    """After the block, tell people once if an outage began or ended."""
    from seaice_ops.ops.notify import tell_outage

    try:
        yield
    finally:
        tell_outage(settings)


def lend_connection(settings: Settings) -> None:
    """Put the archive's connection, where only Airflow knows it, into this task's environment for the package to find.

    Airflow masks it in the task's log; it is in no XCom, and gone with the task's process.
    """
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    from seaice_ops.archive.limits.quota import LOCAL
    from seaice_ops.archive.transport.credentials import variable

    if settings.archive.kind in LOCAL or os.environ.get(variable(settings)):
        return
    try:
        connection = Connection.get(settings.archive.connection)
    except AirflowNotFoundException:
        log.info("Airflow has no connection %s; plain variables are read", settings.archive.connection)
        return
    os.environ[variable(settings)] = connection.get_uri()


@stage_task
@waits_for_archive
def search(
    settings: Settings, *, caller: str, dag_run: Any, data_interval_start: Any, data_interval_end: Any, **_: Any
) -> list[str]:
    """Find what the archive holds: in a backfill what was sensed in the run's interval, else what was published.

    A scheduled run begins where the last one that succeeded ended, however long ago that was.
    """
    from seaice_ops.archive import search as stage

    lend_connection(settings)
    if dag_run.run_type == "backfill":
        tiles = tiles_asked_for(settings, dag_run)
        request = stage.SearchRequest("sensed", data_interval_start, data_interval_end, tiles)
    else:
        request = stage.SearchRequest("published", data_interval_start, data_interval_end, catch_up=True)
    return report(stage.run(settings, request, caller=caller)).items


@stage_task
@put_off_with_archive
def ingest(settings: Settings, scene_id: str, *, caller: str, **_: Any) -> dict[str, Any]:
    """Fetch one product and decode it into one COG."""
    from seaice_ops.archive import fetch
    from seaice_ops.scenes import decode

    lend_connection(settings)
    for stage, request in ((fetch, fetch.FetchRequest((scene_id,))), (decode, decode.DecodeRequest((scene_id,)))):
        summary = report(stage.run(settings, request, caller=caller))
        if scene_id in summary.failed:
            raise CorruptProduct(summary.failed[scene_id])
        if scene_id in summary.skipped:
            raise ExpectedSkip(summary.skipped[scene_id])
    return summary.to_dict()


@stage_task
def announce_scenes(settings: Settings, **_: Any) -> str:
    """Emit the asset `scenes` while scenes wait for labels or tiles for maps.

    Asked of the ledger, not of this run: an event that a crash lost, or a map run that failed, is made up for here.
    """
    from seaice_ops.mapping.due.survey import tiles_due

    waiting = len(waiting_for_labels(settings))
    try:
        tiles = tiles_due(settings)
    except ExpectedSkip as reason:
        log.info("no maps: %s", reason)
        tiles = ()
    if not waiting and not tiles:
        raise ExpectedSkip("every ready scene has its labels and every tile its maps")
    return f"{waiting} scenes wait for labels, {len(tiles)} tiles for maps"


@stage_task
def close_ingest(settings: Settings, *, caller: str, **_: Any) -> None:
    """Tell about maps that are late and regions that are quiet; the run is green only if every scene of it is."""
    from seaice_ops.ops.notify import notify, tell_late_maps
    from seaice_ops.ops.quiet import tell_quiet

    tell_late_maps(settings, notify)
    tell_quiet(settings, notify, caller=caller)


@stage_task
def labels_due(settings: Settings, **_: Any) -> str:
    """Skip the Spark application when no scene waits for labels; else pack the code that its executors need."""
    from seaice_ops.labels.spark.package import zip_package

    waiting = len(waiting_for_labels(settings))
    if not waiting:
        raise ExpectedSkip("every ready scene has its labels")
    log.info("%d scenes wait for labels", waiting)
    return str(zip_package(settings.work / "spark" / "seaice_ops.zip"))


def spark_application() -> dict[str, Any]:
    """The labelling application as arguments of `SparkSubmitOperator`; the driver is a child of the task."""
    from seaice_ops.labels.spark.package import spark_conf

    return {
        "conf": spark_conf(),
        "application": str(Path(seaice_ops.__file__).parent / "labels" / "spark" / "spark_job.py"),
        "py_files": "{{ ti.xcom_pull(task_ids='labels_due') }}",
        "application_args": ["--caller", "{{ ti.dag_id }}.{{ ti.task_id }} {{ ti.run_id }}"],
    }


def waiting_for_labels(settings: Settings) -> list[str]:
    """Ids of the ready scenes without labels of the configured method."""
    from seaice_ops.ledger.operations import unlabelled_scenes
    from seaice_ops.ledger.session import open_ledger

    method = settings.labels.method
    with open_ledger(settings).begin() as session:
        return [scene.id for scene in unlabelled_scenes(session, method, settings.label_version(method))]


@stage_task
def announce_labels(settings: Settings, *, outlet_events: Any, **_: Any) -> list[str]:
    """Emit the asset `labels`, one partition for each tile whose maps are due."""
    from seaice_ops.mapping.due.survey import tiles_due

    tiles = tiles_due(settings)
    if not tiles:
        raise ExpectedSkip("every tile's maps are up to date")
    outlet_events[LABELS].add_partitions(list(tiles))
    return list(tiles)


def tile_of(dag_run: Any) -> tuple[str, ...] | None:
    """The tile a map run is for: its asset partition; a run started by hand without one is for all tiles."""
    return (dag_run.partition_key,) if dag_run.partition_key else None


@stage_task
def encode(settings: Settings, *, caller: str, dag_run: Any, **_: Any) -> dict[str, Any]:
    """Class probabilities of the scenes that the tile's due maps need and the champion has not seen."""
    from seaice_ops.mapping import encode as stage

    return report(stage.run(settings, stage.EncodeRequest(tiles=tile_of(dag_run)), caller=caller)).to_dict()


@stage_task
def publish_maps(settings: Settings, *, caller: str, dag_run: Any, outlet_events: Any, **_: Any) -> dict[str, Any]:
    """Shift the window and publish the tile's due maps."""
    from seaice_ops.mapping import publish as stage

    tiles = tile_of(dag_run) or settings.tiles
    summary = report(stage.run(settings, stage.MapRequest(tiles=tiles), caller=caller))
    outlet_events[MAPS].add_partitions(list(tiles))
    return summary.to_dict()


@stage_task
def snapshot(settings: Settings, *, caller: str, **_: Any) -> str:
    """Freeze the training set; the answer is the model id that it will become."""
    from seaice_ops.training import stage

    return stage.snapshot(settings, caller=caller)


@stage_task
def train(settings: Settings, model_id: str, *, caller: str, **_: Any) -> dict[str, Any]:
    """Train on Horovod ranks and register the weights."""
    from seaice_ops.training import stage

    return report(stage.train(settings, model_id, caller=caller)).to_dict()


@stage_task
def evaluate(settings: Settings, model_id: str, *, caller: str, **_: Any) -> dict[str, Any]:
    """Score the challenger, the champion and the auto-labels on the held-out acquisitions."""
    from seaice_ops.training import stage

    return report(stage.evaluate(settings, model_id, caller=caller)).to_dict()


@stage_task
def promote(settings: Settings, model_id: str, *, caller: str, outlet_events: Any, **_: Any) -> dict[str, Any]:
    """Let the gate decide; a promotion makes every active tile's maps due."""
    from seaice_ops.mapping.due.survey import tiles_due
    from seaice_ops.training import stage

    summary = report(stage.promote(settings, model_id, caller=caller))
    tiles = tiles_due(settings)
    if not tiles:
        raise ExpectedSkip(f"{summary.sentence()}; no map is due")
    outlet_events[MODEL].add_partitions(list(tiles))
    return summary.to_dict()


def report(summary: Any) -> Any:
    """Log a Summary as one sentence and its reasons, and hand it on."""
    log.info("%s (%.1f s)", summary.sentence(), summary.seconds)
    for word, group in (("skipped", summary.skipped), ("failed", summary.failed)):
        for item, reason in group.items():
            log.warning("%s %s: %s", word, item, reason)
    return summary

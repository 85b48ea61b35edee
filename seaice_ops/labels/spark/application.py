"""Labelling on a Spark cluster: one task a scene. Only the driver knows the ledger.

Executors get scenes, how they are labelled, the object store's URL and id, this package and the modules of further
sensors (`package.zip_package`).
They read and write the store with the credentials of their own environment, and refuse a store that is another. Spark
repeats the scenes of a lost executor. When the driver is lost, the scenes of its last job are labelled again by the
next application; the others are in the ledger.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache

import cv2
from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark import SparkConf, SparkContext

from seaice_ops.errors import SeaIceError, TransientError
from seaice_ops.labels.scene import Labelling, Outcome, try_scene
from seaice_ops.labels.stage import LabelRequest, run
from seaice_ops.ledger.tables import Scene
from seaice_ops.settings import Settings, import_sensors
from seaice_ops.storage.store import ObjectStore, open_store

log = logging.getLogger(__name__)

#: Scenes of one Spark job: what a killed driver loses at most, and enough to keep a small cluster busy.
CHUNK = 32


def main(arguments: Sequence[str] | None = None) -> int:
    """The application: label what is missing and print the Summary as one JSON line."""
    parser = argparse.ArgumentParser(prog="spark_job.py", description="Label the ready scenes that have no labels.")
    parser.add_argument("--method", help="default: the configured method")
    parser.add_argument("--scenes", type=lambda text: tuple(text.split(",")), help="ids, separated by commas")
    parser.add_argument("--caller", default="spark", help="who started it, for the ledger's run row")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("py4j").setLevel(logging.WARNING)
    try:
        summary = run(Settings.load(), LabelRequest(options.method, options.scenes), on_spark, caller=options.caller)
    except SeaIceError as error:
        log.error("%s: %s", type(error).__name__, error)
        return 1
    sys.stdout.write(json.dumps(summary.to_dict()) + "\n")
    return 0


def on_spark(store: ObjectStore, how: Labelling, scenes: list[Scene]) -> Iterator[Outcome]:
    """Label the scenes on the cluster that spark-submit names."""
    with SparkContext(conf=SparkConf().setIfMissing("spark.app.name", "seaice-label")) as context:
        context.setLogLevel("WARN")
        yield from label_on(context, store, how, scenes)


def label_on(context: SparkContext, store: ObjectStore, how: Labelling, scenes: list[Scene]) -> Iterator[Outcome]:
    """Label the scenes in a running context, in jobs of CHUNK scenes or more."""
    by_worker: Counter[str] = Counter()
    size = max(CHUNK, 4 * context.defaultParallelism)
    for first in range(0, len(scenes), size):
        chunk = scenes[first : first + size]
        tasks = context.parallelize(chunk, len(chunk)).map(_task(store.url, store.id, how))
        try:
            outcomes = tasks.collect()
        except Py4JJavaError as error:
            raise TransientError(
                f"labelling on Spark failed: {last_line(str(error.java_exception.getMessage()))}"
            ) from error
        by_worker.update(outcome.worker for outcome in outcomes)
        yield from outcomes
    for worker, count in sorted(by_worker.items()):
        log.info("executor %s labelled %d scenes", worker, count)


@cache
def on_one_core() -> None:
    """Keep this process to one core, as Spark runs a task on each: threads would take their time from other tasks."""
    cv2.setNumThreads(1)
    os.environ["GDAL_NUM_THREADS"] = "1"


def _task(url: str, store_id: str, how: Labelling) -> Callable[[Scene], Outcome]:
    def label(scene: Scene) -> Outcome:
        on_one_core()
        import_sensors(how.sensors)
        outcome = try_scene(open_store(url, store_id), scene, how)
        _keep_what_is_loaded()
        return outcome

    return label


@cache
def _keep_what_is_loaded() -> None:
    """A worker looks for garbage after each task: 60 ms a scene for all the modules that it has loaded for good."""
    gc.freeze()


def last_line(trace: str) -> str:
    """The Python error in an executor's traceback, which Spark hands over as text; else its first line."""
    lines = [line.strip() for line in trace.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"[\w.]+(Error|Missing|Exceeded|Conflict): ", line)]
    return (errors[-1:] or lines[:1] or ["no reason given"])[0]

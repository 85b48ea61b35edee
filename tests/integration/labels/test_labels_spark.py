"""The labelling application on Spark: in one process, on a cluster, and with an executor killed at work."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import yaml
from sqlalchemy import select

from helpers import made_up_sensor
from helpers.mapped import day
from helpers.spark_cluster import BIN, bare_interpreter, environment, executors, process, standalone
from seaice_ops.labels.scene import label_raster
from seaice_ops.labels.spark.application import last_line
from seaice_ops.labels.spark.package import APPLICATION, spark_conf, zip_package
from seaice_ops.labels.stage import labelling
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import LabelSet, Run, Scene, SceneState
from seaice_ops.pixels import radiometry
from seaice_ops.sensors.sentinel2 import BANDS, TRUE_COLOUR
from seaice_ops.settings import Settings
from seaice_ops.storage.store import open_store
from seaice_ops.versions import Method

METHOD: Method = "iqrah2024"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[int]]]:
    """A master and two workers of one core."""
    with standalone(tmp_path_factory.mktemp("spark")) as running:
        yield running


@pytest.fixture(scope="module")
def executor_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that cannot import this project by itself."""
    python = bare_interpreter(tmp_path_factory.mktemp("python"))
    without = subprocess.run(
        [python, "-c", "import cv2, rasterio, pyspark; import seaice_ops"], cwd="/", capture_output=True
    )
    assert b"No module named 'seaice_ops'" in without.stderr
    return python


@pytest.fixture
def add_scenes(add_scene: Callable[..., Scene]) -> Callable[..., list[Scene]]:
    """add_scenes(count, size, bands): scenes of an hour apart, all different; true colour unless told."""

    def add(count: int, size: int, bands: tuple[str, ...] = TRUE_COLOUR) -> list[Scene]:
        scenes = []
        for number in range(count):
            blocks = np.random.default_rng(number).integers(0, 4000, (len(bands), size // 20, size // 20))
            values = np.kron(blocks, np.ones((20, 20))).astype(np.int16)
            values[:, : 10 * number, :50] = radiometry.UNOBSERVED
            sensed_at = datetime(2026, 2, 1, tzinfo=UTC) + timedelta(hours=number)
            scenes.append(add_scene(values, sensed_at=sensed_at, bands=bands))
        return scenes

    return add


@dataclass
class Submission:
    """One running spark-submit of the labelling application."""

    process: subprocess.Popen
    log: Path

    def result(self) -> tuple[dict, str]:
        """The Summary that the application printed, and its log."""
        code, log = self.process.wait(timeout=240), self.log.read_text()
        assert code == 0, log
        assert "hush" not in log
        (line,) = [line for line in log.splitlines() if line.startswith('{"stage"')]
        return json.loads(line), log


@pytest.fixture
def submit(settings: Settings, tmp_path: Path) -> Iterator[Callable[..., Submission]]:
    """submit(master, executors' interpreter, *arguments) starts the application on `settings`."""
    config, log = tmp_path / "seaice.yaml", tmp_path / "submit.log"
    told = settings.model_dump(mode="json", exclude={"home", "ledger", "store"})
    env = environment(SEAICE_CONFIG=str(config), SEAICE_HOME=str(settings.home), AWS_SECRET_ACCESS_KEY="hush")
    with ExitStack() as stack:

        def start(
            master: str, python: Path | str, *arguments: str, method: str = METHOD, sensors: tuple[str, ...] = ()
        ) -> Submission:
            config.write_text(yaml.safe_dump(told | {"sensors": list(sensors)}))
            conf = spark_conf() | {"spark.pyspark.python": str(python), "spark.executor.memory": "512m"}
            command = [
                BIN / "spark-submit",
                "--master",
                master,
                "--py-files",
                zip_package(tmp_path / "code.zip", sensors),
            ]
            for name, value in conf.items():
                command += ["--conf", f"{name}={value}"]
            command += [APPLICATION, "--method", method, *arguments]
            return Submission(stack.enter_context(process(command, log, env, tmp_path)), log)

        yield start


def made_up_pixels() -> np.ndarray:
    """(4, 200, 200) of a sensor that only its own module and the configuration know."""
    blocks = np.random.default_rng(99).integers(0, 9000, (4, 10, 10))
    return np.kron(blocks, np.ones((20, 20))).astype(np.int16)


def assert_all_labelled_as_in_process(settings: Settings, scenes: list[Scene], method: Method = METHOD) -> None:
    store = open_store(settings.store)
    with open_ledger(settings).begin() as session:
        rows = {row.scene_id: row for row in session.scalars(select(LabelSet))}
    assert rows.keys() == {scene.id for scene in scenes}
    for scene in scenes:
        data, shares = label_raster(store, scene, labelling(settings, method))
        assert store.get(rows[scene.id].key) == data
        assert rows[scene.id].shares == shares


def test_local_spark_labels_as_this_process_does_and_a_second_run_finds_nothing_new(settings, add_scenes, submit):
    scenes = add_scenes(5, 200)
    open_store(settings.store).put(scenes[2].key, b"cut short")
    summary, _ = submit("local[*]", sys.executable).result()
    assert summary["done"] == {"labels": 4}
    assert summary["failed"].keys() == {scenes[2].id}
    with open_ledger(settings).begin() as session:
        assert session.get_one(Scene, scenes[2].id).state == SceneState.DISCOVERED
        assert session.scalars(select(Run)).one().summary == summary
    assert_all_labelled_as_in_process(settings, [scene for scene in scenes if scene is not scenes[2]])
    again, _ = submit("local[*]", sys.executable, "--scenes", scenes[0].id).result()
    assert (again["done"], again["failed"], again["unchanged"]) == ({}, {}, {"labels": 1})


def test_both_executors_of_a_cluster_label_with_nothing_but_the_packaged_code(
    cluster, executor_python, settings, add_scene, add_scenes, submit
):
    scenes = [*add_scenes(7, 600, BANDS), add_scene(made_up_pixels(), day(9), bands=made_up_sensor.BANDS)]
    sensors = (made_up_sensor.__name__,)
    summary, log = submit(cluster[0], executor_python, method="reflectance", sensors=sensors).result()
    assert summary["done"] == {"labels": 8}
    counts = [int(count) for count in re.findall(r"executor \S+ labelled (\d+) scenes", log)]
    assert len(counts) == 2
    assert sum(counts) == 8
    assert_all_labelled_as_in_process(settings, scenes, "reflectance")


def test_a_killed_executor_loses_no_scene(cluster, executor_python, settings, add_scenes, submit):
    scenes = add_scenes(14, 1000)
    submission = submit(cluster[0], executor_python)
    labels = settings.home / "objects" / "labels"
    until = time.monotonic() + 120
    while not list(labels.rglob("*.tif")) and time.monotonic() < until:
        time.sleep(0.05)
    victim = executors(cluster[1])[0]
    victim.kill()
    done = len(list(labels.rglob("*.tif")))
    assert 0 < done < len(scenes), "the executor was not killed at work"
    summary, log = submission.result()
    assert summary["done"] == {"labels": len(scenes)}
    assert "Lost executor" in log
    assert_all_labelled_as_in_process(settings, scenes)


def test_the_reason_of_a_failed_job_is_its_python_error():
    trace = (
        "Job aborted due to stage failure: Task 0 in stage 0.0 failed 4 times\n"
        '  File "x.py", line 1, in label\n'
        "seaice_ops.errors.TransientError: s3://b/k: the object store does not answer: timed out\n"
        "\n\tat org.apache.spark.api.python.BasePythonRunner$ReaderIterator.handle(PythonRunner.scala:1)\n"
    )
    assert last_line(trace) == "seaice_ops.errors.TransientError: s3://b/k: the object store does not answer: timed out"
    assert last_line("Executor lost\n") == "Executor lost"

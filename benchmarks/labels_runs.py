"""What `labels.py` measures, each in processes of its own: compute, a whole tile's memory, processes, Spark."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import labels_published as published
import numpy as np
import rasterio
from rasterio.transform import Affine

from seaice_ops.labels.published.colour import colour
from seaice_ops.labels.published.iqrah2024 import iqrah2024
from seaice_ops.labels.reflectance.label import reflectance
from seaice_ops.labels.reflectance.surfaces import BANDS
from seaice_ops.labels.scene import label_scene
from seaice_ops.labels.spark.application import on_one_core
from seaice_ops.labels.spark.package import zip_package
from seaice_ops.labels.stage import labelling
from seaice_ops.ledger.tables import Scene
from seaice_ops.pixels import radiometry
from seaice_ops.sensors import sentinel2
from seaice_ops.settings import Settings
from seaice_ops.storage.rasters import Grid, cog_bytes
from seaice_ops.storage.store import ObjectStore, open_store
from seaice_ops.versions import METHODS

SIZE, WHOLE_TILE, ZENITH, DISTINCT = 2048, 10_980, 62.0, 6
CEILING = 0.3558
HERE = Path(__file__).parent


def scene(seed: int, size: int = SIZE) -> np.ndarray:
    """(5, size, size) int16 reflectance: floes and leads of some 20 pixels and more, with sensor noise."""
    random = np.random.default_rng(seed)
    levels = cv2.resize(random.random((128, 128), np.float32), (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    grey = np.select([levels < 0.15, levels < 0.35], [180, 700 + 6000 * levels], 3100 + 2500 * levels)
    dark_in_b11 = np.array([1, 1, 1, 0.93, 0.12])[:, None, None]
    values = (grey * dark_in_b11 + random.normal(0, 35, (5, SIZE, SIZE))).astype(np.int16)
    times = -(-size // SIZE)
    return np.ascontiguousarray(np.tile(values, (1, times, times))[:, :size, :size])


def rgb_of(bands: np.ndarray) -> np.ndarray:
    return radiometry.true_colour(bands[[sentinel2.BANDS.index(band) for band in sentinel2.TRUE_COLOUR]], CEILING)


def compute(size: int, count: int, rounds: int) -> dict[str, float]:
    """Processor milliseconds a scene of each way, in memory and on one thread, the best of the rounds; every way
    meets the same scenes in the same round. Ours are first checked to give the published labels."""
    cv2.setNumThreads(1)
    scenes = [scene(seed, size) for seed in range(count)]
    pictures = [rgb_of(bands) for bands in scenes]
    valid = np.ones((size, size), bool)
    four = [np.ascontiguousarray(bands[[sentinel2.BANDS.index(band) for band in BANDS]]) for bands in scenes]
    ways: dict[str, tuple[Callable[[np.ndarray], Any], list[np.ndarray]]] = {
        "copy": (np.ndarray.copy, pictures),
        "colour": (lambda rgb: colour(rgb, valid), pictures),
        "iqrah2024": (lambda rgb: iqrah2024(rgb, valid, dilate=7, median=155), pictures),
        "reflectance": (lambda bands: reflectance(bands, ZENITH), four),
        "published colour": (published.by_tiles, pictures),
        "published filter and colour": (published.filtered_by_tiles, pictures),
    }
    for ours, theirs in (("colour", "published colour"), ("iqrah2024", "published filter and colour")):
        assert np.array_equal(ways[ours][0](pictures[0]), published.codes_of(ways[theirs][0](pictures[0]))), ours
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for name, (way, given) in ways.items():
            start = time.process_time()
            for one in given:
                way(one)
            best[name] = min(best[name], (time.process_time() - start) / count * 1e3)
    return best


def in_child(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call in a fresh process, whose memory is its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def settings_of(home: Path) -> Settings:
    return Settings.model_validate({"home": home, "regions": {"bench": {"title": "Bench", "tiles": ["01CCV"]}}})


def ready(home: Path, number: int, size: int, key: str) -> Scene:
    """A scene as the ledger would give it."""
    return Scene(
        id=f"bench_{number:03d}", tile="01CCV", key=key, bands=list(sentinel2.BANDS), sun_zenith=ZENITH,
        sha256=_sha256(home, key), width=size, height=size, bytes=0, sensed_at=datetime(2026, 2, 1, tzinfo=UTC),
    )  # fmt: skip


@cache
def _sha256(home: Path, key: str) -> str:
    with (home / "objects" / key).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make_scenes(home: Path) -> None:
    """Write `DISTINCT` scenes of 2048 px to the store; the workload reads them in turn."""
    store, grid = _store(home), Grid("EPSG:32701", (10, 0, 399960, 0, -10, 1600020), SIZE, SIZE)
    for number in range(DISTINCT):
        data = cog_bytes(scene(number), grid, nodata=radiometry.UNOBSERVED, names=sentinel2.BANDS)
        store.put(f"scenes/{number}.tif", data)


def scenes_of(home: Path, count: int, size: int = SIZE) -> list[Scene]:
    if size == WHOLE_TILE:
        return [ready(home, number, size, "scenes/tile.tif") for number in range(count)]
    return [ready(home, number, SIZE, f"scenes/{number % DISTINCT}.tif") for number in range(count)]


def make_tile(home: Path) -> None:
    """A scene of a whole tile in the store, in the blocks of a decoded one."""
    path = home / "objects" / "scenes" / "tile.tif"
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {
        "driver": "GTiff", "count": 5, "dtype": "int16", "height": WHOLE_TILE, "width": WHOLE_TILE, "crs": "EPSG:32701",
        "transform": Affine(10, 0, 399960, 0, -10, 1600020), "nodata": radiometry.UNOBSERVED, "tiled": True,
        "blockxsize": 512, "blockysize": 512, "interleave": "band", "compress": "zstd", "zstd_level": 1,
        "predictor": 2, "num_threads": 2, "BIGTIFF": "YES",
    }  # fmt: skip
    strip = np.tile(scene(0), (1, 1, 6))[..., :WHOLE_TILE]
    with rasterio.open(path, "w", **profile) as target:
        for top in range(0, WHOLE_TILE, SIZE):
            rows = min(SIZE, WHOLE_TILE - top)
            target.write(strip[:, :rows], window=((top, top + rows), (0, WHOLE_TILE)))


@cache
def _store(home: Path) -> ObjectStore:
    return open_store(settings_of(home).store)


def label_one(home: Path, one: Scene, method: str) -> float:
    """Read, label, write; seconds of processor time."""
    start = time.process_time()
    label_scene(_store(home), one, labelling(settings_of(home), method))
    return time.process_time() - start


def tile(home: Path, method: str) -> dict[str, float]:
    """A whole tile read, labelled and written in this process, on all cores: seconds and peak of resident memory."""
    start = time.perf_counter()
    label_one(home, ready(home, 0, WHOLE_TILE, "scenes/tile.tif"), method)
    seconds = time.perf_counter() - start
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return {"seconds": seconds, "peak_gib": int(peak.split()[1]) / 2**20}


def processes(home: Path, method: str, count: int, workers: int, size: int = SIZE) -> dict[str, float]:
    """Seconds that `workers` plain processes, each on one core, take to read, label and write `count` scenes, without
    their start."""
    with multiprocessing.get_context("spawn").Pool(workers, on_one_core) as pool:
        warm = [(home, one, method) for one in scenes_of(home, 2 * workers)]
        pool.starmap(label_one, warm, chunksize=1)
        start = time.perf_counter()
        busy = pool.starmap(label_one, [(home, one, method) for one in scenes_of(home, count, size)], chunksize=1)
        return {"seconds": time.perf_counter() - start, "processor_seconds": sum(busy)}


def spark(home: Path, method: str, count: int, master: str, cores: int, size: int = SIZE) -> dict[str, float]:
    """The same by Spark: seconds of the job alone, and of the whole application from its submission on."""
    sys.path.insert(0, str(HERE.parent / "tests"))
    from helpers.spark_cluster import BIN, environment
    from seaice_ops.labels.spark.package import spark_conf

    conf = spark_conf() | {"spark.cores.max": str(cores), "spark.executor.memory": "512m", "spark.ui.enabled": "false"}
    command: list[str | Path] = [BIN / "spark-submit", "--master", master, "--py-files", zip_package(home / "code.zip")]
    for name, value in conf.items():
        command += ["--conf", f"{name}={value}"]
    start = time.perf_counter()
    given = [HERE / "labels_spark_app.py", home, method, str(count), str(cores), str(size)]
    done = subprocess.run([*command, *given], env=environment(), capture_output=True, text=True, timeout=280, cwd=home)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return {"whole_seconds": time.perf_counter() - start, **json.loads(done.stdout.splitlines()[-1])}


def spark_runs(home: Path, method: str, count: int, size: int = SIZE) -> dict[str, dict[str, float]]:
    """Plain processes, Spark in one process, and a standalone cluster, each with one worker and with two."""
    sys.path.insert(0, str(HERE.parent / "tests"))
    from helpers.spark_cluster import standalone

    names = {1: "one", 2: "two"}
    runs = {f"{names[n]} plain": processes(home, method, count, n, size) for n in names}
    runs |= {f"local[{n}]": spark(home, method, count, f"local[{n}]", n, size) for n in names}
    with tempfile.TemporaryDirectory() as folder, standalone(Path(folder)) as (url, _):
        return runs | {f"{names[n]} executor" + "s" * (n - 1): spark(home, method, count, url, n, size) for n in names}


ALL_METHODS: Sequence[str] = METHODS

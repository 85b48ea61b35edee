"""Label every ready scene that has no labels yet: whole scenes, one at a time, in this process or on Spark.

`label_scene` is the work and touches only the object store, so that it runs on any machine; `run` asks the ledger
what is missing before and writes the rows after. A label raster is the same bytes wherever it was made.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError

from seaice_ops.classes import legend
from seaice_ops.errors import ConfigError, CorruptProduct, ObjectMissing, TransientError
from seaice_ops.geo.grid import pixel_metres
from seaice_ops.labels.methods import Method, known_method, labels_of_picture
from seaice_ops.labels.reflectance.label import from_strips
from seaice_ops.labels.reflectance.surfaces import BANDS
from seaice_ops.labels.result import Labels
from seaice_ops.ledger.operations import insert_new, now, unlabelled_scenes
from seaice_ops.ledger.runs import recorded
from seaice_ops.ledger.scenes import move_scene
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import LabelSet, Scene, SceneState
from seaice_ops.pixels.imagery import read_true_colour, strips
from seaice_ops.pixels.land import land
from seaice_ops.settings import Settings
from seaice_ops.storage import keys
from seaice_ops.storage.rasters import Grid, cog_bytes
from seaice_ops.storage.store import ObjectStore, open_store
from seaice_ops.summary import Summary

log = logging.getLogger(__name__)

#: GDAL's block cache; by default it would take a twentieth of the machine's memory beside the labels.
_CACHE_MB = 256


@dataclass(frozen=True)
class LabelRequest:
    """What to label: by which method (None: the configured one), and which scenes (None: all that are ready)."""

    method: str | None = None
    scene_ids: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of one scene: its `label_set` row, or the reason why it has none."""

    scene_id: str
    labels: LabelSet | None
    reason: str = ""
    bytes_in: int = 0
    bytes_out: int = 0
    worker: str = ""


#: Labels scenes and yields the outcomes as they come: in this process here, or on a cluster (labels/spark.py).
Executor = Callable[[Settings, Method, list[Scene]], Iterable[Outcome]]


def run(settings: Settings, request: LabelRequest, execute: Executor | None = None, *, caller: str = "") -> Summary:
    """Label what is missing. Each scene is committed as soon as its labels are stored.

    A scene that cannot be read is marked failed with its reason and the others go on. Raises `ConfigError` for an
    unknown method or scene, `TransientError` where the store or the ledger does not answer.
    """
    method = known_method(request.method or settings.labels.method)
    with recorded(settings, "label", caller) as stage:
        summary = stage.summary
        scenes = _pending(settings, method, request, summary)
        shares: Counter[str] = Counter()
        for outcome in (execute or in_process)(settings, method, scenes) if scenes else ():
            _commit(settings, outcome, summary, stage.caller)
            shares.update(outcome.labels.shares if outcome.labels else {})
        count = summary.done["labels"]
        log.info("%s: %s", summary.sentence(), ", ".join(f"{k} {v / count:.1%}" for k, v in shares.items()))
        return summary


def in_process(settings: Settings, method: Method, scenes: list[Scene]) -> Iterator[Outcome]:
    """Label the scenes here, one after the other."""
    store = open_store(settings.store)
    return (try_scene(settings, store, scene, method) for scene in scenes)


def try_scene(settings: Settings, store: ObjectStore, scene: Scene, method: Method) -> Outcome:
    """`label_scene`, with what is wrong with this scene alone as an outcome instead of an error."""
    try:
        return label_scene(settings, store, scene, method)
    except (CorruptProduct, ObjectMissing) as error:
        return Outcome(scene.id, None, str(error), worker=_worker())


def label_scene(settings: Settings, store: ObjectStore, scene: Scene, method: Method) -> Outcome:
    """Label one scene and store the raster; the row in the outcome is for the caller to insert.

    Raises `CorruptProduct` or `ObjectMissing` where the scene's pixels cannot be had.
    """
    start = time.perf_counter()
    data, shares = label_raster(settings, store, scene, method)
    version = settings.labels.version(method)
    key = keys.label_set(method, version, scene.tile, scene.id)
    row = LabelSet(
        scene_id=scene.id,
        method=method,
        version=version,
        key=key,
        sha256=store.put(key, data),
        shares=shares,
        seconds=time.perf_counter() - start,
        created_at=now(),
    )
    return Outcome(scene.id, row, bytes_in=scene.bytes or 0, bytes_out=len(data), worker=_worker())


def label_raster(
    settings: Settings, store: ObjectStore, scene: Scene, method: Method
) -> tuple[bytes, dict[str, float]]:
    """A scene's labels as a COG (u8, no-data 255), and each class's share of the scene's pixels.

    The bands: class (with the legend's colours where it is the only one), and of a method that knows them confidence
    and reasons. The shares are by slug, with no_data among them, and sum to 1.
    """
    with rasterio.Env(GDAL_CACHEMAX=_CACHE_MB):
        return _label_raster(settings, store, scene, method)


def _label_raster(
    settings: Settings, store: ObjectStore, scene: Scene, method: Method
) -> tuple[bytes, dict[str, float]]:
    labels, grid = _labels(settings, store, scene, method)
    if settings.labels.mask:
        labels = labels.without(land(settings.labels.mask, settings.home, store, grid, scene.tile))
    tags = {
        "method": method,
        "version": settings.labels.version(method),
        "scene": scene.id,
        "parameters": json.dumps(settings.labels.model_dump(exclude={"method"}), sort_keys=True),
    }
    bands = {"class": labels.classes, "confidence": labels.confidence, "reasons": labels.reasons}
    known = {name: band for name, band in bands.items() if band is not None}
    colours = legend.COLOURS if len(known) == 1 else None  # a GeoTIFF of several bands takes no palette
    data = cog_bytes(list(known.values()), grid, nodata=legend.NODATA, names=tuple(known), tags=tags, colours=colours)
    return data, class_shares(labels.classes)


def class_shares(codes: NDArray[np.uint8]) -> dict[str, float]:
    """Share of all pixels by slug, for the three classes and every other code that occurs; they sum to 1."""
    # By rows: counting takes eight bytes a pixel.
    counts = np.sum([np.bincount(row, minlength=256) for row in codes], axis=0)
    return {
        slug: float(counts[code] / codes.size)
        for code, slug in legend.SLUGS.items()
        if counts[code] or code in legend.CLASSES
    }


def _labels(settings: Settings, store: ObjectStore, scene: Scene, method: Method) -> tuple[Labels, Grid]:
    where = f"{store.url}/{scene.key}"
    try:
        if method == "reflectance" and set(BANDS) <= set(scene.bands or ()):
            with strips(store, scene, BANDS) as (read, grid):
                return from_strips(read, (grid.height, grid.width), scene.sun_zenith), grid
        rgb, valid, grid = read_true_colour(store, scene, settings.labels.ceiling)
    except RasterioError as error:
        if hashlib.sha256(store.get(scene.key or "")).hexdigest() == scene.sha256:
            raise TransientError(f"{where} is whole but could not be read: {error}") from error
        raise CorruptProduct(f"{where} is not what was stored (its SHA-256 differs); decode the scene again") from error
    pixel_m = pixel_metres(grid)
    if pixel_m is None:
        raise CorruptProduct(f"{where} has no CRS, so its pixel size is unknown; decode the scene again")
    return labels_of_picture(rgb, valid, pixel_m, method, settings.labels), grid


def _pending(settings: Settings, method: Method, request: LabelRequest, summary: Summary) -> list[Scene]:
    """The scenes to label; those asked for that cannot be labelled or are labelled already go into `summary`."""
    with open_ledger(settings).begin() as session:
        missing = unlabelled_scenes(session, method, settings.labels.version(method))
        if request.scene_ids is None:
            return missing
        asked = {scene_id: session.get(Scene, scene_id) for scene_id in request.scene_ids}
    unknown = sorted(scene_id for scene_id, scene in asked.items() if scene is None)
    if unknown:
        raise ConfigError(f"the ledger knows no scene {', '.join(unknown)}; `seaice status` lists what it knows")
    for scene_id, scene in asked.items():
        if scene and scene.state != SceneState.READY:
            summary.skipped[scene_id] = f"the scene is {scene.state}"
    pending = [scene for scene in missing if scene.id in asked]
    summary.unchanged["labels"] = len(asked) - len(pending) - len(summary.skipped)
    return pending


def _commit(settings: Settings, outcome: Outcome, summary: Summary, caller: str = "") -> None:
    if outcome.labels is None:
        with open_ledger(settings).begin() as session:
            scene = session.get_one(Scene, outcome.scene_id)
            ready = scene.state is SceneState.READY
            failed = ready and move_scene(session, scene, SceneState.FAILED, caller=caller, reason=outcome.reason)
        # A scene that was withdrawn or superseded meanwhile stays so.
        (summary.failed if failed else summary.skipped)[outcome.scene_id] = outcome.reason
        log.warning("%s: %s", outcome.scene_id, outcome.reason)
        return
    with open_ledger(settings).begin() as session:
        summary.done["labels"] += insert_new(session, outcome.labels)
    summary.items.append(outcome.scene_id)
    summary.bytes_in += outcome.bytes_in
    summary.bytes_out += outcome.bytes_out


def _worker() -> str:
    """The machine and, on Spark, the executor (the parent of its Python workers)."""
    return f"{socket.gethostname()}/{os.getppid()}"

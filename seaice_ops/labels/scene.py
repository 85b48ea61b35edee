"""Label one scene: from the object store into the object store, so that it runs on any machine.

A label raster is the same bytes wherever it was made.
"""

from __future__ import annotations

import json
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray

from seaice_ops.classes import legend
from seaice_ops.errors import CorruptProduct, ObjectMissing, UnknownSensor
from seaice_ops.geo.grid import pixel_metres
from seaice_ops.labels.methods import labels_of_picture
from seaice_ops.labels.output import label_cog
from seaice_ops.labels.reflectance.label import from_strips
from seaice_ops.labels.reflectance.surfaces import BANDS
from seaice_ops.labels.result import Labels
from seaice_ops.ledger.operations import now
from seaice_ops.ledger.tables import LabelSet, Scene
from seaice_ops.pixels.imagery import read_true_colour, strips
from seaice_ops.pixels.land import land
from seaice_ops.settings import LabelSettings, SceneSettings, label_parameters, label_version
from seaice_ops.storage import keys
from seaice_ops.storage.rasters import Grid
from seaice_ops.storage.store import ObjectStore
from seaice_ops.versions import Method

#: GDAL's block cache; by default it would take a twentieth of the machine's memory beside the labels.
_CACHE_MB = 256


@dataclass(frozen=True)
class Labelling:
    """A way of labelling: all that a label raster depends on beside the scene. Spark sends it to its executors."""

    method: Method
    """The method, of those in `versions.METHODS`."""
    labels: LabelSettings
    """The methods' thresholds and sizes."""
    scenes: SceneSettings
    """The ceiling of the true colour, and the name of the land mask."""
    home: Path
    """The folder that a land mask's file lies below."""
    sensors: tuple[str, ...] = ()
    """The modules of further sensors, which an executor imports."""

    @property
    def version(self) -> str:
        """The version of these labels."""
        return label_version(self.method, self.labels, self.scenes)


@dataclass(frozen=True)
class Outcome:
    """The result for one scene: its `label_set` row, or the reason why it has none."""

    scene_id: str
    """The scene."""
    labels: LabelSet | None
    """The row for the caller to insert, or None."""
    reason: str = ""
    """Why there are no labels."""
    damaged: bool = False
    """True where the scene's raster is missing or damaged: the scene can be fetched again."""
    unknown: bool = False
    """True where no configured sensor has the scene's bands: nothing is wrong with the scene."""
    bytes_in: int = 0
    """Size of the scene's raster."""
    bytes_out: int = 0
    """Size of the label raster."""
    worker: str = ""
    """The machine, and the process or Spark executor on it."""


def try_scene(store: ObjectStore, scene: Scene, how: Labelling) -> Outcome:
    """`label_scene`, with what is wrong with this scene alone as an outcome instead of an error."""
    try:
        return label_scene(store, scene, how)
    except ObjectMissing as error:
        return Outcome(scene.id, None, f"{error}; the scene will be fetched again", damaged=True, worker=_worker())
    except UnknownSensor as error:
        return Outcome(scene.id, None, str(error), unknown=True, worker=_worker())
    except CorruptProduct as error:
        return Outcome(scene.id, None, str(error), worker=_worker())


def label_scene(store: ObjectStore, scene: Scene, how: Labelling) -> Outcome:
    """Label one scene and store the raster; the row in the outcome is for the caller to insert.

    Raises `ObjectMissing` where the scene's raster is missing or damaged, `CorruptProduct` where it cannot be labelled.
    """
    start = time.perf_counter()
    data, shares = label_raster(store, scene, how)
    key = keys.label_set(how.method, how.version, scene.tile, scene.id)
    row = LabelSet(
        scene_id=scene.id,
        method=how.method,
        version=how.version,
        key=key,
        sha256=store.put(key, data),
        scene_sha256=scene.sha256,
        shares=shares,
        seconds=time.perf_counter() - start,
        created_at=now(),
    )
    return Outcome(scene.id, row, bytes_in=scene.bytes or 0, bytes_out=len(data), worker=_worker())


def label_raster(store: ObjectStore, scene: Scene, how: Labelling) -> tuple[bytes, dict[str, float]]:
    """A scene's labels as a COG (u8, no-data 255), and each class's share of the scene's pixels.

    The bands: class (with the legend's colours where it is the only one); confidence and quality flags where the
    method gives them. The shares are by slug, with no_data among them, and sum to 1.
    """
    with rasterio.Env(GDAL_CACHEMAX=_CACHE_MB):
        labels, grid = _labels(store, scene, how)
        return _encoded(labels, grid, scene, how), class_shares(labels.classes)


def _labels(store: ObjectStore, scene: Scene, how: Labelling) -> tuple[Labels, Grid]:
    if how.method == "reflectance" and set(BANDS) <= set(scene.bands or ()):
        with strips(store, scene, BANDS) as (read, grid):
            ashore = _ashore(store, grid, scene, how)
            return from_strips(read, (grid.height, grid.width), scene.sun_zenith, land=ashore), grid
    rgb, valid, grid = read_true_colour(store, scene, how.scenes.ceiling)
    pixel_m = pixel_metres(grid)
    if pixel_m is None:
        raise CorruptProduct(
            f"its pixel size is unknown: {store.url}/{scene.key} has no CRS; decode the scene again with one"
        )
    labels, ashore = labels_of_picture(rgb, valid, pixel_m, how.method, how.labels), _ashore(store, grid, scene, how)
    return labels if ashore is None else labels.without(ashore), grid


def _ashore(store: ObjectStore, grid: Grid, scene: Scene, how: Labelling) -> NDArray[np.bool_] | None:
    """(rows, columns) True on land or ice shelf; None where no land mask is set."""
    mask = how.scenes.land_mask
    return land(mask, how.home, store, grid, scene.tile) if mask else None


def _encoded(labels: Labels, grid: Grid, scene: Scene, how: Labelling) -> bytes:
    tags = {
        "method": how.method,
        "version": how.version,
        "scene": scene.id,
        "parameters": json.dumps(label_parameters(how.labels, how.scenes), sort_keys=True),
    }
    return label_cog(labels, grid, tags)


def class_shares(codes: NDArray[np.uint8]) -> dict[str, float]:
    """Share of all pixels by slug, for the three classes and every other code that occurs; they sum to 1."""
    # By rows: counting takes eight bytes a pixel.
    counts = np.sum([np.bincount(row, minlength=256) for row in codes], axis=0)
    return {
        slug: float(counts[code] / codes.size)
        for code, slug in legend.SLUGS.items()
        if counts[code] or code in legend.CLASSES
    }


def _worker() -> str:
    """The machine and, on Spark, the executor (the parent of its Python workers)."""
    return f"{socket.gethostname()}/{os.getppid()}"

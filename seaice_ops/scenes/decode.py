"""The decode stage: fetched files become one cloud-optimised GeoTIFF a scene, and a ready row in the ledger."""

from __future__ import annotations

import logging
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from sqlalchemy import select
from sqlalchemy.orm import Session

from seaice_ops.errors import CorruptPart, CorruptProduct, ExpectedSkip, TransientError, writing
from seaice_ops.ledger.operations import fail_scene, get_scene, move_scene, scene_rank
from seaice_ops.ledger.runs import recorded
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Scene, SceneState
from seaice_ops.pixels.radiometry import UNOBSERVED
from seaice_ops.scenes.merged import open_merged
from seaice_ops.scenes.plain import open_plain
from seaice_ops.scenes.sentinel2.product import open_product
from seaice_ops.scenes.source import Source
from seaice_ops.settings import Settings
from seaice_ops.storage import keys
from seaice_ops.storage.rasters import cog_writer
from seaice_ops.storage.store import ObjectStore, open_store
from seaice_ops.summary import Summary

log = logging.getLogger(__name__)

#: Sun zenith in degrees from which on a scene shows nothing.
NIGHT = 90.0
_CACHE_MB = 256


@dataclass(frozen=True)
class DecodeRequest:
    """The scenes to decode, as a search's `Summary.items` names them."""

    scene_ids: tuple[str, ...]


def run(settings: Settings, request: DecodeRequest, *, caller: str = "") -> Summary:
    """Write each fetched scene as a COG and make it ready; older ready versions of its acquisition are superseded.

    A scene that cannot be decoded fails with its reason and the others go on; one without a single valid pixel, or
    taken at night, is skipped with its reason (and failed in the ledger). Raises `TransientError` where a scene's
    fetched files are gone: it is `discovered` again, to be fetched anew. The same input gives the same bytes.
    """
    with recorded(settings, "decode", caller) as stage, rasterio.Env(GDAL_CACHEMAX=_CACHE_MB):
        summary = stage.summary
        store = open_store(settings.store)
        for scene_id in request.scene_ids:
            with open_ledger(settings).begin() as session:
                scene = get_scene(session, scene_id)
            if scene.state is SceneState.FETCHED:
                _decode(settings, store, scene, summary)
            elif scene.state is SceneState.DISCOVERED:
                summary.skipped[scene_id] = "not fetched yet"
            elif scene.state is SceneState.FAILED:
                summary.skipped[scene_id] = f"failed before: {scene.reason}"
            else:
                summary.unchanged["scenes"] += 1
        _sweep(settings)
    return summary


def _decode(settings: Settings, store: ObjectStore, scene: Scene, summary: Summary) -> None:
    inbox = settings.inbox(scene.id)
    if not _files_are_there(settings, scene, inbox):
        summary.unchanged["scenes"] += 1
        return
    try:
        values = _write(store, scene, inbox, settings.scenes.ceiling)
    except (CorruptProduct, ExpectedSkip) as error:
        part = error.part if isinstance(error, CorruptPart) else None
        with open_ledger(settings).begin() as session:
            failed = fail_scene(session, scene.id, str(error), part)
        if failed:
            (summary.skipped if isinstance(error, ExpectedSkip) else summary.failed)[scene.id] = str(error)
            log.warning("%s: %s", scene.id, error)
        return
    with open_ledger(settings).begin() as session:
        outcome = _make_ready(session, scene, values)
    summary.done.update(outcome)
    if not outcome:
        summary.unchanged["scenes"] += 1
    summary.bytes_out += values["bytes"]


def _files_are_there(settings: Settings, scene: Scene, inbox: Path) -> bool:
    """False where another worker has finished the scene; raises `TransientError` where files are lost."""
    lost = [file["path"] for file in (scene.details or {})["files"] if not (inbox / file["path"]).is_file()]
    if not lost:
        return True
    with open_ledger(settings).begin() as session:
        moved = move_scene(session, scene.id, (SceneState.FETCHED,), SceneState.DISCOVERED)
    if moved:
        raise TransientError(f"{inbox / lost[0]} was fetched and is gone; {scene.id} is to be fetched again")
    return False


def _write(store: ObjectStore, scene: Scene, inbox: Path, ceiling: float) -> dict[str, Any]:
    """Put the scene's COG into the store; the columns of its ready row."""
    details, source = scene.details or {}, _open(scene, inbox, ceiling)
    if source.sun_zenith is not None and source.sun_zenith >= NIGHT:
        raise ExpectedSkip(f"night: the sun stood {source.sun_zenith:.1f} degrees from the zenith")
    # A folder of its own: a task that is thought dead may still be decoding the same scene.
    with writing(inbox), tempfile.TemporaryDirectory(dir=inbox, prefix="decode-") as folder:
        cog = Path(folder) / "scene.tif"
        share = _write_cog(cog, scene, source)
        key = keys.scene(scene.tile, scene.sensed_at, scene.id)
        size = cog.stat().st_size
        sha256 = store.put_file(key, cog)
    return {
        "key": key,
        "sha256": sha256,
        "bytes": size,
        "crs": source.grid.crs,
        "transform": list(source.grid.transform),
        "width": source.grid.width,
        "height": source.grid.height,
        "bands": list(source.bands),
        "sun_zenith": source.sun_zenith,
        "valid_share": share,
        "details": {**details, **source.details},
    }


def _open(scene: Scene, inbox: Path, ceiling: float) -> Source:
    kind = (scene.details or {})["kind"]
    if kind == "scene":
        return open_plain(scene, inbox, ceiling)
    return open_merged(scene, inbox) if kind == "merged" else open_product(scene, inbox)


def _write_cog(path: Path, scene: Scene, source: Source) -> float:
    """Write all strips to the COG `path`; the share of pixels that every band observed."""
    tags = {
        "SCENE_ID": scene.id,
        "SENSED": scene.sensed_at.isoformat(),
        "REFLECTANCE_SCALE": "0.0001",
        **source.tags,
    }
    valid = 0
    with cog_writer(
        path, source.grid, count=len(source.bands), dtype=np.int16, nodata=UNOBSERVED, names=source.bands, tags=tags
    ) as target:
        for row, strip in source.strips():
            target.write(strip, window=((row, row + strip.shape[1]), (0, strip.shape[2])))
            valid += int((strip != UNOBSERVED).all(axis=0).sum())
        if not valid:
            raise ExpectedSkip("no data: no pixel was observed in all bands")
    return valid / (source.grid.width * source.grid.height)


def _make_ready(session: Session, scene: Scene, values: dict[str, Any]) -> dict[str, int]:
    """Make the scene ready and its acquisition's older ready version superseded; what was done, by count."""
    versions = session.scalars(
        select(Scene).where(Scene.identity == scene.identity).order_by(Scene.id).with_for_update()
    ).all()
    if not any(row.id == scene.id and row.state is SceneState.FETCHED for row in versions):
        return {}  # another worker was faster, or a search superseded it
    ready = [row for row in versions if row.state is SceneState.READY]
    better = [row for row in ready if _rank(row) > _rank(scene)]
    if better:
        fate = {"superseded_by": better[0].id}
        move_scene(session, scene.id, (SceneState.FETCHED,), SceneState.SUPERSEDED, **fate)
        return {"superseded": 1}
    for row in ready:
        move_scene(session, row.id, (SceneState.READY,), SceneState.SUPERSEDED, superseded_by=scene.id)
    move_scene(session, scene.id, (SceneState.FETCHED,), SceneState.READY, reason=None, **values)
    return {"scenes": 1} | ({"superseded": len(ready)} if ready else {})


def _rank(scene: Scene) -> tuple[Any, ...]:
    return scene_rank(scene.baseline, scene.generated_at, scene.id)


def _sweep(settings: Settings) -> None:
    """Remove the inboxes of scenes that are decoded, failed or superseded, also those that a killed run left."""
    folders = {folder.name: folder for folder in settings.inbox("").glob("*")}
    waiting = (SceneState.DISCOVERED, SceneState.FETCHED)
    with open_ledger(settings).begin() as session:
        query = select(Scene.id).where(Scene.id.in_(list(folders)), Scene.state.not_in(waiting))
        unneeded = list(session.scalars(query))
    for scene_id in unneeded:
        shutil.rmtree(folders[scene_id], ignore_errors=True)

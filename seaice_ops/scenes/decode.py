"""The decode stage: fetched files become one cloud-optimised GeoTIFF a scene, and a ready row in the ledger."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rasterio
from sqlalchemy import select
from sqlalchemy.orm import Session

from seaice_ops.errors import (
    ConfigError,
    CorruptPart,
    CorruptProduct,
    ExpectedSkip,
    TransientError,
    UnknownSensor,
    sparing_data,
    writing,
)
from seaice_ops.ledger.operations import scene_rank
from seaice_ops.ledger.runs import StageRun, recorded
from seaice_ops.ledger.scenes import chunks, fail_scene, get_scene, has_moved, move_scene
from seaice_ops.ledger.session import Ledger
from seaice_ops.ledger.tables import Scene, SceneState
from seaice_ops.scenes.decoders import open_scene
from seaice_ops.scenes.raster import write_cog
from seaice_ops.scenes.source import check_place
from seaice_ops.settings import Settings
from seaice_ops.storage import keys
from seaice_ops.storage.store import ObjectStore
from seaice_ops.summary import Summary, each_alone

#: Sun zenith angle in degrees from which on a scene is night.
NIGHT = 90.0
_CACHE_MB = 256


@dataclass(frozen=True)
class DecodeRequest:
    """The scenes to decode, as a search's `Summary.items` names them."""

    scene_ids: tuple[str, ...]


def run(settings: Settings, request: DecodeRequest, *, caller: str = "") -> Summary:
    """Write each fetched scene as a COG and make it ready; older ready versions of its acquisition are superseded.

    - A scene that cannot be decoded fails with its reason; the others go on.
    - A scene without a valid pixel, or taken at night, is skipped with its reason, and failed in the ledger.
    - A scene whose fetched files are gone is `discovered` again, so that it is fetched anew. A scene for which this
      machine lacks memory or disk space stays as it is. For either, `TransientError` is raised after the last scene.

    The same input gives the same bytes.
    """
    with recorded(settings, "decode", caller) as stage, rasterio.Env(GDAL_CACHEMAX=_CACHE_MB):
        inbox, ceiling = settings.inbox(""), settings.scenes.ceiling
        each_alone(request.scene_ids, lambda scene_id: _take(stage, scene_id, inbox, ceiling), stage.summary)
        _sweep(stage.ledger, inbox)
        return stage.summary


def _take(stage: StageRun, scene_id: str, inbox: Path, ceiling: float) -> None:
    with stage.ledger.begin() as session:
        scene = get_scene(session, scene_id)
    if scene.state is SceneState.FETCHED:
        _decode(stage, scene, inbox / scene_id, ceiling)
    elif scene.state is SceneState.DISCOVERED:
        stage.summary.skipped[scene_id] = "not fetched yet"
    elif scene.state is SceneState.FAILED:
        stage.summary.skipped[scene_id] = f"failed before: {scene.reason}"
    else:
        stage.summary.unchanged["scenes"] += 1


def _decode(stage: StageRun, scene: Scene, inbox: Path, ceiling: float) -> None:
    summary = stage.summary
    if not _files_are_there(stage.ledger, scene, inbox, stage.caller):
        summary.unchanged["scenes"] += 1
        return
    try:
        with sparing_data(scene.id):
            values = _write(stage.store, scene, inbox, ceiling)
    except (CorruptProduct, ExpectedSkip) as error:
        part = error.part if isinstance(error, CorruptPart) else None
        with stage.ledger.begin() as session:
            failed = fail_scene(session, scene, str(error), caller=stage.caller, part=part)
        if failed:
            (summary.skipped if isinstance(error, ExpectedSkip) else summary.failed)[scene.id] = str(error)
        return
    except UnknownSensor as error:  # it waits as it is, and does not keep the others from their turn
        summary.skipped[scene.id] = str(error)
        return
    except (TransientError, ConfigError):
        with stage.ledger.begin() as session:
            if not has_moved(session, scene):
                raise
        summary.unchanged["scenes"] += 1  # another worker has decoded it and removed the inbox meanwhile
        return
    with stage.ledger.begin() as session:
        outcome = make_ready(session, scene, values, caller=stage.caller)
    summary.done.update(outcome)
    if not outcome:
        summary.unchanged["scenes"] += 1
    summary.bytes_out += values["bytes"]


def _files_are_there(ledger: Ledger, scene: Scene, inbox: Path, caller: str) -> bool:
    """False where another worker has finished the scene; raises `TransientError` where files are lost."""
    lost = [file["path"] for file in (scene.details or {})["files"] if not (inbox / file["path"]).is_file()]
    if not lost:
        return True
    with ledger.begin() as session:
        moved = move_scene(session, scene, SceneState.DISCOVERED, caller=caller, reason="its fetched files are lost")
    if moved:
        raise TransientError(f"{inbox / lost[0]} was fetched and is gone; {scene.id} is to be fetched again")
    return False


def _write(store: ObjectStore, scene: Scene, inbox: Path, ceiling: float) -> dict[str, Any]:
    """Put the scene's COG into the store; returns the columns of its ready row."""
    details, source = scene.details or {}, open_scene(scene, inbox, ceiling)
    check_place(source.grid, inbox, scene.tile)
    if source.sun_zenith is not None and source.sun_zenith >= NIGHT:
        raise ExpectedSkip(f"night: the sun stood {source.sun_zenith:.1f} degrees from the zenith")
    # In a new folder: a task that Airflow has given up may still be decoding the same scene.
    with writing(inbox), tempfile.TemporaryDirectory(dir=inbox, prefix="decode-") as folder:
        cog = Path(folder) / "scene.tif"
        share = write_cog(cog, source, {"SCENE_ID": scene.id, "SENSED": scene.sensed_at.isoformat()})
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


def make_ready(session: Session, scene: Scene, values: dict[str, Any], *, caller: str) -> dict[str, int]:
    """Make the scene ready, with `values` for its other columns; returns the counts of what was done.

    An older ready version of its acquisition is superseded; if that version is the better one, the scene itself is. The
    counts are empty where the scene's state has changed since it was read.
    """
    versions = session.scalars(
        select(Scene).where(Scene.identity == scene.identity).order_by(Scene.id).with_for_update()
    ).all()
    if not any((row.id, row.state, row.moves) == (scene.id, SceneState.FETCHED, scene.moves) for row in versions):
        return {}  # another worker was faster, or a search superseded it
    ready = [row for row in versions if row.state is SceneState.READY]
    better = [row for row in ready if _rank(row) > _rank(scene)]
    if better:
        move_scene(session, scene, SceneState.SUPERSEDED, caller=caller, superseded_by=better[0].id)
        return {"superseded": 1}
    for row in ready:
        move_scene(session, row, SceneState.SUPERSEDED, caller=caller, superseded_by=scene.id)
    move_scene(session, scene, SceneState.READY, caller=caller, **values)
    return {"scenes": 1} | ({"superseded": len(ready)} if ready else {})


def _rank(scene: Scene) -> tuple[Any, ...]:
    return scene_rank(scene.baseline, scene.generated_at, scene.id)


def _sweep(ledger: Ledger, inbox: Path) -> None:
    """Remove the inboxes of scenes that are no longer to be decoded, also those that a killed run left."""
    folders = {folder.name: folder for folder in inbox.glob("*")}
    waiting = (SceneState.DISCOVERED, SceneState.FETCHED)
    with ledger.begin() as session:
        unneeded = [
            scene_id
            for some in chunks(list(folders))
            for scene_id in session.scalars(select(Scene.id).where(Scene.id.in_(some), Scene.state.not_in(waiting)))
        ]
    for scene_id in unneeded:
        shutil.rmtree(folders[scene_id], ignore_errors=True)

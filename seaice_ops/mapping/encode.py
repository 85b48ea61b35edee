"""The encode stage: class probabilities of each acquisition, computed once per model.

Only scenes in the windows of due maps (`mapping.due`) are encoded, by the champion.
"""

from __future__ import annotations

import hashlib
import logging
import time
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict
from sqlalchemy import or_, update
from sqlalchemy.orm import Session

from seaice_ops.classes.legend import CLASSES, SLUGS
from seaice_ops.errors import ObjectMissing
from seaice_ops.ledger.operations import insert_new, now
from seaice_ops.ledger.runs import StageRun, recorded
from seaice_ops.ledger.tables import Probabilities, Scene
from seaice_ops.mapping.due.source import Evidence
from seaice_ops.mapping.due.tile_state import Rules, TileState, chosen_tiles, tile_state
from seaice_ops.pixels.imagery import read_scaled
from seaice_ops.pixels.mending import scene_fetched_again
from seaice_ops.settings import Settings
from seaice_ops.storage import keys
from seaice_ops.storage.rasters import cog_bytes
from seaice_ops.storage.store import ObjectStore
from seaice_ops.storage.verified import is_as_written
from seaice_ops.summary import Summary

if TYPE_CHECKING:
    from seaice_ops.models.weights import LoadedModel

log = logging.getLogger(__name__)


class EncodeRequest(BaseModel):
    """A request to encode all scenes that due maps of `tiles` need (default: of every region's tiles)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tiles: tuple[str, ...] | None = None


def run(settings: Settings, request: EncodeRequest, *, caller: str = "") -> Summary:
    """Encode the scenes that due maps need, by the champion; `Summary.items` are the scenes encoded by this run.

    Probabilities that are there are checked: those that are missing or damaged in the store, or of other pixels than
    the scene's present ones, are made again. A scene whose raster is missing or damaged is fetched again and the
    others go on; a window that holds it waits. Where the labels make the maps there is nothing to encode
    (`due.source`).
    """
    rules = Rules.of(settings)
    with recorded(settings, "encode", caller) as stage:
        for tile in chosen_tiles(settings.tiles, request.tiles):
            _encode_tile(stage, tile_state(stage.ledger, tile, rules))
    return stage.summary


def _encode_tile(stage: StageRun, state: TileState) -> None:
    summary = stage.summary
    summary.skipped |= state.skipped
    if state.source.model is None:
        log.info("%s: nothing to encode, the labels make its maps: %s", state.tile, state.source.why)
        return
    wanted = [state.scenes[i] for i in sorted({i for due in state.due for i in due.window})]
    missing = [scene for scene in wanted if not _is_encoded(stage.store, state.evidence.get(scene.id))]
    summary.unchanged["probabilities"] += len(wanted) - len(missing)
    if not missing:
        return
    from seaice_ops.models import registry  # imports torch: only where there is something to encode

    model = registry.load(stage.ledger, stage.store, state.source.model)
    for number, scene in enumerate(missing, 1):
        log.info("%s: encoding %s (%d of %d)", state.tile, scene.id, number, len(missing))
        try:
            with scene_fetched_again(stage.ledger, scene, stage.caller):
                row, data = _probabilities(stage.store, model, scene)
        except ObjectMissing as error:
            log.error("%s cannot be encoded: %s", scene.id, error)
            summary.failed[scene.id] = f"{scene.key}: {error}"
            continue
        summary.bytes_in += scene.bytes or 0
        summary.bytes_out += len(data)
        with stage.ledger.begin() as session:
            new = _take_place(session, row, state.evidence.get(scene.id))
            if new:  # before the row is committed, and while it keeps other writers from this object
                stage.store.put(row.key, data)
        (summary.done if new else summary.unchanged)["probabilities"] += 1
        if new:
            summary.items.append(scene.id)


def _is_encoded(store: ObjectStore, row: Evidence | None) -> bool:
    """True if the scene's probabilities are in the store as they were written."""
    if row is None:
        return False
    try:
        good = is_as_written(store, row.key, row.sha256)
    except ObjectMissing:
        good = False
    if not good:
        log.warning("%s is missing or damaged in the store; it is made again", row.key)
    return good


def _probabilities(store: ObjectStore, model: LoadedModel, scene: Scene) -> tuple[Probabilities, bytes]:
    """The row of the scene's probabilities, and the bytes of the COG that it refers to."""
    from seaice_ops.models import predict

    start, seen, model_id = time.perf_counter(), model.card.manifest.preprocessing, model.card.id
    image, valid, grid = read_scaled(store, scene, seen.bands, seen.ceiling)
    values = predict.probabilities(model, image, valid)
    data = cog_bytes(values, grid, nodata=None, names=[SLUGS[code] for code in CLASSES], tags={"model": model_id})
    row = Probabilities(
        scene_id=scene.id,
        model_id=model_id,
        scene_sha256=scene.sha256,
        key=keys.probabilities(model_id, scene.tile, scene.id),
        sha256=hashlib.sha256(data).hexdigest(),
        seconds=time.perf_counter() - start,
        created_at=now(),
    )
    return row, data


def _take_place(session: Session, row: Probabilities, damaged: Evidence | None) -> bool:
    """Insert `row`, or replace a row of other pixels or the `damaged` one; False where another run was first.

    Where the same bytes are written again the row stays as it is.
    """
    if damaged and damaged.sha256 == row.sha256:
        return True
    if insert_new(session, row):
        return True
    other = Probabilities.scene_sha256 != row.scene_sha256
    values = {name: getattr(row, name) for name in ("scene_sha256", "key", "sha256", "seconds", "created_at")}
    replaced = session.execute(
        update(Probabilities)
        .where(Probabilities.scene_id == row.scene_id, Probabilities.model_id == row.model_id)
        .where(or_(other, Probabilities.sha256 == damaged.sha256) if damaged else other)
        .values(**values)
        .returning(Probabilities.scene_id)
    )
    return replaced.first() is not None

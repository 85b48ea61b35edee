"""The stage that classifies each acquisition once per model: scene to class probabilities.

Only what a due map needs is encoded: the windows of `mapping.plan` by the champion.
"""

from __future__ import annotations

import hashlib
import logging
import time
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from seaice_ops.classes.legend import CLASSES, SLUGS
from seaice_ops.errors import ObjectMissing, PublishConflict
from seaice_ops.ledger.operations import insert_new, now
from seaice_ops.ledger.runs import recorded
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Probabilities, Scene
from seaice_ops.mapping.due.survey import Survey, chosen_tiles, survey
from seaice_ops.pixels.imagery import read_scaled
from seaice_ops.settings import Settings
from seaice_ops.storage import keys
from seaice_ops.storage.rasters import RASTER_ERRORS, cog_bytes
from seaice_ops.storage.store import ObjectStore, open_store
from seaice_ops.summary import Summary

if TYPE_CHECKING:
    from seaice_ops.models.registry import LoadedModel

log = logging.getLogger(__name__)


class EncodeRequest(BaseModel):
    """What to encode: all scenes that due maps of `tiles` need (default: of every region's tiles)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tiles: tuple[str, ...] | None = None


def run(settings: Settings, request: EncodeRequest, *, caller: str = "") -> Summary:
    """Encode by the champion what due maps need; `Summary.items` are the scenes encoded by this run.

    A scene that cannot be read is recorded as failed and the others go on; a window that holds it waits. Raises
    `ExpectedSkip` where there is no champion yet.
    """
    with recorded(settings, "encode", caller) as stage:
        summary = stage.summary
        for tile in chosen_tiles(settings, request.tiles):
            _encode_tile(settings, survey(settings, tile), summary)
    return summary


def _encode_tile(settings: Settings, tile: Survey, summary: Summary) -> None:
    summary.skipped |= tile.skipped
    wanted = sorted({i for due in tile.due for i in due.window})
    scenes = [tile.scenes[i] for i in wanted]
    missing = [scene for scene in scenes if scene.id not in tile.encoded]
    summary.unchanged["probabilities"] += len(scenes) - len(missing)
    if not missing:
        return
    from seaice_ops.models import registry  # imports torch: only where there is something to encode

    store, loaded = open_store(settings.store), registry.load(settings, tile.champion.id)
    for number, scene in enumerate(missing, 1):
        log.info("%s: encoding %s (%d of %d)", tile.tile, scene.id, number, len(missing))
        try:
            new = _encode_scene(settings, store, loaded, tile.champion.id, scene, summary)
        except (ObjectMissing, *RASTER_ERRORS) as error:
            log.error("%s cannot be encoded: %s", scene.id, error)
            summary.failed[scene.id] = f"{scene.key}: {error}"
            continue
        (summary.done if new else summary.unchanged)["probabilities"] += 1
        if new:
            summary.items.append(scene.id)


def _encode_scene(
    settings: Settings, store: ObjectStore, loaded: LoadedModel, model_id: str, scene: Scene, summary: Summary
) -> bool:
    """Object, then row; False where another run was first."""
    from seaice_ops.models import predict

    start = time.perf_counter()
    seen = loaded.card.manifest.preprocessing
    image, valid, grid = read_scaled(store, scene, seen.bands, seen.ceiling)
    values = predict.probabilities(loaded, image, valid)
    data = cog_bytes(values, grid, nodata=None, names=[SLUGS[code] for code in CLASSES], tags={"model": model_id})
    key = keys.probabilities(model_id, scene.tile, scene.id)
    try:
        store.create(key, data)
    except PublishConflict:
        # Another processor's last bit differs: the first writer's answer is the scene's, for every map alike.
        data = store.get(key)
    summary.bytes_in += scene.bytes or 0
    summary.bytes_out += len(data)
    row = Probabilities(
        scene_id=scene.id,
        model_id=model_id,
        key=key,
        sha256=hashlib.sha256(data).hexdigest(),
        seconds=time.perf_counter() - start,
        created_at=now(),
    )
    with open_ledger(settings).begin() as session:
        return insert_new(session, row)

"""The stage that makes and publishes each due map: pixels and quick-look first, the STAC item last, then the row.

The item is the map's commit record and is written once. A superseded map is left as it is; the new item points back.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
from pathlib import Path
from typing import Any

import rasterio
from pydantic import BaseModel, ConfigDict

from seaice_ops.errors import CorruptProduct, ObjectMissing, PublishConflict
from seaice_ops.ledger.operations import insert_new, now
from seaice_ops.ledger.runs import recorded
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Map
from seaice_ops.mapping.due.plan import Due, method_of
from seaice_ops.mapping.due.survey import Survey, chosen_tiles, survey
from seaice_ops.mapping.product.item import MapInputs, item, software
from seaice_ops.mapping.product.layers import Strips, quicklook, statistics, write_layers
from seaice_ops.mapping.product.withdrawal import publish as publish_withdrawal
from seaice_ops.mapping.product.withdrawal import withdrawal
from seaice_ops.mapping.window.strips import kept_sums, map_strips
from seaice_ops.mapping.window.vote import LAYERS
from seaice_ops.pixels.land import land
from seaice_ops.settings import Settings
from seaice_ops.storage import keys
from seaice_ops.storage.store import ObjectStore, open_store
from seaice_ops.summary import Summary

log = logging.getLogger(__name__)

#: A map's files in the order they are written; item.json follows them.
FILES = (*(f"{layer}.tif" for layer in LAYERS), "quicklook.png")


#: GDAL's cache of raster blocks, MiB. Its default grows with the machine; strips are read and written once.
CACHE_MB = 128


class MapRequest(BaseModel):
    """Which tiles to bring up to date (default: every region's)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tiles: tuple[str, ...] | None = None


def run(settings: Settings, request: MapRequest, *, caller: str = "") -> Summary:
    """Issue every due map; `Summary.items` are the ids of the maps published by this run.

    A map that waits for an acquisition to be encoded is skipped with that reason; one whose pixels cannot be read
    or that conflicts with a published one is recorded as failed; the others go on. Raises `ExpectedSkip` where
    there is no champion yet.
    """
    with recorded(settings, "map", caller) as stage, rasterio.Env(GDAL_CACHEMAX=CACHE_MB):
        summary = stage.summary
        for tile in chosen_tiles(settings, request.tiles):
            _publish_tile(settings, survey(settings, tile), summary)
    return summary


def _publish_tile(settings: Settings, tile: Survey, summary: Summary) -> None:
    summary.skipped |= tile.skipped
    summary.unchanged["maps"] += tile.standing
    _withdraw(settings, [due for due in tile.due if not due.window], summary)
    ready = [due for due in tile.due if due.window and not _waits(tile, due, summary)]
    if not ready:
        return
    store, old = open_store(settings.store), range(0)
    mask = settings.scenes.land_mask
    ashore = land(mask, settings.home, store, tile.grid, tile.tile) if mask else None
    settings.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="map-", dir=settings.work) as folder, kept_sums(settings.work) as sums:
        kept = sums if len(ready) > 1 else None
        for due in ready:
            inputs, strips = _inputs(settings, tile, due), map_strips(store, tile, ashore, due, old, kept)
            try:
                _note(summary, inputs, *_publish_map(settings, store, inputs, strips, Path(folder)))
                old = due.window
            except (CorruptProduct, ObjectMissing, PublishConflict) as error:
                log.error("the map %s failed: %s", inputs.map_id, error)
                summary.failed[inputs.map_id] = str(error)
                old = range(0)


def _withdraw(settings: Settings, dues: list[Due], summary: Summary) -> None:
    """Issue the revisions that withdraw maps of which no acquisition is left."""
    store = open_store(settings.store)
    for due in dues:
        with open_ledger(settings).begin() as session:
            gone = withdrawal(session, due)
        row = publish_withdrawal(store, gone)
        with open_ledger(settings).begin() as session:
            new, there = insert_new(session, row), session.get(Map, row.id)
        if new:
            log.warning("the map %s is withdrawn by %s: %s", gone.last.id, row.id, gone.cause)
            summary.done["withdrawals"] += 1
            summary.items.append(row.id)
        elif not there:
            store.delete(keys.map_item(row.folder))


def _waits(tile: Survey, due: Due, summary: Summary) -> bool:
    missing = tile.missing(due)
    if missing:
        label = f"{tile.tile} {due.window_end:%Y-%m-%dT%H:%M:%SZ}"
        summary.skipped[label] = f"not yet encoded by {tile.champion.id}: {', '.join(missing)}"
    return bool(missing)


def _note(summary: Summary, inputs: MapInputs, outcome: str, size: int) -> None:
    if outcome == "new":
        summary.done["maps"] += 1
        summary.items.append(inputs.map_id)
        summary.bytes_out += size
    elif outcome == "there":
        summary.unchanged["maps"] += 1
    else:
        reason = f"another run published revision {inputs.revision} of this window first, from other inputs"
        summary.skipped[inputs.map_id] = reason


def _publish_map(
    settings: Settings, store: ObjectStore, inputs: MapInputs, strips: Strips, scratch: Path
) -> tuple[str, int]:
    """Objects, item, row; what `_commit` answers, and the bytes of all files."""
    log.info("making map %s of %d acquisitions", inputs.map_id, len(inputs.scene_ids))
    codes, counts = write_layers(scratch, inputs.grid, strips)
    (scratch / "quicklook.png").write_bytes(quicklook(codes))
    figures = statistics(counts, inputs.grid)
    files = {name: _measure(scratch / name) for name in FILES}
    record = item(inputs, figures, files)
    folder = keys.map_folder(inputs.tile, inputs.window_end, inputs.map_id)
    _write(store, folder, scratch, record)
    made_by = {"method": inputs.method, "software": software()}
    details = {**figures, **made_by, "item_sha256": hashlib.sha256(record).hexdigest()}
    outcome = _commit(settings, inputs, folder, details)
    if outcome == "taken":
        _remove(store, folder)
    return outcome, len(record) + sum(size for _, size in files.values())


def _inputs(settings: Settings, tile: Survey, due: Due) -> MapInputs:
    scenes = tile.window(due)
    rows = [tile.encoded[scene.id] for scene in scenes]
    return MapInputs(
        tile=tile.tile,
        window_start=scenes[0].sensed_at,
        window_end=due.window_end,
        n=settings.mapping.window,
        scene_ids=tuple(scene.id for scene in scenes),
        checksums=tuple(row.sha256 for row in rows),
        model_id=tile.champion.id,
        method=method_of(settings.scenes.land_mask),
        revision=due.revision,
        supersedes=due.supersedes,
        complete_at=max(row.created_at for row in rows),
        grid=tile.grid,
    )


def _measure(path: Path) -> tuple[str, int]:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest(), path.stat().st_size


def _write(store: ObjectStore, folder: str, scratch: Path, record: bytes) -> None:
    """Pixels, quick-look, then the item; a map that has its item is compared, not touched."""
    if not store.exists(keys.map_item(folder)):
        for name in FILES:
            store.put_file(f"{folder}/{name}", scratch / name)
    store.create(keys.map_item(folder), record)


def _commit(settings: Settings, inputs: MapInputs, folder: str, details: dict[str, Any]) -> str:
    """Write the row: "new"; "there", where a run at the same time wrote it; "taken", where it wrote another map."""
    row = Map(
        id=inputs.map_id,
        tile=inputs.tile,
        window_start=inputs.window_start,
        window_end=inputs.window_end,
        revision=inputs.revision,
        model_id=inputs.model_id,
        scene_ids=list(inputs.scene_ids),
        supersedes=inputs.supersedes,
        folder=folder,
        statistics=details,
        created_at=now(),
    )
    with open_ledger(settings).begin() as session:
        if insert_new(session, row):
            return "new"
        return "there" if session.get(Map, inputs.map_id) else "taken"


def _remove(store: ObjectStore, folder: str) -> None:
    for name in ("item.json", *FILES):
        store.delete(f"{folder}/{name}")

"""Makes lost objects of published maps again: the same inputs give the same bytes, and only those are written.

A map's item states the checksum of each of its files, and the ledger that of the item. A map whose inputs are no longer
those that it was made from (a scene withdrawn or published again, other labels, another version of the software) cannot
be made again; its objects are put back from a copy of the store.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import rasterio

from seaice_ops.errors import ConfigError, CorruptProduct, writing
from seaice_ops.ledger.runs import StageRun, recorded
from seaice_ops.ledger.tables import Map
from seaice_ops.mapping.due.plan import Due
from seaice_ops.mapping.due.tile_state import Rules, TileState, tile_state
from seaice_ops.mapping.product import release
from seaice_ops.mapping.publish import CACHE_MB, MAP_ERRORS, inputs_of
from seaice_ops.mapping.window.strips import map_strips
from seaice_ops.pixels.land import land
from seaice_ops.settings import Settings
from seaice_ops.storage import keys
from seaice_ops.storage.scratch import scratch_folder
from seaice_ops.summary import Summary

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AgainRequest:
    """The maps, by id, of which objects are missing or damaged."""

    map_ids: tuple[str, ...]


def run(settings: Settings, request: AgainRequest, *, caller: str = "") -> Summary:
    """Make each map again and write those of its objects that are not what was written.

    A map that does not come out the same is `failed` with the reason, and nothing of it is written. Raises
    `ConfigError` for a map that the ledger does not know, or that withdraws another.
    """
    rules = Rules.of(settings)
    with recorded(settings, "publish", caller) as stage, rasterio.Env(GDAL_CACHEMAX=CACHE_MB):
        rows = [_row(stage, map_id) for map_id in request.map_ids]
        with writing(stage.work):
            stage.work.mkdir(parents=True, exist_ok=True)
        with scratch_folder(stage.work, "map-") as folder:
            for row in rows:
                try:
                    written = _again(settings, stage, row, rules, folder)
                except MAP_ERRORS as error:
                    log.error("the map %s cannot be made again: %s", row.id, error)
                    stage.summary.failed[row.id] = str(error)
                    continue
                stage.summary.done["objects"] += written
                stage.summary.unchanged["maps"] += not written
        return stage.summary


def _row(stage: StageRun, map_id: str) -> Map:
    with stage.ledger.begin() as session:
        row = session.get(Map, map_id)
    if row is None:
        raise ConfigError(f"the ledger knows no map {map_id}; `seaice account` names those whose objects are lost")
    if not row.scene_ids:
        raise ConfigError(f"{map_id} withdraws a map and holds no pixels; put its item back from a copy of the store")
    return row


def _again(settings: Settings, stage: StageRun, row: Map, rules: Rules, folder: Path) -> int:
    """The number of objects written. Raises `CorruptProduct` where the map does not come out the same."""
    state = tile_state(stage.ledger, row.tile, rules)
    due = _due(row, state)
    inputs = inputs_of(state, due, rules)
    if inputs.map_id != row.id:
        raise CorruptProduct(_other("labels, probabilities or a version of the software are other ones now"))
    mask = settings.scenes.land_mask
    ashore = partial(land, mask, settings.home, stage.store)(state.grid, state.tile) if mask else None
    product = release.make(folder, inputs, map_strips(stage.store, state, ashore, due, range(0), None))
    if hashlib.sha256(product.item).hexdigest() != row.statistics.get("item_sha256"):
        raise CorruptProduct(_other("it came out with other bytes"))
    return _write(stage, row, product)


def _due(row: Map, state: TileState) -> Due:
    ids = [scene.id for scene in state.scenes]
    first = ids.index(row.scene_ids[0]) if row.scene_ids[0] in ids else 0
    window = range(first, first + len(row.scene_ids))
    due = Due(row.window_end, window, row.revision, row.supersedes)
    if ids[first : window.stop] != row.scene_ids or state.missing(due):
        raise CorruptProduct(_other("its acquisitions are not all ready and labelled or encoded any more"))
    return due


def _write(stage: StageRun, row: Map, product: release.Product) -> int:
    """Write the objects that differ, the item last."""
    store, written = stage.store, 0
    for name in release.FILES:
        path, key = product.folder / name, f"{row.folder}/{name}"
        if _sha256_in_store(stage, key) != hashlib.sha256(path.read_bytes()).hexdigest():
            store.put_file(key, path)
            written += 1
    key = keys.map_item(row.folder)
    if _sha256_in_store(stage, key) != hashlib.sha256(product.item).hexdigest():
        store.put(key, product.item)
        written += 1
    return written


def _sha256_in_store(stage: StageRun, key: str) -> str | None:
    if not stage.store.exists(key):
        return None
    with stage.store.as_file(key) as (_, digest):
        return digest


def _other(why: str) -> str:
    return f"it cannot be made again: {why}; put its objects back from a copy of the store"

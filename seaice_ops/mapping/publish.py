"""The publish stage: makes each due map and writes its layers and quick-look, then its STAC item, then its row.

The item is the map's commit record and is written once. A superseded map is not changed; the new item links to it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

import rasterio
from pydantic import BaseModel, ConfigDict

from seaice_ops.errors import CorruptProduct, ExpectedSkip, ObjectMissing, PublishConflict, writing
from seaice_ops.ledger.runs import StageRun, recorded
from seaice_ops.mapping.due.decided import until
from seaice_ops.mapping.due.plan import Due
from seaice_ops.mapping.due.tile_state import Rules, TileState, chosen_tiles, tile_state
from seaice_ops.mapping.product import release, withdrawal
from seaice_ops.mapping.product.item import MapInputs
from seaice_ops.mapping.product.unrecorded import row_of, unrecorded
from seaice_ops.mapping.window.strips import kept_sums, map_strips
from seaice_ops.pixels.coastline import Mask
from seaice_ops.pixels.land import land
from seaice_ops.settings import Settings
from seaice_ops.storage.rasters import Grid
from seaice_ops.storage.scratch import scratch_folder
from seaice_ops.summary import Summary

log = logging.getLogger(__name__)

#: GDAL's cache of raster blocks, MiB. Its default grows with the machine; strips are read and written once.
CACHE_MB = 128

#: Errors of one map, which do not stop the others.
MAP_ERRORS = (CorruptProduct, ObjectMissing, PublishConflict)

Land = Callable[[Grid, str], Mask]


class PublishRequest(BaseModel):
    """A request to bring the maps of `tiles` up to date (default: of every region's tiles)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tiles: tuple[str, ...] | None = None


def run(settings: Settings, request: PublishRequest, *, caller: str = "") -> Summary:
    """Publish every due map; `Summary.items` are the ids of the maps published by this run.

    A map that waits for an acquisition to be labelled or encoded is skipped with that reason. A map whose pixels cannot
    be read, or that conflicts with a published one, is recorded as failed. The others go on.
    """
    rules = Rules.of(settings)
    with recorded(settings, "publish", caller) as stage, rasterio.Env(GDAL_CACHEMAX=CACHE_MB):
        mask, home = settings.scenes.land_mask, settings.home
        on_land = partial(land, mask, home, stage.store) if mask else None
        with writing(stage.work):
            stage.work.mkdir(parents=True, exist_ok=True)
        with scratch_folder(stage.work, "map-") as folder:
            for tile in chosen_tiles(settings.tiles, request.tiles):
                look = partial(tile_state, stage.ledger, tile, rules)
                state = look()
                if _record_strays(stage, state, _ready(state, rules)):
                    state = look()
                _publish_tile(stage, state, rules, on_land, folder)
    return stage.summary


def _publish_tile(stage: StageRun, state: TileState, rules: Rules, on_land: Land | None, folder: Path) -> None:
    summary = stage.summary
    summary.skipped |= state.skipped
    summary.unchanged["maps"] += state.standing
    for due in state.due:
        _withdraw(stage, due) if not due.window else _note_waiting(state, due, summary)
    ready, old = _ready(state, rules), range(0)
    if not ready:
        return
    ashore = on_land(state.grid, state.tile) if on_land else None
    with kept_sums(folder) as sums:
        kept = sums if len(ready) > 1 else None
        for due, inputs in ready:
            try:
                product = release.make(folder, inputs, map_strips(stage.store, state, ashore, due, old, kept))
                _note(summary, product, release.publish(stage.ledger, stage.store, product))
                old = due.window
            except MAP_ERRORS as error:
                log.error("the map %s failed: %s", inputs.map_id, error)
                summary.failed[inputs.map_id] = str(error)
                old = range(0)


def _record_strays(stage: StageRun, state: TileState, ready: list[tuple[Due, MapInputs]]) -> bool:
    """Insert the row of each map of the tile that has an item but no row; True if there were any.

    Maps in `ready` are left out, because this run makes them.
    """
    found, foreign = False, []
    for folder in unrecorded(stage.ledger, stage.store, state.tile, {inputs.map_id for _, inputs in ready}):
        try:
            row = row_of(stage.ledger, stage.store, folder)
            new = release.record(stage.ledger, stage.store, row) == release.NEW
        except ExpectedSkip as reason:
            foreign.append(str(reason))
            continue
        except MAP_ERRORS as error:
            stage.summary.failed[folder.rpartition("/")[2]] = str(error)
            continue
        log.warning(
            "%s had an item but no row: %s", row.id, "recorded" if new else "removed, another run has its place"
        )
        stage.summary.done["withdrawals" if not row.scene_ids else "maps"] += new
        stage.summary.items += [row.id] * new
        found |= new
    if foreign:
        more = f" (and {len(foreign) - 1} other maps of its tile)" if len(foreign) > 1 else ""
        stage.summary.skipped[f"{state.tile} in the store"] = foreign[0] + more
    return found


def _ready(state: TileState, rules: Rules) -> list[tuple[Due, MapInputs]]:
    """The due maps whose acquisitions are all labelled or encoded."""
    return [(due, inputs_of(state, due, rules)) for due in state.due if due.window and not state.missing(due)]


def _withdraw(stage: StageRun, due: Due) -> None:
    """Publish the revision that withdraws a map without any remaining acquisition."""
    summary = stage.summary
    try:
        with stage.ledger.begin() as session:
            gone = withdrawal.withdrawal(session, due)
        row = withdrawal.write(stage.store, gone)
        outcome = release.record(stage.ledger, stage.store, row)
    except MAP_ERRORS as error:
        log.error("the map %s cannot be withdrawn: %s", due.supersedes, error)
        summary.failed[str(due.supersedes)] = f"it cannot be withdrawn: {error}"
        return
    if outcome == release.NEW:
        log.warning("the map %s is withdrawn by %s: %s", gone.last.id, row.id, gone.cause)
        summary.done["withdrawals"] += 1
        summary.items.append(row.id)


def _note_waiting(state: TileState, due: Due, summary: Summary) -> None:
    if missing := state.missing(due):
        label = f"{state.tile} {due.window_end:%Y-%m-%dT%H:%M:%SZ}"
        waits = f"not yet encoded by {state.source.model}" if state.source.model else "not yet labelled"
        summary.skipped[label] = f"{waits}: {', '.join(missing)}"


def _note(summary: Summary, product: release.Product, outcome: str) -> None:
    row = product.row
    if outcome == release.NEW:
        summary.done["maps"] += 1
        summary.items.append(row.id)
        summary.bytes_out += product.bytes
    elif outcome == release.THERE:
        summary.unchanged["maps"] += 1
    else:
        reason = f"another run published revision {row.revision} of this window first, from other inputs"
        summary.skipped[row.id] = reason


def inputs_of(state: TileState, due: Due, rules: Rules) -> MapInputs:
    """All that decides the bytes of a due map, whose acquisitions are all labelled or encoded."""
    scenes = state.window(due)
    rows = [state.evidence[scene.id] for scene in scenes]
    return MapInputs(
        tile=state.tile,
        window_start=scenes[0].sensed_at,
        window_end=due.window_end,
        n=rules.n,
        scene_ids=tuple(scene.id for scene in scenes),
        contents=tuple(scene.sha256 or "" for scene in scenes),
        checksums=tuple(row.sha256 for row in rows),
        source=state.source.id,
        method=rules.method,
        revision=due.revision,
        supersedes=due.supersedes,
        complete_at=max(row.created_at for row in rows),
        grid=state.grid,
        changes=tuple(each.mark for each in until(state.decisions, due.window_end)),
    )

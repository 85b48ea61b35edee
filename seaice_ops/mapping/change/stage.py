"""The stage that finds dated changes in each tile's sequence of maps and keeps them in the ledger for people to decide.

Objects first, then rows. Nothing that a person has decided is touched.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import datetime
from typing import Any

import numpy as np
import rasterio
from pydantic import BaseModel, ConfigDict
from sqlalchemy.orm import Session

from seaice_ops.errors import CorruptProduct, ObjectMissing, TransientError
from seaice_ops.ledger.changes import CONFIRMED, DECIDED, GONE, PROVISIONAL, add_change, changes_of, move_change
from seaice_ops.ledger.operations import now
from seaice_ops.ledger.runs import StageRun, recorded
from seaice_ops.ledger.tables import Change, ChangeState
from seaice_ops.mapping.change.components import Component
from seaice_ops.mapping.change.find import MAPS, Told, enough, find, told
from seaice_ops.mapping.change.match import Known, Settled, settle
from seaice_ops.mapping.change.objects import PIXELS, Drawer, content_of
from seaice_ops.mapping.due.tile_state import Rules, TileState, chosen_tiles, tile_state
from seaice_ops.settings import Settings
from seaice_ops.storage import keys
from seaice_ops.storage.store import ObjectStore
from seaice_ops.storage.verified import read_mask
from seaice_ops.summary import Summary

log = logging.getLogger(__name__)

#: GDAL's cache of raster blocks, MiB: every block is read once.
CACHE_MB = 64

#: Attempts to write what was found while others change the same tile's rows.
ATTEMPTS = 5


class FindRequest(BaseModel):
    """A request to find the changes of `tiles` (default: of every region's tiles).

    Only changes dated in [`start`, `end`) are kept; the whole sequences are analysed anyway.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tiles: tuple[str, ...] | None = None
    start: datetime | None = None
    end: datetime | None = None

    def holds(self, at: datetime) -> bool:
        """Whether a change of that date is asked for."""
        return (self.start is None or at >= self.start) and (self.end is None or at < self.end)


def run(settings: Settings, request: FindRequest, *, caller: str = "") -> Summary:
    """Find changes; `Summary.items` are the ids of those that are new.

    A tile with too few acquisitions is skipped with that reason; one whose evidence cannot be read is recorded as
    failed. The others go on.
    """
    rules = Rules.of(settings)
    with recorded(settings, "changes", caller) as stage, rasterio.Env(GDAL_CACHEMAX=CACHE_MB):
        for tile in chosen_tiles(settings.tiles, request.tiles):
            state = tile_state(stage.ledger, tile, rules)
            known = told(state)
            if not enough(known, rules.n):
                stage.summary.skipped[tile] = _few(known, rules.n)
                continue
            try:
                found = find(stage.store, state, known, rules.n)
                _keep(stage, state, known, found, request, settings.scenes.ceiling)
            except (CorruptProduct, ObjectMissing) as error:
                log.error("the changes of %s cannot be found: %s", tile, error)
                stage.summary.failed[tile] = str(error)
    return stage.summary


def _few(known: Told, window: int) -> str:
    return (
        f"insufficient: {len(known.times)} acquisitions with evidence; dated changes need {window + MAPS - 1} "
        "without a gap of more than three weeks"
    )


def _keep(
    stage: StageRun, tile: TileState, known: Told, found: list[Component], request: FindRequest, ceiling: float
) -> None:
    """Bring the tile's rows up to date with what was found."""
    with ExitStack() as stack:
        drawer = Drawer(stack, stage.store, tile, known, ceiling)
        drawn: dict[str, dict[str, Any]] = {}
        for _ in range(ATTEMPTS):
            with stage.ledger.begin() as session:
                rows = {row.id: row for row in changes_of(session, [tile.tile])}
            here = {name: row for name, row in rows.items() if _grid_of(row) == (tile.grid.crs, tile.grid.transform)}
            settled = settle(found, _known(stage.store, here, tile.grid.width), tile.grid.width)
            settled = _asked_for(settled, rows, rows.keys() - here.keys(), request)
            for each in (*settled.new, *(each for _, each in settled.again)):
                content = content_of(each, tile.tile, tile.grid)
                if content not in drawn and content not in {row.content for row in rows.values()}:
                    drawn[content] = drawer.write(each, content)
            with stage.ledger.alone() as session:
                now_there = {row.id: row.moves for row in changes_of(session, [tile.tile])}
                if now_there != {name: row.moves for name, row in rows.items()}:
                    continue
                if not all(stage.store.exists(keys.change_pixels(about["folder"])) for about in drawn.values()):
                    drawn.clear()  # another run has swept them: no row named them yet
                    continue
                _write(session, stage, tile, rows, settled, drawn)
            _sweep(stage, tile.tile)
            return
    raise TransientError(f"other runs keep changing the changes of {tile.tile}; try again later")


def _asked_for(settled: Settled, rows: dict[str, Change], elsewhere: Iterable[str], request: FindRequest) -> Settled:
    """Only what is dated in the request's period; open changes on a grid that the tile has no more are gone."""
    lost = [name for name in sorted(elsewhere) if rows[name].state not in DECIDED]
    return Settled(
        tuple(each for each in settled.new if request.holds(each.date())),
        tuple((name, each) for name, each in settled.again if request.holds(each.date())),
        settled.decided,
        tuple(name for name in (*settled.gone, *lost) if request.holds(rows[name].at)),
    )


def _known(store: ObjectStore, rows: dict[str, Change], width: int) -> list[Known]:
    known = []
    for row in rows.values():
        y, x = np.nonzero(read_mask(store, keys.change_pixels(row.folder), row.pixels_sha256))
        places = np.sort((y + row.top).astype(np.int64) * width + x + row.left)
        decided = row.state in DECIDED
        known.append(Known(row.id, decided, row.before_class, row.after_class, row.since, row.last_at, places))
    return known


def _write(
    session: Session,
    stage: StageRun,
    tile: TileState,
    rows: dict[str, Change],
    settled: Settled,
    drawn: dict[str, dict[str, Any]],
) -> None:
    """Write the rows."""
    summary, caller = stage.summary, stage.caller
    for each in settled.new:
        content = content_of(each, tile.tile, tile.grid)
        about = drawn.get(content) or _as_before(rows, content)
        row = Change(id=_name(tile.tile, each, content), tile=tile.tile, state=_state(each), **about)
        row.found_at = row.updated_at = now()
        if add_change(session, row, caller=caller):
            summary.done["changes"] += 1
            summary.items.append(row.id)
    for name, each in settled.again:
        row, content = rows[name], content_of(each, tile.tile, tile.grid)
        if row.content == content and row.state is not GONE:
            summary.unchanged["changes"] += 1
            continue
        about = drawn.get(content) or _as_before(rows, content)
        if move_change(session, row, _state(each), caller=caller, **about):
            summary.done["changed"] += 1
    for name in settled.gone:
        if rows[name].state is not GONE and move_change(session, rows[name], GONE, caller=caller):
            summary.done["gone"] += 1
    summary.unchanged["decided"] += len(settled.decided)


def _sweep(stage: StageRun, tile: str) -> None:
    """Delete the objects of findings that no row names (any more), their pixels first.

    No other run writes rows meanwhile, and each looks, before it writes one, whether its objects are still there.
    """
    with stage.ledger.alone() as session:
        named = {row.folder for row in changes_of(session, [tile])}
        lost = [key for key in stage.store.list(keys.changes(tile)) if key.rpartition("/")[0] not in named]
        for key in sorted(lost, key=lambda each: (not each.endswith(f"/{PIXELS}"), each)):
            stage.store.delete(key)


def _as_before(rows: dict[str, Change], content: str) -> dict[str, Any]:
    """The columns that describe the objects of a change that was drawn by an earlier run."""
    row = next(each for each in rows.values() if each.content == content)
    names = (
        "before_class", "after_class", "at", "since", "first_at", "last_at", "confidence", "pixels", "area_km2",
        "crs", "transform", "top", "left", "height", "width", "box", "content", "folder", "pixels_sha256", "scene_ids",
    )  # fmt: skip
    return {name: getattr(row, name) for name in names}


def _state(each: Component) -> ChangeState:
    return CONFIRMED if each.confirmed else PROVISIONAL


def _name(tile: str, each: Component, content: str) -> str:
    return f"{tile}_{each.date():%Y%m%d}_{each.before}{each.after}_{content[:8]}"


def _grid_of(row: Change) -> tuple[str, tuple[float, ...]]:
    return row.crs, tuple(row.transform)

"""The drift stage: vectors of ice motion between each labelled acquisition of a tile and the one before it."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

import numpy as np
from pydantic import BaseModel, ConfigDict
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from seaice_ops.classes.legend import CLASSES
from seaice_ops.errors import CorruptProduct, ObjectMissing, UnknownSensor
from seaice_ops.ledger.operations import labels_in_force, now, ready_scenes
from seaice_ops.ledger.runs import StageRun, recorded
from seaice_ops.ledger.tables import Drift, LabelSet, Scene
from seaice_ops.mapping.drift import product
from seaice_ops.mapping.drift.track import Image, relief, track
from seaice_ops.mapping.due.plan import one_grid
from seaice_ops.mapping.due.tile_state import Rules, chosen_tiles
from seaice_ops.pixels.imagery import colours_of, read_bands
from seaice_ops.pixels.mending import open_labels, scene_fetched_again
from seaice_ops.settings import Settings
from seaice_ops.storage import keys
from seaice_ops.storage.rasters import Grid, png_bytes
from seaice_ops.summary import Summary
from seaice_ops.versions import DRIFT

log = logging.getLogger(__name__)

#: Pairs that are tracked: the same ice is in both images and looks alike.
SHORTEST, LONGEST = timedelta(minutes=30), timedelta(hours=60)

#: Ice does not move faster, m/s: free drift in a gale.
FASTEST = 0.7


class DriftRequest(BaseModel):
    """A request to bring the drift of `tiles` up to date (default: of every region's tiles)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tiles: tuple[str, ...] | None = None


@dataclass(frozen=True)
class _Seen:
    """A ready scene with its labels."""

    scene: Scene
    labels: LabelSet


def run(settings: Settings, request: DriftRequest, *, caller: str = "") -> Summary:
    """Track each pair that has no vectors of its present pixels; `Summary.items` are the keys of the new tables.

    A pair is two neighbouring acquisitions of a tile, both labelled, 30 minutes to 60 hours apart. Rows of pairs that
    are no more (an acquisition was withdrawn, or one came between) are removed. A pair whose rasters cannot be read is
    recorded as failed, and the others go on.
    """
    rules = Rules.of(settings)
    with recorded(settings, "drift", caller) as stage:
        for tile in chosen_tiles(settings.tiles, request.tiles):
            with stage.ledger.begin() as session:
                pairs, known = _pairs(session, tile, rules), _known(session, tile)
                gone = known.keys() - pairs.keys()
                _forget(session, gone)
            stage.summary.done["drifts withdrawn"] += len(gone)
            for ids, (before, after) in pairs.items():
                _bring_up_to_date(stage, tile, before, after, known.get(ids))
    return stage.summary


def _bring_up_to_date(stage: StageRun, tile: str, before: _Seen, after: _Seen, row: Drift | None) -> None:
    inputs = _inputs(before, after)
    if row is not None and row.inputs == inputs:
        stage.summary.unchanged["drifts"] += 1
        return
    pair = product.Pair(tile, before.scene.id, after.scene.id, before.scene.sensed_at, after.scene.sensed_at)
    try:
        made = _track(stage, pair, before, after, inputs)
    except UnknownSensor as error:
        stage.summary.skipped[f"{pair.before} to {pair.after}"] = str(error)
        return
    except (CorruptProduct, ObjectMissing) as error:
        log.error("the drift from %s to %s failed: %s", pair.before, pair.after, error)
        stage.summary.failed[f"{pair.before} to {pair.after}"] = str(error)
        return
    with stage.ledger.begin() as session:
        session.merge(made)
    stage.summary.done["drifts"] += 1
    stage.summary.items.append(made.key)


def _track(stage: StageRun, pair: product.Pair, before: _Seen, after: _Seen, inputs: str) -> Drift:
    """Track one pair and store its table and picture; the row that tells of them."""
    first, grid = _image(stage, before)
    second, other = _image(stage, after)
    if other != grid:
        raise CorruptProduct(f"{pair.before} and {pair.after} lie on different grids")
    drift = track(first, second, FASTEST * pair.seconds / grid.pixel_size)
    moved = product.motion(drift, grid, pair.seconds)
    said = product.sentence(pair, moved)
    key = keys.drift(pair.tile, pair.begins, pair.ends, inputs)
    data = product.parquet_bytes(drift, moved, grid, pair, DRIFT)
    stage.store.put(keys.drift_picture(key), png_bytes(product.picture(first, drift, said)))
    stage.store.put(key, data)
    stage.summary.bytes_out += len(data)
    log.info("%s", said)
    return Drift(
        before_id=pair.before,
        after_id=pair.after,
        tile=pair.tile,
        inputs=inputs,
        key=key,
        sha256=hashlib.sha256(data).hexdigest(),
        vectors=len(moved.speed),
        median_speed=float(np.median(moved.speed)) if len(moved.speed) else None,
        created_at=now(),
    )


def _image(stage: StageRun, seen: _Seen) -> tuple[Image, Grid]:
    """The relief of a scene's red band where its labels name a class, and its grid."""
    with scene_fetched_again(stage.ledger, seen.scene, stage.caller):
        values, valid, grid = read_bands(stage.store, seen.scene, colours_of(seen.scene)[:1])
    with open_labels(stage.ledger, stage.store, seen.labels) as dataset:
        valid &= np.isin(dataset.read(1), CLASSES)
    return relief(values[0], valid), grid


def _pairs(session: Session, tile: str, rules: Rules) -> dict[tuple[str, str], tuple[_Seen, _Seen]]:
    """The pairs of a tile by the ids of their scenes, oldest first."""
    scenes, _ = one_grid(ready_scenes(session, [tile]))
    query = labels_in_force(rules.labels.method, rules.labels.version).where(Scene.tile == tile)
    labelled = {row.scene_id: row for row in session.scalars(query)}
    seen = [_Seen(scene, labelled[scene.id]) for scene in scenes if scene.id in labelled]
    return {
        (a.scene.id, b.scene.id): (a, b)
        for a, b in pairwise(seen)
        if SHORTEST <= b.scene.sensed_at - a.scene.sensed_at <= LONGEST
    }


def _known(session: Session, tile: str) -> dict[tuple[str, str], Drift]:
    rows = session.scalars(select(Drift).where(Drift.tile == tile))
    return {(row.before_id, row.after_id): row for row in rows}


def _forget(session: Session, gone: set[tuple[str, str]]) -> None:
    for before, after in sorted(gone):
        session.execute(delete(Drift).where(Drift.before_id == before, Drift.after_id == after))


def _inputs(before: _Seen, after: _Seen) -> str:
    """SHA-256 of all that a pair's vectors come from."""
    parts = [DRIFT] + [f"{seen.scene.sha256} {seen.labels.sha256}" for seen in (before, after)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()

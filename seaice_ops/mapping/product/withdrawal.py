"""A map of which no acquisition is left: its next revision says that it is withdrawn, and why, and holds no pixels.

Like every revision it is an item written once, then a row. The item of the revision before stays as it is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from seaice_ops.errors import CorruptProduct, ObjectMissing
from seaice_ops.ledger.operations import now
from seaice_ops.ledger.tables import Map, Scene, SceneState
from seaice_ops.mapping.due.plan import Due
from seaice_ops.mapping.product.item import encoded_json, software, version_links
from seaice_ops.storage import keys
from seaice_ops.storage.store import ObjectStore
from seaice_ops.versions import MAPS

#: Properties taken over from the revision before: they describe place and time, not the ice.
_KEPT = ("title", "datetime", "end_datetime", "gsd", "grid:code", "created", "seaice:tile", "seaice:window_end")


@dataclass(frozen=True)
class Withdrawal:
    """The revision that withdraws `last`, for `cause`."""

    last: Map
    revision: int
    cause: str

    @property
    def map_id(self) -> str:
        """Like every map's id: ``{tile}_{window end}_r{revision}_{hash of what decides the bytes}``."""
        decisive = json.dumps([self.last.id, self.cause, software()], sort_keys=True)
        digest = hashlib.sha256(decisive.encode()).hexdigest()[:8]
        return f"{self.last.tile}_{self.last.window_end:%Y%m%dT%H%M%S}_r{self.revision}_{digest}"


def withdrawal(session: Session, due: Due) -> Withdrawal:
    """The revision that withdraws the map that `due`, whose window is empty, supersedes."""
    last = session.get_one(Map, due.supersedes)
    return Withdrawal(last, due.revision, _cause(session, last))


def write(store: ObjectStore, gone: Withdrawal) -> Map:
    """Write the item and return the row that is to follow it.

    Raises `ObjectMissing` or `CorruptProduct` where the item of the revision before cannot be read, and
    `PublishConflict`.
    """
    folder = keys.map_folder(gone.last.tile, gone.last.window_end, gone.map_id)
    before = keys.map_item(gone.last.folder)
    try:
        record = item(gone, json.loads(store.get(before)))
    except ObjectMissing:  # a KeyError too, but with words of its own
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptProduct(f"{before} is damaged ({error!r}); put it back from a copy of the store") from error
    store.create(keys.map_item(folder), record)
    details = {"method": MAPS, "software": software(), "withdrawn": gone.cause}
    return Map(
        id=gone.map_id,
        tile=gone.last.tile,
        window_start=gone.last.window_end,
        window_end=gone.last.window_end,
        revision=gone.revision,
        source=gone.last.source,
        scene_ids=[],
        scene_contents=[],
        supersedes=gone.last.id,
        folder=folder,
        statistics={**details, "item_sha256": hashlib.sha256(record).hexdigest()},
        created_at=now(),
    )


def item(gone: Withdrawal, last: Mapping[str, Any]) -> bytes:
    """The STAC item as JSON: at the place and time of `last`, deprecated, without assets."""
    known = last["properties"]
    projection = {name: value for name, value in known.items() if name.startswith("proj:")}
    properties = {name: known[name] for name in _KEPT} | projection
    return encoded_json(
        {
            **{name: last[name] for name in ("type", "stac_version", "stac_extensions", "geometry", "bbox")},
            "id": gone.map_id,
            "properties": {
                **properties,
                "description": f"Withdrawn: {gone.cause}",
                "start_datetime": known["end_datetime"],
                "version": str(gone.revision),
                "deprecated": True,
                "processing:software": software(),
                "seaice:window_start": known["seaice:window_end"],
                "seaice:scene_count": 0,
                "seaice:scene_ids": [],
                "seaice:revision": gone.revision,
                "seaice:supersedes": gone.last.id,
                "seaice:withdrawn": gone.cause,
            },
            "links": version_links(gone.last.id, gone.revision),
            "assets": {},
        }
    )


def _cause(session: Session, last: Map) -> str:
    """The fate of each acquisition of the map, in words."""
    rows = session.scalars(select(Scene).where(Scene.id.in_(last.scene_ids)).order_by(Scene.sensed_at, Scene.id))
    return "; ".join(map(_fate, rows)) or "none of its acquisitions is left"


def _fate(scene: Scene) -> str:
    if scene.state is SceneState.READY:
        return f"{scene.id} is not on its tile's grid, or lacks a band that the champion sees"
    if scene.state is SceneState.SUPERSEDED:
        return f"{scene.id} was superseded by {scene.superseded_by}, which is not ready"
    return f"{scene.id} {'was' if scene.state is SceneState.WITHDRAWN else 'is'} {scene.state}: {scene.reason}"

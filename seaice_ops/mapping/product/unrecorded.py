"""Maps with an item in the store but no row in the ledger, because a run was killed between the two.

Readers of the store see such a map. Its row is therefore inserted, so that the next revision can supersede or withdraw
it. If the ledger has given its revision to another map, it is removed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from seaice_ops.errors import CorruptProduct, ExpectedSkip
from seaice_ops.ledger.operations import now
from seaice_ops.ledger.session import Ledger
from seaice_ops.ledger.tables import Map, Model, Scene, SceneState
from seaice_ops.mapping.product.layers import FIGURES
from seaice_ops.storage import keys
from seaice_ops.storage.store import ObjectStore
from seaice_ops.versions import MAPS


def unrecorded(ledger: Ledger, store: ObjectStore, tile: str, expected: Collection[str]) -> list[str]:
    """The folders of maps of `tile` whose ids are neither in the ledger nor `expected`, sorted."""
    with ledger.begin() as session:
        known = {*session.scalars(select(Map.id).where(Map.tile == tile)), *expected}
    items = [key for key in store.list(keys.maps(tile)) if key.endswith("/item.json")]
    return [folder for key in items if (folder := key.rpartition("/")[0]).rpartition("/")[2] not in known]


def row_of(ledger: Ledger, store: ObjectStore, folder: str) -> Map:
    """The row of the map in `folder`, from its item; the pixels that it was made from stay unknown.

    Raises `CorruptProduct` for an item that cannot be read, and `ExpectedSkip` where the ledger does not know the
    map's model or not all of its scenes: another ledger made it.
    """
    data = store.get(keys.map_item(folder))
    try:
        item = json.loads(data)
        known = {name.removeprefix("seaice:"): value for name, value in item["properties"].items()}
        with ledger.begin() as session:
            row = _row(session, folder, str(item["id"]), known)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptProduct(f"{folder}/item.json is damaged ({error!r}); remove the folder {folder}") from error
    row.statistics["item_sha256"] = hashlib.sha256(data).hexdigest()
    return row


def _row(session: Session, folder: str, map_id: str, known: Mapping[str, Any]) -> Map:
    ids, supersedes = [str(scene) for scene in known["scene_ids"]], known["supersedes"]
    before = session.get(Map, supersedes) if supersedes else None
    source = str(known["source"]) if ids else before.source if before else ""
    told = session.get(Model, source) or source.startswith("labels:")
    if not told or not _settled(session, ids):
        raise ExpectedSkip(f"{map_id} is in the store and not in this ledger, which does not know all that made it")
    figures = {name: known[name] for name in FIGURES if name in known}
    made_by = {"method": known.get("method", MAPS), "software": known["processing:software"]}
    made_by |= {"changes": known["changes"]} if "changes" in known else {}
    withdrawn = {"withdrawn": known["withdrawn"]} if "withdrawn" in known else {}
    return Map(
        id=map_id,
        tile=str(known["tile"]),
        window_start=datetime.fromisoformat(known["window_start"]),
        window_end=datetime.fromisoformat(known["window_end"]),
        revision=int(known["revision"]),
        source=source,
        scene_ids=ids,
        scene_contents=[],
        supersedes=supersedes,
        folder=folder,
        statistics={**figures, **made_by, **withdrawn},
        created_at=now(),
    )


def _settled(session: Session, scene_ids: list[str]) -> bool:
    """True if the ledger knows all these scenes, and none of them is on its way to be ready."""
    coming = (SceneState.DISCOVERED, SceneState.FETCHED)
    query = select(func.count()).where(Scene.id.in_(scene_ids), Scene.state.not_in(coming))
    return session.scalar(query) == len(scene_ids)

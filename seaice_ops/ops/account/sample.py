"""The sample of published maps whose objects are read and compared by size and checksum, all of them within 30 days.

Which maps are due on a day follows from their ids and the date alone, so that a repeated account reads the same ones.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from seaice_ops.errors import ConfigError, ObjectMissing
from seaice_ops.ledger.scenes import chunks
from seaice_ops.ledger.tables import Map
from seaice_ops.storage import keys
from seaice_ops.storage.store import ObjectStore

#: Every map is compared once in so many days.
PERIOD = 30

#: How a SHA-256 multihash begins.
_SHA256 = "1220"


def is_due(map_id: str, day: date) -> bool:
    """True on one day of any `PERIOD` days in a row."""
    digest = hashlib.sha256(map_id.encode()).digest()
    return (int.from_bytes(digest[:8], "big") - day.toordinal()) % PERIOD == 0


def due_maps(session: Session, tiles: Sequence[str], day: date) -> list[tuple[str, str | None]]:
    """The folder, and the SHA-256 of the item, of each map of `tiles`, of any revision, that is due on `day`."""
    found: list[tuple[str, str | None]] = []
    due = [
        map_id
        for some in chunks(tiles)
        for map_id in session.scalars(select(Map.id).where(Map.tile.in_(some)))
        if is_due(map_id, day)
    ]
    for some in chunks(sorted(due)):
        query = select(Map.folder, Map.statistics["item_sha256"].as_string()).where(Map.id.in_(some))
        found += [(folder, sha256) for folder, sha256 in session.execute(query)]
    return sorted(found)


def compare(store: ObjectStore, folder: str, sha256: str | None) -> Iterator[tuple[str, str]]:
    """Each object of a map, and what is wrong with it: nothing where it is what was written.

    The item must have its SHA-256 in the ledger; the others must have the size and checksum that the item states.
    """
    key = keys.map_item(folder)
    try:
        data = store.get(key)
    except ObjectMissing:
        yield key, "it is missing"
        return
    except ConfigError as error:  # access to this one is denied
        yield key, str(error)
        return
    found = hashlib.sha256(data).hexdigest()
    if sha256 and found != sha256:
        yield key, f"its SHA-256 is {found[:12]}..., in place of {sha256[:12]}..."
        return
    yield key, ""
    try:
        assets = [(str(asset["href"]), asset) for asset in json.loads(data).get("assets", {}).values()]
    except (ValueError, AttributeError, KeyError, TypeError):
        yield key, "it is no STAC item"
        return
    for href, asset in assets:
        name = f"{folder}/{href.removeprefix('./')}"
        yield name, _differs(store, name, asset)


def _differs(store: ObjectStore, key: str, asset: dict[str, Any]) -> str:
    try:
        with store.as_file(key) as (path, found):
            size = path.stat().st_size
    except ObjectMissing:
        return "it is missing"
    except ConfigError as error:
        return str(error)
    if asset.get("file:size") not in (None, size):
        return f"it has {size} bytes in place of {asset['file:size']}"
    told = str(asset.get("file:checksum", ""))
    if told.startswith(_SHA256) and told != _SHA256 + found:
        return f"its SHA-256 is {found[:12]}..., in place of {told[4:16]}..."
    return ""

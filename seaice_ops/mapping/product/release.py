"""One map from its pixels to its row: local files, then objects, then the item that commits it, then the row."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seaice_ops.ledger.operations import insert_new, now
from seaice_ops.ledger.session import Ledger
from seaice_ops.ledger.tables import Map
from seaice_ops.mapping.product.item import MapInputs, item, software
from seaice_ops.mapping.product.layers import Strips, quicklook, statistics, write_layers
from seaice_ops.mapping.window.strips import LAYERS
from seaice_ops.storage import keys
from seaice_ops.storage.store import ObjectStore

log = logging.getLogger(__name__)

#: A map's files in the order they are written; item.json follows them.
FILES = (*(f"{layer}.tif" for layer in LAYERS), "quicklook.png")

#: Answers of `record`: the row is new; another run wrote the same map; another run gave this revision to another map.
NEW, THERE, TAKEN = "new", "there", "taken"


@dataclass(frozen=True)
class Product:
    """A map that is made and not yet published: its files in `folder`, its STAC item, its row."""

    folder: Path
    item: bytes
    row: Map
    bytes: int


def make(folder: Path, inputs: MapInputs, strips: Strips) -> Product:
    """Write a map's files into `folder`, over those of the map before.

    Raises what reading `strips` raises: `ObjectMissing`, `ObjectDamaged`.
    """
    log.info("making map %s of %d acquisitions", inputs.map_id, len(inputs.scene_ids))
    codes, counts = write_layers(folder, inputs.grid, strips)
    (folder / "quicklook.png").write_bytes(quicklook(codes))
    figures = statistics(counts, inputs.grid)
    files = {name: _measure(folder / name) for name in FILES}
    data = item(inputs, figures, files)
    size = len(data) + sum(size for _, size in files.values())
    return Product(folder, data, _row(inputs, figures, data), size)


def publish(ledger: Ledger, store: ObjectStore, product: Product) -> str:
    """Write the objects, the item and the row; returns as `record` does. Raises `PublishConflict`."""
    row = product.row
    if not store.exists(keys.map_item(row.folder)):  # a map that has its item is compared, not touched
        for name in FILES:
            store.put_file(f"{row.folder}/{name}", product.folder / name)
    store.create(keys.map_item(row.folder), product.item)
    return record(ledger, store, row)


def record(ledger: Ledger, store: ObjectStore, row: Map) -> str:
    """Insert the row of a map whose item is in the store: NEW, THERE or TAKEN; then its objects are removed."""
    with ledger.begin() as session:
        if insert_new(session, row):
            return NEW
        if session.get(Map, row.id):
            return THERE
    remove(store, row.folder)
    return TAKEN


def remove(store: ObjectStore, folder: str) -> None:
    """Delete the objects of a map that has no row, its item first."""
    for name in ("item.json", *FILES):
        store.delete(f"{folder}/{name}")


def _row(inputs: MapInputs, figures: Mapping[str, Any], data: bytes) -> Map:
    made_by: dict[str, Any] = {"method": inputs.method, "software": software()}
    made_by |= {"changes": list(inputs.changes)} if inputs.changes else {}
    return Map(
        id=inputs.map_id,
        tile=inputs.tile,
        window_start=inputs.window_start,
        window_end=inputs.window_end,
        revision=inputs.revision,
        source=inputs.source,
        scene_ids=list(inputs.scene_ids),
        scene_contents=list(inputs.contents),
        supersedes=inputs.supersedes,
        folder=keys.map_folder(inputs.tile, inputs.window_end, inputs.map_id),
        statistics={**figures, **made_by, "item_sha256": hashlib.sha256(data).hexdigest()},
        created_at=now(),
    )


def _measure(path: Path) -> tuple[str, int]:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest(), path.stat().st_size

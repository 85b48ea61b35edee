"""The update of the catalogue: only the documents that new maps touch, leaves first, so that readers find all they see.

Every document depends on the ledger's rows and the maps' own items alone. So an update that was killed is run again,
and in whatever order the maps came the bytes are the same. A map's row says that it is listed when all is written.
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from seaice_ops.errors import CorruptProduct, ObjectMissing
from seaice_ops.ledger.session import Ledger
from seaice_ops.ledger.tables import Map
from seaice_ops.mapping.catalogue import documents, index, rows
from seaice_ops.mapping.product.item import encoded_json
from seaice_ops.storage import keys
from seaice_ops.storage.store import ObjectStore
from seaice_ops.summary import Summary

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Places:
    """Which collection a tile's maps belong to, and the titles of collections."""

    of_tile: Mapping[str, str]
    titles: Mapping[str, str]

    def place(self, tile: str) -> str:
        """The collection of a tile; that of tiles without a region, where no region names it."""
        return self.of_tile.get(tile, documents.collection_id(""))

    def title(self, collection: str) -> str:
        """The title of a collection; its id, where its region is no more."""
        return self.titles.get(collection, collection)


@dataclass
class Writer:
    """Writes documents, each only where its bytes are not there already, and remembers their keys."""

    store: ObjectStore
    summary: Summary
    written: set[str] = field(default_factory=set)

    def put(self, key: str, data: bytes) -> None:
        """Bring `key` to `data`."""
        self.written.add(key)
        if _found(self.store, key) != data:
            self.store.put(key, data)
            self.summary.done["documents"] += 1
            self.summary.bytes_out += len(data)

    def document(self, key: str, value: dict[str, Any]) -> None:
        """Bring `key` to the JSON of `value`."""
        self.put(key, encoded_json(value))


def update(ledger: Ledger, store: ObjectStore, places: Places, summary: Summary, *, anew: bool = False) -> None:
    """List every map that is not listed, or in another collection than its tile's; with `anew` write all documents.

    The months whose items cannot be read are recorded as failed and stay to be done. One update at a time may run.
    """
    with ledger.begin() as session:
        todo = rows.every(session) if anew else rows.pending(session, places.place)
    if not todo:
        return
    writer = Writer(store, summary)
    done, spoilt = _write_months(ledger, writer, places, todo)
    new = {row.id for row in done}
    moved = {(row.catalogued, row.tile) for row in done if row.catalogued not in (None, places.place(row.tile))}
    moved = {(before, tile) for before, tile in moved if tile not in spoilt}
    touched: dict[str, set[str]] = defaultdict(set)
    for row in done:
        touched[places.place(row.tile)].add(row.tile)
    for collection, tiles in sorted(touched.items()):
        for tile in sorted(tiles):
            _write_tile(ledger, writer, collection, tile, {row.id: row for row in done if row.tile == tile})
    if done:
        _write_collections(ledger, writer, places, touched, moved)
    _remove(store, moved, writer.written, everything=anew and not spoilt)
    with ledger.begin() as session:
        for collection, tiles in touched.items():
            rows.mark(session, (row.id for row in done if row.tile in tiles), collection)
    summary.done["catalogued"] += sum(row.catalogued != places.place(row.tile) for row in done)
    summary.items += sorted(new)


def _write_months(ledger: Ledger, writer: Writer, places: Places, todo: Iterable[Map]) -> tuple[list[Map], set[str]]:
    """Write each month that holds one of `todo`; returns the maps of months that it wrote, and tiles that failed."""
    months: dict[tuple[str, str], list[Map]] = defaultdict(list)
    for row in todo:
        months[row.tile, rows.month_of(row.window_end)].append(row)
    done, spoilt = [], set()
    for (tile, month), new in sorted(months.items()):
        try:
            _write_month(ledger, writer, places.place(tile), tile, month, {row.id for row in new})
            done += new
        except (CorruptProduct, ObjectMissing) as error:
            log.error("the maps of %s in %s cannot be catalogued: %s", tile, month, error)
            writer.summary.failed[f"{tile} {month}"] = f"not catalogued: {error}"
            spoilt.add(tile)
    return done, spoilt


def _write_month(ledger: Ledger, writer: Writer, collection: str, tile: str, month: str, new: Collection[str]) -> None:
    with ledger.begin() as session:
        listed = rows.of_month(session, tile, month, new)
        sensed = rows.sensed(session, (scene for row in listed for scene in row.scene_ids))
    windows = defaultdict(list)
    for row in listed:
        windows[row.window_end].append(row)
    items = [
        documents.item(row, windows[row.window_end], _published(writer.store, row), collection, sensed)
        for row in listed
    ]
    for item in items:  # newest first: a successor is there before its predecessor names it
        writer.document(keys.catalogue_month(collection, tile, month, f"{item['id']}.json"), item)
    writer.put(keys.catalogue_month(collection, tile, month, "items.parquet"), index.part(items[::-1]))
    value = documents.month(tile, month, listed[::-1])
    writer.document(keys.catalogue_month(collection, tile, month, "catalog.json"), value)


def _published(store: ObjectStore, row: Map) -> dict[str, Any]:
    key = keys.map_item(row.folder)
    try:
        value = json.loads(store.get(key))
        if value["id"] != row.id or not isinstance(value["properties"], dict):
            raise ValueError(f"it is the item of {value['id']}")
    except ObjectMissing:  # a KeyError too, but with words of its own
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptProduct(f"{key} is damaged ({error!r}); put it back from a copy of the store") from error
    return dict(value)


def _write_tile(ledger: Ledger, writer: Writer, collection: str, tile: str, new: Mapping[str, Map]) -> None:
    with ledger.begin() as session:
        months = {*rows.months_in(session, collection, tile), *(rows.month_of(row.window_end) for row in new.values())}
        heads = rows.newest(session, collection, tile, new)
        last = next(heads)
        newest = last if last.scene_ids else next((row for row in heads if row.scene_ids), None)
        first = rows.first_end(session, collection, tile)
    head = json.loads(writer.store.get(_item_key(collection, last)))
    first = min([*([first] if first else []), *(row.window_end for row in new.values())])
    extent = {"bbox": head["bbox"], "first": documents.utc(first), "last": documents.utc(last.window_end)}
    pointer = keys.catalogue(collection, tile, "latest.json")
    if newest:
        writer.document(pointer, documents.latest(tile, newest))
    writer.document(
        keys.catalogue(collection, tile, "catalog.json"), documents.tile(tile, sorted(months), extent, newest)
    )
    if not newest:
        writer.store.delete(pointer)


def _item_key(collection: str, row: Map) -> str:
    return keys.catalogue_month(collection, row.tile, rows.month_of(row.window_end), f"{row.id}.json")


def _write_collections(
    ledger: Ledger,
    writer: Writer,
    places: Places,
    touched: Mapping[str, Collection[str]],
    moved: Collection[tuple[str | None, str]],
) -> None:
    """The collections of touched and moved tiles, then the root; an emptied collection is in it no more."""
    with ledger.begin() as session:
        known = {*rows.collections(session), *touched}
        tiles = {each: {*rows.tiles_in(session, each), *touched.get(each, ())} for each in known}
    for before, tile in moved:
        tiles[before or ""].discard(tile)
    writer.document(keys.catalogue(documents.SCHEMA), documents.schema())
    for each in sorted({*touched, *(before or "" for before, _ in moved)}):
        extents = {tile: _extent(writer.store, each, tile) for tile in sorted(tiles[each])}
        if extents:
            writer.document(
                keys.catalogue(each, "collection.json"), documents.collection(each, places.title(each), extents)
            )
    full = {each: places.title(each) for each in sorted(known) if tiles[each]}
    writer.document(keys.catalogue("catalog.json"), documents.root(full))


def _extent(store: ObjectStore, collection: str, tile: str) -> dict[str, Any]:
    return dict(json.loads(store.get(keys.catalogue(collection, tile, "catalog.json")))["seaice:extent"])


def _remove(
    store: ObjectStore, moved: Iterable[tuple[str | None, str]], written: Collection[str], everything: bool
) -> None:
    """Delete what no document names any more; `everything` that was not written, not only what moved."""
    folders = [keys.catalogue()] if everything else [keys.catalogue(before or "", tile) for before, tile in moved]
    for folder in folders:
        for key in list(store.list(folder)):
            if key not in written:
                store.delete(key)


def _found(store: ObjectStore, key: str) -> bytes | None:
    try:
        return store.get(key)
    except ObjectMissing:
        return None

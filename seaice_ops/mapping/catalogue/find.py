"""Search in the catalogue by its files alone, without a ledger: only the months and tiles that can hold an answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from posixpath import dirname, join, normpath
from typing import Any

from seaice_ops.errors import ConfigError, ObjectMissing
from seaice_ops.mapping.catalogue import index
from seaice_ops.storage import keys
from seaice_ops.storage.store import ObjectStore


def find(
    store: ObjectStore,
    box: index.Box | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    *,
    latest: bool = False,
) -> list[dict[str, Any]]:
    """The maps that stand, touch `box` and show a time from `start` until before `end` (aware), by tile and time.

    `box` is [west, south, east, north], degrees; west > east crosses the antimeridian. `latest`: of each tile only the
    newest of them. Each is a dict of id, collection, tile, datetime, revision, bbox, item (its key) and files (keys by
    name). Raises `ConfigError` where there is no catalogue yet.
    """
    found = []
    for tile in _tiles(store, box):
        maps: list[dict[str, Any]] = []
        for month in _months(store, tile, start, end, newest_first=latest):
            key = join(dirname(month), "items.parquet")
            rows = index.search(store.get(key), box, start, end)
            maps += [_told(row, key) for row in rows]
            if latest and maps:
                break
        found += maps[-1:] if latest else maps
    return sorted(found, key=lambda each: (each["tile"], each["datetime"], each["collection"]))


def _tiles(store: ObjectStore, box: index.Box | None) -> Iterator[str]:
    """The keys of the catalogs of tiles that touch `box`."""
    try:
        root = store.get(keys.catalogue("catalog.json"))
    except ObjectMissing:
        raise ConfigError(
            f"{store.url} has no catalogue yet; `seaice catalogue build` makes it from the ledger"
        ) from None
    for collection, _ in _children(keys.catalogue("catalog.json"), json.loads(root)):
        for tile, link in _children(collection, json.loads(store.get(collection))):
            if box is None or index.touch(box, link["seaice:bbox"]):
                yield tile


def _months(
    store: ObjectStore, tile: str, start: datetime | None, end: datetime | None, newest_first: bool
) -> list[str]:
    """The keys of the catalogs of a tile's months that overlap the interval."""
    low, high = start and f"{start:%Y-%m}", end and f"{end:%Y-%m}"
    months = [
        (link["title"], key)
        for key, link in _children(tile, json.loads(store.get(tile)))
        if (not low or link["title"] >= low) and (not high or link["title"] <= high)
    ]
    return [key for _, key in sorted(months, reverse=newest_first)]


def _children(key: str, value: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for link in value["links"]:
        if link["rel"] == "child":
            yield _resolved(key, link["href"]), link


def _told(row: dict[str, Any], key: str) -> dict[str, Any]:
    item = _resolved(key, f"./{row['id']}.json")
    return {
        "id": row["id"],
        "collection": row["collection"],
        "tile": row["seaice:tile"],
        "datetime": row["datetime"].isoformat().replace("+00:00", "Z"),
        "revision": row["seaice:revision"],
        "bbox": [row["bbox"][name] for name in ("xmin", "ymin", "xmax", "ymax")],
        "item": item,
        "files": {name: _resolved(item, asset["href"]) for name, asset in row["assets"].items() if asset},
    }


def _resolved(key: str, href: str) -> str:
    """The key that `href`, relative to the object `key`, names."""
    return normpath(join(dirname(key), href))

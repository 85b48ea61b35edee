"""The STAC catalogue of the Copernicus Data Space: its items as products."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from seaice_ops.archive.product import By, Product, ProductFile
from seaice_ops.archive.providers.entry import entry
from seaice_ops.archive.providers.stac_search import Item, conditions, items, products, tile_codes, tile_told
from seaice_ops.archive.times import MARGIN, inside, iso, parse_time
from seaice_ops.archive.transport.checksum import multihash
from seaice_ops.archive.transport.http import Wire
from seaice_ops.errors import CorruptProduct
from seaice_ops.sensors.sentinel2 import BANDS
from seaice_ops.settings import CdseSettings

#: Tiles of one search.
_TILES = 100
_ASSETS = (*BANDS, "product_metadata", "granule_metadata")
_PROPERTIES = ("datetime", "published", "created", "grid:code")


def search(
    wire: Wire, settings: CdseSettings, tiles: Collection[str], by: By, start: datetime, end: datetime
) -> tuple[list[Product], bool]:
    """Level-1C products of `tiles` published (or sensed) in [start, end), sorted by sensing time.

    The second answer is False where the catalogue may have more than it gave (`stac_search.items`).
    """
    first, last = iso(start - MARGIN), iso(end + MARGIN)
    time = {"filter": conditions("published", first, last)} if by == "published" else {"datetime": f"{first}/{last}"}
    wanted, sure = sorted(tiles), True
    found: list[Product] = []
    for at in range(0, len(wanted), _TILES):
        some, whole = items(
            wire,
            settings.stac_url,
            tile_property="grid:code",
            tiles=[code for tile in wanted[at : at + _TILES] for code in tile_codes("grid:code", tile)],
            collections=[settings.collection],
            limit=settings.page,
            fields={"include": ["id", *(f"properties.{p}" for p in _PROPERTIES), *(f"assets.{a}" for a in _ASSETS)]},
            **time,
        )
        found += products(some, product)
        sure = sure and whole
    return inside(found, tiles, by, start, end), sure


def product(item: Item) -> Product:
    """The product of a STAC item; without `problem` only if it has all that a scene needs."""
    name, properties = str(item["id"]), item.get("properties") or {}
    files = list(_files(name.removesuffix(".SAFE"), item.get("assets") or {}))
    try:
        published = parse_time(properties.get("published") or properties.get("created"))
    except CorruptProduct:
        published = None
    found = entry(name, files[0][0] if files else "", [file for _, file in files], published)
    return found if found.tile else replace(found, tile=tile_told(item))


def _files(name: str, assets: Mapping[str, Any]) -> Iterator[tuple[str, ProductFile]]:
    """(s3 address of the .SAFE folder, file below it) of each asset that is a file of the product."""
    for asset in assets.values():
        href = asset.get("href") if isinstance(asset, dict) else None
        folder, found, path = href.partition(f"/{name}.SAFE/") if isinstance(href, str) else ("", "", "")
        if found and folder.startswith("s3://"):
            size = asset.get("file:size")
            known = size if isinstance(size, int) and size >= 0 else None
            yield f"{folder}/{name}.SAFE", ProductFile(path, known, multihash(asset.get("file:checksum")))

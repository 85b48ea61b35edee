"""Catalogue entries of Sentinel-2 products: a name, files, and a time of publication become a product."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from seaice_ops.archive.product import Product, ProductFile, named, needed_files, parse_name
from seaice_ops.errors import CorruptProduct, plain

#: As long as the ledger's columns.
LONGEST_ID, LONGEST_HREF = 128, 1024

#: When nothing better is known.
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def entry(name: str, href: str, files: Iterable[ProductFile], published: datetime | None) -> Product:
    """The product called `name`, with those of `files` that a scene needs.

    A wrong name, another level or a missing file is its `problem`. Without a known time of publication it counts as
    published when it was generated.
    """
    try:
        parsed = parse_name(name)
    except CorruptProduct as error:
        return unusable(name, "", href, published, str(error))
    product = named(parsed, name.removesuffix(".SAFE"), href, published)
    if len(href) > LONGEST_HREF or not href.isprintable():
        return replace(product, href="", problem=f"{name} lies at {href[:64]!r}..., which cannot be kept as an address")
    if parsed.level != "L1C":
        return replace(product, problem=f"{name} is a Level-{parsed.level[1:]} product; only Level-1C is ingested")
    try:
        return replace(product, files=needed_files(name, files))
    except CorruptProduct as error:
        return replace(product, problem=str(error))


def unusable(name: str, tile: str, href: str, seen: datetime | None, problem: str) -> Product:
    """A product of `tile` that nobody can use, and why; its words are cut and made plain for the ledger."""
    seen = seen or _EPOCH
    id_, at = plain(name)[:LONGEST_ID], plain(href)[:LONGEST_HREF]
    return Product(id_, "product", "", plain(tile)[:5], seen, 0, "", seen, seen, at, problem=plain(problem))

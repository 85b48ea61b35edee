"""What the catalogues of Sentinel-2 products have in common: a name, files, and a time of publication."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from seaice_ops.archive.product import Product, ProductFile, named, needed_files, parse_name
from seaice_ops.errors import CorruptProduct

#: As long as the ledger's column.
LONGEST_HREF = 1024

#: When nothing better is known.
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def entry(name: str, href: str, files: Iterable[ProductFile], published: datetime | None) -> Product:
    """The product called `name`, with those of `files` that a scene needs.

    What makes it unusable (its name, its level, a missing file) is its `problem`. Not published at a known time, it
    counts as published when it was generated.
    """
    try:
        parsed = parse_name(name)
    except CorruptProduct as error:
        return unusable(name, "", href, published, str(error))
    product = named(parsed, name.removesuffix(".SAFE"), href, published)
    if len(href) > LONGEST_HREF or not href.isprintable():
        return replace(product, href="", problem=f"{name} lies at {href[:64]!r}..., which is no address")
    if parsed.level != "L1C":
        return replace(product, problem=f"{name} is a Level-{parsed.level[1:]} product; only Level-1C is ingested")
    try:
        return replace(product, files=needed_files(name, files))
    except CorruptProduct as error:
        return replace(product, problem=str(error))


def unusable(name: str, tile: str, href: str, seen: datetime | None, problem: str) -> Product:
    """A product of `tile` that nobody can use, and why; its words are made fit for the ledger."""
    seen = seen or _EPOCH
    id_, at, why = (_plain(text) for text in (name[:128], href[:LONGEST_HREF], problem))
    return Product(id_, "product", "", tile, seen, 0, "", seen, seen, at, problem=why)


def _plain(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)

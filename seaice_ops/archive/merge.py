"""One acquisition received by two ground stations: products of the same baseline whose datastrips begin differently.

Each station holds a part of the acquisition. The parts are merged into one scene, which counts as a version of its own.
It is better than each of its parts and than a merger of fewer of them. Pure: names and files, no pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from seaice_ops.archive.product import Product

#: Parts beyond these are left out: an acquisition reaches two stations, and ids have room for four.
MAX_PARTS = 4


def parts_of(versions: Iterable[Product]) -> list[Product]:
    """The products that together are the best of one acquisition, newest first; empty without any version.

    These are the newest generation of each datastrip in the highest baseline. Where a product does not name its
    datastrip, it may be that of the others: then the newest generation is taken alone.
    """
    ordered = sorted(versions, key=lambda p: p.rank, reverse=True)
    highest = [product for product in ordered if product.rank[0] == ordered[0].rank[0]]
    newest: dict[str, Product] = {}
    for product in highest:
        newest.setdefault(product.datastrip, product)
    return highest[:1] if "" in newest else list(newest.values())[:MAX_PARTS]


def merged(parts: Sequence[Product]) -> Product:
    """The product that `parts` (two or more, newest first) make together; its files lie below each part's id."""
    newest = parts[0]
    stamps = "_".join(f"{part.generated_at:%Y%m%dT%H%M%S}" for part in parts[1:])
    return replace(
        newest,
        id=f"{newest.id}_with_{stamps}",
        kind="merged",
        published_at=max(part.published_at for part in parts),
        files=tuple(replace(file, path=f"{part.id}/{file.path}") for part in parts for file in part.files),
        parts=tuple(part.id for part in parts),
    )

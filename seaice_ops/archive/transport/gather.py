"""The files of one product, several at a time, each from where its archive keeps it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx

from seaice_ops.archive.product import Product, ProductFile, check_path
from seaice_ops.archive.transport.download import download
from seaice_ops.archive.transport.http import Refused, Wire, shown
from seaice_ops.archive.transport.manifest import read_manifest

#: The address of a product's file, by its path, and the credentials for it.
Place = Callable[[str], tuple[str, httpx.Auth | None]]


def gather(
    wire: Wire,
    product: Product,
    files: Sequence[ProductFile],
    inbox: Path,
    place: Place,
    connections: int,
    manifest: bool = True,
) -> list[Path]:
    """Bring `files` of `product` into the folder `inbox`, each checked and complete under its own path.

    Sizes and checksums that the search did not tell are taken from the product's `manifest`, where it has one. Raises
    what `download` raises, after the other files have come: they need not come again.
    """
    for file in files:
        check_path(product.id, file.path)
    if manifest and any(file.size is None for file in files):
        files = _promised(wire, files, place)
    with ThreadPoolExecutor(max_workers=max(1, min(connections, len(files)))) as pool:
        return list(pool.map(lambda file: _download(wire, file, inbox / file.path, place), files))


def _download(wire: Wire, file: ProductFile, target: Path, place: Place) -> Path:
    address, auth = place(file.path)
    return download(wire, address, file, target, auth)


def _promised(wire: Wire, files: Sequence[ProductFile], place: Place) -> list[ProductFile]:
    address, auth = place("manifest.safe")
    try:
        listed = read_manifest(wire.request("GET", address, auth), shown(address))
    except Refused as error:
        if not error.of_one_file:
            raise
        return list(files)
    return [_filled(file, listed.get(file.path, file)) for file in files]


def _filled(file: ProductFile, listed: ProductFile) -> ProductFile:
    return replace(
        file, size=listed.size if file.size is None else file.size, checksum=file.checksum or listed.checksum
    )

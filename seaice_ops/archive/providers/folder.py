"""The archive that is a folder: catalogue entries, bare .SAFE folders, and plain scenes with a sidecar.

`<product>.withdrawn.json` withdraws what was published until its time: such a product is not found any more.

A tile that is none, or that no region of the configuration names, is a problem of the product and is reported by every
search that meets it (the ledger remembers it, so people are told once). Once the tile is configured, the next search
that meets the product finds no problem any more and the scene is ingested.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from seaice_ops.archive.product import By, Product, ProductFile, Withdrawn, check_path, named, needed_files, parse_name
from seaice_ops.archive.transport.transfer import receive
from seaice_ops.errors import ConfigError, CorruptProduct, TransientError
from seaice_ops.pixels.sidecar import PLAIN_NAME, Sidecar, read_model, read_sidecar
from seaice_ops.sensors.sentinel2 import TILE_NAME

log = logging.getLogger(__name__)

_CHUNK = 1 << 20
_WITHDRAWN = ".withdrawn.json"


class _FileEntry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int = Field(ge=0)
    md5: str = Field(pattern=r"^[0-9a-f]{32}$")


class CatalogueEntry(BaseModel):
    """`<product>.json`: publishes the product and says what its files must be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["product"]
    name: str
    published: AwareDatetime
    files: dict[str, _FileEntry]


class Withdrawal(BaseModel):
    """`<product>.withdrawn.json`: the product is withdrawn, why, and since when."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cause: str = Field(min_length=1, max_length=1024)
    at: AwareDatetime


class _Kind(BaseModel):
    kind: Literal["product", "scene"]


@dataclass(frozen=True)
class FolderArchive:
    """The products and scenes in `root`; `known` are the tiles that the configuration names."""

    root: Path
    known: frozenset[str]

    def search(self, tiles: Collection[str], by: By, start: datetime, end: datetime) -> list[Product]:
        """Products of `tiles` with start <= published (or sensed) time < end, sorted by sensing time.

        With them comes what nobody can use, its `problem` filled in: products of tiles that `known` lacks, and files
        that cannot be read at all, whatever the times. Raises `ConfigError` where the folder is missing or closed.
        """
        wanted = [p for p in map(self._check_tile, self._all()) if p.tile in tiles or p.tile not in self.known]
        inside = [p for p in wanted if not p.tile or start <= _time(p, by) < end]
        gone = {w.id: w.at for w in self.withdrawn(None, None)}
        offered = [p for p in inside if p.id not in gone or p.published_at > gone[p.id]]
        return sorted(offered, key=lambda p: (p.sensed_at, p.id))

    def withdrawn(self, start: datetime | None, end: datetime | None) -> list[Withdrawn]:
        """Products withdrawn in [start, end), oldest first; None is no bound. An unreadable file withdraws nothing."""
        found = []
        for path in self._paths():
            if path.name.endswith(_WITHDRAWN):
                try:
                    entry = read_model(Withdrawal, path)
                except CorruptProduct as error:
                    log.warning("%s", error)
                    continue
                found.append(Withdrawn(path.name.removesuffix(_WITHDRAWN), entry.cause, entry.at.astimezone(UTC)))
        inside = [w for w in found if (start is None or start <= w.at) and (end is None or w.at < end)]
        return sorted(inside, key=lambda w: (w.at, w.id))

    def fetch(self, product: Product, files: Iterable[ProductFile], inbox: Path) -> list[Path]:
        """Copy `files` of `product` into the folder `inbox`, each checked and complete under its own path.

        Raises `CorruptProduct` naming a file that is missing, leads out of the archive, or is not what was published.
        """
        base = self.root / product.href if product.kind == "product" else self.root
        paths = []
        for file in files:
            check_path(product.id, file.path)
            source = base / file.path
            if not source.resolve().is_relative_to(self.root.resolve()):
                raise CorruptProduct(f"{source} leads out of the archive {self.root}; it was refused")
            paths.append(receive(file, _read(source), inbox / file.path, source=str(source)))
        return paths

    def _paths(self) -> list[Path]:
        try:
            return sorted(self.root.iterdir())
        except OSError as error:
            raise ConfigError(
                f"cannot list the archive folder {self.root}: {error.strerror}; set archive.path or SEAICE_ARCHIVE"
            ) from error

    def _all(self) -> Iterator[Product]:
        paths = self._paths()
        for path in paths:
            if path.name.endswith(_WITHDRAWN):
                continue
            if path.suffix == ".json":
                yield _readable(self._entry, path)
            elif path.suffix == ".SAFE" and path.with_suffix(".json") not in paths:
                yield _readable(self._bare, path)

    def _entry(self, path: Path) -> Product:
        if read_model(_Kind, path).kind == "scene":
            return self._scene(path, read_sidecar(path))
        entry = read_model(CatalogueEntry, path)
        if entry.name != path.stem:
            raise CorruptProduct(f"{path}: name: {entry.name} is not the file's own name")
        files = [ProductFile(name, file.size, f"md5:{file.md5}") for name, file in entry.files.items()]
        return _named(path.with_suffix(".SAFE"), files, entry.published.astimezone(UTC))

    def _bare(self, path: Path) -> Product:
        files = [
            ProductFile(file.relative_to(path).as_posix(), file.stat().st_size)
            for file in sorted(path.rglob("*"))
            if file.is_file()
        ]
        return _named(path, files, published=None)

    def _scene(self, path: Path, sidecar: Sidecar) -> Product:
        image = self.root / sidecar.image
        if not re.fullmatch(PLAIN_NAME, path.stem) or len(path.stem) > 128:
            raise CorruptProduct(f"{path}: a scene's name has up to 128 letters, digits and . _ - only")
        if not image.is_file():
            raise CorruptProduct(f"{path}: image: {image} does not exist")
        published = sidecar.published or _modified(path)
        return Product(
            id=path.stem,
            kind="scene",
            platform=sidecar.platform,
            tile=sidecar.tile,
            sensed_at=sidecar.sensed,
            relative_orbit=sidecar.relative_orbit,
            baseline="",
            generated_at=published,
            published_at=published,
            href=path.name,
            files=(
                ProductFile(path.name, path.stat().st_size, f"md5:{_md5(path)}"),
                ProductFile(
                    sidecar.image, image.stat().st_size, f"sha256:{sidecar.sha256}" if sidecar.sha256 else None
                ),
            ),
        )

    def _check_tile(self, product: Product) -> Product:
        if not product.tile or product.tile in self.known:
            return product
        where = self.root / product.href
        if not TILE_NAME.match(product.tile):
            return replace(product, problem=f"{where}: {product.tile} is not an MGRS tile")
        return replace(product, problem=f"{where}: tile {product.tile} is in no configured region; add it to one")


def _named(path: Path, files: Iterable[ProductFile], published: datetime | None) -> Product:
    """The product in the .SAFE folder `path`; by default published when it was generated."""
    name = parse_name(path.name)
    product = named(name, path.stem, path.name, published)
    if name.level != "L1C":
        return replace(product, problem=f"{path} is a Level-{name.level[1:]} product; only Level-1C is ingested")
    try:
        return replace(product, files=needed_files(str(path), files))
    except CorruptProduct as error:
        return replace(product, problem=str(error))


def _readable(parse: Callable[[Path], Product], path: Path) -> Product:
    """What `parse` makes of `path`, or a product without a tile that says why nothing could be made of it."""
    try:
        return parse(path)
    except CorruptProduct as error:
        seen = _modified(path)
        return Product(path.stem[:128], "scene", "", "", seen, 0, "", seen, seen, path.name, problem=str(error))


def _time(product: Product, by: By) -> datetime:
    return product.published_at if by == "published" else product.sensed_at


def _modified(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def _read(source: Path) -> Iterator[bytes]:
    try:
        with source.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                yield chunk
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise CorruptProduct(f"{source} is not in the archive") from None
    except PermissionError as error:
        raise ConfigError(f"cannot read {source}: {error.strerror}; let this user read the archive") from error
    except OSError as error:
        raise TransientError(f"cannot read {source} for now: {error.strerror}") from error

"""Archives that are folders: catalogue entries, bare products (folders or zips), and plain scenes with a sidecar.

`<product>.withdrawn.json` withdraws what was published of a product until its time: the product is not found any more.

A file that cannot be used is a product with a problem, which every search reports that meets it; the ledger remembers
it, so that people are told once. So is a tile that no region of the configuration names. Once the cause is mended, the
next search finds no problem and the scene is ingested. Devices, pipes and a Mac's ``._*`` files are no entries.
"""

from __future__ import annotations

import hashlib
import re
import stat
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from seaice_ops.archive.product import (
    By,
    Product,
    ProductFile,
    Withdrawn,
    check_path,
    is_product_name,
    named,
    needed_files,
    parse_name,
)
from seaice_ops.archive.providers.entry import LONGEST_ID, unusable
from seaice_ops.archive.transport.transfer import receive
from seaice_ops.archive.transport.unzip import members, unzip
from seaice_ops.errors import BadTransfer, ConfigError, CorruptProduct, SeaIceError, TransientError, plain
from seaice_ops.pixels.checks import check_time
from seaice_ops.pixels.sidecar import PLAIN_NAME, Md5, Sidecar, Utc, read_model, read_sidecar
from seaice_ops.sensors.sentinel2 import TILE_NAME

_CHUNK = 1 << 20
_WITHDRAWN = ".withdrawn.json"


#: Names of products as they lie in a folder: unpacked, or as one zip; the service's zips are called both ways.
_PRODUCT = re.compile(r"(?P<name>.+?)(?P<safe>\.SAFE)?(?P<zip>\.zip)?", re.IGNORECASE)


class _FileEntry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int = Field(ge=0)
    md5: Md5


class CatalogueEntry(BaseModel):
    """`<product>.json`: publishes the product, with size and checksum of its files."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["product"]
    name: str
    published: Utc
    files: dict[str, _FileEntry]


class Withdrawal(BaseModel):
    """`<product>.withdrawn.json`: withdraws the product, with the reason and the time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cause: str = Field(min_length=1, max_length=1024)
    at: Utc


class _Kind(BaseModel):
    kind: Literal["product", "scene"]


@dataclass(frozen=True)
class FolderArchive:
    """The products and scenes in `root`; `known` are the tiles that the configuration names."""

    root: Path
    known: frozenset[str]

    def search(self, tiles: Collection[str], by: By, start: datetime, end: datetime) -> list[Product]:
        """Products of `tiles` with start <= published (or sensed) time < end, sorted by sensing time.

        Products of tiles that `known` lacks, and files that cannot be read at all (whatever the times), come with
        their `problem`. Raises `ConfigError` where the folder is missing or closed.
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
                except CorruptProduct:  # `search` reports it
                    continue
                found.append(Withdrawn(plain(path.name.removesuffix(_WITHDRAWN)), plain(entry.cause), entry.at))
        inside = [w for w in found if (start is None or start <= w.at) and (end is None or w.at < end)]
        return sorted(inside, key=lambda w: (w.at, w.id))

    def fetch(self, product: Product, files: Iterable[ProductFile], inbox: Path) -> list[Path]:
        """Copy `files` of `product` into the folder `inbox`, each checked and complete under its own path.

        Raises `CorruptProduct` naming a file that is missing, leads out of the archive, or is not what was published.
        """
        base = self.root / product.href if product.kind == "product" else self.root
        if base.suffix.lower() == ".zip":
            self._check_inside(base)
            with _reading(base):
                return unzip(base, product, list(files), inbox)
        paths = []
        for file in files:
            check_path(product.id, file.path)
            source = base / file.path
            self._check_inside(source)
            paths.append(receive(file, _read(source), inbox / file.path, source=str(source)))
        return paths

    def _check_inside(self, path: Path) -> None:
        try:
            target = path.resolve()
        except (OSError, RuntimeError):  # links in a circle
            raise CorruptProduct(f"{path} is a link that leads nowhere; it was refused") from None
        if not target.is_relative_to(self.root.resolve()):
            raise CorruptProduct(f"{path} leads out of the archive {self.root}; it was refused")

    def _paths(self) -> list[Path]:
        try:
            return sorted(path for path in self.root.iterdir() if _is_entry(path))
        except OSError as error:
            raise ConfigError(
                f"cannot list the archive folder {self.root}: {error.strerror}; set archive.path or SEAICE_ARCHIVE"
            ) from error

    def _all(self) -> Iterator[Product]:
        paths = self._paths()
        entries = {path.stem: path for path in paths if path.suffix == ".json" and not path.name.endswith(_WITHDRAWN)}
        products = _products(paths)
        for name, path in entries.items():
            yield self._readable(path, partial(self._entry, path, products.get(name)))
        for name, path in products.items():
            if name not in entries:
                yield self._readable(path, partial(_bare, name, path))
        for path in paths:
            if path.name.endswith(_WITHDRAWN):
                try:
                    read_model(Withdrawal, path)
                except CorruptProduct as error:  # what it withdraws is not known until a person mends it
                    yield unusable(path.stem, "", path.name, _modified(path), str(error))

    def _readable(self, path: Path, parse: Callable[[], Product]) -> Product:
        """The product in `path` as `parse` reads it, or one without a tile that tells why it cannot be read."""
        try:
            self._check_inside(path)
            return parse()
        except CorruptProduct as error:
            return unusable(path.stem, "", path.name, _modified(path), str(error))

    def _entry(self, path: Path, product: Path | None) -> Product:
        if read_model(_Kind, path).kind == "scene":
            return self._scene(path, read_sidecar(path))
        entry = read_model(CatalogueEntry, path)
        if entry.name != path.stem:
            raise CorruptProduct(f"{path}: name: {entry.name} is not the file's own name")
        files = [ProductFile(name, file.size, f"md5:{file.md5}") for name, file in entry.files.items()]
        return _named(entry.name, product or path.with_suffix(".SAFE"), files, entry.published)

    def _scene(self, path: Path, sidecar: Sidecar) -> Product:
        image = self.root / sidecar.image
        if not re.fullmatch(PLAIN_NAME, path.stem) or len(path.stem) > LONGEST_ID:
            raise CorruptProduct(f"{path}: a scene's name has up to 128 letters, digits and . _ - only")
        if not image.is_file():
            raise CorruptProduct(f"{path}: image: {image} does not exist")
        self._check_inside(image)
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


def _is_entry(path: Path) -> bool:
    """False for devices, pipes and the files that a Mac adds. A broken link is an entry, which is then refused."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return True
    return not path.name.startswith("._") and (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _products(paths: Iterable[Path]) -> dict[str, Path]:
    """The products among `paths` by name: of several copies the folder called .SAFE, then any folder, then a zip."""
    found: dict[str, Path] = {}
    for path in sorted(paths, key=lambda path: (path.suffix.lower() == ".zip", path.suffix != ".SAFE", path.name)):
        match = _PRODUCT.fullmatch(path.name)
        if match and (match["safe"] or match["zip"] or (path.is_dir() and is_product_name(match["name"]))):
            found.setdefault(match["name"], path)
    return found


def _bare(name: str, path: Path) -> Product:
    parse_name(name)  # before anything inside is looked at
    if path.suffix.lower() == ".zip":
        return _named(name, path, members(path), published=None)
    with _reading(path):
        files = [
            ProductFile(file.relative_to(path).as_posix(), file.stat().st_size)
            for file in sorted(path.rglob("*"))
            if str(file).isprintable() and file.is_file()
        ]
    return _named(name, path, files, published=None)


def _named(id_: str, path: Path, files: Iterable[ProductFile], published: datetime | None) -> Product:
    """The product `id_` in the folder or zip `path`; by default published when it was generated."""
    name = parse_name(id_)
    product = named(name, id_, path.name, published)
    if name.level != "L1C":
        return replace(product, problem=f"{path} is a Level-{name.level[1:]} product; only Level-1C is ingested")
    try:
        return replace(product, files=needed_files(str(path), files))
    except CorruptProduct as error:
        return replace(product, problem=str(error))


def _time(product: Product, by: By) -> datetime:
    return product.published_at if by == "published" else product.sensed_at


def _modified(path: Path) -> datetime:
    """The file's time; the beginning of 1970 where it is none that a scene can have."""
    try:
        return check_time(datetime.fromtimestamp(path.stat().st_mtime, UTC))
    except (OSError, OverflowError, ValueError):
        return datetime.fromtimestamp(0, UTC)


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def _read(source: Path) -> Iterator[bytes]:
    if source.exists() and not source.is_file():  # a pipe would be waited for, a device has no end
        raise CorruptProduct(f"{source} is not a file; it was refused")
    with _reading(source), source.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk


@contextmanager
def _reading(source: Path) -> Iterator[None]:
    """Turn the system's refusal to read `source` into an error that tells whose fault it is."""
    try:
        yield
    except SeaIceError:
        raise
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise CorruptProduct(f"{source} is not in the archive") from None
    except PermissionError as error:
        raise BadTransfer(f"cannot read {source}: {error.strerror}; let this user read it") from error
    except OSError as error:
        raise TransientError(f"cannot read {source} for now: {error.strerror}") from error

"""Products as zips: the files that a scene needs are unpacked, no others, and none outside the inbox."""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from seaice_ops.archive.product import Product, ProductFile, check_path, needed_files
from seaice_ops.archive.transport.transfer import receive
from seaice_ops.errors import CorruptProduct, SeaIceError

#: No file of a product is larger (bytes): the largest band has about 0.2 GB.
_LARGEST = 2 << 30
_CHUNK = 1 << 20
#: How members may be packed: as hubs do it.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def unzip(archive: Path, product: Product, files: Sequence[ProductFile], inbox: Path) -> list[Path]:
    """Take `files` out of `archive` into the folder `inbox`, each checked and under its own path.

    A member is known by what it is in the product (its name, or else band and kind), not by the granule's folder.
    Raises `CorruptProduct` where the archive is none, is damaged, or holds a name that leads out of it, a link, an
    encrypted or too large member: then nothing at all is taken from it.
    """
    with _opened(archive) as opened:
        found = _members(archive, opened)
        known = {file.path: found[file.path] for file in _needed(product, found)}
        chosen = [(file, _match(product, file, known)) for file in files]
        return [_extract(opened, member, file, inbox / file.path) for file, member in chosen]


def members(archive: Path) -> list[ProductFile]:
    """The files in `archive`, by their path below the .SAFE folder, with their sizes. Raises as `unzip` does."""
    with _opened(archive) as opened:
        return [ProductFile(path, info.file_size) for path, info in _members(archive, opened).items()]


@contextmanager
def _opened(archive: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(archive) as opened:
            yield opened
    except SeaIceError:
        raise
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, RuntimeError, ValueError) as error:
        raise CorruptProduct(f"{archive.name} cannot be unpacked: {error}") from None


def _members(archive: Path, opened: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The members by their path below the .SAFE folder; every name is checked, also those that nobody needs."""
    found: dict[str, zipfile.ZipInfo] = {}
    for info in opened.infolist():
        check_path(archive.name, info.orig_filename)
        if stat.S_ISLNK(info.external_attr >> 16):
            raise CorruptProduct(f"{archive.name} holds a link {info.filename!r}; it was refused")
        path = info.filename.partition(".SAFE/")[2] or info.filename
        if info.is_dir():
            continue
        if path in found:
            raise CorruptProduct(f"{archive.name} holds {info.filename!r} twice; it was refused")
        found[path] = info
    return found


def _needed(product: Product, found: dict[str, zipfile.ZipInfo]) -> tuple[ProductFile, ...]:
    return needed_files(product.id, [ProductFile(path) for path in found])


def _match(product: Product, file: ProductFile, known: dict[str, zipfile.ZipInfo]) -> zipfile.ZipInfo:
    """The member that is `file`: metadata by name, a band by the end of its name."""
    kind = file.path.rpartition("/")[2].rpartition("_" if file.path.endswith(".jp2") else "/")[2]
    found = [info for path, info in known.items() if path.endswith(kind)]
    if len(found) != 1:
        raise CorruptProduct(f"{product.id} has {len(found)} files like {file.path} in its zip; exactly one is needed")
    info = found[0]
    if info.file_size > _LARGEST or info.flag_bits & 0x1 or info.compress_type not in _METHODS:
        what = f"is encrypted, has {info.file_size} bytes, or is packed by method {info.compress_type}"
        raise CorruptProduct(f"{product.id}: {info.filename!r} {what}; refused")
    return info


def _extract(opened: zipfile.ZipFile, info: zipfile.ZipInfo, file: ProductFile, target: Path) -> Path:
    with opened.open(info) as stream:
        return receive(file, _chunks(stream), target, source=f"{opened.filename}: {info.filename}")


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    while chunk := stream.read(_CHUNK):
        yield chunk

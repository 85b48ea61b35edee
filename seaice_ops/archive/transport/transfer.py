"""Files from any archive: checked for size and checksum, under their name only when complete."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from blake3 import blake3

from seaice_ops import files
from seaice_ops.archive.product import ProductFile
from seaice_ops.errors import CorruptProduct, writing

_CHUNK = 1 << 20


def receive(file: ProductFile, chunks: Iterable[bytes], target: Path, source: str) -> Path:
    """Write `chunks` to `target` (through a new file beside it), and return it.

    Raises `CorruptProduct` naming `source` where the bytes are not those that `file` promises, `ConfigError` where
    the folder cannot be written, and whatever reading `chunks` raises; `target` then does not exist.
    """
    # A new file for each call: a task that is thought dead may still be writing the same one.
    with writing(target.parent), files.replacing(target) as part, part.open("wb") as stream:
        check(file, _copied(chunks, stream), source)
    return target


def is_complete(file: ProductFile, target: Path) -> bool:
    """True where `target` exists with the size and checksum of `file`."""
    try:
        with target.open("rb") as stream:
            check(file, iter(lambda: stream.read(_CHUNK), b""), str(target))
    except (OSError, CorruptProduct):
        return False
    return True


def check(file: ProductFile, chunks: Iterable[bytes], source: str) -> None:
    """Read `chunks` to their end; raises `CorruptProduct` where their size or checksum is not `file`'s."""
    algorithm, _, expected = (file.checksum or "md5:").partition(":")
    digest, size = _digest(algorithm), 0
    for chunk in chunks:
        digest.update(chunk)
        size += len(chunk)
    if file.size is not None and size != file.size:
        raise CorruptProduct(f"a file has {size} bytes, {file.size} were published: {source}")
    if expected and digest.hexdigest() != expected:
        found = digest.hexdigest()
        raise CorruptProduct(f"a file's {algorithm} is {found}, {expected} was published: {source}")


def _digest(algorithm: str) -> Any:
    """A hash object: `hashlib`'s, or that of BLAKE3."""
    return blake3() if algorithm == "blake3" else hashlib.new(algorithm, usedforsecurity=False)


def _copied(chunks: Iterable[bytes], stream: IO[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        stream.write(chunk)
        yield chunk

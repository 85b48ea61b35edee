"""Files that several processes share: written whole or not at all, and locked."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seaice_ops.errors import writing


@contextmanager
def replacing(path: Path, mode: int = 0o666) -> Iterator[Path]:
    """Yield a new, empty file beside `path`; at the end of the block it becomes `path`, in one step.

    Readers and killed processes leave `path` as it was or as it will be, never in between. An error in the block
    removes the new file. Each writer has a file of its own, so that two of them never mix their bytes. `mode` is
    narrowed by the process's umask. Folders are made where they are missing. Raises `OSError`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode))
    try:
        yield part
        with part.open("rb") as stream:
            os.fsync(stream.fileno())  # the name must not reach the disk before the bytes
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Make `data` the content of `path`, in one step (`replacing`)."""
    with replacing(path, mode) as part:
        part.write_bytes(data)


@contextmanager
def locked(path: Path, mode: int = 0o660) -> Iterator[int]:
    """Yield the descriptor of `path`, made where it is missing, while no other process or thread has its lock.

    The kernel ends the lock with the process that holds it: a killed one blocks nobody. Raises `ConfigError` or
    `TransientError` where the file cannot be opened.
    """
    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = open_locked(path, mode=mode)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def open_locked(path: Path, *, wait: bool = True, mode: int = 0o660) -> int:
    """The descriptor of `path`, whose lock it holds until it is closed. A file is made where it is missing.

    Raises `OSError`; without `wait` it is `BlockingIOError` while another one has the lock.
    """
    flags = os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT
    descriptor = os.open(path, flags | os.O_CLOEXEC, mode)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor

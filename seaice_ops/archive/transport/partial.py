"""A file that is still arriving: kept beside its target over retries and kills, written by one process at a time.

`<target>.partial` holds the bytes so far, `<target>.partial.version` which version of the file they are of (its ETag or
Last-Modified). The version is written before the first byte, so that bytes without one are never continued.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from seaice_ops.errors import TransientError
from seaice_ops.files import open_locked


class Partial:
    """The bytes of `target` so far; made by `partial`."""

    def __init__(self, target: Path, stream: IO[bytes]) -> None:
        self._target, self._stream = target, stream
        self._version = target.with_name(f"{target.name}.partial.version")
        self.path = target.with_name(f"{target.name}.partial")

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._stream.seek(0, os.SEEK_END)

    @property
    def version(self) -> str:
        """Which version of the file the bytes are of; empty where that is not known."""
        try:
            return self._version.read_text()
        except FileNotFoundError:
            return ""

    def restart(self, version: str = "") -> None:
        """Forget the bytes; the next ones are of `version`."""
        self._stream.truncate(0)
        self._version.write_text(version)

    def append(self, chunk: bytes) -> None:
        """Add `chunk` to the bytes so far."""
        self._stream.seek(0, os.SEEK_END)
        left = memoryview(chunk)
        while left:  # a disk that is almost full may take less than it is given
            left = left[self._stream.write(left) :]

    def finish(self) -> Path:
        """The bytes are all there: they become `target`, at once."""
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self.path.replace(self._target)
        self._version.unlink(missing_ok=True)
        return self._target

    def discard(self) -> None:
        """Leave nothing behind."""
        self.path.unlink()
        self._version.unlink(missing_ok=True)


@contextmanager
def partial(target: Path) -> Iterator[Partial]:
    """The partial file of `target`; raises `TransientError` while another process or thread writes it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(target.with_name(f"{target.name}.partial")) as stream:
        so_far = Partial(target, stream)
        try:
            yield so_far
        finally:
            if not so_far.size and _is_at(stream, so_far.path):
                so_far.discard()


def _locked(path: Path) -> IO[bytes]:
    """`path`, opened and locked; opened again where another process has just made it its target."""
    while True:
        try:
            stream = os.fdopen(open_locked(path, wait=False, mode=0o666), "r+b", buffering=0)
        except BlockingIOError:
            raise TransientError(f"{path} is being fetched by another process; try again later") from None
        if _is_at(stream, path):
            return stream
        stream.close()


def _is_at(stream: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False

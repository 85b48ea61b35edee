"""One file over HTTP: continued by range where an earlier try stood, checked, under its name only when complete."""

from __future__ import annotations

import re
from pathlib import Path

import httpx

from seaice_ops.archive.product import ProductFile
from seaice_ops.archive.transport.http import Again, Refused, Wire, shown
from seaice_ops.archive.transport.partial import Partial, partial
from seaice_ops.archive.transport.transfer import check, is_complete
from seaice_ops.errors import ArchiveUnavailable, BadTransfer, CorruptProduct, TransientError, writing

_CHUNK = 1 << 20
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
#: Stands for the version where the service gives none. Such bytes are continued only where a checksum will be compared.
_UNTOLD = "untold"


def download(wire: Wire, url: str, file: ProductFile, target: Path, auth: httpx.Auth | None = None) -> Path:
    """Bring `file` from `url` to `target` and return that.

    Bytes that turn out wrong at the end are asked for once more from the start; what has come before an error is
    continued the next time. Raises `BadTransfer` where the file is not there, may not be read, or is not what `file`
    promises, `TransientError` while another process fetches it, `ConfigError` where the folder cannot be written, and
    what `Wire.persist` raises.
    """
    with writing(target.parent), partial(target) as so_far:
        if is_complete(file, target):
            return target
        try:
            _fill(wire, url, auth, file, so_far)
        except BadTransfer:
            so_far.restart()
            _fill(wire, url, auth, file, so_far)
        return so_far.finish()


def _fill(wire: Wire, url: str, auth: httpx.Auth | None, file: ProductFile, so_far: Partial) -> None:
    try:
        wire.persist(lambda: _one_try(wire, url, auth, file, so_far), lambda: so_far.size)
    except Refused as error:
        if not error.of_one_file:
            raise
        gone = error.status != httpx.codes.FORBIDDEN
        raise BadTransfer(f"{shown(url)} is not in the archive (any more)" if gone else str(error)) from None
    try:
        with so_far.path.open("rb") as stream:
            check(file, iter(lambda: stream.read(_CHUNK), b""), shown(url))
    except CorruptProduct as error:
        so_far.restart()
        raise BadTransfer(str(error)) from None


def _one_try(wire: Wire, url: str, auth: httpx.Auth | None, file: ProductFile, so_far: Partial) -> None:
    """Ask for what is missing and take what comes; raises `Again` where that is not all."""
    if not so_far.version or (file.size is not None and so_far.size > file.size):
        so_far.restart()
    if so_far.size and so_far.size == file.size:
        return
    try:
        with wire.meter.connection(), wire.answer("GET", url, auth, headers=_headers(so_far)) as response:
            whole = _place(url, response, file, so_far)
            for chunk in wire.flow(response, response.iter_raw()):
                so_far.append(chunk)
                if file.size is not None and so_far.size > file.size:
                    break
    except Refused as error:
        if error.status != httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE or not so_far.size:
            raise
        so_far.restart()
        raise Again(ArchiveUnavailable(f"{shown(url)} has fewer bytes than came before")) from None
    if file.size is not None and so_far.size > file.size:
        return
    # The server's word counts before the catalogue's: a file that is shorter than published is whole, and wrong.
    expected = file.size if whole is None else whole
    if expected is not None and so_far.size < expected:
        raise Again(ArchiveUnavailable(f"{shown(url)} was cut short: {so_far.size} of {expected} bytes"))


def _headers(so_far: Partial) -> dict[str, str]:
    headers = {"Accept-Encoding": "identity"}
    if so_far.size:
        headers["Range"] = f"bytes={so_far.size}-"
        if so_far.version != _UNTOLD:
            headers["If-Range"] = so_far.version
    return headers


def _place(url: str, response: httpx.Response, file: ProductFile, so_far: Partial) -> int | None:
    """Prepare for the bytes of `response`, after those that are there or from the start; the file's size, if known.

    A range of another version, or another range than was asked for, begins the file anew: two versions in one file
    would be a file that never existed.
    """
    if response.status_code == httpx.codes.ACCEPTED:
        raise TransientError(f"{shown(url)} is being brought from the archive's tapes; it is asked for again later")
    if response.headers.get("content-type", "").startswith("text/html"):
        raise Again(ArchiveUnavailable(f"{shown(url)} answers with a web page"))
    version = _version(response) or (_UNTOLD if file.checksum else "")
    length = response.headers.get("content-length", "")
    if response.status_code == httpx.codes.PARTIAL_CONTENT:
        match = _RANGE.fullmatch(response.headers.get("content-range", ""))
        if not match or int(match[1]) != so_far.size or version != so_far.version:
            so_far.restart()
            raise Again(ArchiveUnavailable(f"{shown(url)} answers another range than was asked for"))
        return int(match[2]) if match[2] != "*" else None
    so_far.restart(version)
    return int(length) if length.isdigit() else None


def _version(response: httpx.Response) -> str:
    """A strong validator of the answer, as If-Range needs it; empty where there is none."""
    tag: str = response.headers.get("etag", "")
    version = tag if tag.startswith('"') else str(response.headers.get("last-modified", ""))
    return version if version.isascii() else ""

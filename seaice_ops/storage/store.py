"""One object store over a folder or S3 (obstore), with two kinds of write: replace and create.

Readers know an object by its commit record: a ledger row, or a map's STAC item. An object without a commit record may
be replaced. A STAC item is created once, by conditional write, and never replaced.

A store is known by its marker: an object that holds the store's id, written once by `seaice init`. The ledger remembers
the id, so that a store that is not mounted, or another one, is noticed before anything changes (ledger.stores).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotFoundError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import LocalStore, S3Store

from seaice_ops.errors import ConfigError, ObjectMissing, PublishConflict, TransientError
from seaice_ops.settings import redact
from seaice_ops.storage import keys

#: Keys that a folder, S3, GDAL and a URL understand alike; no segment starts with a dot.
_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._=+-]*(/[A-Za-z0-9_][A-Za-z0-9._=+-]*)*")

#: Bytes copied from S3 at a time.
_PIECE = 4 << 20

#: After a minute without an answer from S3 a task ends (`TransientError`), and Airflow repeats it with back-off.
_RETRY: Any = {"max_retries": 5, "retry_timeout": timedelta(seconds=60)}


@dataclass(frozen=True)
class ObjectStore:
    """Objects below `url` (a folder, or ``s3://bucket/prefix``).

    Every method takes keys as `storage.keys` makes them. It raises `ConfigError` for any other key (so no key leads out
    of the store) and where access is denied, and `TransientError` where the store does not answer, is full, or this
    machine has no file or memory left.
    """

    url: str
    _store: Any
    id: str = ""
    """The id that its marker must hold, as the ledger remembers it; empty where nobody asked for that."""

    def put(self, key: str, data: bytes) -> str:
        """Write or replace `key` atomically; returns the SHA-256 of `data`."""
        with self._readable_errors(key, writes=True):
            obstore.put(self._store, key, data)
            self._flush(key)
        return hashlib.sha256(data).hexdigest()

    def put_file(self, key: str, path: Path) -> str:
        """Like `put`, with the content of the file `path`, read in pieces; another process may remove it meanwhile."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            with self._readable_errors(key, writes=True):
                obstore.put(self._store, key, file)
                self._flush(key)
        return digest

    def create(self, key: str, data: bytes) -> bool:
        """Write `key` only if it is absent. True: written. False: the same bytes were there already.

        Raises `PublishConflict` if other bytes were there.
        """
        try:
            with self._readable_errors(key, writes=True):
                obstore.put(self._store, key, data, mode="create", use_multipart=False)
                self._flush(key)
        except AlreadyExistsError:
            if self.get(key) == data:
                return False
            raise PublishConflict(
                f"{self.url}/{key} was published before with different content; it is kept, and this write was refused"
            ) from None
        return True

    def get(self, key: str) -> bytes:
        """All bytes of `key`; raises `ObjectMissing`."""
        with self._readable_errors(key):
            return bytes(obstore.get(self._store, key).bytes())

    @contextmanager
    def as_file(self, key: str) -> Iterator[tuple[Path, str]]:
        """`key` as a file of this machine while the block lasts, and its SHA-256; raises `ObjectMissing`.

        From S3 it is copied into the folder for temporary files (TMPDIR), in pieces; it is read from S3 once.
        """
        if not self.url.startswith("s3://"):
            path = Path(self.gdal_path(key))
            with self._readable_errors(key), path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            yield path, digest
            return
        with ExitStack() as kept:
            with self._readable_errors(key):
                folder = kept.enter_context(tempfile.TemporaryDirectory(prefix="seaice-object-"))
                path = Path(folder) / Path(key).name
                digest = self._copy(key, path)
            yield path, digest

    def _copy(self, key: str, path: Path) -> str:
        """Write `key` to the file `path`; its SHA-256."""
        digest = hashlib.sha256()
        with path.open("wb") as file:
            for part in obstore.get(self._store, key).stream(min_chunk_size=_PIECE):
                digest.update(part)
                file.write(part)
        return digest.hexdigest()

    def marker(self) -> str | None:
        """The id in the store's marker, or None where it has none."""
        try:
            found = json.loads(self.get(keys.MARKER))["store"]
        except ObjectMissing:
            return None
        except (ValueError, TypeError, KeyError):
            raise ConfigError(
                f"{self.url}/{keys.MARKER} is no marker of an object store; put back the one it had"
            ) from None
        return str(found)

    def check(self) -> None:
        """Raise `ConfigError` unless the store's marker holds `id`; nothing is asked of a store opened without one."""
        found = self.marker() if self.id else ""
        if found != self.id:
            what = f"its marker {keys.MARKER} is another's" if found else f"it has no {keys.MARKER}"
            raise ConfigError(
                f"{self.url} is not the object store of this ledger: {what}. Is its disk mounted, and is "
                f'SEAICE_STORE_URL right? A copy of the objects is known by the same file: {{"store": "{self.id}"}}'
            )

    def exists(self, key: str) -> bool:
        """True if `key` is there."""
        return self.size(key) is not None

    def size(self, key: str) -> int | None:
        """The size of `key` in bytes; None where it is not there."""
        try:
            with self._readable_errors(key):
                return int(obstore.head(self._store, key)["size"])
        except ObjectMissing:
            return None

    def delete(self, key: str) -> None:
        """Remove `key`; no error if it is absent."""
        try:
            with self._readable_errors(key):
                obstore.delete(self._store, key)
        except ObjectMissing:
            return

    def list(self, prefix: str = "") -> Iterator[str]:
        """All keys below the folder `prefix` but the marker, sorted. For housekeeping; no stage lists in its work."""
        return iter(sorted(self.sizes(prefix)))

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """The size in bytes of each object below the folder `prefix` but the marker, by key."""
        with self._readable_errors(prefix or "all"):
            found = {meta["path"]: meta["size"] for page in obstore.list(self._store, prefix or None) for meta in page}
        found.pop(keys.MARKER, None)
        return found

    def ages(self, prefix: str) -> dict[str, tuple[int, datetime]]:
        """The size in bytes and the time (UTC) of the last write of each object below the folder `prefix`, by key."""
        with self._readable_errors(prefix):
            pages = obstore.list(self._store, prefix)
            return {meta["path"]: (meta["size"], meta["last_modified"]) for page in pages for meta in page}

    def written_at(self, key: str) -> datetime | None:
        """When `key` was last written (UTC); None where it is not there."""
        try:
            with self._readable_errors(key):
                return obstore.head(self._store, key)["last_modified"]
        except ObjectMissing:
            return None

    def gdal_path(self, key: str) -> str:
        """The name under which GDAL opens `key` (within `gdal_env` for S3)."""
        _check(key, self.url)
        return f"{_vsi(self.url)}/{key}"

    @contextmanager
    def gdal_env(self) -> Iterator[None]:
        """A rasterio environment in which `gdal_path` can be opened."""
        import rasterio

        options: dict[str, Any] = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"}
        if self.url.startswith("s3://"):
            # An object may be replaced until its ledger row is there: nothing is remembered once a file is closed.
            options |= {"CPL_VSIL_CURL_NON_CACHED": _vsi(self.url), "GDAL_HTTP_MAX_RETRY": 3}
            endpoint = _s3_endpoint()
            if endpoint:
                options |= {
                    "AWS_S3_ENDPOINT": endpoint.split("://")[-1].rstrip("/"),
                    "AWS_HTTPS": "YES" if endpoint.startswith("https") else "NO",
                    "AWS_VIRTUAL_HOSTING": "FALSE",
                }
        with rasterio.Env(**options):
            yield

    @contextmanager
    def _readable_errors(self, key: str, writes: bool = False) -> Iterator[None]:
        _check(key, self.url)
        try:
            yield
        except AlreadyExistsError:
            raise
        except (NotFoundError, FileNotFoundError):
            if writes:
                raise ConfigError(
                    f"cannot write {self.url}/{key}: there is no such bucket or folder; see SEAICE_STORE_URL"
                ) from None
            raise ObjectMissing(f"{self.url}/{key} does not exist") from None
        except (PermissionDeniedError, UnauthenticatedError, PermissionError) as error:
            raise ConfigError(
                f"access to {self.url}/{key} is denied: {_reason(error)}; check the folder's owner, or "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            ) from error
        except BaseError as error:
            raise TransientError(f"the object store does not answer for {self.url}/{key}: {_reason(error)}") from error
        except (OSError, MemoryError) as error:
            raise TransientError(f"this machine failed at {self.url}/{key}: {_reason(error)}") from error

    def _flush(self, key: str) -> None:
        """Bring a file of a folder store to the disk before the ledger row that names it is written."""
        if self.url.startswith("s3://"):
            return
        path = Path(self.url) / key
        for part in (path, path.parent):
            descriptor = os.open(part, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def open_store(url: str, known: str = "") -> ObjectStore:
    """The store at `url`: a folder that is there, or ``s3://bucket/prefix``.

    `known` is the id that its marker must hold (`ObjectStore.check`). S3 takes its endpoint and keys from
    `AWS_ENDPOINT_URL` (or `AWS_ENDPOINT_URL_S3`), `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_REGION`. Raises
    `ConfigError` where there is no such folder, or it is another store.
    """
    url = url.rstrip("/")
    if url.startswith("s3://"):
        if "@" in url:
            raise ConfigError(
                f"SEAICE_STORE_URL {redact(url)!r} holds credentials; remove them, and give the keys in "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            )
        endpoint = _s3_endpoint()
        options: dict[str, Any] = {"endpoint": endpoint, "virtual_hosted_style_request": False} if endpoint else {}
        client: Any = {"allow_http": True} if (endpoint or "").startswith("http://") else {}
        store = ObjectStore(url, S3Store.from_url(url, client_options=client, retry_config=_RETRY, **options), known)
    else:
        folder = _folder(url)
        if not folder.is_dir():
            raise ConfigError(
                f"there is no object folder {folder}: is its disk mounted, and is SEAICE_STORE_URL right? "
                "`seaice init` makes a new one"
            )
        store = ObjectStore(str(folder), LocalStore(str(folder)), known)
    store.check()
    return store


def make_folder(url: str) -> None:
    """Create the folder of a new store; nothing for S3. Raises `ConfigError` where it cannot be created."""
    if url.startswith("s3://"):
        return
    folder = _folder(url)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"cannot create the object folder {folder}: {error.strerror}; "
            "set SEAICE_HOME or SEAICE_STORE_URL to a place that can be written"
        ) from error


def mark(store: ObjectStore, new_id: str) -> str:
    """Give a store its marker, unless it has one; the id in it."""
    with suppress(PublishConflict):  # it has one, or another process was faster
        store.create(keys.MARKER, json.dumps({"store": new_id}).encode())
    return store.marker() or new_id


def _folder(url: str) -> Path:
    if "://" in url.removeprefix("file://"):
        raise ConfigError(f"SEAICE_STORE_URL {redact(url)!r} is neither a folder nor s3://bucket/prefix")
    return Path(url.removeprefix("file://"))


def _check(key: str, url: str) -> None:
    if not _KEY.fullmatch(key):
        raise ConfigError(
            f"{key!r} cannot name an object in {url}: letters, digits and . _ - = + only, in segments "
            "that do not start with a dot"
        )


def _s3_endpoint() -> str | None:
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")


def _vsi(url: str) -> str:
    return f"/vsis3/{url.removeprefix('s3://')}" if url.startswith("s3://") else url


def _reason(error: Exception) -> str:
    """The first line: obstore appends a dump of its internals."""
    return str(error).split("\n", 1)[0]

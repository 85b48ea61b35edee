"""One object store over a folder or S3 (obstore), with the two writes the package knows: replace and create.

A key's commit record (a ledger row, or a map's STAC item) is what makes an object exist for readers. An
object without one may be replaced; a commit record is created once, by conditional write, and never replaced.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import AlreadyExistsError, NotFoundError
from obstore.store import LocalStore, S3Store

from seaice_ops.errors import ConfigError, ObjectMissing, PublishConflict
from seaice_ops.settings import Settings


@dataclass(frozen=True)
class ObjectStore:
    """Objects below `url` (a folder, or ``s3://bucket/prefix``)."""

    url: str
    _store: Any

    def put(self, key: str, data: bytes) -> str:
        """Write or replace `key` atomically; returns the SHA-256 of `data`."""
        obstore.put(self._store, key, data)
        return hashlib.sha256(data).hexdigest()

    def create(self, key: str, data: bytes) -> bool:
        """Write `key` only if it is absent. True: written. False: the same bytes were there already.

        Raises `PublishConflict` if other bytes were there.
        """
        try:
            obstore.put(self._store, key, data, mode="create", use_multipart=False)
        except AlreadyExistsError:
            if self.get(key) == data:
                return False
            raise PublishConflict(
                f"{self.url}/{key} was published before with different content; it is kept, and this write was refused"
            ) from None
        return True

    def get(self, key: str) -> bytes:
        """All bytes of `key`; raises `ObjectMissing`."""
        try:
            return bytes(obstore.get(self._store, key).bytes())
        except (NotFoundError, FileNotFoundError):
            raise ObjectMissing(f"{self.url}/{key} does not exist") from None

    def exists(self, key: str) -> bool:
        """Whether `key` is there."""
        try:
            obstore.head(self._store, key)
        except (NotFoundError, FileNotFoundError):
            return False
        return True

    def delete(self, key: str) -> None:
        """Remove `key`; no error if it is absent."""
        try:
            obstore.delete(self._store, key)
        except (NotFoundError, FileNotFoundError):
            return

    def list(self, prefix: str = "") -> Iterator[str]:
        """All keys below `prefix`, sorted. For housekeeping and tests; no stage lists on its hot path."""
        keys = [meta["path"] for page in obstore.list(self._store, prefix or None) for meta in page]
        return iter(sorted(keys))

    def gdal_path(self, key: str) -> str:
        """The name under which GDAL opens `key` (within `gdal_env` for S3)."""
        if self.url.startswith("s3://"):
            return f"/vsis3/{self.url.removeprefix('s3://')}/{key}"
        return str(Path(self.url) / key)

    @contextmanager
    def gdal_env(self) -> Iterator[None]:
        """A rasterio environment in which `gdal_path` can be opened."""
        import rasterio

        options: dict[str, Any] = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"}
        if self.url.startswith("s3://"):
            endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", "")
            if endpoint:
                options |= {
                    "AWS_S3_ENDPOINT": endpoint.split("://")[-1].rstrip("/"),
                    "AWS_HTTPS": "YES" if endpoint.startswith("https") else "NO",
                    "AWS_VIRTUAL_HOSTING": "FALSE",
                }
        with rasterio.Env(**options):
            yield


def open_store(settings: Settings) -> ObjectStore:
    """The store that `settings.store` names.

    S3 takes its endpoint and keys from `AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and
    `AWS_REGION`. Raises `ConfigError` where a folder cannot be written.
    """
    url = settings.store.rstrip("/")
    if url.startswith("s3://"):
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        options: dict[str, Any] = {"endpoint": endpoint, "virtual_hosted_style_request": False} if endpoint else {}
        client: Any = {"allow_http": True} if (endpoint or "").startswith("http://") else {}
        return ObjectStore(url, S3Store.from_url(url, client_options=client, **options))
    folder = Path(url.removeprefix("file://"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"cannot create the object folder {folder}: {error.strerror}; "
            "set SEAICE_HOME or SEAICE_STORE_URL to a place that can be written"
        ) from error
    return ObjectStore(str(folder), LocalStore(str(folder)))

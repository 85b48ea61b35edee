"""The door to the archive: the one that the settings name, and the interface that all of them have."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeVar

from seaice_ops.archive.limits import breaker, quota
from seaice_ops.archive.product import By, Product, ProductFile, Withdrawn
from seaice_ops.archive.providers.cdse import CdseArchive
from seaice_ops.archive.providers.dhus import DhusArchive
from seaice_ops.archive.providers.folder import FolderArchive
from seaice_ops.archive.providers.mirror import MirrorArchive
from seaice_ops.archive.transport.credentials import Credentials, credentials
from seaice_ops.archive.transport.http import Wire, open_wire
from seaice_ops.ledger.session import Ledger, open_ledger
from seaice_ops.settings import ArchiveSettings, Settings

T = TypeVar("T")


class Archive(Protocol):
    """A place where products are found and fetched from. Every call can be repeated at any time."""

    def search(self, tiles: Collection[str], by: By, start: datetime, end: datetime) -> list[Product]:
        """Products of `tiles` published (or sensed) in [start, end), sorted by sensing time."""
        ...

    def fetch(self, product: Product, files: Iterable[ProductFile], inbox: Path) -> list[Path]:
        """Bring `files` of `product` into `inbox`, each under its own path, checked and complete."""
        ...

    def withdrawn(self, start: datetime, end: datetime) -> list[Withdrawn]:
        """Products that the archive withdrew in [start, end), by time; empty where it publishes no withdrawals."""
        ...


def open_archive(settings: Settings) -> Archive:
    """The archive of `settings`. Raises `ConfigError` where its credentials cannot be read."""
    archive, tiles = settings.archive, frozenset(settings.tiles)
    if archive.is_folder:
        return FolderArchive(settings.archive_path, tiles)
    ledger = open_ledger(settings)
    meter = quota.Meter(ledger, archive, settings.work)
    return _Polite(archive, ledger, meter, credentials(archive.connection), tiles, settings.work / "tokens")


@dataclass(frozen=True)
class _Polite:
    """An archive over the network: left alone while its breaker is open, its use counted in the ledger.

    Connections are closed after each use. While a scene is decoded, open ones would count against the quota.
    """

    archive: ArchiveSettings
    ledger: Ledger = field(repr=False)
    meter: quota.Meter
    credentials: Credentials = field(repr=False)
    tiles: frozenset[str]
    tokens: Path

    def search(self, tiles: Collection[str], by: By, start: datetime, end: datetime) -> list[Product]:
        return self._ask(lambda archive: archive.search(tiles, by, start, end))

    def fetch(self, product: Product, files: Iterable[ProductFile], inbox: Path) -> list[Path]:
        return self._ask(lambda archive: archive.fetch(product, files, inbox))

    def withdrawn(self, start: datetime, end: datetime) -> list[Withdrawn]:
        return self._ask(lambda archive: archive.withdrawn(start, end))

    def _ask(self, what: Callable[[Archive], T]) -> T:
        with breaker.guarded(self.ledger, self.archive):
            wire = open_wire(self.archive.http, self.meter)
            try:
                return what(self._service(wire))
            finally:
                wire.client.close()
                self.meter.flush()

    def _service(self, wire: Wire) -> Archive:
        if self.archive.kind == "cdse":
            return CdseArchive(self.archive, wire, self.credentials, self.tiles, self.tokens)
        if self.archive.kind == "dhus":
            return DhusArchive(self.archive, wire, self.credentials)
        return MirrorArchive(self.archive, wire, self.credentials)

"""The archive that the settings name, and what every archive can do."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
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
from seaice_ops.settings import Settings

T = TypeVar("T")


class Archive(Protocol):
    """Where products are found and fetched from; everything can be repeated at any time."""

    def search(self, tiles: Collection[str], by: By, start: datetime, end: datetime) -> list[Product]:
        """Products of `tiles` published (or sensed) in [start, end), sorted by sensing time."""
        ...

    def fetch(self, product: Product, files: Iterable[ProductFile], inbox: Path) -> list[Path]:
        """Bring `files` of `product` into `inbox`, each under its own path, checked and complete."""
        ...

    def withdrawn(self, start: datetime, end: datetime) -> list[Withdrawn]:
        """Products that the archive withdrew in [start, end), by time; none where it tells of none."""
        ...


def open_archive(settings: Settings) -> Archive:
    """The archive of `settings`. Raises `ConfigError` where its credentials cannot be read."""
    if settings.archive.kind in quota.LOCAL:
        return FolderArchive(settings.archive_path, frozenset(settings.tiles))
    return _Polite(settings, credentials(settings), quota.meter(settings))


_NETWORK: Mapping[str, Callable[[Settings, Wire, Credentials], Archive]] = {
    "cdse": CdseArchive,
    "dhus": DhusArchive,
    "stac": MirrorArchive,
}


@dataclass(frozen=True)
class _Polite:
    """An archive over the network: left alone while its breaker is open, its use told to the ledger.

    Connections are closed after each use: while a scene is decoded they would count against the quota for nothing.
    """

    settings: Settings
    credentials: Credentials = field(repr=False)
    meter: quota.Meter

    def search(self, tiles: Collection[str], by: By, start: datetime, end: datetime) -> list[Product]:
        return self._ask(lambda archive: archive.search(tiles, by, start, end))

    def fetch(self, product: Product, files: Iterable[ProductFile], inbox: Path) -> list[Path]:
        return self._ask(lambda archive: archive.fetch(product, files, inbox))

    def withdrawn(self, start: datetime, end: datetime) -> list[Withdrawn]:
        return self._ask(lambda archive: archive.withdrawn(start, end))

    def _ask(self, what: Callable[[Archive], T]) -> T:
        with breaker.guarded(self.settings):
            wire = open_wire(self.settings.archive.http, self.meter)
            try:
                return what(_NETWORK[self.settings.archive.kind](self.settings, wire, self.credentials))
            finally:
                wire.client.close()
                self.meter.flush()

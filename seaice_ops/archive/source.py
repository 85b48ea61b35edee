"""The archive that the settings name, and what every archive can do."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from pathlib import Path
from typing import Protocol

from seaice_ops.archive.folder import FolderArchive
from seaice_ops.archive.product import By, Product, ProductFile
from seaice_ops.settings import Settings


class Archive(Protocol):
    """Where products are found and fetched from; both can be repeated at any time."""

    def search(self, tiles: Collection[str], by: By, start: datetime, end: datetime) -> list[Product]:
        """Products of `tiles` published (or sensed) in [start, end), sorted by sensing time."""
        ...

    def fetch(self, product: Product, files: Iterable[ProductFile], inbox: Path) -> list[Path]:
        """Bring `files` of `product` into `inbox`, each under its own path, checked and complete."""
        ...


def open_archive(settings: Settings) -> Archive:
    """The archive of `settings`; a folder is the only kind."""
    return FolderArchive(settings.archive_path, frozenset(settings.tiles))

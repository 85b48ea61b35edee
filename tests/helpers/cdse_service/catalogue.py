"""The archive's catalogue at a moment, its changes, and the best version of each acquisition."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from helpers.cdse_service.products import Product, folder_product, tiny_product

FAR = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Withdrawal:
    """A product that was taken out of the catalogue: listed by DeletedProducts from then on."""

    product: Product
    at: datetime
    cause: str


class Catalogue:
    """Products by name. What is published or withdrawn after `now` has not happened yet; tests move `now` on."""

    def __init__(self) -> None:
        self.now = FAR
        self._products: dict[str, Product] = {}
        self._withdrawn: dict[str, Withdrawal] = {}

    def publish(self, product: Product) -> str:
        """Add a product (as published at `product.published`) and return its name."""
        self._products[product.name] = product
        return product.name

    def publish_folder(self, archive: Path) -> list[str]:
        """Add every product of an archive folder with its catalogue entry's publication time."""
        import json

        names = []
        for entry in sorted(archive.glob("S2*.json")):
            published = datetime.fromisoformat(json.loads(entry.read_text())["published"])
            names.append(self.publish(folder_product(entry.with_suffix(".SAFE"), published)))
        return names

    def reprocess(self, name: str, baseline: str, published: datetime) -> str:
        """Publish a tiny newer version of `name`: the same acquisition and datastrip, another baseline."""
        return self._again(name, baseline, published, station=None)

    def second_station(self, name: str, published: datetime, station: int = 1) -> str:
        """Publish what another ground station received of the acquisition `name`: another datastrip."""
        return self._again(name, self._products[name].baseline, published, station)

    def withdraw(self, name: str, at: datetime, cause: str = "Corrupted product") -> None:
        """Take `name` out of the catalogue at the moment `at`."""
        self._withdrawn[name] = Withdrawal(self._products[name], at, cause)

    def visible(self) -> list[Product]:
        """The entries in the catalogue now, in order of sensing time."""
        gone = {withdrawal.product.name for withdrawal in self.withdrawn()}
        there = [p for p in self._products.values() if p.published <= self.now and p.name not in gone]
        return sorted(there, key=lambda product: (product.sensed, product.name))

    def withdrawn(self) -> list[Withdrawal]:
        """The entries removed so far, in order of time."""
        return sorted((w for w in self._withdrawn.values() if w.at <= self.now), key=lambda w: (w.at, w.product.name))

    def truth(self, tiles: Iterable[str] | None = None) -> dict[tuple[str, str, str, str], tuple[str, ...]]:
        """The best version of each acquisition: names of its parts, newest first; usually one.

        Independent of the package: the highest baseline counts; of it, the newest generation of every datastrip.
        """
        groups: dict[tuple[str, str, str, str], list[Product]] = {}
        for product in self.visible():
            if tiles is None or product.tile in set(tiles):
                groups.setdefault(product.identity, []).append(product)
        best = {}
        for identity, versions in groups.items():
            highest = max(product.baseline for product in versions)
            parts: dict[str, Product] = {}
            for product in sorted(versions, key=lambda product: (product.generated, product.name)):
                if product.baseline == highest:
                    parts[product.datastrip] = product
            newest_first = sorted(parts.values(), key=lambda product: (product.generated, product.name), reverse=True)
            best[identity] = tuple(product.name for product in newest_first)
        return best

    def _again(self, name: str, baseline: str, published: datetime, station: int | None) -> str:
        old = self._products[name]
        if station is None:
            strip = datetime.strptime(old.datastrip, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
            station = int((strip - old.sensed_at).total_seconds() - 3) // 40
        return self.publish(
            tiny_product(
                old.sensed_at,
                old.tile,
                baseline,
                old.platform,
                int(old.orbit),
                generated=published - timedelta(hours=1),
                published=published,
                station=station,
                checksums=old.checksums,
            )
        )

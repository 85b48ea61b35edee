"""Archives that are DHuS hubs: searched with `sentinelsat`, fetched file by file (nodes) or as one zip."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from seaice_ops.archive.product import By, Product, ProductFile, Withdrawn, parse_name
from seaice_ops.archive.providers.entry import entry
from seaice_ops.archive.providers.odata import file_address, files
from seaice_ops.archive.providers.session import WireAdapter
from seaice_ops.archive.times import MARGIN, inside
from seaice_ops.archive.transport.checksum import named
from seaice_ops.archive.transport.credentials import Credentials
from seaice_ops.archive.transport.download import download
from seaice_ops.archive.transport.gather import gather
from seaice_ops.archive.transport.http import Again, Refused, Wire, shown
from seaice_ops.archive.transport.manifest import read_manifest
from seaice_ops.archive.transport.unzip import unzip
from seaice_ops.errors import ArchiveUnavailable, BadTransfer, ConfigError, CorruptProduct, writing
from seaice_ops.settings import ArchiveSettings

log = logging.getLogger(__name__)

_TILES = 30
_TIMES = {"published": "ingestiondate", "sensed": "beginposition"}
#: Answers of a hub that offers no nodes.
_NO_NODES = {400, 404, 405, 501}


@dataclass(frozen=True)
class DhusArchive:
    """The hub of the settings, read with an account there."""

    archive: ArchiveSettings
    wire: Wire
    credentials: Credentials = field(repr=False)

    def search(self, tiles: Collection[str], by: By, start: datetime, end: datetime) -> list[Product]:
        """Products of `tiles` ingested by the hub (or sensed) in [start, end), sorted by sensing time."""
        api, wanted = self._api(), sorted(tiles)
        found: dict[str, Mapping[str, Any]] = {}
        for at in range(0, len(wanted), _TILES):
            names = {f"*_T{tile}_*" for tile in wanted[at : at + _TILES]}
            page = self.archive.dhus.page
            found |= self._all(partial(_all, api, page, names, _TIMES[by], start - MARGIN, end + MARGIN))
        return inside((self._product(id_, told) for id_, told in found.items()), tiles, by, start, end)

    def _all(self, ask: Callable[[], tuple[dict[str, Mapping[str, Any]], int]]) -> dict[str, Mapping[str, Any]]:
        """The hub's products by id, asked for once more where it counts more than it gives; then its pages decide."""
        found, counted = self.wire.persist(ask)
        if len(found) < counted:
            more, counted = self.wire.persist(ask)
            found |= more
        if len(found) < counted:
            log.warning(
                "%s counts %d matching products and gives %d; its pages are believed",
                shown(self.archive.dhus.url),
                counted,
                len(found),
            )
        return found

    def fetch(self, product: Product, files: Iterable[ProductFile], inbox: Path) -> list[Path]:
        """Bring `files` of `product` into `inbox`: one by one where the hub offers nodes, else out of the zip."""
        wanted, base, auth = list(files), self._base(), self._auth()

        def place(path: str) -> tuple[str, httpx.Auth]:
            return file_address(base, product.href, product.id, path, mark="'"), auth

        if not wanted:
            return []
        if self._has_nodes(place("manifest.safe")[0]):
            return gather(self.wire, product, wanted, inbox, place, self.archive.quota.connections)
        return self._from_zip(product, wanted, inbox)

    def withdrawn(self, start: datetime, end: datetime) -> list[Withdrawn]:
        """An empty list: hubs do not publish withdrawals."""
        return []

    def _from_zip(self, product: Product, wanted: list[ProductFile], inbox: Path) -> list[Path]:
        told = _told(self._api(), product)
        archive = inbox / f"{product.id}.zip"
        download(self.wire, f"{self._base()}/Products('{product.href}')/$value", told, archive, self._auth())
        with writing(inbox):
            try:
                return unzip(archive, product, wanted, inbox)
            finally:
                archive.unlink()

    def _product(self, id_: str, told: Mapping[str, Any]) -> Product:
        name = str(told.get("title", ""))
        ingested = told.get("ingestiondate")
        published = ingested.replace(tzinfo=UTC) if isinstance(ingested, datetime) else None
        listed = files(name, str(told.get("orbitnumber", "")), str(told.get("datastripidentifier", "")))
        if not listed:
            listed = self._listed(id_, name, str(told.get("orbitnumber", "")))
        return entry(name, id_, listed, published)

    def _listed(self, id_: str, name: str, orbit: str) -> list[ProductFile]:
        """The files in the product's manifest.

        A hub without nodes shows no manifest. The files are then named after a datastrip that starts with the product.
        Parts of two ground stations cannot be told apart in this case, and the newest one counts.
        """
        address = file_address(self._base(), id_, name.removesuffix(".SAFE"), "manifest.safe", mark="'")
        try:
            return list(read_manifest(self.wire.request("GET", address, self._auth()), shown(address)).values())
        except Refused as error:
            if error.status not in _NO_NODES and not error.of_one_file:
                raise
        except CorruptProduct:
            return []
        try:
            return files(name, orbit, f"_S{parse_name(name).sensed_at:%Y%m%dT%H%M%S}")
        except CorruptProduct:
            return []

    def _has_nodes(self, address: str) -> bool:
        try:
            self.wire.request("GET", address, self._auth())
        except Refused as error:
            if error.status not in _NO_NODES and not error.of_one_file:
                raise
            return error.status not in _NO_NODES
        return True

    def _base(self) -> str:
        url = self.archive.dhus.url
        if not url:
            raise ConfigError("archive.dhus.url is empty; give the hub's address in config/seaice.yaml")
        return f"{url.rstrip('/')}/odata/v1"

    def _account(self) -> tuple[str, str]:
        account = self.credentials.account()
        if not account:
            raise ConfigError(
                f"the hub needs an account: give the Airflow connection {self.archive.connection!r} or "
                "SEAICE_ARCHIVE_USERNAME and SEAICE_ARCHIVE_PASSWORD (docs/copernicus.md)"
            )
        return account

    def _auth(self) -> httpx.Auth:
        return httpx.BasicAuth(*self._account())

    def _api(self) -> Any:
        from sentinelsat import SentinelAPI

        self._base()
        api = SentinelAPI(*self._account(), f"{self.archive.dhus.url.rstrip('/')}/", show_progressbars=False)
        for scheme in ("http://", "https://"):
            api.session.mount(scheme, WireAdapter(self.wire))
        return api


def _all(
    api: Any, page: int, names: set[str], time: str, start: datetime, end: datetime
) -> tuple[dict[str, Mapping[str, Any]], int]:
    """(products of the hub by id, its count of them); raises `Again` where the answer is no search's."""
    from sentinelsat.exceptions import SentinelAPIError

    asked = {"platformname": "Sentinel-2", "producttype": "S2MSI1C", "filename": names, time: (start, end)}
    found: dict[str, Mapping[str, Any]] = {}
    try:
        total, offset = api.count(**asked), 0
        while offset < total:
            some = api.query(**asked, order_by=f"+{time}", limit=page, offset=offset)
            if not some:
                break
            found |= some
            offset += len(some)
    except (SentinelAPIError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, (ConfigError, CorruptProduct)):
            raise
        raise Again(ArchiveUnavailable(f"{shown(api.api_url)} answers no search: {type(error).__name__}")) from None
    return found, total


def _told(api: Any, product: Product) -> ProductFile:
    """The product's zip with the hub's size and checksum."""
    from sentinelsat.exceptions import InvalidKeyError, SentinelAPIError

    try:
        told = api.get_product_odata(product.href)
        return ProductFile(f"{product.id}.zip", int(told["size"]), named("MD5", str(told.get("md5", ""))))
    except InvalidKeyError:
        raise BadTransfer(f"{product.id} is not at the hub (any more)") from None
    except (SentinelAPIError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, Refused) and error.of_one_file:
            raise BadTransfer(f"{product.id} is not at the hub (any more): {error}") from None
        if isinstance(error, ConfigError):
            raise
        raise ArchiveUnavailable(
            f"{shown(api.api_url)} does not tell of {product.id}: {type(error).__name__}"
        ) from None

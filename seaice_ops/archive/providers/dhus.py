"""The archive that is a hub which still speaks DHuS: searched with `sentinelsat`, fetched by nodes or as one zip."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
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
from seaice_ops.errors import ArchiveUnavailable, ConfigError, CorruptProduct, writing
from seaice_ops.settings import ArchiveSettings

_TILES = 30
_TIMES = {"published": "ingestiondate", "sensed": "beginposition"}
#: How a hub without nodes answers a question for one.
_NO_NODES = {400, 404, 405, 501}


@dataclass(frozen=True)
class DhusArchive:
    """The hub of the settings and the account there."""

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
            found |= self.wire.persist(partial(_all, api, page, names, _TIMES[by], start - MARGIN, end + MARGIN))
        return inside((self._product(id_, told) for id_, told in found.items()), tiles, by, start, end)

    def fetch(self, product: Product, files: Iterable[ProductFile], inbox: Path) -> list[Path]:
        """Bring `files` of `product` into `inbox`: each by itself where the hub offers nodes, else out of the zip."""
        wanted, base, auth = list(files), self._base(), self._auth()

        def place(path: str) -> tuple[str, httpx.Auth]:
            return file_address(base, product.href, product.id, path, mark="'"), auth

        if not wanted:
            return []
        if self._has_nodes(place("manifest.safe")[0]):
            return gather(self.wire, product, wanted, inbox, place, self.archive.quota.connections)
        return self._from_zip(product, wanted, inbox)

    def withdrawn(self, start: datetime, end: datetime) -> list[Withdrawn]:
        """Nothing: hubs tell of no withdrawals."""
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
        """The files as the product's manifest lists them.

        A hub without nodes shows no manifest: the files are then called after a datastrip that starts with the
        product, and two ground stations' parts cannot be told apart: the newest one counts.
        """
        address = file_address(self._base(), id_, name.removesuffix(".SAFE"), "manifest.safe", mark="'")
        try:
            return list(read_manifest(self.wire.request("GET", address, self._auth()), shown(address)).values())
        except Refused as error:
            if error.status not in _NO_NODES:
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
            if error.status not in _NO_NODES:
                raise
            return False
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
) -> dict[str, Mapping[str, Any]]:
    """What the hub knows by id; raises `Again` where it gives less than it counts, or what is no answer."""
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
    if len(found) < total:
        words = f"{shown(api.api_url)} says that {total} products match and gives {len(found)}"
        raise Again(ArchiveUnavailable(words))
    return found


def _told(api: Any, product: Product) -> ProductFile:
    """Size and checksum of the product's zip as the hub tells them."""
    from sentinelsat.exceptions import InvalidKeyError, SentinelAPIError

    try:
        told = api.get_product_odata(product.href)
        return ProductFile(f"{product.id}.zip", int(told["size"]), named("MD5", str(told.get("md5", ""))))
    except InvalidKeyError:
        raise CorruptProduct(f"{product.id} is not at the hub (any more)") from None
    except (SentinelAPIError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ArchiveUnavailable(
            f"{shown(api.api_url)} does not tell of {product.id}: {type(error).__name__}"
        ) from None

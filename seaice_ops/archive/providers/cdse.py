"""The Copernicus Data Space as an archive: searched by STAC or OData, fetched by S3 or OData."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import httpx

from seaice_ops.archive.product import By, Product, ProductFile, Withdrawn
from seaice_ops.archive.providers import cdse_stac, odata
from seaice_ops.archive.times import inside
from seaice_ops.archive.transport.credentials import Credentials
from seaice_ops.archive.transport.gather import Place, gather
from seaice_ops.archive.transport.http import Refused, Wire
from seaice_ops.archive.transport.s3 import S3Auth, s3_address
from seaice_ops.archive.transport.token import Bearer, Tokens
from seaice_ops.errors import ArchiveUnavailable, ConfigError, QuotaExceeded
from seaice_ops.settings import ArchiveSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CdseArchive:
    """The Copernicus Data Space. `tiles` are those of the configuration, tokens are kept in the folder `tokens`."""

    archive: ArchiveSettings
    wire: Wire
    credentials: Credentials = field(repr=False)
    tiles: Collection[str]
    tokens: Path

    def search(self, tiles: Collection[str], by: By, start: datetime, end: datetime) -> list[Product]:
        """Products of `tiles` published (or sensed) in [start, end), sorted by sensing time.

        STAC is asked first. OData, which has the same products, is asked where STAC fails or leaves a doubt. Where the
        service states a time to come again, nothing else is asked before it.
        """
        cdse = self.archive.cdse
        try:
            found, sure = cdse_stac.search(self.wire, cdse, tiles, by, start, end)
        except (ArchiveUnavailable, QuotaExceeded, Refused) as error:
            if isinstance(error, QuotaExceeded) and error.again:
                raise
            log.warning("STAC cannot be searched, OData is asked instead: %s", error)
            return odata.search(self.wire, cdse, tiles, by, start, end)
        return found if sure else self._with_odata(found, tiles, by, start, end)

    def _with_odata(
        self, found: list[Product], tiles: Collection[str], by: By, start: datetime, end: datetime
    ) -> list[Product]:
        """`found` and what OData has besides. A day without products is normal: OData's failure is no error here."""
        try:
            more = odata.search(self.wire, self.archive.cdse, tiles, by, start, end)
        except (ArchiveUnavailable, Refused) as error:
            log.warning("STAC may have given too little, and OData cannot be asked: %s", error)
            return found
        known = {product.id for product in found}
        return inside([*found, *(product for product in more if product.id not in known)], tiles, by, start, end)

    def fetch(self, product: Product, files: Iterable[ProductFile], inbox: Path) -> list[Path]:
        """Bring `files` of `product` into `inbox`: from S3 where there are keys, else with the account's token."""
        connections = self.archive.quota.connections
        return gather(self.wire, product, list(files), inbox, self._place(product), connections)

    def withdrawn(self, start: datetime, end: datetime) -> list[Withdrawn]:
        """Products of the configured tiles that were withdrawn in [start, end), by time."""
        return odata.withdrawn(self.wire, self.archive.cdse, self.tiles, start, end)

    def _place(self, product: Product) -> Place:
        """The addresses of the product's files, and the credentials for them."""
        cdse = self.archive.cdse
        keys = self.credentials.s3_keys()
        if keys:
            auth: httpx.Auth = S3Auth(keys, cdse.s3_region)
            return lambda path: (s3_address(cdse.s3_url, f"{product.href}/{path}"), auth)
        tokens = self._tokens()
        tokens.current()  # before the threads start: a refused account is asked once, not by each of them
        bearer = Bearer(tokens)
        id_ = odata.product_id(self.wire, cdse, product.id)
        return lambda path: (odata.file_address(cdse.download_url, id_, product.id, path), bearer)

    def _tokens(self) -> Tokens:
        account, cdse = self.credentials.account(), self.archive.cdse
        if not account:
            name = self.archive.connection
            raise ConfigError(
                f"the Copernicus Data Space needs S3 keys or an account: give the Airflow connection {name!r} or the "
                "SEAICE_ARCHIVE_... variables (docs/copernicus.md)"
            )
        return Tokens(self.wire, cdse.token_url, cdse.client_id, account, self.tokens)

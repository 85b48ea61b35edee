"""Archives that are any other STAC API: mirrors, whose bands have names of their own and may have been rescaled."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import httpx
from pydantic import BaseModel, ValidationError

from seaice_ops.archive.product import By, Product, ProductFile, Withdrawn, named
from seaice_ops.archive.providers import mirror_item
from seaice_ops.archive.providers.entry import LONGEST_HREF, unusable
from seaice_ops.archive.providers.stac_search import Item, conditions, items, products, tile_codes
from seaice_ops.archive.times import MARGIN, inside, iso, parse_time
from seaice_ops.archive.transport.checksum import multihash
from seaice_ops.archive.transport.credentials import Credentials
from seaice_ops.archive.transport.gather import gather
from seaice_ops.archive.transport.http import Refused, Wire, shown
from seaice_ops.archive.transport.s3 import S3Auth, s3_address
from seaice_ops.archive.transport.transfer import receive
from seaice_ops.errors import ArchiveUnavailable, BadTransfer, ConfigError, CorruptProduct, plain
from seaice_ops.pixels.sidecar import MIRROR
from seaice_ops.sensors.sentinel2 import BANDS
from seaice_ops.settings import ArchiveSettings, StacSettings

_TILES = 50

#: An item's own time is its granule's, the product's name has the start of the datatake: minutes earlier, or most of an
#: orbit (100.6 minutes) where a strip is long. `inside` keeps each product on the day of its name.
_LONGEST_DATATAKE = timedelta(minutes=101)

#: Names of the asset tileInfo.json of the AWS layout.
_TILE_INFO = ("tileinfo_metadata", "tileinfo-metadata", "tileinfo")

#: Values for the settings that are left empty, by host, for the mirrors that we know.
KNOWN: Mapping[str, Mapping[str, object]] = {
    "earth-search.aws.element84.com": {
        "published": "created",
        "s3_url": "https://s3.eu-central-1.amazonaws.com",
        "requester_pays": True,
    },
    "planetarycomputer.microsoft.com": {
        "tile": "s2:mgrs_tile",
        "sign_url": "https://planetarycomputer.microsoft.com/api/sas/v1/sign",
    },
}


class _Signed(BaseModel):
    href: str


def completed(given: StacSettings) -> StacSettings:
    """`given`, its empty values filled in where the mirror is known (`KNOWN`)."""
    known = KNOWN.get(urlsplit(given.url).hostname or "", {})
    fields = {key: value for key, value in known.items() if not getattr(given, key)}
    return given.model_copy(update={"tile": given.tile or "grid:code", **fields})


@dataclass(frozen=True)
class MirrorArchive:
    """The mirror of the settings, read with S3 keys where they are given."""

    archive: ArchiveSettings
    wire: Wire
    credentials: Credentials = field(repr=False)

    def search(self, tiles: Collection[str], by: By, start: datetime, end: datetime) -> list[Product]:
        """Products of `tiles` published (or sensed) in [start, end), sorted by sensing time.

        A mirror without a time of publication is asked for everything sensed since `late_days` before `start`.
        """
        stac = self._stac()
        if by == "published" and not stac.published:
            by, start = "sensed", start - timedelta(days=stac.late_days)
        some = self._items(stac, sorted(tiles), by, start, end)
        found = products(some, lambda item: product(self._named(stac, item), stac))
        return inside(found, tiles, by, start, end)

    def fetch(self, product: Product, files: Iterable[ProductFile], inbox: Path) -> list[Path]:
        """Bring `files` of `product` into `inbox`; the sidecar is made from the mirror's item as it is now."""
        stac = self._stac()
        item = self._item(stac, product)
        wanted = list(files)
        addresses = {path: href for path, _, href in _files(item, stac)}
        lost = [file.path for file in wanted if file.path not in addresses and file.path != MIRROR]
        if lost:
            raise CorruptProduct(f"{product.id}: {', '.join(lost)} is not at the mirror (any more)")
        bands = [file for file in wanted if file.path != MIRROR]
        paths = gather(
            self.wire,
            product,
            bands,
            inbox,
            lambda path: self._at(stac, addresses.get(path, "")),
            self.archive.quota.connections,
            manifest=False,
        )
        if len(bands) < len(wanted):
            text = mirror_item.sidecar(item, stac.assets).model_dump_json(indent=1).encode()
            paths.append(receive(ProductFile(MIRROR), [text], inbox / MIRROR, source=product.href))
        return paths

    def withdrawn(self, start: datetime, end: datetime) -> list[Withdrawn]:
        """An empty list: mirrors do not publish withdrawals."""
        return []

    def _stac(self) -> StacSettings:
        if not self.archive.stac.url:
            raise ConfigError("archive.stac.url is empty; give the address of the STAC API in config/seaice.yaml")
        return completed(self.archive.stac)

    def _items(self, stac: StacSettings, tiles: list[str], by: By, start: datetime, end: datetime) -> Iterator[Item]:
        first, last = iso(start - MARGIN), iso(end + MARGIN)
        late = iso(end + MARGIN + _LONGEST_DATATAKE)
        published = by == "published"
        time = {"filter": conditions(stac.published, first, last)} if published else {"datetime": f"{first}/{late}"}
        for at in range(0, len(tiles), _TILES):
            some, _ = items(
                self.wire,
                stac.url,
                tile_property=stac.tile,
                tiles=[code for tile in tiles[at : at + _TILES] for code in tile_codes(stac.tile, tile)],
                collections=[stac.collection],
                limit=stac.page,
                **time,
            )
            yield from some

    def _named(self, stac: StacSettings, item: Item) -> Item:
        """`item`, with its product's name from tileInfo.json where the item itself does not hold that name."""
        assets = item.get("assets") or {}
        info = next((assets[name] for name in _TILE_INFO if isinstance(assets.get(name), dict)), None)
        try:
            mirror_item.name(item)
        except CorruptProduct:
            if info and isinstance(info.get("href"), str):
                return self._with_tile_info(stac, item, info["href"])
        return item

    def _with_tile_info(self, stac: StacSettings, item: Item, href: str) -> Item:
        address, auth = self._at(stac, urljoin(_self(item, stac), href))
        try:
            told = _json(self.wire.request("GET", address, auth), address)
        except Refused as error:
            if not error.of_one_file:
                raise
            return item
        return dict(mirror_item.with_tile_info(item, told))

    def _item(self, stac: StacSettings, product: Product) -> Item:
        try:
            body = self.wire.request("GET", product.href)
        except Refused as error:
            if not error.of_one_file:
                raise
            raise BadTransfer(f"{product.id} is not at the mirror (any more): {error}") from None
        try:
            item = self._named(stac, _json(body, product.href))
            if mirror_item.full_name(mirror_item.name(item)) != product.id:
                raise CorruptProduct(f"{shown(product.href)} is another product than {product.id}")
        except (KeyError, TypeError, AttributeError):
            raise ArchiveUnavailable(f"{shown(product.href)} answers no STAC item") from None
        return item

    def _at(self, stac: StacSettings, href: str) -> tuple[str, httpx.Auth | None]:
        """The address of an asset and its credentials; the address is signed where the mirror asks for that."""
        if href.startswith("s3://"):
            keys = self.credentials.s3_keys()
            if not stac.s3_url:
                raise ConfigError(f"archive.stac.s3_url is empty, and the mirror keeps its files at {href[:200]}")
            if stac.requester_pays and not keys:
                raise ConfigError("the mirror's bucket is read with S3 keys, whose owner pays; see docs/copernicus.md")
            auth = S3Auth(keys, stac.s3_region, stac.requester_pays) if keys else None
            return s3_address(stac.s3_url, href), auth
        if not stac.sign_url:
            return href, None
        answer = self.wire.request("GET", f"{stac.sign_url}?href={quote(href, safe='')}")
        try:
            return _Signed.model_validate_json(answer).href, None
        except ValidationError:
            raise ArchiveUnavailable(f"{shown(stac.sign_url)} does not answer with a signed href") from None


def product(item: Item, stac: StacSettings) -> Product:
    """The product of a mirror's item; without `problem` only if it has all that a scene needs."""
    href, tile = _self(item, stac), mirror_item.tile_of(item.get("properties") or {})
    try:
        parsed = mirror_item.name(item)
        published = _published(item, stac)
    except CorruptProduct as error:
        return unusable(str(item["id"]), tile, href, None, str(error))
    found = named(parsed, mirror_item.full_name(parsed), href, published)
    try:
        files = [file for _, file, _ in _files(item, stac)]
        told = mirror_item.sidecar(item, stac.assets)
    except CorruptProduct as error:
        return replace(found, problem=str(error))
    except ValidationError as error:
        where = error.errors()[0]
        return replace(found, problem=plain(f"{found.id}: {'.'.join(map(str, where['loc']))}: {where['msg']}"))
    if not any(file.path.endswith("MTD_TL.xml") for file in files) and (told.grid is None or told.sun_zenith is None):
        return replace(found, problem=f"{found.id} holds no grid or no sun angle, and has no MTD_TL.xml")
    return replace(found, files=(ProductFile(MIRROR), *files))


def _json(body: bytes, address: str) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise ArchiveUnavailable(f"{shown(address)} answers no JSON object")
    return told


def _files(item: Item, stac: StacSettings) -> list[tuple[str, ProductFile, str]]:
    """(path as the product itself has it, file, address) of MTD_TL, where there is one, and of the bands."""
    parsed = mirror_item.name(item)
    granule = f"GRANULE/{mirror_item.granule(item, parsed)}"
    image = f"{granule}/IMG_DATA/T{parsed.tile}_{parsed.sensed_at:%Y%m%dT%H%M%S}"
    files = []
    for what in ("MTD_TL", *BANDS):
        asset = mirror_item.asset(item, what, stac.assets)
        if asset is None and what != "MTD_TL":
            raise CorruptProduct(f"{item.get('id')} has no asset for {what}; archive.stac.assets may name it")
        if asset is None:
            continue
        href = urljoin(_self(item, stac), asset["href"])
        suffix = PurePosixPath(urlsplit(href).path).suffix or ".tif"
        path = f"{granule}/MTD_TL.xml" if what == "MTD_TL" else f"{image}_{what}{suffix}"
        size = asset.get("file:size")
        known = size if isinstance(size, int) and size >= 0 else None
        files.append((path, ProductFile(path, known, multihash(asset.get("file:checksum"))), href))
    return files


def _self(item: Item, stac: StacSettings) -> str:
    links = item.get("links") or []
    told = next((link.get("href") for link in links if link.get("rel") == "self"), None)
    at = f"{stac.url.rstrip('/')}/collections/{quote(stac.collection)}/items/{quote(str(item['id']))}"
    usable = isinstance(told, str) and told.startswith("http") and told.isprintable() and len(told) <= LONGEST_HREF
    return str(told) if usable else at


def _published(item: Item, stac: StacSettings) -> datetime | None:
    told = (item.get("properties") or {}).get(stac.published) if stac.published else None
    return parse_time(told) if told else None

"""The OData catalogue of the Copernicus Data Space: another search, withdrawn products, and addresses of files.

A list is read in slices of time. Each answer holds up to `$top` entries from a time on, and the next slice begins where
it ended. `$skip`, which the service limits to 10,000, only passes entries of one and the same time.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, Field, ValidationError

from seaice_ops.archive.product import By, Product, ProductFile, Withdrawn, parse_name
from seaice_ops.archive.providers.entry import entry
from seaice_ops.archive.times import MARGIN, inside, iso, parse_time
from seaice_ops.archive.transport.http import Again, Wire, shown
from seaice_ops.errors import ArchiveUnavailable, BadTransfer, CorruptProduct, plain
from seaice_ops.sensors.sentinel2 import BANDS, PRODUCT_METADATA
from seaice_ops.settings import CdseSettings

_TOP, _MOST_SKIPPED = 1000, 10_000
#: Tiles (names) of one request, so that its address stays short.
_TILES = 20
_TIMES = {"published": "PublicationDate", "sensed": "ContentDate/Start", "deleted": "DeletionDate"}


class _Attribute(BaseModel):
    Name: str
    Value: Any = None


class _Dates(BaseModel):
    Start: str


class _Entry(BaseModel):
    """An entry of Products or of DeletedProducts."""

    Id: str
    Name: str
    S3Path: str | None = None
    PublicationDate: str | None = None
    DeletionDate: str | None = None
    DeletionCause: str | int | None = None
    ContentDate: _Dates | None = None
    Attributes: list[_Attribute] | None = None

    def time(self, field: str) -> datetime:
        """The time in `field`; raises `ArchiveUnavailable` where it is none, because pages follow these times."""
        dates = self.ContentDate.Start if self.ContentDate else None
        try:
            return parse_time(dates if field == "ContentDate/Start" else getattr(self, field))
        except CorruptProduct as error:
            raise ArchiveUnavailable(f"the OData catalogue gives {self.Name[:128]} no {field}: {error}") from None

    def attribute(self, name: str) -> str:
        return next((str(a.Value) for a in self.Attributes or () if a.Name == name), "")


class _Page(BaseModel):
    value: list[_Entry]
    more: str | None = Field(None, alias="@odata.nextLink")


def search(
    wire: Wire, settings: CdseSettings, tiles: Collection[str], by: By, start: datetime, end: datetime
) -> list[Product]:
    """Level-1C products of `tiles` published (or sensed) in [start, end), sorted by sensing time.

    The catalogue does not list a product's files. Their paths follow from its attributes, their sizes are None.
    """
    found = (
        product(each)
        for some in _some(sorted(tiles))
        for each in _entries(wire, f"{settings.odata_url}/Products", _TIMES[by], _of_tiles(some), start, end)
    )
    return inside(found, tiles, by, start, end)


def withdrawn(
    wire: Wire, settings: CdseSettings, tiles: Collection[str], start: datetime, end: datetime
) -> list[Withdrawn]:
    """Level-1C products of `tiles` withdrawn in [start, end), by time, without those that are offered (again)."""
    gone = {}
    for some in _some(sorted(tiles)):
        url = f"{settings.odata_url}/DeletedProducts"
        for each in _entries(wire, url, _TIMES["deleted"], _of_tiles(some), start, end):
            at, name = each.time("DeletionDate"), each.Name.removesuffix(".SAFE")
            if start <= at < end and _is_level_1c(name):
                gone[name] = Withdrawn(name, plain(str(each.DeletionCause or "no cause given")), at)
    offered = set(_ids(wire, settings, sorted(gone)))
    return sorted((each for name, each in gone.items() if name not in offered), key=lambda each: (each.at, each.id))


def product_id(wire: Wire, settings: CdseSettings, name: str) -> str:
    """The catalogue's id of the product `name`; raises `BadTransfer` where it has none (any more)."""
    found = _ids(wire, settings, [name])
    if name not in found:
        raise BadTransfer(f"{name} is not in the catalogue {shown(settings.odata_url)} (any more)")
    return found[name]


def file_address(base: str, product: str, name: str, path: str, mark: str = "") -> str:
    """The address of a product's file: ``<base>/Products(<id>)/Nodes(<name>.SAFE)/Nodes(...)/$value``.

    `mark` is what encloses names and ids in the service's dialect: nothing, or ``'`` for DHuS.
    """
    nodes = "".join(f"/Nodes({mark}{quote(part)}{mark})" for part in (f"{name}.SAFE", *path.split("/")))
    return f"{base.rstrip('/')}/Products({mark}{quote(product)}{mark}){nodes}/$value"


def product(found: _Entry) -> Product:
    """The product of a catalogue's entry (with Attributes)."""
    href = f"s3:/{found.S3Path.rstrip('/')}" if found.S3Path else ""
    name = found.Name.removesuffix(".SAFE")
    made = entry(
        name,
        href,
        files(name, found.attribute("orbitNumber"), found.attribute("datastripId")),
        found.time("PublicationDate"),
    )
    if not made.tile:
        return replace(made, tile=found.attribute("tileId"))
    return made if href or made.problem else replace(made, problem=f"{name} has no S3Path in the catalogue")


def files(name: str, orbit: str, datastrip: str) -> list[ProductFile]:
    """The files of a Level-1C product that a scene needs, named by the format's rules; empty where a part is unknown.

    The granule's folder is L1C_T<tile>_A<absolute orbit>_<start of the datastrip>, its images are called after the
    tile and the product's sensing start (Sentinel-2 Products Specification Document).
    """
    strip = re.search(r"_S(\d{8}T\d{6})", datastrip)
    try:
        parsed = parse_name(name)
    except CorruptProduct:
        return []
    if not orbit.isdigit() or not strip:
        return []
    granule = f"GRANULE/L1C_T{parsed.tile}_A{int(orbit):06d}_{strip[1]}"
    image = f"{granule}/IMG_DATA/T{parsed.tile}_{parsed.sensed_at:%Y%m%dT%H%M%S}"
    bands = [f"{image}_{band}.jp2" for band in BANDS]
    return [ProductFile(path) for path in (PRODUCT_METADATA, f"{granule}/MTD_TL.xml", *bands)]


def _entries(wire: Wire, url: str, time: str, condition: str, start: datetime, end: datetime) -> Iterator[_Entry]:
    """The entries of [start, end), some of them more than once, and some just outside."""
    cursor, last, skip, doubts = start - MARGIN, iso(end + MARGIN), 0, 0
    while True:
        page = _page(
            wire,
            url,
            {
                "$filter": f"{condition} and {time} ge {iso(cursor)} and {time} lt {last}",
                "$orderby": f"{time} asc",
                "$top": str(_TOP),
                "$skip": str(skip),
                "$expand": "Attributes",
            },
        )
        times = [each.time(time) for each in page.value]
        if not times or min(times) < cursor:  # an end, or a fault (an empty page, an earlier one again): ask once more
            doubts += 1
            if doubts > 1 and times:
                raise ArchiveUnavailable(f"{shown(url)} answers with entries that were not asked for")
            if doubts > 1:
                return
            continue
        doubts = 0
        yield from page.value
        if len(times) < _TOP and not page.more:
            return
        skip = skip + len(times) if max(times) == cursor else 0
        cursor = max(times)
        if skip > _MOST_SKIPPED:
            raise ArchiveUnavailable(f"{shown(url)} gives more than {_MOST_SKIPPED} entries of {iso(cursor)}")


def _page(wire: Wire, url: str, params: dict[str, str]) -> _Page:
    def ask() -> _Page:
        try:
            return _Page.model_validate_json(wire.request("GET", url, params=params))
        except ValidationError as error:
            where = error.errors()[0]
            words = f"{shown(url)} answers no OData: {where['loc']} {where['msg']}"
        raise Again(ArchiveUnavailable(words))

    return wire.persist(ask)


def _ids(wire: Wire, settings: CdseSettings, names: list[str]) -> dict[str, str]:
    """The catalogue's ids of those of the products `names` that it offers; of several the one published last."""
    found: dict[str, _Entry] = {}
    for some in _some(names):
        wanted = " or ".join(f"Name eq {_text(name + '.SAFE')}" for name in some)
        for each in _page(wire, f"{settings.odata_url}/Products", {"$filter": f"({wanted})", "$top": str(_TOP)}).value:
            name = each.Name.removesuffix(".SAFE")
            if name not in found or (found[name].PublicationDate or "") <= (each.PublicationDate or ""):
                found[name] = each
    return {name: each.Id for name, each in found.items()}


def _of_tiles(tiles: Iterable[str]) -> str:
    of_tile = " or ".join(_attribute("tileId", tile) for tile in tiles)
    return f"Collection/Name eq 'SENTINEL-2' and {_attribute('productType', 'S2MSI1C')} and ({of_tile})"


def _attribute(name: str, value: str) -> str:
    any_ = f"att:att/Name eq {_text(name)} and att/OData.CSC.StringAttribute/Value eq {_text(value)}"
    return f"Attributes/OData.CSC.StringAttribute/any({any_})"


def _text(value: str) -> str:
    doubled = value.replace("'", "''")
    return f"'{doubled}'"


def _some(names: list[str]) -> Iterator[list[str]]:
    for at in range(0, len(names), _TILES):
        yield names[at : at + _TILES]


def _is_level_1c(name: str) -> bool:
    try:
        return parse_name(name).level == "L1C"
    except CorruptProduct:
        return False

"""The two metadata files of a Level-1C product: MTD_MSIL1C.xml (radiometry) and MTD_TL.xml (grid and sun)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import parse

from seaice_ops.errors import ConfigError, CorruptProduct, unreadable
from seaice_ops.pixels.checks import check_crs, check_size, check_time, check_transform
from seaice_ops.sensors.sentinel2 import BAND_IDS
from seaice_ops.storage.rasters import Grid

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class ProductMetadata:
    """MTD_MSIL1C.xml: reflectance = (DN + offsets[band]) / quantification."""

    platform: str
    """For example ``S2B``."""
    relative_orbit: int
    baseline: str
    """Processing baseline, for example ``05.11``."""
    sensed_at: datetime
    """Start of the datatake, UTC."""
    generated_at: datetime
    """Generation of the product, UTC."""
    quantification: float
    offsets: Mapping[str, float]
    """RADIO_ADD_OFFSET by band, in digital numbers; all 0 before baseline 04.00."""


@dataclass(frozen=True)
class TileMetadata:
    """MTD_TL.xml: where the granule lies and how the sun stood."""

    tile: str
    """MGRS tile without the T."""
    sensed_at: datetime
    """The granule's own sensing time, UTC; minutes after the start of its datatake."""
    grids: Mapping[int, Grid]
    """Grids by their resolution in metres: 10, 20, and mostly 60."""
    sun_zenith: float
    """Mean over the tile, degrees."""
    sun_azimuth: float
    """Mean over the tile, degrees clockwise from north."""


def read_product(path: Path) -> ProductMetadata:
    """Parse a Level-1C product's MTD_MSIL1C.xml; raises `CorruptProduct` naming the file and what is wrong."""
    xml = _Xml(path)
    return ProductMetadata(
        platform=xml.text(".//SPACECRAFT_NAME").replace("Sentinel-", "S"),
        relative_orbit=int(xml.number(".//SENSING_ORBIT_NUMBER", 1, 143)),
        baseline=xml.text(".//PROCESSING_BASELINE"),
        sensed_at=xml.time(".//DATATAKE_SENSING_START"),
        generated_at=xml.time(".//GENERATION_TIME"),
        quantification=_quantification(xml),
        offsets=_offsets(xml),
    )


def read_tile(path: Path) -> TileMetadata:
    """Parse a granule's MTD_TL.xml; raises `CorruptProduct` naming the file and what is wrong."""
    xml = _Xml(path)
    return TileMetadata(
        tile=_tile(xml),
        sensed_at=xml.time(".//SENSING_TIME"),
        grids={int(resolution): _grid(xml, resolution) for resolution in xml.resolutions()},
        sun_zenith=xml.number(".//Mean_Sun_Angle/ZENITH_ANGLE", 0, 180),
        sun_azimuth=xml.number(".//Mean_Sun_Angle/AZIMUTH_ANGLE", -360, 360),
    )


def _quantification(xml: _Xml) -> float:
    value = xml.number(".//QUANTIFICATION_VALUE")
    if value < 1:
        raise xml.error(f"QUANTIFICATION_VALUE {value:g} is below 1")
    return value


def _offsets(xml: _Xml) -> dict[str, float]:
    offsets = dict.fromkeys(BAND_IDS, 0.0)
    for element in xml.root.iterfind(".//RADIO_ADD_OFFSET"):
        band_id = element.get("band_id", "")
        if not band_id.isdecimal() or int(band_id) >= len(BAND_IDS):
            raise xml.error(f"RADIO_ADD_OFFSET has the band_id {band_id!r}")
        offsets[BAND_IDS[int(band_id)]] = xml.float(element.text or "", "RADIO_ADD_OFFSET")
    return offsets


def _tile(xml: _Xml) -> str:
    """T01CCV of S2B_OPER_MSI_L1C_TL_2BPS_20260201T214500_A046123_T01CCV_N05.11."""
    parts = [part for part in xml.text(".//TILE_ID").split("_") if len(part) == 6 and part.startswith("T")]
    if not parts:
        raise xml.error("TILE_ID names no tile")
    return parts[-1][1:]


def _grid(xml: _Xml, resolution: str) -> Grid:
    size = f".//Size[@resolution='{resolution}']"
    place = f".//Geoposition[@resolution='{resolution}']"
    left, top, x, y = (xml.number(f"{place}/{name}") for name in ("ULX", "ULY", "XDIM", "YDIM"))
    columns, rows = xml.number(f"{size}/NCOLS"), xml.number(f"{size}/NROWS")
    return Grid(
        crs=xml.checked("HORIZONTAL_CS_CODE", check_crs, xml.text(".//HORIZONTAL_CS_CODE")),
        transform=xml.checked("Geoposition", check_transform, (x, 0.0, left, 0.0, y, top)),
        width=xml.checked("NCOLS", check_size, columns),
        height=xml.checked("NROWS", check_size, rows),
    )


class _Xml:
    """An XML file. Every wrong or missing element is a `CorruptProduct` that names the file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            root: Any = parse(path, forbid_dtd=True).getroot()
        except DefusedXmlException as error:
            raise self.error(f"declares a document type or entities, which no product does: {error}") from None
        except (ParseError, ValueError, LookupError) as error:  # the last two: encodings that nobody can read
            raise self.error(f"is not XML: {error}") from None
        except OSError as error:
            raise unreadable(path, error) from error
        self.root: Element = root

    def resolutions(self) -> list[str]:
        found = [element.get("resolution", "") for element in self.root.iterfind(".//Size")]
        if not {"10", "20"} <= set(found) or not all(map(str.isdecimal, found)):
            raise self.error("has no Size of 10 and of 20 m")
        return found

    def text(self, where: str) -> str:
        text = (self.root.findtext(where) or "").strip()
        if not text:
            raise self.error(f"has no {where.removeprefix('.//')}")
        return text

    def number(self, where: str, least: float = -math.inf, most: float = math.inf) -> float:
        number = self.float(self.text(where), where.removeprefix(".//"))
        if not least <= number <= most:
            raise self.error(f"{where.removeprefix('.//')} {number:g} is not between {least:g} and {most:g}")
        return number

    def float(self, text: str, what: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise self.error(f"{what} {text!r} is not a number")
        return number

    def time(self, where: str) -> datetime:
        text = self.text(where)
        try:
            moment = datetime.fromisoformat(text)
            return check_time(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
        except ValueError:
            raise self.error(f"{where.removeprefix('.//')} {text!r} is not a time") from None

    def checked(self, what: str, check: Callable[[T], R], value: T) -> R:
        """The answer of `check` to `value` of the element `what`."""
        try:
            return check(value)
        except ConfigError:
            raise
        except ValueError as error:
            raise self.error(f"{what} {value!r} {error}") from None

    def error(self, what: str) -> CorruptProduct:
        return CorruptProduct(f"{self.path}: {what}" if what[0].isupper() else f"{self.path} {what}")

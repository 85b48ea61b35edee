"""The two metadata files of a product, with the names and structure of real ones; elements without use are left out."""

from __future__ import annotations

from datetime import timedelta
from math import cos, pi
from xml.etree.ElementTree import Element, SubElement, indent, tostring  # only writes; nothing foreign is parsed

from seaice_ops.geo.tiles import Tile
from seaice_ops.sensors.sentinel2 import BAND_IDS, BANDS, METRES
from seaice_ops.simulate.season import OLD_BASELINE, Planned
from seaice_ops.simulate.sensor import OFFSET, SCALE

_SCHEMA = "https://psd-14.sentinel2.eo.esa.int/PSD/"
_CENTRE = "2BPS"

#: Files below IMG_DATA: the bands with their pixel size in metres, and the true-colour image.
PIXEL_M = METRES
IMAGES = (*BANDS, "TCI")

#: Number of the instrument's bands; the metadata list an offset for each, numbered from 0.
_ALL_BANDS = len(BAND_IDS)


def offset(product: Planned) -> int:
    """The offset added to a product's digital numbers: 0 before baseline 04.00."""
    return 0 if product.baseline == OLD_BASELINE else OFFSET


def granule(product: Planned) -> str:
    """Name of the product's only granule folder."""
    passed = product.sensed + timedelta(seconds=3)
    return f"L1C_T{product.tile}_A{product.absolute_orbit:06d}_{passed:%Y%m%dT%H%M%S}"


def image_path(product: Planned, image: str) -> str:
    """Path of an image below the .SAFE folder."""
    name = f"T{product.tile}_{product.sensed:%Y%m%dT%H%M%S}_{image}.jp2"
    return f"GRANULE/{granule(product)}/IMG_DATA/{name}"


def product_xml(product: Planned) -> bytes:
    """Content of the product's MTD_MSIL1C.xml."""
    root = _root("Level-1C_User_Product", "User_Product_Level-1C.xsd")
    general = SubElement(root, "n1:General_Info")
    info = SubElement(general, "Product_Info")
    start = f"{product.sensed:%Y-%m-%dT%H:%M:%S}.024Z"
    for tag, text in {
        "PRODUCT_START_TIME": start,
        "PRODUCT_STOP_TIME": start,
        "PRODUCT_URI": f"{product.id}.SAFE",
        "PROCESSING_LEVEL": "Level-1C",
        "PRODUCT_TYPE": "S2MSI1C",
        "PROCESSING_BASELINE": product.baseline,
        "GENERATION_TIME": f"{product.generated:%Y-%m-%dT%H:%M:%S}.000000Z",
    }.items():
        SubElement(info, tag).text = text
    _datatake(info, product, start)
    organisation = SubElement(SubElement(info, "Product_Organisation"), "Granule_List")
    holder = SubElement(
        organisation,
        "Granule",
        datastripIdentifier=_datastrip(product),
        granuleIdentifier=_granule_id(product),
        imageFormat="JPEG2000",
    )
    for image in IMAGES:
        SubElement(holder, "IMAGE_FILE").text = image_path(product, image).removesuffix(".jp2")
    _radiometry(general, product)
    return _bytes(root)


def granule_xml(product: Planned, tile: Tile, size: int, sun: tuple[float, float]) -> bytes:
    """Content of MTD_TL.xml; `sun` is (zenith, azimuth) in degrees at the centre of `size` x `size` pixels."""
    root = _root("Level-1C_Tile_ID", "S2_PDI_Level-1C_Tile_Metadata.xsd")
    general = SubElement(root, "n1:General_Info")
    SubElement(general, "TILE_ID", metadataLevel="Brief").text = _granule_id(product)
    SubElement(general, "DATASTRIP_ID", metadataLevel="Standard").text = _datastrip(product)
    sensed = f"{product.sensed + timedelta(seconds=3):%Y-%m-%dT%H:%M:%S}.000000Z"
    SubElement(general, "SENSING_TIME", metadataLevel="Standard").text = sensed
    geometry = SubElement(root, "n1:Geometric_Info")
    _geocoding(SubElement(geometry, "Tile_Geocoding", metadataLevel="Brief"), tile, size)
    angles = SubElement(SubElement(geometry, "Tile_Angles", metadataLevel="Standard"), "Mean_Sun_Angle")
    for tag, angle in zip(("ZENITH_ANGLE", "AZIMUTH_ANGLE"), sun, strict=True):
        SubElement(angles, tag, unit="deg").text = f"{angle:.9f}"
    return _bytes(root)


def _datatake(info: Element, product: Planned, start: str) -> None:
    identifier = f"G{product.platform}_{product.sensed:%Y%m%dT%H%M%S}_{product.absolute_orbit:06d}_N{product.baseline}"
    datatake = SubElement(info, "Datatake", datatakeIdentifier=identifier)
    for tag, text in {
        "SPACECRAFT_NAME": f"Sentinel-{product.platform[1:]}",
        "DATATAKE_TYPE": "INS-NOBS",
        "DATATAKE_SENSING_START": start,
        "SENSING_ORBIT_NUMBER": str(product.relative_orbit),
        "SENSING_ORBIT_DIRECTION": "DESCENDING",
    }.items():
        SubElement(datatake, tag).text = text


def _radiometry(general: Element, product: Planned) -> None:
    image = SubElement(general, "Product_Image_Characteristics")
    for text, value in (("NODATA", 0), ("SATURATED", 65_535)):
        special = SubElement(image, "Special_Values")
        SubElement(special, "SPECIAL_VALUE_TEXT").text = text
        SubElement(special, "SPECIAL_VALUE_INDEX").text = str(value)
    SubElement(image, "QUANTIFICATION_VALUE", unit="none").text = str(SCALE)
    if offset(product):
        offsets = SubElement(image, "Radiometric_Offset_List")
        for band in range(_ALL_BANDS):
            SubElement(offsets, "RADIO_ADD_OFFSET", band_id=str(band)).text = str(-offset(product))
    conversion = SubElement(image, "Reflectance_Conversion")
    day = product.sensed.timetuple().tm_yday
    SubElement(conversion, "U").text = f"{(1 - 0.01673 * cos(2 * pi * (day - 3) / 365.25)) ** -2:.9f}"


def _geocoding(parent: Element, tile: Tile, size: int) -> None:
    zone, north = tile.epsg % 100, tile.epsg // 100 == 326
    SubElement(parent, "HORIZONTAL_CS_NAME").text = f"WGS84 / UTM zone {zone}{'N' if north else 'S'}"
    SubElement(parent, "HORIZONTAL_CS_CODE").text = f"EPSG:{tile.epsg}"
    for pixel in (10, 20):
        extent = SubElement(parent, "Size", resolution=str(pixel))
        for tag in ("NROWS", "NCOLS"):
            SubElement(extent, tag).text = str(size * 10 // pixel)
    for pixel in (10, 20):
        place = SubElement(parent, "Geoposition", resolution=str(pixel))
        for tag, value in (("ULX", tile.ulx), ("ULY", tile.uly), ("XDIM", pixel), ("YDIM", -pixel)):
            SubElement(place, tag).text = str(value)


def _granule_id(product: Planned) -> str:
    return (
        f"{product.platform}_OPER_MSI_L1C_TL_{_CENTRE}_{product.generated:%Y%m%dT%H%M%S}_"
        f"A{product.absolute_orbit:06d}_T{product.tile}_N{product.baseline}"
    )


def _datastrip(product: Planned) -> str:
    return (
        f"{product.platform}_OPER_MSI_L1C_DS_{_CENTRE}_{product.generated:%Y%m%dT%H%M%S}_"
        f"S{product.sensed + timedelta(seconds=3):%Y%m%dT%H%M%S}_N{product.baseline}"
    )


def _root(name: str, schema: str) -> Element:
    return Element(f"n1:{name}", {"xmlns:n1": f"{_SCHEMA}{schema}"})


def _bytes(root: Element) -> bytes:
    indent(root)
    return f'<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n{tostring(root, encoding="unicode")}\n'.encode()

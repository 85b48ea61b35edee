"""The STAC item of a Level-1C product and its collection, in the form of the recorded ones.

`file:checksum` repeats what the recorded items do: SHA3-256 as a multihash (1620...) for images, MD5 (d50110...) for
the manifest and the zip, and for the other metadata the bytes d5 01 20, which say MD5, before a SHA3-256 digest (the
recorded MTD_TL.xml proves it). The path that `alternate` gives for MTD_TL.xml holds an empty Nodes(), as recorded.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from helpers.cdse_service.footprint import bounds, corner, outline
from helpers.cdse_service.products import PIXELS, Product, digest
from seaice_ops.sensors.sentinel2 import TILE_METRES

COLLECTION = "sentinel-2-l1c"

_COMMON = {
    "B01": ("coastal", "Coastal aerosol (band 1)"),
    "B02": ("blue", "Blue (band 2)"),
    "B03": ("green", "Green (band 3)"),
    "B04": ("red", "Red (band 4)"),
    "B05": ("rededge071", "Red edge 1 (band 5)"),
    "B06": ("rededge075", "Red edge 2 (band 6)"),
    "B07": ("rededge078", "Red edge 3 (band 7)"),
    "B08": ("nir", "NIR 1 (band 8)"),
    "B09": ("nir09", "NIR 3 (band 9)"),
    "B10": ("cirrus", "Cirrus (band 10)"),
    "B11": ("swir16", "SWIR 1 (band 11)"),
    "B12": ("swir22", "SWIR 2 (band 12)"),
    "B8A": ("nir08", "NIR 2 (band 8A)"),
}
_WAVES = {"eo:center_wavelength": 0.492, "eo:full_width_half_max": 0.267}
_METADATA = {
    "safe_manifest": "manifest.safe",
    "granule_metadata": "MTD_TL.xml",
    "inspire_metadata": "INSPIRE.xml",
    "product_metadata": "MTD_MSIL1C.xml",
    "datastrip_metadata": "MTD_DS.xml",
}
_SCHEMES = {
    "auth:schemes": {
        "s3": {"type": "s3"},
        "oidc": {
            "type": "openIdConnect",
            "openIdConnectUrl": "https://identity.dataspace.copernicus.eu/auth/realms/CDSE/.well-known/openid-configuration",
        },
    },
    "storage:schemes": {
        name: {"title": title, "platform": platform, "description": "", "requester_pays": pays}
        for name, title, platform, pays in (
            ("cdse-s3", "Copernicus Data Space Ecosystem S3", "https://eodata.dataspace.copernicus.eu", False),
            ("creodias-s3", "CREODIAS S3", "https://eodata.cloudferro.com", True),
        )
    },
}
_EXTENSIONS = [
    f"https://stac-extensions.github.io/{name}/schema.json"
    for name in ("eo/v2.0.0", "raster/v2.0.0", "sat/v1.0.0", "projection/v2.0.0", "grid/v1.1.0", "file/v2.1.0")
]


def item(base: str, product: Product) -> dict[str, Any]:
    """One item; a fresh copy of its upper levels, so that callers may change them."""
    key = "item", base
    if key not in product.cache:
        product.cache[key] = _item(base, product)
    return dict(product.cache[key])


def _item(base: str, product: Product) -> dict[str, Any]:
    shape = outline(product.tile)
    place = f"{base}/collections/{COLLECTION}"
    trace = f"https://trace.dataspace.copernicus.eu/api/v1/traces/name/{product.name}.SAFE.zip"
    return {
        "id": product.name,
        "bbox": bounds(shape),
        "type": "Feature",
        "links": [
            {"rel": "collection", "type": "application/json", "href": place},
            {"rel": "parent", "type": "application/json", "href": place},
            {"rel": "root", "type": "application/json", "href": f"{base}/"},
            {"rel": "self", "type": "application/geo+json", "href": f"{place}/items/{product.name}"},
            {"rel": "version-history", "href": trace, "type": "application/json", "title": "Product history record"},
        ],
        "assets": _assets(base.removesuffix("/v1"), product),
        "geometry": shape,
        "collection": COLLECTION,
        "properties": _properties(product),
        "stac_extensions": _EXTENSIONS,
        "stac_version": "1.1.0",
    }


def _properties(product: Product) -> dict[str, Any]:
    version = f"{product.baseline[:2]}.{product.baseline[2:]}"
    sensed = f"{product.sensed_at:%Y-%m-%dT%H:%M:%S}.024Z"
    return {
        "gsd": 10,
        "created": _long(product.published - timedelta(minutes=20)),
        "updated": _long(product.published + timedelta(minutes=5)),
        "datetime": sensed,
        "platform": f"sentinel-{product.platform[1:].lower()}",
        "grid:code": f"MGRS-{product.tile}",
        "published": _long(product.published),
        "instruments": ["msi"],
        "end_datetime": sensed,
        "product:type": "S2MSI1C",
        "view:azimuth": 152.00552138928393,
        "constellation": "sentinel-2",
        "eo:cloud_cover": 99.999,
        "start_datetime": sensed,
        "sat:orbit_state": "descending",
        "eopf:datatake_id": f"G{product.platform}_{product.sensed}_{product.absolute_orbit:06d}_N{version}",
        "processing:level": "L1",
        "view:sun_azimuth": 149.717759797278,
        "eopf:datastrip_id": product.datastrip_id,
        "processing:version": version,
        "product:timeliness": "PT24H",
        "sat:absolute_orbit": product.absolute_orbit,
        "sat:relative_orbit": int(product.orbit),
        "view:sun_elevation": 27.5,
        "processing:datetime": _long(product.generated_at),
        "processing:facility": "ESA",
        "eopf:instrument_mode": "INS-NOBS",
        "eopf:origin_datetime": _long(product.published),
        "view:incidence_angle": 2.9762124399120893,
        "product:timeliness_category": "NRT",
        "sat:platform_international_designator": "2017-013A",
        **_SCHEMES,
    }


def _assets(host: str, product: Product) -> dict[str, Any]:
    assets: dict[str, Any] = {}
    for path in product.files:
        name = path.rsplit("/", 1)[-1]
        band = name.removesuffix(".jp2").rsplit("_", 1)[-1]
        if name.endswith(".jp2") and band in (*PIXELS, "TCI"):
            assets[band] = _image(host, product, path, band)
        for key, ending in _METADATA.items():
            if name == ending:
                assets[key] = _metadata(host, product, path)
        if name.endswith("-ql.jpg"):
            assets["thumbnail"] = _thumbnail(host, product, path)
    zipped = product.archive
    assets["Product"] = {
        "href": f"{host}/odata/v1/Products({product.id})/$value",
        "auth:refs": ["oidc"],
        "file:size": len(zipped),
        "file:checksum": "d50110" + digest(zipped, "MD5"),
        "alternate:name": "HTTPS",
        "storage:refs": "\U0001235f\u203b",  # no list, as recorded
        "file:local_path": f"{product.name}.SAFE.zip",
        "type": "application/zip",
        "roles": ["data", "metadata", "archive"],
        "title": "Zipped product",
    }
    return assets


def _image(host: str, product: Product, path: str, band: str) -> dict[str, Any]:
    pixel = PIXELS.get(band, 10)
    code, left, top = corner(product.tile)
    asset = {
        **_file(host, product, path, "1620" + product.digest(path, "SHA3-256")),
        "gsd": pixel,
        "type": "image/jp2",
        "bands": [_band(name) for name in ("B04", "B03", "B02")] if band == "TCI" else [_band(band) | _WAVES],
        "roles": ["visual" if band == "TCI" else "reflectance", "sampling:original", f"gsd:{pixel}m"],
        "title": "True color image" if band == "TCI" else f"{_COMMON[band][1]} - {pixel}m",
        "nodata": 0,
        "view:azimuth": 156.653042309173,
        "view:incidence_angle": 2.63071535618052,
        "data_type": "uint8" if band == "TCI" else "uint16",
        "proj:bbox": [float(left), float(top - TILE_METRES), float(left + TILE_METRES), float(top)],
        "proj:code": code,
        "proj:shape": [TILE_METRES // pixel, TILE_METRES // pixel],
        "proj:transform": [float(pixel), 0.0, float(left), 0.0, -float(pixel), float(top)],
    }
    if band != "TCI":
        asset |= {"raster:scale": 0.0001, "raster:offset": -0.1 if product.baseline >= "0400" else 0}
    return asset


def _band(name: str) -> dict[str, Any]:
    return {"name": name, "description": _COMMON[name][1], "eo:common_name": _COMMON[name][0]}


def _metadata(host: str, product: Product, path: str) -> dict[str, Any]:
    manifest = path == "manifest.safe"
    code, algorithm = ("d50110", "MD5") if manifest else ("d50120", "SHA3-256")
    asset = _file(host, product, path, code + product.digest(path, algorithm))
    return asset | {"type": "application/xml", "roles": ["metadata"], "title": path.rsplit("/", 1)[-1]}


def _thumbnail(host: str, product: Product, path: str) -> dict[str, Any]:
    s3 = {"href": f"s3://eodata/{product.prefix}/{path}", "auth:refs": ["s3"], "storage:refs": ["cdse-s3"]}
    return {
        "href": f"{host}/odata/v1/Assets({product.id})/$value",
        "alternate": {"s3": {**s3, "alternate:name": "S3"}},
        "auth:refs": ["oidc"],
        "file:size": product.size(path),
        "file:checksum": "d50110" + product.digest(path, "MD5"),
        "file:local_path": f"{product.name}.SAFE/{path}",
        "type": "image/jpeg",
        "roles": ["thumbnail", "overview"],
        "title": "Quicklook",
        "data_type": "uint8",
        "proj:code": None,
        "proj:shape": [343, 343],
        "alternate:name": "HTTPS",
    }


def _file(host: str, product: Product, path: str, checksum: str) -> dict[str, Any]:
    """What every file's asset says."""
    parts = [f"{product.name}.SAFE", *([""] if path.count("/") == 2 else []), *path.split("/")]
    nodes = "".join(f"/Nodes({quote(part)})" for part in parts)
    https = {
        "href": f"{host}/odata/v1/Products({product.id}){nodes}/$value",
        "auth:refs": ["oidc"],
        "storage:refs": [],
        "alternate:name": "HTTPS",
    }
    return {
        "href": f"s3://eodata/{product.prefix}/{path}",
        "alternate": {"https": https},
        "file:size": product.size(path),
        "file:checksum": checksum,
        "file:local_path": f"{product.name}.SAFE/{path}",
        "auth:refs": ["s3"],
        "storage:refs": ["cdse-s3", "creodias-s3"],
        "alternate:name": "S3",
    }


def collection(base: str) -> dict[str, Any]:
    """The Level-1C collection, without the long texts of the real one."""
    place = f"{base}/collections/{COLLECTION}"
    links = [
        {"rel": "items", "type": "application/geo+json", "href": f"{place}/items"},
        {"rel": "parent", "type": "application/json", "href": f"{base}/"},
        {"rel": "root", "type": "application/json", "href": f"{base}/"},
        {"rel": "self", "type": "application/json", "href": place},
    ]
    return {
        "id": COLLECTION,
        "type": "Collection",
        "title": "Sentinel-2 Level-1C",
        "description": "Level-1C tiles: top-of-atmosphere reflectance.",
        "license": "other",
        "extent": {
            "spatial": {"bbox": [[-180, -90, 180, 90]]},
            "temporal": {"interval": [["2015-06-27T10:25:31Z", None]]},
        },
        "links": links,
        "stac_version": "1.1.0",
    }


def _long(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}"

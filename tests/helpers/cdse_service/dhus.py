"""A hub that speaks DHuS, as far as `sentinelsat` 1.2.1 talks to one.

CONSTRUCTED from what that client asks and expects (its source), because no answer of a hub was recorded: OpenSearch
/search?q=..., /odata/v1/Products('<uuid>')?$format=json, .../$value, .../Online/$value, .../Nodes('..')... and
/api/stub/version. Basic authentication. Only MD5 sums.
"""

from __future__ import annotations

import base64
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from shapely import wkt as shapely_wkt
from shapely.geometry import shape

from helpers.cdse_service.answers import Answer, Request, file_answer, json_answer
from helpers.cdse_service.footprint import outline, wkt
from helpers.cdse_service.products import Product, digest

if TYPE_CHECKING:
    from helpers.cdse_service.server import Space

_PRODUCT = re.compile(r"/dhus/odata/v1/Products\('([0-9a-f-]{36})'\)(/.*)?")
_CLAUSE = re.compile(r'(\w+):("(?:[^"]*)"|\[[^\]]*\]|\S+?)(?=[\s)]|$)')


def answer(space: Space, request: Request) -> tuple[str, Answer]:
    wanted = base64.b64encode(f"{space.user}:{space.password}".encode()).decode()
    if request.headers.get("authorization") != f"Basic {wanted}":
        return "dhus.login", _error(401, "Unauthorized")
    if request.path == "/dhus/api/stub/version":
        return "dhus.version", json_answer({"value": "2.4.1"})
    if request.path == "/dhus/search":
        return "dhus.search", json_answer(_search(space, request.query))
    match = _PRODUCT.fullmatch(request.path)
    product = next((p for p in space.catalogue.visible() if match and p.id == match[1]), None)
    if not match or not product:
        return "dhus.odata", _error(404, f"Invalid key to access Products : {request.path}")
    return _product(request, product, match[2] or "")


def _product(request: Request, product: Product, rest: str) -> tuple[str, Answer]:
    if not rest:
        return "dhus.odata", json_answer({"d": _entry(request, product)})
    if rest == "/Online/$value":
        return "dhus.online", Answer(200, b"true", "text/plain")
    if rest == "/$value":
        name = f'attachment; filename="{product.name}.zip"'
        return "dhus.zip", file_answer(product.archive, **{"Content-Disposition": name})
    if rest == "/Attributes('Filename')/Value/$value":
        return "dhus.odata", Answer(200, f"{product.name}.SAFE".encode(), "text/plain")
    parts = re.findall(r"/Nodes\('([^']*)'\)", rest)
    path = "/".join(part for part in parts[1:] if part != ".")
    if parts[:1] != [f"{product.name}.SAFE"] or path not in product.files:
        return "dhus.file", _error(404, f"Invalid key to access Nodes : {path}")
    if rest.endswith("/$value"):
        return "dhus.file", file_answer(product.read(path))
    return "dhus.odata", json_answer({"d": {"Id": parts[-1], "ContentLength": str(product.size(path))}})


def _entry(request: Request, product: Product) -> dict[str, Any]:
    url = f"{request.base}/dhus/odata/v1/Products('{product.id}')/$value"
    ring = shape(outline(product.tile)).convex_hull.exterior.coords
    points = " ".join(f"{y},{x}" for x, y in ring)
    gml = (
        '<gml:Polygon srsName="http://www.opengis.net/gml/srs/epsg.xml#4326" xmlns:gml="http://www.opengis.net/gml">'
        f"<gml:outerBoundaryIs><gml:LinearRing><gml:coordinates>{points}</gml:coordinates></gml:LinearRing>"
        "</gml:outerBoundaryIs></gml:Polygon>"
    )
    return {
        "__metadata": {"id": url.removesuffix("/$value"), "content_type": "application/octet-stream", "media_src": url},
        "Id": product.id,
        "Name": product.name,
        "ContentType": "application/octet-stream",
        "ContentLength": str(len(product.archive)),
        "CreationDate": _millis(product.published),
        "IngestionDate": _millis(product.published),
        "ContentDate": {"Start": _millis(product.sensed_at), "End": _millis(product.sensed_at)},
        "Checksum": {"Algorithm": "MD5", "Value": digest(product.archive, "MD5")},
        "ContentGeometry": gml,
        "Online": True,
        "Attributes": {"results": []},
    }


def _search(space: Space, query: dict[str, str]) -> dict[str, Any]:
    found = [product for product in space.catalogue.visible() if _passes(query.get("q", ""), product)]
    field, _, direction = query.get("orderby", "ingestiondate desc").partition(" ")
    found.sort(key=lambda product: (_fields(product)[field.lower()], product.name), reverse=direction == "desc")
    start, rows = int(query.get("start", 0)), min(int(query.get("rows", 10)), 100, space.page_limit)
    page = [_found(product) for product in found[start : start + rows]]
    feed: dict[str, Any] = {"opensearch:totalResults": str(len(found)), "opensearch:startIndex": str(start)}
    if page:
        feed["entry"] = page[0] if len(page) == 1 else page  # one entry is no list, as hubs have it
    return {"feed": feed}


def _fields(product: Product) -> dict[str, Any]:
    """What may be asked for, by lower-case name."""
    return {
        "ingestiondate": product.published,
        "beginposition": product.sensed_at,
        "endposition": product.sensed_at,
        "platformname": "Sentinel-2",
        "producttype": f"S2MSI{product.level[1:]}",
        "identifier": product.name,
        "filename": f"{product.name}.SAFE",
        "tileid": product.tile,
        "relativeorbitnumber": str(int(product.orbit)),
        "processingbaseline": f"{product.baseline[:2]}.{product.baseline[2:]}",
        "footprint": outline(product.tile),
    }


def _found(product: Product) -> dict[str, Any]:
    dates = {name: _fields(product)[name] for name in ("ingestiondate", "beginposition", "endposition")}
    texts = {
        name: _fields(product)[name]
        for name in ("platformname", "producttype", "identifier", "filename", "tileid", "processingbaseline")
    }
    return {
        "title": product.name,
        "id": product.id,
        "summary": f"Date: {product.sensed_at:%Y-%m-%dT%H:%M:%S.024Z}, Instrument: MSI, Satellite: Sentinel-2",
        "date": [{"name": name, "content": f"{value:%Y-%m-%dT%H:%M:%S.%fZ}"} for name, value in dates.items()],
        "int": [
            {"name": "orbitnumber", "content": str(product.absolute_orbit)},
            {"name": "relativeorbitnumber", "content": str(int(product.orbit))},
        ],
        "double": {"name": "cloudcoverpercentage", "content": "99.999"},
        "str": [
            *({"name": name, "content": value} for name, value in texts.items()),
            {"name": "uuid", "content": product.id},
            {"name": "size", "content": f"{len(product.archive) / 1e6:.2f} MB"},
            {"name": "footprint", "content": wkt(outline(product.tile))},
        ],
    }


def _passes(text: str, product: Product) -> bool:
    """Clauses are joined by AND; those in brackets by OR, as the client writes sets."""
    groups = re.findall(r"\(([^()]*:[^()]* OR [^()]*)\)", text)
    for group in groups:
        if not any(_clause(name, value, product) for name, value in _CLAUSE.findall(group)):
            return False
        text = text.replace(f"({group})", " ")
    return all(_clause(name, value, product) for name, value in _CLAUSE.findall(text))


def _clause(name: str, wanted: str, product: Product) -> bool:
    value = _fields(product)[name.lower()]
    if name.lower() == "footprint":
        area = re.fullmatch(r'"Intersects\((.*)\)"', wanted, re.IGNORECASE)
        return area is not None and bool(shape(value).intersects(shapely_wkt.loads(area[1])))
    if wanted.startswith("["):
        low, _, high = wanted[1:-1].partition(" TO ")
        return _limit(low, value, -1) and _limit(high, value, 1)
    pattern = re.escape(wanted.strip('"')).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(pattern, str(value)) is not None


def _limit(text: str, value: Any, side: int) -> bool:
    text = text.strip().strip('"')
    if text in ("*", "NOW"):
        return True
    limit = datetime.fromisoformat(text) if isinstance(value, datetime) else text
    return bool(value <= limit if side > 0 else value >= limit)


def _millis(moment: datetime) -> str:
    return f"/Date({int(moment.timestamp() * 1000)})/"


def _error(status: int, message: str) -> Answer:
    return json_answer({"error": {"code": None, "message": {"lang": "en", "value": message}}}, status)

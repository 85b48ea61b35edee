"""The OData catalogue and download: /odata/v1/Products, DeletedProducts, Nodes and $value.

Fields, link forms and types are those of the recorded answers. CONSTRUCTED from the public documentation:
DeletedProducts, the listings of Nodes, and the answers to a wrong filter, a large $skip (422), a missing token (401).
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from helpers.cdse_service import odata_filter
from helpers.cdse_service.answers import Answer, Request, file_answer, json_answer
from helpers.cdse_service.footprint import outline, wkt
from helpers.cdse_service.products import Product, digest

if TYPE_CHECKING:
    from helpers.cdse_service.server import Space

_PRODUCT = re.compile(r"/odata/v1/Products\(([0-9a-f-]{36})\)(/.*)?")
_NODE = re.compile(r"/Nodes\(([^()]*)\)")
_TOP, _MOST_SKIP = 20, 10_000
_ENDLESS = "9999-12-31T23:59:59.999999Z"


def answer(space: Space, request: Request) -> tuple[str, Answer]:
    if request.path in ("/odata/v1/Products", "/odata/v1/DeletedProducts"):
        deleted = request.path.endswith("DeletedProducts")
        return "odata.deleted" if deleted else "odata.search", _search(space, request, deleted)
    match = _PRODUCT.fullmatch(request.path)
    product = next((p for p in space.catalogue.visible() if match and p.id == match[1]), None)
    if not match or not product:
        return "odata.product", json_answer({"detail": "Product not found"}, 404)
    rest = match[2] or ""
    if not rest:
        return "odata.product", json_answer({"@odata.context": "$metadata#Products/$entity", **entry(request, product)})
    parts = [part for part in _NODE.findall(rest) if part]
    if rest.endswith("/Nodes"):
        return "odata.nodes", _nodes(request, product, parts)
    route = "odata.zip" if rest == "/$value" else "odata.file"
    if not space.identity.allows(request):
        return route, json_answer({"detail": "Expired signature!"}, 401, **{"WWW-Authenticate": "Bearer"})
    if route == "odata.zip":
        name = f"attachment; filename={product.name}.zip"
        return route, file_answer(product.archive, "application/zip", **{"Content-Disposition": name})
    path = "/".join(parts[1:])
    if not rest.endswith("/$value") or parts[:1] != [f"{product.name}.SAFE"] or path not in product.files:
        return route, json_answer({"detail": "Node not found"}, 404)
    return route, file_answer(product.read(path))


def entry(request: Request, product: Product, expand: tuple[str, ...] = ()) -> dict[str, Any]:
    """One product as the catalogue shows it."""
    published, sensed = _long(product.published), _long(product.sensed_at, 24_000)
    values = {algorithm: digest(product.archive, algorithm) for algorithm in product.checksums}
    shape = outline(product.tile)
    result = {
        "@odata.mediaContentType": "application/octet-stream",
        "Id": product.id,
        "Name": f"{product.name}.SAFE",
        "ContentType": "application/octet-stream",
        "ContentLength": sum(map(product.size, product.files)),
        "OriginDate": _long(product.generated_at),
        "PublicationDate": published,
        "ModificationDate": published,
        "Online": True,
        "EvictionDate": _ENDLESS,
        "S3Path": f"/eodata/{product.prefix}",
        "Checksum": [{"Value": v, "Algorithm": a, "ChecksumDate": published} for a, v in values.items()],
        "ContentDate": {"Start": sensed, "End": sensed},
        "Footprint": f"geography'SRID=4326;{wkt(shape)}'",
        "GeoFootprint": shape,
    }
    if "Attributes" in expand:
        result["Attributes"] = [_attribute(name, value) for name, value in attributes(product).items()]
    if "Assets" in expand:
        link = f"{request.base}/odata/v1/Assets({product.id})/$value"
        asset = {"Type": "QUICKLOOK", "Id": product.id, "DownloadLink": link, "S3Path": f"/eodata/{product.prefix}"}
        result["Assets"] = [asset]
    return result


def attributes(product: Product) -> dict[str, Any]:
    """Attributes by name; times are datetimes."""
    version = f"{product.baseline[:2]}.{product.baseline[2:]}"
    return {
        "origin": "ESA",
        "tileId": product.tile,
        "cloudCover": 99.999,
        "datastripId": product.datastrip_id,
        "orbitNumber": product.absolute_orbit,
        "processingDate": product.generated_at,
        "productGroupId": f"G{product.platform}_{product.sensed}_{product.absolute_orbit:06d}_N{version}",
        "operationalMode": "INS-NOBS",
        "processingLevel": f"S2MSI{product.level[1:]}",
        "processorVersion": version,
        "platformShortName": "SENTINEL-2",
        "instrumentShortName": "MSI",
        "relativeOrbitNumber": int(product.orbit),
        "platformSerialIdentifier": product.platform[-1],
        "productType": f"S2MSI{product.level[1:]}",
        "beginningDateTime": product.sensed_at,
        "endingDateTime": product.sensed_at,
    }


def _attribute(name: str, value: Any) -> dict[str, Any]:
    kinds = {str: "String", int: "Integer", float: "Double", datetime: "DateTimeOffset"}
    kind = kinds[type(value)]
    shown = _long(value) if isinstance(value, datetime) else value
    return {"@odata.type": f"#OData.CSC.{kind}Attribute", "Name": name, "Value": shown, "ValueType": kind}


def _search(space: Space, request: Request, deleted: bool) -> Answer:
    query = request.query
    top, skip = int(query.get("$top", _TOP)), int(query.get("$skip", 0))
    if skip > _MOST_SKIP or top > 1000:
        return _too_large("$skip" if skip > _MOST_SKIP else "$top", skip if skip > _MOST_SKIP else top)
    expand = tuple(name for name in ("Attributes", "Assets") if f"%24expand={name}" in _encoded(request))
    rows = _deleted(space, request, expand) if deleted else _products(space, request, expand)
    try:
        rows = [row for row in rows if odata_filter.matches(query.get("$filter", ""), row[0], row[1])]
    except odata_filter.WrongFilter as error:
        return json_answer({"detail": f"Invalid filter: {error}"}, 400)
    for part in reversed(query.get("$orderby", "ContentDate/Start asc").split(",")):
        name, _, direction = part.strip().partition(" ")
        rows.sort(key=lambda row, name=name: odata_filter.value_of(row[0], name), reverse=direction == "desc")
    page = rows[skip : skip + min(top, space.page_limit)]
    context = f"({','.join(f'{name}()' for name in expand)})" if expand else ""
    result: dict[str, Any] = {"@odata.context": f"$metadata#{'Deleted' if deleted else ''}Products{context}"}
    if query.get("$count", "").lower() == "true":
        result["@odata.count"] = len(rows)
    result["value"] = [row[0] for row in page]
    after = skip + len(page)
    if after < len(rows) and after <= _MOST_SKIP:
        others = [(k, v) for k, v in query.items() if k not in ("$skip", "$count", "$expand")]
        fields = [*others, ("$skip", str(after)), *(("$expand", name) for name in expand)]
        result["@odata.nextLink"] = f"{request.base}{request.path}?{urlencode(fields)}"
    return json_answer(result)


def _products(space: Space, request: Request, expand: tuple[str, ...]) -> list[tuple[dict[str, Any], Product]]:
    return [(_light(request, product, expand), product) for product in space.catalogue.visible()]


def _deleted(space: Space, request: Request, expand: tuple[str, ...]) -> list[tuple[dict[str, Any], Product]]:
    return [
        ({**_light(request, w.product, expand), "DeletionDate": _long(w.at), "DeletionCause": w.cause}, w.product)
        for w in space.catalogue.withdrawn()
    ]


def _light(request: Request, product: Product, expand: tuple[str, ...]) -> dict[str, Any]:
    """A product's entry, made once."""
    key = "entry", expand, request.base
    if key not in product.cache:
        product.cache[key] = entry(request, product, expand)
    return dict(product.cache[key])


def _nodes(request: Request, product: Product, parts: list[str]) -> Answer:
    """The nodes directly below a node; below the product itself that is its .SAFE folder."""
    tree = [f"{product.name}.SAFE/{path}" for path in product.files]
    prefix = "".join(f"{part}/" for part in parts)
    inside = [path[len(prefix) :] for path in tree if path.startswith(prefix)]
    if not inside:
        return json_answer({"detail": "Node not found"}, 404)
    names = sorted({path.split("/")[0] for path in inside})
    return json_answer({"result": [_node(request, product, prefix, name, inside) for name in names]})


def _node(request: Request, product: Product, prefix: str, name: str, inside: list[str]) -> dict[str, Any]:
    below = {path.split("/")[1] for path in inside if path.startswith(f"{name}/")}
    path = f"{prefix}{name}".partition("/")[2]
    parts = [*prefix.split("/")[:-1], name]
    uri = f"{request.base}/odata/v1/Products({product.id})" + "".join(f"/Nodes({quote(part)})" for part in parts)
    size = 0 if below else product.size(path)
    node = {"Id": name, "Name": name, "ContentLength": size, "ChildrenNumber": len(below)}
    return node | {"Nodes": {"uri": f"{uri}/Nodes"}}


def _too_large(name: str, value: int) -> Answer:
    limit = _MOST_SKIP if name == "$skip" else 1000
    message = f"Input should be less than or equal to {limit}"
    where = {"type": "less_than_equal", "loc": ["query", name], "msg": message}
    return json_answer({"detail": [where | {"input": str(value), "ctx": {"le": limit}}]}, 422)


def _encoded(request: Request) -> str:
    return request.raw_query.replace("$", "%24")


def _long(moment: datetime, micros: int = 0) -> str:
    return f"{moment.replace(microsecond=moment.microsecond or micros):%Y-%m-%dT%H:%M:%S.%fZ}"

"""The STAC API: root, conformance, collections, items and /search by GET and POST.

Fields, link forms and asset names are those of the recorded answers (a Level-1C item is put together from the recorded
Level-1C collection's `item_assets` and the recorded Level-2A items). CONSTRUCTED: `next` links (none was recorded; the
form is that of the software behind the service, a body or an address with `token`), and answers to wrong requests.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from shapely.geometry import box, shape

from helpers.cdse_service import cql2
from helpers.cdse_service.answers import Answer, Request, json_answer
from helpers.cdse_service.stac_item import COLLECTION, collection, item

if TYPE_CHECKING:
    from helpers.cdse_service.server import Space

_DEFAULT_LIMIT = 10
_START, _END = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
_GEOJSON = "application/geo+json"
_CLASSES = [
    "http://www.opengis.net/spec/cql2/1.0/conf/basic-cql2",
    "http://www.opengis.net/spec/cql2/1.0/conf/cql2-json",
    "http://www.opengis.net/spec/cql2/1.0/conf/cql2-text",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/features-filter",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/filter",
    "https://api.stacspec.org/v1.0.0-rc.2/item-search#filter",
    "https://api.stacspec.org/v1.0.0/collections",
    "https://api.stacspec.org/v1.0.0/core",
    "https://api.stacspec.org/v1.0.0/item-search",
    "https://api.stacspec.org/v1.0.0/item-search#fields",
    "https://api.stacspec.org/v1.0.0/item-search#query",
    "https://api.stacspec.org/v1.0.0/item-search#sort",
    "https://api.stacspec.org/v1.0.0/ogcapi-features",
]


def answer(space: Space, request: Request) -> tuple[str, Answer]:
    base, path = f"{request.base}/v1", request.path.removeprefix("/v1").rstrip("/")
    here = f"/collections/{COLLECTION}"
    if path == "":
        return "stac.root", json_answer(_root(base))
    if path == "/conformance":
        return "stac.conformance", json_answer({"conformsTo": _CLASSES})
    if path == "/collections":
        links = [_link("root", f"{base}/"), _link("parent", f"{base}/"), _link("self", f"{base}/collections")]
        return "stac.collection", json_answer({"collections": [collection(base)], "links": links})
    if path == here:
        return "stac.collection", json_answer(collection(base))
    if path == "/search":
        return "stac.search", _search(space, request, base)
    if path.startswith(f"{here}/items/"):
        found = [p for p in space.catalogue.visible() if path == f"{here}/items/{p.name}"]
        if found:
            return "stac.item", json_answer(item(base, found[0]), type=_GEOJSON)
    return "stac.other", json_answer({"code": "NotFoundError", "description": f"{path} not found"}, 404)


def _root(base: str) -> dict[str, Any]:
    text = "A stand-in for the asset-level STAC catalogue of the Copernicus Data Space Ecosystem."
    search = f"{base}/search"
    links = [
        {"rel": "self", "type": "application/json", "title": "This document", "href": f"{base}/"},
        {"rel": "root", "type": "application/json", "title": "Root", "href": f"{base}/"},
        {"rel": "data", "type": "application/json", "title": "Collections", "href": f"{base}/collections"},
        {"rel": "conformance", "type": "application/json", "title": "Conformance", "href": f"{base}/conformance"},
        {"rel": "search", "type": _GEOJSON, "title": "STAC search [GET]", "href": search, "method": "GET"},
        {"rel": "search", "type": _GEOJSON, "title": "STAC search [POST]", "href": search, "method": "POST"},
    ]
    return {
        "type": "Catalog",
        "id": "cdse-stac",
        "title": "Copernicus Data Space Ecosystem (CDSE) asset-level STAC catalogue",
        "description": text,
        "stac_version": "1.0.0",
        "conformsTo": _CLASSES,
        "links": links,
        "stac_extensions": [],
    }


def _search(space: Space, request: Request, base: str) -> Answer:
    try:
        wanted = _posted(request) if request.method == "POST" else _asked(request)
        found = [item(base, product) for product in space.catalogue.visible()]
        found = [one for one in found if _passes(wanted, one)]
    except (cql2.WrongCondition, ValueError, KeyError, TypeError) as error:
        return json_answer({"code": "InvalidQueryParameter", "description": str(error)}, 400)
    for part in reversed(wanted.get("sortby") or [{"field": "datetime", "direction": "desc"}]):
        found.sort(
            key=lambda one, part=part: (str(cql2.property_of(one, part["field"]) or ""), one["id"]),
            reverse=part.get("direction") == "desc",
        )
    limit = min(int(wanted.get("limit") or _DEFAULT_LIMIT), space.page_limit)
    first = _place_after(found, wanted.get("token"))
    page = found[first : first + limit]
    links = [_link("root", f"{base}/"), _link("self", f"{base}/search")]
    if first + limit < len(found):
        links.append(_next(request, base, f"next:{COLLECTION}:{page[-1]['id']}"))
    features = [_chosen(one, wanted.get("fields")) for one in page]
    result = {"type": "FeatureCollection", "links": links, "features": features, "numberReturned": len(page)}
    return json_answer(result, type=_GEOJSON)


def _posted(request: Request) -> dict[str, Any]:
    wanted: dict[str, Any] = json.loads(request.body)
    if isinstance(wanted.get("filter"), str):
        wanted["filter"] = cql2.parsed(wanted["filter"])
    return wanted


def _asked(request: Request) -> dict[str, Any]:
    """The parameters of a GET in the form of a POST."""
    wanted: dict[str, Any] = dict(request.query)
    for name in ("collections", "ids"):
        if name in wanted:
            wanted[name] = wanted[name].split(",")
    if "bbox" in wanted:
        wanted["bbox"] = [float(part) for part in wanted["bbox"].split(",")]
    for name in ("intersects", "query"):
        if name in wanted:
            wanted[name] = json.loads(wanted[name])
    if "filter" in wanted:
        as_json = wanted.get("filter-lang") == "cql2-json"
        wanted["filter"] = json.loads(wanted["filter"]) if as_json else cql2.parsed(wanted["filter"])
    if "sortby" in wanted:
        parts = wanted["sortby"].split(",")
        wanted["sortby"] = [{"field": p.lstrip("+- "), "direction": "desc" if p[0] == "-" else "asc"} for p in parts]
    if "fields" in wanted:
        parts = wanted["fields"].split(",")
        wanted["fields"] = {
            "include": [p.lstrip("+ ") for p in parts if not p.startswith("-")],
            "exclude": [p[1:] for p in parts if p.startswith("-")],
        }
    return wanted


def _passes(wanted: dict[str, Any], one: dict[str, Any]) -> bool:
    return (
        one["collection"] in (wanted.get("collections") or [COLLECTION])
        and (not wanted.get("ids") or one["id"] in wanted["ids"])
        and _at(wanted.get("datetime"), one)
        and _in_area(wanted, one)
        and (not wanted.get("query") or cql2.queried(wanted["query"], one))
        and (not wanted.get("filter") or cql2.matches(wanted["filter"], one))
    )


def _at(interval: str | None, one: dict[str, Any]) -> bool:
    if not interval:
        return True
    start, _, end = interval.partition("/") if "/" in interval else (interval, "", interval)
    low = _START if start in ("", "..") else datetime.fromisoformat(start)
    high = _END if end in ("", "..") else datetime.fromisoformat(end)
    return low <= datetime.fromisoformat(one["properties"]["datetime"]) <= high


def _in_area(wanted: dict[str, Any], one: dict[str, Any]) -> bool:
    if wanted.get("intersects"):
        return bool(shape(one["geometry"]).intersects(shape(wanted["intersects"])))
    if not wanted.get("bbox"):
        return True
    corners = wanted["bbox"]
    west, south, east, north = corners if len(corners) == 4 else (corners[0], corners[1], corners[3], corners[4])
    parts = [(west, east)] if west <= east else [(west, 180), (-180, east)]
    return any(shape(one["geometry"]).intersects(box(w, south, e, north)) for w, e in parts)


def _place_after(found: list[dict[str, Any]], token: str | None) -> int:
    if not token:
        return 0
    last = token.removeprefix(f"next:{COLLECTION}:")
    return next((number + 1 for number, one in enumerate(found) if one["id"] == last), len(found))


def _next(request: Request, base: str, token: str) -> dict[str, Any]:
    link = {"rel": "next", "type": _GEOJSON, "method": request.method, "href": f"{base}/search"}
    if request.method == "POST":
        return link | {"body": {**json.loads(request.body), "token": token}}
    return link | {"href": f"{base}/search?{urlencode({**request.query, 'token': token}, quote_via=quote)}"}


def _chosen(one: dict[str, Any], fields: dict[str, Any] | None) -> dict[str, Any]:
    """The parts of an item that `fields` asks for."""
    fields = fields or {}
    include, exclude = fields.get("include") or [], fields.get("exclude") or []
    if include:
        result: dict[str, Any] = {}
        for name in {*include, "id", "collection"}:
            _copy(one, result, name.split("."))
    else:
        result = json.loads(json.dumps(one))
    for name in exclude:
        *above, last = name.split(".")
        holder = result
        for part in above:
            holder = holder.get(part, {})
        holder.pop(last, None)
    return result


def _copy(source: dict[str, Any], target: dict[str, Any], path: list[str]) -> None:
    if path[0] not in source:
        return
    if len(path) == 1:
        target[path[0]] = source[path[0]]
    else:
        _copy(source[path[0]], target.setdefault(path[0], {}), path[1:])


def _link(rel: str, href: str) -> dict[str, Any]:
    return {"rel": rel, "type": "application/json", "href": href}

"""The documents of the catalogue as values: pure functions of maps and of what their items say.

All hrefs are relative, so that a copy of the store, or another address of it, is the same catalogue.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from seaice_ops.ledger.tables import Map
from seaice_ops.storage import keys

JSON, GEOJSON, PARQUET = "application/json", "application/geo+json", "application/vnd.apache.parquet"
COG = "image/tiff; application=geotiff; profile=cloud-optimized"

#: The schema of our own fields, below the catalogue's folder.
SCHEMA = "seaice-v1.json"

_RASTER = "https://stac-extensions.github.io/raster/v2.0.0/schema.json"
_NOTICE = "https://sentinels.copernicus.eu/documents/247904/690755/Sentinel_Data_Legal_Notice"
_LICENCE = {"rel": "license", "href": _NOTICE, "type": "application/pdf", "title": "Copernicus Sentinel data"}

PROVIDERS = [
    {"name": "ESA / Copernicus", "roles": ["producer", "licensor"], "url": "https://dataspace.copernicus.eu"},
    {"name": "seaice_ops", "roles": ["processor"]},
]

CAVEAT = "Optical brightness classes, not ice thickness."

Value = dict[str, Any]


def collection_id(region: str) -> str:
    """The collection of the maps of a region; of tiles that no region names, for an empty one."""
    return f"sea-ice-maps-{region}" if region else "sea-ice-maps"


def attribution(start: datetime, end: datetime) -> str:
    """What Copernicus asks users of its data to say."""
    years = str(end.year) if start.year == end.year else f"{start.year}-{end.year}"
    return f"contains modified Copernicus Sentinel data {years}"


def item(
    row: Map, others: Sequence[Map], published: Mapping[str, Any], collection: str, sensed: Mapping[str, datetime]
) -> Value:
    """The item of a map as the catalogue shows it, from its own `published` item, which is never changed.

    `others` are all listed revisions of its window, the newest first; `sensed` are times of its scenes by id.
    """
    value, store = copy.deepcopy(dict(published)), "../../../.."
    newest = others[0]
    value["collection"] = collection
    value["stac_extensions"] = sorted({*value["stac_extensions"], _RASTER})
    properties = value["properties"]
    properties["license"] = "other"
    properties["providers"] = PROVIDERS
    properties["seaice:attribution"] = attribution(row.window_start, row.window_end)
    if row.id != newest.id:
        properties["deprecated"] = True
    for asset in value["assets"].values():
        asset["href"] = f"{store}/{row.folder}/{asset['href'].removeprefix('./')}"
        if asset["type"] == COG:
            asset["raster:spatial_resolution"] = properties["gsd"]
            asset["raster:sampling"] = "area"
    value["links"] = [
        *_up(f"{row.id}.json", GEOJSON, "../../../catalog.json", "./catalog.json"),
        {"rel": "collection", "href": "../../collection.json", "type": JSON},
        *_versions(row, others),
        *(
            {"rel": "derived_from", "href": f"{store}/{keys.scene(row.tile, sensed[scene], scene)}", "type": COG,
             "title": scene}
            for scene in row.scene_ids if scene in sensed
        ),
        {"rel": "canonical", "href": f"{store}/{keys.map_item(row.folder)}", "type": GEOJSON},
        {"rel": "describedby", "href": f"../../../{SCHEMA}", "type": "application/schema+json"},
        _LICENCE,
    ]  # fmt: skip
    return value


def _versions(row: Map, others: Sequence[Map]) -> list[Value]:
    """To the revisions before and after, and to the newest; a first and only revision is its own newest."""
    place = [each.id for each in others].index(row.id)
    found = [("latest-version", others[0])]
    found += [("successor-version", others[place - 1])] if place else []
    found += [("predecessor-version", others[place + 1])] if place + 1 < len(others) else []
    return [
        {"rel": rel, "href": f"./{each.id}.json", "type": GEOJSON, "title": f"revision {each.revision}"}
        for rel, each in found
    ]


def month(tile: str, name: str, rows: Sequence[Map]) -> Value:
    """The catalog of a tile's maps of one month, and the link to their index."""
    return _catalog(
        f"{tile}-{name}",
        f"Sea ice of tile {tile}, {name}",
        [
            *_up("catalog.json", JSON, "../../../catalog.json", "../catalog.json"),
            {"rel": "alternate", "href": "./items.parquet", "type": PARQUET, "title": "the items as GeoParquet"},
            *({"rel": "item", "href": f"./{row.id}.json", "type": GEOJSON} for row in rows),
        ],
    )


def latest(tile: str, newest: Map) -> Value:
    """The pointer to a tile's newest map that stands."""
    where = f"./{newest.window_end:%Y-%m}/{newest.id}.json"
    links = [
        *_up("latest.json", JSON, "../../catalog.json", "./catalog.json"),
        {"rel": "item", "href": where, "type": GEOJSON},
    ]
    return _catalog(f"{tile}-latest", f"The newest sea-ice map of tile {tile}", links)


def tile(name: str, months: Sequence[str], extent: Mapping[str, Any], newest: Map | None) -> Value:
    """The catalog of a tile: a child for each month. `extent` is bbox, first and last, for the collection."""
    pointer = {"rel": "latest", "href": "./latest.json", "type": JSON, "title": "the newest map"}
    links = [
        *_up("catalog.json", JSON, "../../catalog.json", "../collection.json"),
        *([pointer] if newest else []),
        *({"rel": "child", "href": f"./{each}/catalog.json", "type": JSON, "title": each} for each in months),
    ]
    return {**_catalog(name, f"Sea ice of tile {name}", links), "seaice:extent": dict(extent)}


def collection(name: str, title: str, tiles: Mapping[str, Mapping[str, Any]]) -> Value:
    """The collection of a region: `tiles` are the extents of its tiles by name. Raises `ValueError` without any."""
    first, last = min(each["first"] for each in tiles.values()), max(each["last"] for each in tiles.values())
    years = (datetime.fromisoformat(first), datetime.fromisoformat(last))
    return {
        "type": "Collection",
        "stac_version": "1.1.0",
        "id": name,
        "title": title,
        "description": f"Maps of sea ice from Sentinel-2. {CAVEAT} {attribution(*years)}.",
        "keywords": ["sea ice", "Sentinel-2", "polynya", "fast ice"],
        "license": "other",
        "providers": PROVIDERS,
        "extent": {
            "spatial": {"bbox": [around([each["bbox"] for each in tiles.values()])]},
            "temporal": {"interval": [[first, last]]},
        },
        "summaries": {"grid:code": [f"MGRS-{each}" for each in tiles]},
        "links": [
            *_up("collection.json", JSON, "../catalog.json", "../catalog.json"),
            {"rel": "describedby", "href": f"../{SCHEMA}", "type": "application/schema+json"},
            _LICENCE,
            *(
                {"rel": "child", "href": f"./{each}/catalog.json", "type": JSON, "title": each,
                 "seaice:bbox": of["bbox"]}
                for each, of in tiles.items()
            ),
        ],
    }  # fmt: skip


def root(collections: Mapping[str, str]) -> Value:
    """The catalogue's root: a child for each collection, by its id and title."""
    links = [{"rel": rel, "href": "./catalog.json", "type": JSON} for rel in ("self", "root")]
    children = [
        {"rel": "child", "href": f"./{each}/collection.json", "type": JSON, "title": title}
        for each, title in collections.items()
    ]
    return _catalog("sea-ice", "Maps of sea ice from Sentinel-2", [*links, *children])


def schema() -> Value:
    """The JSON schema of our own fields of an item's properties."""
    text, when = {"type": "string"}, {"type": "string", "format": "date-time"}
    number = {"type": ["number", "null"]}
    share = {**number, "minimum": 0, "maximum": 1}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The fields of seaice_ops in the properties of a STAC item",
        "type": "object",
        "required": ["properties"],
        "properties": {
            "properties": {
                "type": "object",
                "required": [f"seaice:{name}" for name in ("tile", "revision", "scene_ids", "attribution")],
                "patternProperties": {
                    "^seaice:(tile|source|method|attribution|withdrawn)$": text,
                    "^seaice:window_(start|centre|end)$": when,
                    "^seaice:(revision|window_length)$": {"type": "integer", "minimum": 1},
                    "^seaice:scene_count$": {"type": "integer", "minimum": 0},
                    "^seaice:(scene_ids|changes)$": {"type": "array", "items": text},
                    "^seaice:supersedes$": {"type": ["string", "null"]},
                    "^seaice:(area_km2|shares)$": {"type": "object", "additionalProperties": number},
                    "^seaice:(observed_km2|land_km2)$": {"type": "number", "minimum": 0},
                    "^seaice:valid_share$": share,
                    "^seaice:median_age_days$": {"type": ["integer", "null"], "minimum": 0},
                },
            }
        },
    }  # fmt: skip


def utc(time: datetime) -> str:
    """A time as STAC writes it."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def around(boxes: Sequence[Sequence[float]]) -> list[float]:
    """The narrowest box around `boxes` ([west, south, east, north], west > east across the antimeridian)."""
    south, north = min(box[1] for box in boxes), max(box[3] for box in boxes)
    spans = sorted((box[0], box[2] if box[0] <= box[2] else box[2] + 360) for box in boxes)
    reach, widest, west, east = spans[0][1], -1.0, spans[0][0], spans[0][1]
    for (_, end), gap_end in zip(spans, [*(each[0] for each in spans[1:]), spans[0][0] + 360], strict=True):
        reach = max(reach, end)
        if gap_end - reach > widest:
            widest, west, east = gap_end - reach, gap_end, reach
    if widest <= 0:
        return [-180.0, south, 180.0, north]
    west, east = (west - 360 if west >= 180 else west), (east - 360 if east > 180 else east)
    return [round(west, 6), south, round(east, 6), north]


def _up(name: str, kind: str, top: str, parent: str) -> list[Value]:
    return [
        {"rel": "self", "href": f"./{name}", "type": kind},
        {"rel": "root", "href": top, "type": JSON},
        {"rel": "parent", "href": parent, "type": JSON},
    ]


def _catalog(name: str, title: str, links: list[Value]) -> Value:
    about = {"type": "Catalog", "stac_version": "1.1.0", "id": name, "title": title}
    return {**about, "description": f"{title}. {CAVEAT}", "links": links}

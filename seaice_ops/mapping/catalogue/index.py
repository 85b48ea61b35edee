"""The index of one month of a tile: its items as stac-geoparquet, and the search in it."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from shapely.geometry import shape

_TEXT, _TIME = pa.string(), pa.timestamp("us", tz="UTC")
_LINK = pa.struct([(name, _TEXT) for name in ("rel", "href", "type", "title")])
_ASSET = pa.struct([("href", _TEXT), ("type", _TEXT), ("title", _TEXT), ("roles", pa.list_(_TEXT))])
_ASSETS = ("class", "class_stable", "n_valid", "age", "conf", "quicklook")

#: The properties of an item that are columns of the index.
_PROPERTIES = {
    "datetime": _TIME,
    "start_datetime": _TIME,
    "end_datetime": _TIME,
    "created": _TIME,
    "title": _TEXT,
    "version": _TEXT,
    "deprecated": pa.bool_(),
    "grid:code": _TEXT,
    "proj:code": _TEXT,
    "gsd": pa.float64(),
    "license": _TEXT,
    "seaice:tile": _TEXT,
    "seaice:revision": pa.int32(),
    "seaice:source": _TEXT,
    "seaice:observed_km2": pa.float64(),
    "seaice:valid_share": pa.float64(),
    "seaice:withdrawn": _TEXT,
    "seaice:attribution": _TEXT,
}

SCHEMA = pa.schema(
    [
        ("type", _TEXT),
        ("stac_version", _TEXT),
        ("stac_extensions", pa.list_(_TEXT)),
        ("id", _TEXT),
        ("collection", _TEXT),
        ("geometry", pa.binary()),
        ("bbox", pa.struct([(name, pa.float64()) for name in ("xmin", "ymin", "xmax", "ymax")])),
        ("links", pa.list_(_LINK)),
        ("assets", pa.struct([(name, _ASSET) for name in _ASSETS])),
        *_PROPERTIES.items(),
    ]
)

Box = tuple[float, float, float, float]


def part(items: Sequence[Mapping[str, Any]]) -> bytes:
    """The items as one GeoParquet file (stac-geoparquet 1.0); the same items give the same bytes.

    `bbox` has xmin > xmax where an item lies across the antimeridian, as in the item.
    """
    kinds = sorted({item["geometry"]["type"] for item in items})
    column = {"encoding": "WKB", "geometry_types": kinds}
    about = {
        "geo": json.dumps({"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}),
        "stac-geoparquet": json.dumps({"version": "1.0.0"}),
    }
    table = pa.Table.from_pylist([_row(item) for item in items], schema=SCHEMA.with_metadata(about))
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd")
    return out.getvalue()


def _row(item: Mapping[str, Any]) -> dict[str, Any]:
    properties = {name: item["properties"].get(name) for name in _PROPERTIES}
    times = {name: properties[name] for name, kind in _PROPERTIES.items() if kind == _TIME and properties[name]}
    return {
        **{name: item[name] for name in ("type", "stac_version", "stac_extensions", "id", "collection", "links")},
        **properties,
        **{name: datetime.fromisoformat(value) for name, value in times.items()},
        "deprecated": bool(properties["deprecated"]),
        "geometry": shapely.to_wkb(shape(item["geometry"])),
        "bbox": dict(zip(("xmin", "ymin", "xmax", "ymax"), item["bbox"], strict=True)),
        "assets": {name: item["assets"].get(name) for name in _ASSETS},
    }


def search(data: bytes, box: Box | None, start: datetime | None, end: datetime | None) -> list[dict[str, Any]]:
    """The maps of an index that stand, touch `box` and show a time from `start` until before `end`, oldest first.

    `box` is [west, south, east, north]; west > east is a box across the antimeridian. Rows as `SCHEMA` has them.
    """
    area = shapely.union_all([shapely.box(*each) for each in halves(box)]) if box else None
    found = []
    for row in pq.read_table(io.BytesIO(data)).to_pylist():
        time = row["datetime"]
        inside = area is None or shapely.from_wkb(row["geometry"]).intersects(area)
        if inside and not row["deprecated"] and (start is None or time >= start) and (end is None or time < end):
            found.append(row)
    return sorted(found, key=lambda row: (row["datetime"], row["id"]))


def halves(box: Sequence[float]) -> list[Box]:
    """The box as one or two that do not cross the antimeridian."""
    west, south, east, north = box
    if west <= east:
        return [(west, south, east, north)]
    return [(west, south, 180.0, north), (-180.0, south, east, north)]


def touch(one: Sequence[float], other: Sequence[float]) -> bool:
    """True if two boxes share a place."""
    pairs = ((a, b) for a in halves(one) for b in halves(other))
    return any(a[0] <= b[2] and b[0] <= a[2] and a[1] <= b[3] and b[1] <= a[3] for a, b in pairs)

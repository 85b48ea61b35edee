"""The footprint of a tile on the globe; it has two parts where the tile crosses 180 degrees."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from pyproj import Transformer
from shapely.affinity import translate
from shapely.geometry import Polygon, box, mapping
from shapely.ops import unary_union

from seaice_ops.geo.tiles import tile_of
from seaice_ops.sensors.sentinel2 import TILE_METRES


def corner(tile: str) -> tuple[str, int, int]:
    """EPSG code, easting and northing of the upper-left corner."""
    found = tile_of(tile)
    return f"EPSG:{found.epsg}", found.ulx, found.uly


@lru_cache(maxsize=512)
def outline(tile: str) -> dict[str, Any]:
    """GeoJSON polygon (or two) of the tile in longitude and latitude."""
    code, left, top = corner(tile)
    to_globe = Transformer.from_crs(code, 4326, always_xy=True).transform
    corners = [
        (left, top - TILE_METRES),
        (left + TILE_METRES, top - TILE_METRES),
        (left + TILE_METRES, top),
        (left, top),
    ]
    points = [to_globe(*xy) for xy in corners]
    if max(x for x, _ in points) - min(x for x, _ in points) > 180:
        east = Polygon([(x % 360, y) for x, y in points])
        parts = [east & box(0, -90, 180, 90), translate(east & box(180, -90, 360, 90), -360)]
        shape = unary_union(parts)
    else:
        shape = Polygon(points)
    listed: dict[str, Any] = _lists(mapping(shape))
    return listed


def wkt(shape: dict[str, Any]) -> str:
    """As the catalogue writes it: ``POLYGON ((x y, x y, ...))``."""

    def ring(points: Any) -> str:
        return "(" + ", ".join(f"{x:.13g} {y:.13g}" for x, y in points) + ")"

    if shape["type"] == "Polygon":
        return f"POLYGON ({', '.join(map(ring, shape['coordinates']))})"
    parts = (f"({', '.join(map(ring, part))})" for part in shape["coordinates"])
    return f"MULTIPOLYGON ({', '.join(parts)})"


def bounds(shape: dict[str, Any]) -> list[float]:
    """West, south, east, north; west is larger than east where the shape crosses 180 degrees."""
    parts = [shape["coordinates"]] if shape["type"] == "Polygon" else shape["coordinates"]
    boxes = [
        (min(x for x, _ in part[0]), min(y for _, y in part[0]), max(x for x, _ in part[0]), max(y for _, y in part[0]))
        for part in parts
    ]
    south, north = min(b[1] for b in boxes), max(b[3] for b in boxes)
    if len(boxes) == 1:
        return [boxes[0][0], south, boxes[0][2], north]
    east, west = (boxes[0], boxes[1]) if boxes[0][0] > boxes[1][0] else (boxes[1], boxes[0])
    return [east[0], south, west[2], north]


def _lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lists(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [_lists(part) for part in value]
    return value

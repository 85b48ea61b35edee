"""Rings of longitudes and latitudes from an area as a user gives it: a box, corners, or GeoJSON (file or content).

An edge between two corners is straight in longitude and latitude, as in GeoJSON, and takes the shorter way: from 170 to
-170 it crosses the antimeridian. A ring around a pole therefore needs no cut.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from seaice_ops.errors import ConfigError

#: Longest step along an edge, degrees of longitude or latitude.
STEP = 0.25

Area = str | list[Any] | dict[str, Any]


def rings(area: Area) -> list[np.ndarray]:
    """The closed outer rings of `area`, float64 (n, 2) longitudes and latitudes, edges cut into short steps.

    `area` is a box [west, south, east, north] (west > east crosses the antimeridian), a list of corners [lon, lat], a
    GeoJSON object, or the name of a GeoJSON file. Holes count as part of the area. Raises `ConfigError`.
    """
    if isinstance(area, str):
        area = _read(Path(area))
    if isinstance(area, dict):
        found = [outer for outer, *_ in polygons(area)]
    elif len(area) == 4 and all(isinstance(value, (int, float)) for value in area):
        found = [_box(*area)]
    else:
        found = [_walk(area, unwrap=True)]
    if not found:
        raise ConfigError("the area has no polygon")
    return found


def polygons(data: dict[str, Any]) -> list[list[np.ndarray]]:
    """The polygons of a GeoJSON object, each a list of its outer ring and its holes; rings as `rings` returns them.

    Raises `ConfigError` for other geometries.
    """
    return [[_walk(ring, unwrap=True) for ring in polygon] for polygon in _polygons(data)]


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"cannot read the area {path}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{path} is not GeoJSON: {error}") from None
    if not isinstance(found, dict):
        raise ConfigError(f"{path} is not GeoJSON: it holds no object")
    return found


def _polygons(data: dict[str, Any]) -> list[Any]:
    """The coordinates of all polygons in a GeoJSON object."""
    match data.get("type"):
        case "FeatureCollection":
            return [polygon for feature in data.get("features", []) for polygon in _polygons(feature)]
        case "GeometryCollection":
            return [polygon for part in data.get("geometries", []) for polygon in _polygons(part)]
        case "Feature":
            return _polygons(data.get("geometry") or {})
        case "Polygon":
            return [data["coordinates"]]
        case "MultiPolygon":
            return list(data["coordinates"])
        case other:
            raise ConfigError(f"an area is made of polygons, not of {other!r}")


def _box(west: float, south: float, east: float, north: float) -> np.ndarray:
    if beyond := [latitude for latitude in (south, north) if not -90 <= latitude <= 90]:
        raise ConfigError(f"a box is west, south, east, north in degrees: there is no latitude {beyond[0]:g}")
    if not south < north:
        raise ConfigError(f"a box is west, south, east, north: its south {south:g} is not below its north {north:g}")
    east += 360 if east <= west else 0
    return _walk([[west, south], [east, south], [east, north], [west, north]], unwrap=False)


def _walk(corners: Any, *, unwrap: bool) -> np.ndarray:
    """The closed ring (n, 2) through `corners`, in steps of at most STEP.

    With `unwrap` every edge takes the shorter way, and longitudes may go beyond +-180.
    """
    try:
        points = np.array([[float(lon), float(lat)] for lon, lat, *_ in corners])
    except (TypeError, ValueError):
        raise ConfigError("corners of an area are [longitude, latitude] in degrees") from None
    if len(points) < 3 or not (np.abs(points[:, 1]) <= 90).all() or not (np.abs(points[:, 0]) <= 540).all():
        raise ConfigError("an area has at least three corners [longitude, latitude] in degrees")
    closed = np.vstack([points, points[:1]])
    if unwrap:
        turns = np.diff(closed[:, 0])
        # Exactly once round is meant as such: the border of a map from -180 to 180.
        turns -= np.where((np.abs(turns) > 180) & (np.abs(turns) < 360), 360 * np.round(turns / 360), 0)
        closed[1:, 0] = closed[0, 0] + np.cumsum(turns)
    walked: np.ndarray = shapely.get_coordinates(shapely.segmentize(shapely.LineString(closed), STEP))
    return walked

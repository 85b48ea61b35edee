"""Areas as people give them (a GeoJSON file, its content, or a box), as rings of longitudes and latitudes.

An edge between two corners is straight in longitude and latitude, as GeoJSON says, and goes the short way round: from
170 to -170 it crosses the antimeridian. A ring around a pole therefore needs no cut.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from seaice_ops.errors import ConfigError

#: Longest step along an edge, degrees of longitude or latitude.
STEP = 0.25

Area = str | list[Any] | dict[str, Any]


def rings(area: Area) -> list[np.ndarray]:
    """The closed rings of `area`, float64 (n, 2) longitudes and latitudes, edges cut into short steps.

    `area` is a box [west, south, east, north] (west > east crosses the antimeridian), a list of corners [lon, lat], a
    GeoJSON object, or the name of a GeoJSON file. Holes count as part of the area. Raises `ConfigError`.
    """
    if isinstance(area, str):
        area = _read(Path(area))
    if isinstance(area, dict):
        found = [_walk(corners, unwrap=True) for corners in _exteriors(area)]
    elif len(area) == 4 and all(isinstance(value, (int, float)) for value in area):
        found = [_box(*area)]
    else:
        found = [_walk(area, unwrap=True)]
    if not found:
        raise ConfigError("the area has no polygon")
    return found


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


def _exteriors(data: dict[str, Any]) -> list[Any]:
    """Outer rings of all polygons in a GeoJSON object."""
    match data.get("type"):
        case "FeatureCollection":
            return [ring for feature in data.get("features", []) for ring in _exteriors(feature)]
        case "GeometryCollection":
            return [ring for part in data.get("geometries", []) for ring in _exteriors(part)]
        case "Feature":
            return _exteriors(data.get("geometry") or {})
        case "Polygon":
            return list(data["coordinates"][:1])
        case "MultiPolygon":
            return [polygon[0] for polygon in data["coordinates"]]
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
    """The closed ring through `corners`, a step at a time; unwrapped, no edge is longer than half way round."""
    try:
        points = np.array([[float(lon), float(lat)] for lon, lat, *_ in corners])
    except (TypeError, ValueError):
        raise ConfigError("corners of an area are [longitude, latitude] in degrees") from None
    if len(points) < 3 or not (np.abs(points[:, 1]) <= 90).all() or not (np.abs(points[:, 0]) <= 540).all():
        raise ConfigError("an area has at least three corners [longitude, latitude] in degrees")
    ends = np.roll(points, -1, axis=0)
    if unwrap:
        turn = ends[:, 0] - points[:, 0]
        # Exactly once round is meant as such: the border of a map from -180 to 180.
        ends[:, 0] -= np.where((np.abs(turn) > 180) & (np.abs(turn) < 360), 360 * np.round(turn / 360), 0)
    return np.concatenate([_steps(start, end) for start, end in zip(points, ends, strict=True)])


def _steps(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    count = max(1, int(np.ceil(np.abs(end - start).max() / STEP)))
    steps: np.ndarray = start + (end - start) * np.linspace(0, 1, count, endpoint=False)[:, None]
    return steps

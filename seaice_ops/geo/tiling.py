"""The Sentinel-2 tiles of an area, and the reason for each other tile that is left out.

Tiles of neighbouring zones overlap near the borders of zones, and everywhere near the poles. An acquisition is
delivered on all tiles that it touches. A tile whose part of the area lies in other tiles therefore adds nothing and is
left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyproj
import shapely

from seaice_ops.errors import ConfigError
from seaice_ops.geo.projections import from_globe, to_globe
from seaice_ops.geo.tiles import Tile, zone_tiles
from seaice_ops.sensors.sentinel2 import TILE_METRES

#: The farthest that an area may reach from its centre, radians.
REACH = np.radians(60)


@dataclass(frozen=True)
class Selection:
    """The tiles that cover an area, the tiles left out with the reason, and the share (0..1) of the area in no tile."""

    tiles: tuple[Tile, ...]
    left_out: tuple[tuple[Tile, str], ...]
    unseen: float

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the tiles, sorted."""
        return tuple(sorted(tile.name for tile in self.tiles))


def select(rings: Iterable[np.ndarray]) -> Selection:
    """The tiles of an area given as closed rings of longitudes and latitudes (`area.rings`), none a hole.

    Raises `ConfigError` where no tile sees it. Work is done in an equal-area plane around the area's centre, where
    neither the antimeridian nor a pole is special.
    """
    outlines = [np.asarray(ring, dtype=float) for ring in rings]
    points = np.concatenate(outlines)
    plane, centre = plane_of(points), _centre(points)
    reach = float(np.arccos(np.clip(_unit(points[:, 0], points[:, 1]) @ centre, -1, 1)).max())
    if reach > REACH:
        raise ConfigError("the area is wider than a third of the globe; split it into regions")
    area = shapely.union_all([shapely.make_valid(shapely.Polygon(project(plane, ring))) for ring in outlines])
    pictures = {}
    for tile in _near(centre, reach):
        picture = shapely.Polygon(project(plane, tile.ring()))
        if shapely.intersects(picture, area) and (part := shapely.intersection(picture, area)).area > 0:
            pictures[tile] = (picture, part)
    if not pictures:
        raise ConfigError("no tile sees the area: the tiles of Sentinel-2 end at about 83.8 S and 84.6 N")
    kept, left_out = _without_repeats(pictures)
    seen = shapely.union_all([pictures[tile][0] for tile in kept])
    unseen = shapely.difference(area, seen).area / area.area if area.area else 0.0
    return Selection(
        tuple(sorted(kept, key=lambda t: t.name)), tuple(left_out), float(unseen) if unseen > 1e-9 else 0.0
    )


def _without_repeats(pictures: dict[Tile, tuple[Any, Any]]) -> tuple[list[Tile], list[tuple[Tile, str]]]:
    """(tiles kept, tiles left out with the reason): a tile is left out if others cover its part of the area.

    Tiles farthest from their zone's central meridian are tried first.
    """
    tiles = list(pictures)
    tree = shapely.STRtree([pictures[tile][0] for tile in tiles])
    gone, left_out = set(), []
    for tile in sorted(tiles, key=lambda t: (-round(t.off_middle, 6), t.name)):
        part = pictures[tile][1]
        near = [other for i in tree.query(part, "intersects") if (other := tiles[i]) != tile and other not in gone]
        if shapely.covers(shapely.buffer(shapely.union_all([pictures[other][0] for other in near]), 1.0), part):
            gone.add(tile)
            near.sort(key=lambda t: -shapely.intersection(pictures[t][0], part).area)
            left_out.append((tile, f"its part of the area lies in {', '.join(t.name for t in near[:3])}"))
    return [tile for tile in tiles if tile not in gone], sorted(left_out, key=lambda entry: entry[0].name)


def plane_of(points: np.ndarray) -> pyproj.Transformer:
    """The transformer from longitude and latitude to an equal-area plane, metres, around the centre of the points."""
    centre = _centre(points)
    lon, lat = np.degrees([np.arctan2(centre[1], centre[0]), np.arcsin(centre[2])])
    return from_globe(f"+proj=laea +lat_0={lat:.6f} +lon_0={lon:.6f} +datum=WGS84 +units=m")


def project(plane: pyproj.Transformer, ring: np.ndarray) -> np.ndarray:
    """Longitudes and latitudes (n, 2) in the plane, metres (n, 2)."""
    return np.column_stack(plane.transform(ring[:, 0], ring[:, 1]))


def _centre(points: np.ndarray) -> np.ndarray:
    middle = _unit(points[:, 0], points[:, 1]).mean(0)
    centre: np.ndarray = middle / np.linalg.norm(middle)
    return centre


def _unit(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    lon, lat = np.radians(lon), np.radians(lat)
    return np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])


def _near(centre: np.ndarray, reach: float) -> Iterator[Tile]:
    """Tiles whose centre is within `reach` (radians) plus a tile's diagonal of `centre`."""
    far = np.cos(min(np.pi, reach + 1.5 * TILE_METRES / 6.37e6))
    for zone in range(1, 61):
        for south in (True, False):
            if not _zone_is_near(zone, south, centre, reach):
                continue
            tiles = zone_tiles(zone, south)
            x = np.array([tile.ulx for tile in tiles]) + TILE_METRES / 2
            y = np.array([tile.uly for tile in tiles]) - TILE_METRES / 2
            middles = _unit(*to_globe(tiles[0].epsg).transform(x, y))
            yield from (tile for tile, cosine in zip(tiles, middles @ centre, strict=True) if cosine >= far)


def _zone_is_near(zone: int, south: bool, centre: np.ndarray, reach: float) -> bool:
    lat = np.linspace(-84, 0, 29) if south else np.linspace(0, 84, 29)
    for lon in (6.0 * zone - 186, 6.0 * zone - 183, 6.0 * zone - 180):
        if (_unit(np.full(29, lon), lat) @ centre).max() >= np.cos(min(np.pi, reach + 0.1)):
            return True
    return False

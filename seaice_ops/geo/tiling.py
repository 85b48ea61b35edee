"""The Sentinel-2 tiles of an area: which 100 km squares of the military grid (MGRS) its pixels come in, and why.

A tile's name is its UTM zone, its latitude band of 8 degrees (X: 12) and its square's two letters. Its picture is
larger than the square: 109.8 km to the east and south of a corner on multiples of 60 m (as MTD_TL.xml of real products
says). A square exists in each zone that it touches, however little, so that near the borders of zones, and everywhere
near the poles, the same ground lies in tiles of several zones. Every acquisition is delivered on all tiles it touches:
a tile whose part of the area lies in other tiles brings nothing new and is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyproj
import shapely
from shapely.geometry.base import BaseGeometry

from seaice_ops.errors import ConfigError

BANDS = "CDEFGHJKLMNPQRSTUVWX"
COLUMNS = ("ABCDEFGH", "JKLMNPQR", "STUVWXYZ")  # of zones 1, 2 and 3, and so on
ROWS = "ABCDEFGHJKLMNPQRSTUV"
SQUARE, TILE, SNAP = 100_000, 109_800, 60

#: Latitudes between which the grid has squares (that of the last row lies a little beyond in the south).
SOUTH, NORTH = -80.0, 84.0

#: The farthest that an area may reach from its centre, radians.
REACH = np.radians(60)

#: Zones that are wider or absent: south-west Norway and Svalbard. (band, zone): (west, east) degrees, None for absent.
_IRREGULAR: dict[tuple[str, int], tuple[int, int] | None] = {
    ("V", 31): (0, 3), ("V", 32): (3, 12), ("X", 31): (0, 9), ("X", 32): None, ("X", 33): (9, 21), ("X", 34): None,
    ("X", 35): (21, 33), ("X", 36): None, ("X", 37): (33, 42),
}  # fmt: skip


@dataclass(frozen=True)
class Tile:
    """A tile: `ulx` and `uly` of its upper left corner, metres in the UTM zone `epsg`, and the share of its 100 km
    square that lies in its own zone (a tile of a small share shows mostly the neighbouring zone's ground)."""

    name: str
    epsg: int
    ulx: int
    uly: int
    zone_share: float

    def ring(self, points: int = 20) -> np.ndarray:
        """The outline as float64 (n, 2) longitudes and latitudes, `points` a side."""
        t = np.linspace(0, 1, points, endpoint=False)
        x = np.concatenate([t, np.ones(points), 1 - t, np.zeros(points)]) * TILE + self.ulx
        y = self.uly - np.concatenate([np.zeros(points), t, np.ones(points), 1 - t]) * TILE
        return np.column_stack(_utm(self.epsg).transform(x, y, direction="INVERSE"))


def zone_limits(band: str, zone: int) -> tuple[float, float] | None:
    """West and east of a zone in a band, degrees; None where it has no ground of its own there."""
    return _IRREGULAR.get((band, zone), (6.0 * zone - 186, 6.0 * zone - 180))


def square_letters(zone: int, column: int, row: int) -> str:
    """Letters of the square whose south-west corner is `column`, `row` times 100 km (false northing in the south)."""
    return COLUMNS[(zone - 1) % 3][column - 1] + ROWS[(row + (0 if zone % 2 else 5)) % 20]


def band_limits(band: str) -> tuple[float, float]:
    """South and north of a latitude band, degrees."""
    south = SOUTH + 8 * BANDS.index(band)
    return south, NORTH if band == "X" else south + 8


@lru_cache(maxsize=256)
def _utm(epsg: int) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(4326, epsg, always_xy=True)


@lru_cache(maxsize=128)
def zone_tiles(zone: int, south: bool) -> tuple[Tile, ...]:
    """All tiles of one hemisphere of a zone, named by the band that holds most of their square."""
    epsg = (32700 if south else 32600) + zone
    middle = 6 * zone - 183
    strips = []
    for band in BANDS[:10] if south else BANDS[10:]:
        limits = zone_limits(band, zone)
        if limits:
            strips.append((band, limits[0] - middle, limits[1] - middle))
    return tuple(_tile(zone, epsg, column, row, parts) for (column, row), parts in _squares(south, tuple(strips)))


@lru_cache(maxsize=16)
def _squares(
    south: bool, strips: tuple[tuple[str, float, float], ...]
) -> tuple[tuple[tuple[int, int], dict[str, float]], ...]:
    """((column, row), share of the square in each band) of a zone of the given width (degrees from its middle) in each
    band; nearly all zones share one answer."""
    shares: dict[tuple[int, int], dict[str, float]] = {}
    for band, west, east in strips:
        strip = _strip(32731 if south else 32631, (3 + west, 3 + east), band_limits(band))
        x0, y0, x1, y1 = (np.asarray(strip.bounds) // SQUARE).astype(int)
        columns, rows = (a.ravel() for a in np.meshgrid(np.arange(x0, x1 + 1), np.arange(y0, y1 + 1)))
        squares = shapely.box(columns * SQUARE, rows * SQUARE, (columns + 1) * SQUARE, (rows + 1) * SQUARE)
        areas = shapely.area(shapely.intersection(squares, strip)) / SQUARE**2
        for column, row, area in zip(columns, rows, areas, strict=True):
            if area > 1e-9:
                shares.setdefault((int(column), int(row)), {})[band] = float(area)
    return tuple(sorted(shares.items()))


def _tile(zone: int, epsg: int, column: int, row: int, parts: dict[str, float]) -> Tile:
    name = f"{zone:02d}{max(parts, key=lambda band: parts[band])}{square_letters(zone, column, row)}"
    equator = 10_000_000 if epsg >= 32700 else 0  # corners are multiples of 60 m from the equator, not of the northing
    ulx, top = column * SQUARE // SNAP * SNAP, (row + 1) * SQUARE - equator
    return Tile(name, epsg, ulx, -(-top // SNAP) * SNAP + equator, sum(parts.values()))


def _strip(epsg: int, lon: tuple[float, float], lat: tuple[float, float], points: int = 100) -> BaseGeometry:
    """The outline of a zone in a band, in its UTM plane."""
    (w, e), (s, n) = lon, lat
    across, up = np.linspace(w, e, points), np.linspace(s, n, points)
    x = np.concatenate([across, np.full(points, e), across[::-1], np.full(points, w)])
    y = np.concatenate([np.full(points, s), up, np.full(points, n), up[::-1]])
    return shapely.Polygon(np.column_stack(_utm(epsg).transform(x, y)))


@dataclass(frozen=True)
class Selection:
    """The tiles that see all of an area, those that were left out with the reason, and the share of the area that no
    tile sees (beyond 80 S or 84 N)."""

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
        raise ConfigError(f"no tile sees the area: the grid ends at {-SOUTH:.0f} S and {NORTH:.0f} N")
    kept, left_out = _without_repeats(pictures)
    seen = shapely.union_all([pictures[tile][0] for tile in kept])
    unseen = shapely.difference(area, seen).area / area.area if area.area else 0.0
    return Selection(
        tuple(sorted(kept, key=lambda t: t.name)), tuple(left_out), float(unseen) if unseen > 1e-9 else 0.0
    )


def _without_repeats(pictures: dict[Tile, tuple[Any, Any]]) -> tuple[list[Tile], list[tuple[Tile, str]]]:
    """Leave out, smallest share of an own zone first, each tile whose part of the area the remaining ones show."""
    tiles = list(pictures)
    tree = shapely.STRtree([pictures[tile][0] for tile in tiles])
    gone, left_out = set(), []
    for tile in sorted(tiles, key=lambda t: (round(t.zone_share, 6), t.name)):
        part = pictures[tile][1]
        near = [other for i in tree.query(part, "intersects") if (other := tiles[i]) != tile and other not in gone]
        if shapely.covers(shapely.buffer(shapely.union_all([pictures[other][0] for other in near]), 1.0), part):
            gone.add(tile)
            near.sort(key=lambda t: -shapely.intersection(pictures[t][0], part).area)
            left_out.append((tile, f"its part of the area lies in {', '.join(t.name for t in near[:3])}"))
    return [tile for tile in tiles if tile not in gone], sorted(left_out, key=lambda entry: entry[0].name)


def plane_of(points: np.ndarray) -> pyproj.Transformer:
    """Longitudes and latitudes to metres in an equal-area plane around the points' centre."""
    centre = _centre(points)
    lon, lat = np.degrees([np.arctan2(centre[1], centre[0]), np.arcsin(centre[2])])
    crs = pyproj.CRS.from_proj4(f"+proj=laea +lat_0={lat:.6f} +lon_0={lon:.6f} +datum=WGS84 +units=m")
    return pyproj.Transformer.from_crs(4326, crs, always_xy=True)


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
    """Tiles whose middle is within `reach` (radians) and a tile's diagonal of `centre`."""
    far = np.cos(min(np.pi, reach + 1.5 * TILE / 6.37e6))
    for zone in range(1, 61):
        for south in (True, False):
            if not _zone_is_near(zone, south, centre, reach):
                continue
            tiles = zone_tiles(zone, south)
            x = np.array([tile.ulx for tile in tiles]) + TILE / 2
            y = np.array([tile.uly for tile in tiles]) - TILE / 2
            middles = _unit(*_utm(tiles[0].epsg).transform(x, y, direction="INVERSE"))
            yield from (tile for tile, cosine in zip(tiles, middles @ centre, strict=True) if cosine >= far)


def _zone_is_near(zone: int, south: bool, centre: np.ndarray, reach: float) -> bool:
    lat = np.linspace(-81, 0, 28) if south else np.linspace(0, 84, 28)
    for lon in (6.0 * zone - 186, 6.0 * zone - 183, 6.0 * zone - 180):
        if (_unit(np.full(28, lon), lat) @ centre).max() >= np.cos(min(np.pi, reach + 0.1)):
            return True
    return False

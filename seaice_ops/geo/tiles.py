"""The tiles of Sentinel-2 and their places.

A tile is named by its UTM zone, its latitude band of 8 degrees, and two letters for the column and row of a 100 km
square of the military grid (MGRS). Its image is larger than the square: 109.8 km to the east and south of a corner on
multiples of 60 m, as MTD_TL.xml of real products says. There is no published rule for the squares that have a tile, so
their names are listed in `sensors`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from seaice_ops.errors import ConfigError
from seaice_ops.geo.projections import to_globe
from seaice_ops.sensors.sentinel2 import CORNER_STEP, TILE_METRES, TILE_NAME, TILE_PIXELS, tile_names

BANDS = "CDEFGHJKLMNPQRSTUVWX"
COLUMNS = ("ABCDEFGH", "JKLMNPQR", "STUVWXYZ")
"""Column letters from west to east in zones 1, 2 and 3, and so on."""
ROWS = "ABCDEFGHJKLMNPQRSTUV"
"""Row letters from south to north. In odd zones A starts at the equator, in even zones F does."""
SQUARE = 100_000
"""Edge of a square, metres."""
FALSE_NORTHING = 10_000_000
"""Northing of the equator in southern zones, metres."""


@dataclass(frozen=True)
class Tile:
    """A tile: `ulx` and `uly` of its upper left corner, metres in the UTM zone `epsg`."""

    name: str
    epsg: int
    ulx: int
    uly: int

    def ring(self, points: int = 20) -> np.ndarray:
        """The outline as float64 (n, 2) longitudes and latitudes, `points` a side."""
        t = np.linspace(0, 1, points, endpoint=False)
        x = np.concatenate([t, np.ones(points), 1 - t, np.zeros(points)]) * TILE_METRES + self.ulx
        y = self.uly - np.concatenate([np.zeros(points), t, np.ones(points), 1 - t]) * TILE_METRES
        return np.column_stack(to_globe(self.epsg).transform(x, y))

    def centre(self, size: int = TILE_PIXELS) -> tuple[float, float]:
        """(latitude, longitude) in degrees of the middle of its first `size` x `size` 10 m pixels."""
        half = 5.0 * size
        longitude, latitude = to_globe(self.epsg).transform(self.ulx + half, self.uly - half)
        return float(latitude), float(longitude)

    @property
    def off_middle(self) -> float:
        """Degrees of longitude from the zone's central meridian to the tile's centre; beyond 3: in the next zone."""
        middle = 6 * (self.epsg % 100) - 183
        return abs((self.centre()[1] - middle + 180) % 360 - 180)


def tile_of(name: str) -> Tile:
    """The tile called `name`, for example 60CWS; raises `ConfigError` where Sentinel-2 has no such tile."""
    if name not in tile_names():
        known = "" if TILE_NAME.match(name) else ": a tile's name is like 60CWS"
        raise ConfigError(f"Sentinel-2 has no tile {name!r}{known}")
    zone, band = int(name[:2]), name[2]
    south = band < "N"
    equator = FALSE_NORTHING if south else 0
    left = (COLUMNS[(zone - 1) % 3].index(name[3]) + 1) * SQUARE
    top = (_row(zone, band, name[4]) + 1) * SQUARE
    # Corners are multiples of 60 m from the equator, and of 60 m of easting.
    return Tile(
        name,
        (32700 if south else 32600) + zone,
        left // CORNER_STEP * CORNER_STEP,
        -(-top // CORNER_STEP) * CORNER_STEP + equator,
    )


def _row(zone: int, band: str, letter: str) -> int:
    """Squares between the equator and the row's southern edge, negative in the south.

    Letters repeat after 20 rows (2,000 km) and a band is 8 degrees (890 km) high, so the row nearest to the band is it.
    """
    first = (ROWS.index(letter) - (0 if zone % 2 else 5)) % len(ROWS)
    middle = (8 * BANDS.index(band) - 76) * 1.11  # degrees to squares
    return first + len(ROWS) * round((middle - first) / len(ROWS))


def zone_tiles(zone: int, south: bool) -> tuple[Tile, ...]:
    """All tiles of one hemisphere of a zone, by name."""
    return _by_zone()[zone, south]


@lru_cache(maxsize=1)
def _by_zone() -> dict[tuple[int, bool], tuple[Tile, ...]]:
    found: dict[tuple[int, bool], list[Tile]] = {}
    for name in sorted(tile_names()):
        found.setdefault((int(name[:2]), name[2] < "N"), []).append(tile_of(name))
    return {zone: tuple(tiles) for zone, tiles in found.items()}

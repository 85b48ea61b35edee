"""The Sentinel-2 tile grid: where a tile's first pixel lies."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from math import ceil, floor

import mgrs
from pyproj import Transformer

from seaice_ops.errors import ConfigError
from seaice_ops.geo.regions import TILE

_STEP = 60  # the coarsest band's pixel: every tile starts on a multiple of it, counted from the equator
_SOUTH = 10_000_000  # false northing


@dataclass(frozen=True)
class Tile:
    """A tile: its id, UTM zone as EPSG code, and the easting and northing of its upper-left corner, metres."""

    id: str
    epsg: int
    left: int
    top: int

    def centre(self, size: int) -> tuple[float, float]:
        """(latitude, longitude) in degrees of the middle of its first `size` x `size` 10 m pixels."""
        half = 5.0 * size
        place = Transformer.from_crs(self.epsg, 4326, always_xy=True).transform(self.left + half, self.top - half)
        return float(place[1]), float(place[0])


def tile_of(name: str) -> Tile:
    """The tile called `name` (for example 60CWS); raises `ConfigError` for a name that is not on the grid."""
    try:
        if not TILE.match(name):
            raise ValueError(name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a far-south square's corner may lie beyond its latitude band
            zone, hemisphere, easting, northing = mgrs.MGRS().MGRSToUTM(f"{name}0000000000")
    except (ValueError, mgrs.core.MGRSError) as error:
        raise ConfigError(f"{name!r} is not a tile of the Sentinel-2 grid such as 60CWS") from error
    south = _SOUTH if hemisphere == "S" else 0
    left = floor(round(easting, -5) / _STEP) * _STEP
    top = ceil((round(northing, -5) + 100_000 - south) / _STEP) * _STEP + south
    return Tile(name, (32_700 if south else 32_600) + zone, left, top)

"""Sentinel-2's MultiSpectral Instrument (MSI)."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from importlib.resources import files

TILE_METRES = 109_800
"""Edge of a tile's picture, metres."""
TILE_PIXELS = 10_980
"""The same in pixels of 10 m."""
CORNER_STEP = 60
"""Upper left corners lie on multiples of this, metres: the pixel of the coarsest band."""
TILE_NAME = re.compile(r"^\d{2}[C-HJ-NP-X][A-HJ-NP-Z][A-HJ-NP-V]$")
"""UTM zone, latitude band, column and row of a 100 km square."""


@lru_cache(maxsize=1)
def tile_names() -> frozenset[str]:
    """The names of all tiles that Sentinel-2 products come on (56,686), read from `sentinel2_tiles.json`."""
    listed = json.loads(files(__package__).joinpath("sentinel2_tiles.json").read_text("utf-8"))["bands"]
    return frozenset(
        f"{zone}{each['band']}{column[0]}{row}"
        for each in listed
        for zone in each["zones"].split()
        for column in each["squares"].split()
        for row in column[1:]
    )

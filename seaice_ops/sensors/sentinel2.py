"""Sentinel-2's MultiSpectral Instrument (MSI)."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from importlib.resources import files

from seaice_ops.sensors.sensor import Sensor

BANDS = ("B02", "B03", "B04", "B08", "B11")
"""The bands that scenes hold, in order: blue, green, red, near and shortwave infrared."""
TRUE_COLOUR = ("B04", "B03", "B02")
"""Red, green, blue. A plain true-colour scene has these only."""
BAND_IDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
"""All bands of the instrument, in the order of the metadata's band_id."""
MICROMETRES = {"B02": 0.4924, "B03": 0.5598, "B04": 0.6646, "B08": 0.8328, "B11": 1.6137}
"""Centre wavelengths (Sentinel-2A spectral responses, ESA)."""
METRES = {"B02": 10, "B03": 10, "B04": 10, "B08": 10, "B11": 20}
"""Pixel sizes."""

OFFSET_BASELINE, OFFSET = "04.00", -1000.0
"""The first processing baseline whose numbers carry RADIO_ADD_OFFSET (L2A: BOA_ADD_OFFSET), and that offset."""
CEILING = 0.3558
"""Reflectance shown as 255 in a Level-1C product's own true colour."""

PRODUCT_METADATA, TILE_METADATA = "MTD_MSIL1C.xml", "MTD_TL.xml"
"""The files that tell a product's radiometry, and its granule's grid and sun."""
PRODUCT_NAME = re.compile(
    r"(?P<platform>S2[A-D])_MSI(?P<level>L1C|L2A)_(?P<sensed>\d{8}T\d{6})(?:_N(?P<baseline>\d{4}))?"
    r"_R(?P<orbit>\d{3})_T(?P<tile>[0-9A-Z]{5})_(?P<generated>\d{8}T\d{6})"
)
"""S2B_MSIL1C_20260201T201529_N0511_R028_T01CCV_20260201T214500; names without _Nxxxx are the older form."""

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


SENSOR = Sensor("sentinel2", BANDS, TRUE_COLOUR, MICROMETRES, METRES)

"""Checks of values that files and services give for a scene: times, coordinate systems, grids.

Each function returns the value that it accepts and raises `ValueError` for any other one. The limits are wide: they
keep out what no acquisition has, because such values end or stall the work on every other scene.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime

Transform = tuple[float, float, float, float, float, float]

#: Years of acquisitions and publications; the calendar's own ends overflow with any offset or margin.
FIRST_YEAR, LAST_YEAR = 1900, 2999

#: Edge of a pixel on the grid, metres.
SMALLEST_PIXEL, LARGEST_PIXEL = 0.1, 10_000.0

#: Distance of an edge from the system's origin, metres: half the Earth's circumference.
FARTHEST = 20_037_508.4

#: Letters of a coordinate reference system, as the ledger keeps it.
LONGEST_CRS = 2048

#: Edge of an image, pixels: larger ones do not fit into memory. A Sentinel-2 tile has 10,980.
LARGEST_SIZE = 30_000


def check_time(moment: datetime) -> datetime:
    """`moment` (aware) in UTC."""
    try:
        utc = moment.astimezone(UTC)
    except OverflowError:
        utc = datetime.min.replace(tzinfo=UTC)
    if not FIRST_YEAR <= utc.year <= LAST_YEAR:
        raise ValueError(f"must lie between the years {FIRST_YEAR} and {LAST_YEAR} in UTC")
    return utc


def check_crs(text: str) -> str:
    """`text` (stripped), which names a projected coordinate reference system in metres (EPSG:n or WKT).

    Raises `ConfigError` where PROJ cannot look up any system: that is a fault of the machine, not of the text.
    """
    from rasterio.crs import CRS  # heavy, and only needed where a grid is read
    from rasterio.errors import CRSError

    from seaice_ops.geo.projections import require_projections

    text = text.strip()
    if len(text) > LONGEST_CRS:
        raise ValueError(f"has more than {LONGEST_CRS} letters")
    try:
        known = CRS.from_string(text)
        in_metres = known.is_projected and math.isclose(known.linear_units_factor[1], 1.0)
    except (CRSError, ValueError) as error:  # ValueError: "EPSG:" and no number
        require_projections()
        raise ValueError(f"is not a coordinate reference system: {error}") from None
    if not in_metres:
        raise ValueError("must be a projected system in metres, such as EPSG:32701")
    return text


def check_transform(transform: Transform) -> Transform:
    """GDAL's a b c d e f: north-up, with pixels and edges in metres that a scene on the Earth can have."""
    a, b, c, d, e, f = transform
    if b or d or not (a > 0 > e):  # also where one is NaN
        raise ValueError("must be north-up: [pixel width, 0, left edge, 0, -pixel height, top edge]")
    if not all(SMALLEST_PIXEL <= edge <= LARGEST_PIXEL for edge in (a, -e)):
        raise ValueError(f"has pixels of {a:g} x {-e:g} m; {SMALLEST_PIXEL:g} to {LARGEST_PIXEL:g} m are accepted")
    if not (abs(c) <= FARTHEST and abs(f) <= FARTHEST):
        raise ValueError(f"has its corner at {c:g}, {f:g} m, which is not on the Earth")
    return transform


def check_size(pixels: float) -> int:
    """`pixels`, the width or height of an image."""
    if not (1 <= pixels <= LARGEST_SIZE and pixels == int(pixels)):
        raise ValueError(f"has an edge of {pixels:g} pixels; whole numbers from 1 to {LARGEST_SIZE} are accepted")
    return int(pixels)

"""What a pair's drift becomes: a GeoParquet table of vectors and a picture of them. Arrays and bytes only."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from datetime import datetime

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
import shapely
from numpy.typing import NDArray

from seaice_ops.geo.grid import Grid
from seaice_ops.mapping.drift.track import Drift, Image

#: Longest edge of the picture, pixels; greatest number of arrows along it.
_EDGE, _ARROWS = 1000, 32

_GEOID = pyproj.Geod(ellps="WGS84")

#: The columns of the table: name, unit, meaning.
COLUMNS = (
    ("geometry", "", "where the ice was in the earlier image, WKB point, longitude and latitude"),
    ("x", "m", "the same place in the tile's own CRS, eastwards"),
    ("y", "m", "the same place in the tile's own CRS, northwards"),
    ("dx", "m", "displacement in the tile's own CRS, eastwards"),
    ("dy", "m", "displacement in the tile's own CRS, northwards"),
    ("speed", "m s-1", "distance on the ground by the time between the images"),
    ("bearing", "degree", "direction towards which the ice moved, clockwise from true north; no meaning at speed 0"),
    ("correlation", "1", "normalised cross-correlation of the match"),
    ("back", "m", "how far from its start the match backwards ended"),
)


@dataclass(frozen=True)
class Pair:
    """Two acquisitions of a tile; the times are aware UTC."""

    tile: str
    """MGRS name of the tile."""
    before: str
    """Id of the earlier scene."""
    after: str
    """Id of the later scene."""
    begins: datetime
    """Sensing time of the earlier scene."""
    ends: datetime
    """Sensing time of the later scene."""

    @property
    def seconds(self) -> float:
        """The time between the two, seconds."""
        return (self.ends - self.begins).total_seconds()


@dataclass(frozen=True)
class Motion:
    """Drift on the ground; arrays of n, float64, in the order of a `Drift`."""

    longitude: NDArray[np.float64]
    """Of the place in the earlier image, degrees."""
    latitude: NDArray[np.float64]
    """Of the place in the earlier image, degrees."""
    speed: NDArray[np.float64]
    """m/s."""
    bearing: NDArray[np.float64]
    """Towards which, degrees clockwise from true north, 0 to 360."""


def motion(drift: Drift, grid: Grid, seconds: float) -> Motion:
    """Speed and bearing on the ellipsoid of vectors on `grid`, `seconds` apart."""
    start = grid.places(drift.column.astype(np.float64), drift.row.astype(np.float64))
    end = grid.places((drift.column + drift.east).astype(np.float64), (drift.row + drift.south).astype(np.float64))
    azimuth, _, distance = _GEOID.inv(*start, *end)
    return Motion(*start, np.asarray(distance) / seconds, np.asarray(azimuth) % 360)


def parquet_bytes(drift: Drift, moved: Motion, grid: Grid, pair: Pair, method: str) -> bytes:
    """The vectors as GeoParquet 1.1: one point a vector, columns as in `COLUMNS`, the pair in the file's metadata.

    The same vectors give the same bytes.
    """
    a, b, c, d, e, f = grid.transform
    row, column, south, east = (part.astype(np.float64) for part in (drift.row, drift.column, drift.south, drift.east))
    values = {
        "geometry": pa.array(shapely.to_wkb(shapely.points(moved.longitude, moved.latitude)), pa.binary()),
        "x": a * column + b * row + c,
        "y": d * column + e * row + f,
        "dx": a * east + b * south,
        "dy": d * east + e * south,
        "speed": moved.speed,
        "bearing": moved.bearing,
        "correlation": drift.correlation.astype(np.float64),
        "back": drift.back.astype(np.float64) * grid.pixel_size,
    }
    fields = [
        pa.field(name, pa.binary() if name == "geometry" else pa.float32() if name not in "xy" else pa.float64(),
                 metadata={"unit": unit, "description": words})
        for name, unit, words in COLUMNS
    ]  # fmt: skip
    geo = {
        "version": "1.1.0",
        "primary_column": "geometry",
        "columns": {"geometry": {"encoding": "WKB", "geometry_types": ["Point"]}},
    }
    about = {
        "geo": json.dumps(geo),
        "tile": pair.tile,
        "crs": grid.crs,
        "before": pair.before,
        "after": pair.after,
        "begins": pair.begins.isoformat(),
        "ends": pair.ends.isoformat(),
        "method": method,
    }
    table = pa.table(
        [pa.array(values[field.name], field.type) for field in fields], schema=pa.schema(fields, metadata=about)
    )
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd")
    return out.getvalue()


def picture(base: Image, drift: Drift, title: str) -> NDArray[np.uint8]:
    """(rows, columns, 3) u8 RGB: the vectors as arrows of their true length over the image's relief, with a title.

    `base` (rows, columns) as `track.relief` gives it. At most some thousand arrows are drawn, the rest left out evenly.
    """
    scale = min(_EDGE / max(base.shape), 1.0)
    size = max(round(base.shape[1] * scale), 1), max(round(base.shape[0] * scale), 1)
    grey = np.clip(128 + 220 * cv2.resize(base, size, interpolation=cv2.INTER_AREA), 30, 225).astype(np.uint8)
    image = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
    cell = max(base.shape) / _ARROWS
    drawn: set[tuple[int, int]] = set()
    for row, column, south, east in zip(drift.row, drift.column, drift.south, drift.east, strict=True):
        place = int(row // cell), int(column // cell)
        if place in drawn:
            continue
        drawn.add(place)
        start = round(float(column) * scale), round(float(row) * scale)
        end = round(float(column + east) * scale), round(float(row + south) * scale)
        if start == end:
            cv2.circle(image, start, 3, (255, 190, 40), -1, cv2.LINE_AA)
        else:
            tip = 8 / max(float(np.hypot(end[0] - start[0], end[1] - start[1])), 8)
            cv2.arrowedLine(image, start, end, (255, 190, 40), 2, cv2.LINE_AA, tipLength=tip)
    bar = np.full((28, image.shape[1], 3), 20, np.uint8)
    cv2.putText(bar, title, (6, 19), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (240, 240, 240), 1, cv2.LINE_AA)
    return np.concatenate([bar, image])


def sentence(pair: Pair, moved: Motion) -> str:
    """One line about the pair: tile, times, number of vectors, median and greatest speed."""
    when = f"{pair.tile}  {pair.begins:%Y-%m-%d %H:%M} to {pair.ends:%Y-%m-%d %H:%M} UTC"
    if not len(moved.speed):
        return f"{when}: no ice could be followed"
    fast = np.percentile(moved.speed, 95)
    return f"{when}: {len(moved.speed):,} vectors, median {np.median(moved.speed):.2f} m/s, 95 % below {fast:.2f} m/s"

"""Outlines of grids anywhere: valid, cut at 180 degrees, holding what the grid holds and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st
from pyproj import Geod, Transformer

from seaice_ops.geo.grid import Grid
from seaice_ops.geo.tiles import zone_tiles
from seaice_ops.mapping.product.footprint import outline

GEOD = Geod(ellps="WGS84")


def check(grid: Grid) -> str:
    """Hold the outline against the grid itself, point by point; its type."""
    geometry, (west, south, east, north) = outline(grid)
    shape = shapely.geometry.shape(geometry)
    assert shape.is_valid and abs(shapely.bounds(shape)).max() <= 180
    u, v = (axis.ravel() for axis in np.meshgrid(*2 * [np.linspace(-0.2, 1.2, 29)]))
    a, _, c, _, e, f = grid.transform
    to_globe = Transformer.from_crs(grid.crs, 4326, always_xy=True)
    lon, lat = to_globe.transform(a * u * grid.width + c, e * v * grid.height + f)
    lon = (lon + 180) % 360 - 180
    within = (u > 0) & (u < 1) & (v > 0) & (v < 1)
    clear = np.min([abs(u), abs(1 - u), abs(v), abs(1 - v)], axis=0) > 1e-3
    clear &= (abs(lon) < 180 - 1e-5) & (abs(lat) < 90 - 1e-5)
    assert np.array_equal(shapely.contains_xy(shape, lon, lat)[clear], within[clear])
    between = (lon >= west) & (lon <= east) if west < east else (lon >= west) | (lon <= east)
    assert (between & (lat >= south) & (lat <= north))[within & clear].all()
    parts = getattr(shape, "geoms", [shape])
    if len(parts) > 1:
        assert west > east and {180.0, -180.0} <= {part.bounds[i] for part in parts for i in (0, 2)}
    return str(geometry["type"])


def test_every_tile_at_180_degrees() -> None:
    cut = 0
    for zone in (1, 60):
        for south in (True, False):
            for tile in (tile for tile in zone_tiles(zone, south) if tile.off_middle > 1.5):
                grid = Grid(f"EPSG:{tile.epsg}", (10.0, 0, tile.ulx, 0, -10.0, tile.uly), 10_980, 10_980)
                geometry, (west, _, east, _) = outline(grid)
                shape = shapely.geometry.shape(geometry)
                area = sum(abs(GEOD.geometry_area_perimeter(part)[0]) for part in getattr(shape, "geoms", [shape]))
                assert shape.is_valid and 0.97 < area / 109_800**2 < 1.06, tile.name
                assert (east - west) % 360 < 60 and (west > east) == (geometry["type"] == "MultiPolygon"), tile.name
                cut += west > east
    assert cut > 250


PLACES = st.tuples(
    st.sampled_from(["EPSG:32701", "EPSG:32760", "EPSG:32601", "EPSG:3031", "EPSG:3995", "EPSG:3413", "EPSG:3857"]),
    st.floats(-1, 1),
    st.floats(0.02, 8),
    st.integers(5, 200),
)


@profile(deadline=None, max_examples=80)
@given(PLACES)
def test_grids_of_any_projection_near_180_degrees(place: tuple[str, float, float, int]) -> None:
    crs, off, from_pole, size = place
    north = crs in {"EPSG:32601", "EPSG:3995", "EPSG:3413"}
    latitude = (90 - from_pole - 6 * (crs[5:] in {"32601", "32701", "32760", "3857"})) * (1 if north else -1)
    x, y = Transformer.from_crs(4326, crs, always_xy=True).transform(179.999, latitude)
    half = 500 * size
    shift = off * half * (0.9 if crs != "EPSG:3857" else 0)
    if crs == "EPSG:3857":
        x -= 2 * half  # beyond 180 degrees there is no Mercator
    check(Grid(crs, (1000.0, 0, round(x - half + shift), 0, -1000.0, round(y + half)), size, size))


@pytest.mark.parametrize("crs", ["EPSG:3031", "EPSG:3995", "EPSG:3413"])
@pytest.mark.parametrize("corner", [(-500, 500), (-37, 911), (-1, 999), (0, 1000), (-500, 1000), (0, 500), (0, 0)])
def test_grids_that_hold_or_touch_a_pole(crs: str, corner: tuple[int, int]) -> None:
    left, top = corner
    check(Grid(crs, (1000.0, 0, left * 1000.0, 0, -1000.0, top * 1000.0), 1000, 1000))


def test_longitudes_beyond_180() -> None:
    across = Grid("EPSG:4326", (0.01, 0, 179.0, 0, -0.01, -70.0), 200, 100)
    assert check(across) == "MultiPolygon" and outline(across)[1] == [179.0, -71.0, -179.0, -70.0]
    beyond = Grid("EPSG:4326", (0.01, 0, 181.0, 0, -0.01, -70.0), 200, 100)
    assert check(beyond) == "Polygon" and outline(beyond)[1] == [-179.0, -71.0, -177.0, -70.0]
    touching = Grid("EPSG:4326", (0.01, 0, 178.0, 0, -0.01, -70.0), 200, 100)
    assert check(touching) == "Polygon" and outline(touching)[1] == [178.0, -71.0, 180.0, -70.0]
    whole = Grid("EPSG:4326", (1.0, 0, -180.0, 0, -1.0, 90.0), 360, 180)
    assert outline(whole)[0]["type"] == "Polygon" and outline(whole)[1] == [-180, -90, 180, 90]

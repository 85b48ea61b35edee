"""Sizes of pixels on the ground, by formulas and by geodesics, in any projection."""

from __future__ import annotations

import numpy as np
import pytest
from pyproj import Geod, Transformer

from seaice_ops.errors import CorruptProduct
from seaice_ops.geo.grid import Grid, pixel_km2, pixel_metres

GEOD = Geod(ellps="WGS84")


def grid_at(crs: str, size: float, lon: float, lat: float, pixels: int = 64) -> Grid:
    x, y = Transformer.from_crs(4326, crs, always_xy=True).transform(lon, lat)
    half = size * pixels / 2
    return Grid(crs, (size, 0.0, x - half, 0.0, -size, y + half), pixels, pixels)


@pytest.mark.parametrize(
    ("crs", "size", "lon", "lat", "metres"),
    [
        ("EPSG:32758", 40.0, 165.0, -75.0, 40 / 0.9996),
        ("EPSG:3031", 40.0, 165.0, -71.0, 40.0),  # the latitude of true scale
        ("EPSG:3857", 40 / np.cos(np.radians(75)), 165.0, -75.0, 40.0),
        ("EPSG:3857", 40.0, 20.0, 60.0, 20.0),
        ("EPSG:4326", 40 / 111_195, 165.0, -75.0, 40.15),  # a degree of latitude is 111.62 km there
        ("EPSG:2263", 100.0, -74.0, 40.7, 30.48),  # US survey feet
    ],
)
def test_the_height_of_a_pixel_on_the_ground(crs: str, size: float, lon: float, lat: float, metres: float) -> None:
    assert pixel_metres(grid_at(crs, size, lon, lat)) == pytest.approx(metres, rel=4e-3)


@pytest.mark.parametrize(
    ("crs", "size", "lon", "lat"),
    [
        ("EPSG:32701", 10.0, -177.0, -77.0),
        ("EPSG:3031", 1000.0, 30.0, -62.0),
        ("EPSG:3413", 500.0, 180.0, 74.0),
        ("EPSG:3857", 2000.0, 165.0, -75.0),
        ("EPSG:4326", 0.01, 20.0, 78.0),
        ("EPSG:3031", 1000.0, 0.0, -90.0),
    ],
)
def test_all_pixels_together_are_as_large_as_the_border_holds(crs: str, size: float, lon: float, lat: float) -> None:
    grid = grid_at(crs, size, lon, lat, 301)
    border = grid.border()
    whole = abs(GEOD.polygon_area_perimeter(border[:, 0], border[:, 1])[0]) / 1e6
    assert pixel_km2(grid) * grid.width * grid.height == pytest.approx(whole, rel=1e-3)


def test_without_a_crs_nothing_is_known() -> None:
    assert pixel_metres(Grid("", (1.0, 0, 0, 0, -1.0, 0), 4, 4)) is None


def test_pixels_beyond_the_globe_are_refused() -> None:
    for crs, words in (("EPSG:32701", "nowhere on the globe"), ("EPSG:3031", "no size on the globe")):
        with pytest.raises(CorruptProduct, match=words):
            pixel_metres(Grid(crs, (10.0, 0, 1e300, 0, -10.0, 0), 9, 9))

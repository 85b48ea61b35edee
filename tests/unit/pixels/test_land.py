"""Land and ice shelf: few questions to the coastline give the answer of many; replacement files; what 254 covers."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pyproj import Transformer

from helpers.factories import write_mask
from seaice_ops.classes import legend
from seaice_ops.errors import ConfigError
from seaice_ops.labels.scene import label_raster
from seaice_ops.labels.stage import labelling
from seaice_ops.pixels.coastline import near_edges
from seaice_ops.pixels.land import from_polygons, land
from seaice_ops.settings import Settings
from seaice_ops.storage.rasters import Grid
from seaice_ops.storage.store import open_store

GRID = Grid("EPSG:32701", (10.0, 0.0, 399960.0, 0.0, -10.0, 1600020.0), 200, 150)


@given(st.integers(1, 130), st.integers(1, 130), st.integers(-40, 170), st.integers(-40, 170), st.integers(24, 90))
@hypothesis_settings(max_examples=60, deadline=None)
def test_a_shape_is_found_whole(rows: int, columns: int, row: int, column: int, radius: int):
    """A disc wide enough to touch the lattice comes out pixel by pixel."""

    def inside(r: np.ndarray, c: np.ndarray) -> np.ndarray:
        return np.asarray((r - row) ** 2 + (c - column) ** 2 < radius**2)

    every = inside(*np.mgrid[:rows, :columns])
    found = near_edges(inside, rows, columns)
    missed = every != found
    # A sliver of the disc that enters between two border points of the lattice may be missed, and nothing else.
    assert missed.sum() <= 8
    assert not missed.any() or np.abs(np.argwhere(missed) - [row, column]).max() > 16


def test_few_pixels_are_asked():
    asked = []

    def inside(r: np.ndarray, c: np.ndarray) -> np.ndarray:
        asked.append(r.size)
        return np.asarray(r + 0.3 * c > 900)

    found = near_edges(inside, 1500, 1400)
    rows, columns = np.mgrid[:1500, :1400]
    assert np.array_equal(found, rows + 0.3 * columns > 900)
    assert sum(asked) < 0.08 * found.size


def land_of(settings: Settings, mask: str, grid: Grid = GRID) -> np.ndarray:
    """What the mask says of a tile."""
    return land(mask, settings.home, open_store(settings.store), grid, "01CCV")


def test_a_raster_of_another_grid_is_land_where_it_is_not_zero(settings: Settings):
    coarse = Grid("EPSG:32701", (100.0, 0.0, 399960.0, 0.0, -100.0, 1600020.0), 20, 15)
    values = np.zeros((15, 20), np.uint8)
    values[3:7, 5:9] = 7
    write_mask(settings.home / "masks" / "01CCV.tif", values, coarse)
    found = land_of(settings, "masks/{tile}.tif")
    assert np.array_equal(found, np.kron(values > 0, np.ones((10, 10), bool)))


def test_polygons_are_land_inside(settings: Settings):
    corners = [(400460.0, 1599520.0), (401460.0, 1599520.0), (401460.0, 1598820.0), (400460.0, 1598820.0)]
    from rasterio.warp import transform

    ring = list(zip(*transform("EPSG:32701", "EPSG:4326", *zip(*corners, strict=True)), strict=True))
    features = polygon([*ring, ring[0]])
    (settings.home / "land.geojson").write_text(json.dumps(features))
    found = land_of(settings, "land.geojson")
    expected = np.zeros((150, 200), bool)
    expected[50:120, 50:150] = True
    assert (found != expected).mean() < 0.005
    (settings.home / "none.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": []}))
    assert not land_of(settings, "none.geojson").any()


def polygon(*rings: list[tuple[float, float]]) -> dict[str, Any]:
    feature = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": list(rings)}}
    return {"type": "FeatureCollection", "features": [feature]}


def coarse(epsg: int, left: float, top: float, metres: float = 1098.0) -> Grid:
    return Grid(f"EPSG:{epsg}", (metres, 0.0, left, 0.0, -metres, top), 100, 100)


def centres(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Longitude and latitude of each pixel's centre."""
    columns, rows = np.meshgrid(np.arange(grid.width) + 0.5, np.arange(grid.height) + 0.5)
    a, _, c, _, e, f = grid.transform
    lon, lat = Transformer.from_crs(grid.crs, 4326, always_xy=True).transform(a * columns + c, e * rows + f)
    return np.asarray(lon), np.asarray(lat)


@pytest.mark.parametrize(
    ("grid", "box"),
    [
        (coarse(32758, 399960, 1400040), (150, -79, 180, -77.86)),
        (coarse(32758, 399960, 1400040), (164, -79, 166, -77.86)),
        (coarse(32605, 499980, 7900020), (-170, 70.65, -140, 72)),
        (coarse(32701, 399960, 1600020), (170, -76, 190, -75.5)),  # across 180 degrees
        (coarse(3031, -3e6, 3e6, 6e4), (20, -80, 150, -65)),
        (coarse(3031, -3e6, 3e6, 6e4), (-180, -90, 180, -75)),
    ],
)
def test_long_edges_are_straight_in_longitude_and_latitude(grid: Grid, box: tuple[float, ...]):
    west, south, east, north = box
    lon, lat = centres(grid)
    expected = ((lon - west) % 360 <= east - west) & (lat >= south) & (lat <= north)
    corners = [(west, south), (east, south), (east, north), (west, north), (west, south)]
    assert expected.any() and not expected.all()
    assert (from_polygons(polygon(corners), grid) != expected).sum() <= 2


@pytest.mark.parametrize("step", [10.0, 0.5])
@pytest.mark.parametrize(
    "grid",
    [
        coarse(32758, 399960, 1400040),
        coarse(32701, 399960, 1600020),
        coarse(32760, 499980, 1400040),
        coarse(32730, 499980, 1600020),
        coarse(3031, -3e6, 3e6, 6e4),
    ],
)
def test_the_far_side_of_a_continent_does_not_matter(grid: Grid, step: float):
    _, lat = centres(grid)
    edge = round(float(lat.mean()), 2)
    around = [(float(lon), edge) for lon in np.arange(-180, 180, step)]
    border = [*around, (180.0, edge), (180.0, -90.0), (-180.0, -90.0), around[0]]
    for ring in (border, [*around, around[0]]):  # as a map has it, and around the pole without a cut
        assert (from_polygons(polygon(ring), grid) != (lat <= edge)).sum() <= 2


def test_a_hole_is_no_land():
    grid = coarse(32758, 399960, 1400040)
    lon, lat = centres(grid)
    outer = [(150.0, -79.0), (180.0, -79.0), (180.0, -77.0), (150.0, -77.0), (150.0, -79.0)]
    hole = [(164.0, -78.2), (166.0, -78.2), (166.0, -77.7), (164.0, -77.7), (164.0, -78.2)]
    within = (lon > 164) & (lon < 166) & (lat > -78.2) & (lat < -77.7)
    assert within.any() and (from_polygons(polygon(outer, hole), grid) == within).sum() <= 2


@pytest.mark.parametrize("content", [None, "no raster", "{}"])
def test_a_mask_that_cannot_be_used_says_which_setting(settings: Settings, content: str | None):
    name = "land.geojson" if content == "{}" else "land.tif"
    if content is not None:
        (settings.home / name).write_text(content)
    with pytest.raises(ConfigError, match=r"scenes\.land_mask"):
        land_of(settings, name)


def test_a_grid_without_a_crs_has_no_land(settings: Settings):
    with pytest.raises(ConfigError, match="no CRS"):
        land_of(settings, "coastline", Grid("", GRID.transform, 4, 4))


def every_band(data: bytes) -> np.ndarray:
    with rasterio.MemoryFile(data) as file, file.open() as dataset:
        return np.asarray(dataset.read())


@pytest.mark.parametrize("method", ["colour", "reflectance"])
def test_land_takes_the_place_of_labels_and_of_nothing_else(settings, add_scene, method: str):
    values = np.full((5, 150, 200), 7000, np.int16)
    values[4] = 800
    values[:, :20, :20] = -32768
    scene, store = add_scene(values), open_store(settings.store)
    plain, _ = label_raster(store, scene, labelling(settings, method))
    mask = np.zeros((150, 200), np.uint8)
    mask[:60, :50] = 1
    write_mask(settings.home / "masks" / "01CCV.tif", mask, GRID)
    masked_settings = settings.model_copy(
        update={"scenes": settings.scenes.model_copy(update={"land_mask": "masks/{tile}.tif"})}
    )
    data, shares = label_raster(store, scene, labelling(masked_settings, method))
    without, codes = every_band(plain), every_band(data)
    covered = (mask > 0) & (without[0] != legend.NODATA)
    assert (codes[0][covered] == legend.LAND).all()
    assert np.array_equal(codes[:, ~covered], without[:, ~covered])
    if method == "reflectance":
        assert (codes[1][covered] == 255).all()
        assert not codes[2][covered].any()
    assert shares["land_or_shelf"] == pytest.approx(covered.mean())
    assert masked_settings.label_version(method) != settings.label_version(method)

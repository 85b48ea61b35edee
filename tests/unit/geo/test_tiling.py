"""Areas become tiles: every point of an area lies in a tile's picture, wherever on the globe, as real products say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st
from pyproj import Transformer

from seaice_ops.errors import ConfigError
from seaice_ops.geo import area, tiling
from seaice_ops.geo.tiles import Tile, tile_of, zone_tiles
from seaice_ops.geo.tiling_map import draw
from seaice_ops.sensors.sentinel2 import TILE_METRES, tile_names
from seaice_ops.settings import Settings


def test_corners_are_those_of_real_products(outside_data: Path) -> None:
    seen = 0
    for path in sorted((outside_data / "s2_metadata").rglob("*MTD_TL*.xml")):
        text = path.read_text()
        name = re.search(r"<TILE_ID[^>]*>\S*_T(\d\d[A-Z]{3})_", text)
        corner = re.search(r"<ULX>(-?\d+)</ULX>\s*<ULY>(-?\d+)</ULY>", text)
        epsg = re.search(r"EPSG:(\d+)", text)
        if name and corner and epsg:
            tile = tile_of(name[1])
            assert (tile.ulx, tile.uly, tile.epsg) == (int(corner[1]), int(corner[2]), int(epsg[1])), path.name
            seen += 1
    assert seen >= 4


def test_corners_are_those_of_the_services_list() -> None:
    listed = json.loads((Path(__file__).parent / "listed_tiles.json").read_text())
    assert len(listed) > 60
    for name, corners in listed.items():
        tile = tile_of(name)
        x, y = Transformer.from_crs(4326, tile.epsg, always_xy=True).transform(*np.transpose(corners))
        edges = (x.min() - tile.ulx, x.max() - tile.ulx, tile.uly - y.max(), tile.uly - y.min())
        assert edges == pytest.approx((0, TILE_METRES, 0, TILE_METRES), abs=1.0), name


def test_only_tiles_of_the_services_list_exist() -> None:
    found = [tile for zone in range(1, 61) for south in (True, False) for tile in zone_tiles(zone, south)]
    assert len(found) == len({tile.name for tile in found}) == len(tile_names()) == 56_686
    assert len({(tile.epsg, tile.ulx, tile.uly) for tile in found}) >= 56_600  # some squares have a name in two bands
    assert not any(tile.name[:3] in {"32X", "34X", "36X"} for tile in found)
    assert tile_of("01CCV").off_middle > 3 and tile_of("60CWS").uly == 1200040 and tile_of("01CDH")
    for gone in ("36DUJ", "19WCP", "09DUG", "28WCB"):
        with pytest.raises(ConfigError, match=f"no tile '{gone}'"):
            tile_of(gone)


@pytest.mark.parametrize(
    ("box", "names"),
    [
        ([30.42, -68.91, 30.72, -68.81], {"35DPD", "36DVJ"}),
        ([-72.4, 66.4, -72.1, 66.5], {"18WXU"}),
        ([-131.5, -66.32, -131.2, -66.22], {"08DPM", "09DVG"}),
        ([-18.33, 69.23, -18.03, 69.33], {"27WXS", "27WXT", "27WWS", "27WWT"}),
        ([0, -82.6, 4, -82.4], {"30CWP", "31CDP", "31CDN", "30CWN", "31CEP", "31CEN"}),
    ],
)
def test_small_areas_get_tiles_that_exist(box: list[float], names: set[str]) -> None:
    found = tiling.select(area.rings(box))
    assert found.unseen == 0.0 and set(found.names) <= tile_names() and set(found.names) & names


def test_a_region_names_only_tiles_that_exist() -> None:
    for wrong, words in (("36DUJ", "has no tile '36DUJ'"), ("36D", "is not an MGRS tile")):
        with pytest.raises(ValueError, match=words):
            Settings.model_validate({"home": "h", "regions": {"bay": {"title": "Bay", "tiles": [wrong]}}})


def sees(tile: Tile, lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """Which points lie in the tile's picture, in its own UTM plane, within 2 m."""
    x, y = Transformer.from_crs(4326, tile.epsg, always_xy=True).transform(lon, lat)
    x, y = x - tile.ulx, tile.uly - y
    return (x >= -2) & (x <= TILE_METRES + 2) & (y >= -2) & (y <= TILE_METRES + 2)


def seen_by(names: tuple[str, ...], lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    return np.any([sees(tile_of(name), lon, lat) for name in names], axis=0)


LATITUDES = st.sampled_from([(-80, -77), (-73.5, -70), (60, 63), (71, 73.5), (81, 84), (-1, 1)])
BOXES = st.tuples(st.floats(-180, 180), LATITUDES, st.floats(1, 9))


@profile(deadline=None, max_examples=12)
@given(BOXES, st.integers(0, 2**32 - 1))
def test_every_point_of_an_area_lies_in_a_tile(box: tuple[float, tuple[float, float], float], seed: int) -> None:
    west, (south, north), width = box
    east = west + width if west + width <= 180 else west + width - 360
    found = tiling.select(area.rings([west, south, east, north]))
    assert found.unseen == 0.0
    rng = np.random.default_rng(seed)
    lon = (west + width * rng.random(400) + 180) % 360 - 180
    lat = south + (north - south) * rng.random(400)
    assert seen_by(found.names, lon, lat).all()
    assert not {tile for tile, _ in found.left_out} & set(found.tiles)


def test_a_tile_less_would_leave_ground_unseen() -> None:
    found = tiling.select(area.rings([60, -79, 66, -77]))
    plane = np.meshgrid(np.linspace(60, 66, 300), np.linspace(-79, -77, 300))
    lon, lat = (axis.ravel() for axis in plane)
    small = [n for n in found.names if seen_by(tuple(set(found.names) - {n}), lon, lat).all()]
    assert len(small) <= 1  # one at most, seen only between the points of this grid
    assert found.left_out and all("lies in" in why for _, why in found.left_out)


def test_the_antimeridian_may_be_crossed_in_any_spelling(tmp_path: Path) -> None:
    box = tiling.select(area.rings([175, 66, -175, 69])).names
    ring = [[175, 66], [185, 66], [185, 69], [175, 69], [175, 66]]
    jumping = [[175, 66], [-175, 66], [-175, 69], [175, 69], [175, 66]]
    assert tiling.select(area.rings({"type": "Polygon", "coordinates": [ring]})).names == box
    assert tiling.select(area.rings(jumping)).names == box
    halves = [[[[175, 66], [180, 66], [180, 69], [175, 69]]], [[[-180, 66], [-175, 66], [-175, 69], [-180, 69]]]]
    split = {"type": "Feature", "geometry": {"type": "MultiPolygon", "coordinates": halves}}
    file = tmp_path / "chukchi.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": [split]}))
    assert tiling.select(area.rings(str(file))).names == box
    assert {name[:2] for name in box} >= {"01", "60"}


def test_a_ring_around_the_pole_and_a_map_of_it_are_the_same_area() -> None:
    ring = [[lon, -78.5] for lon in range(-180, 180, 10)]
    around = tiling.select(area.rings(ring))
    as_map = tiling.select(area.rings([-180, -90, 180, -78.5]))
    assert 0.2 < around.unseen < 0.4 and as_map.unseen == pytest.approx(around.unseen, abs=0.02)
    assert {name[:2] for name in around.names} == {f"{zone:02d}" for zone in range(1, 61)}


def test_the_papers_region() -> None:
    paper = tiling.select(area.rings([-180, -78, -140, -70]))
    assert 147 <= len(paper.tiles) <= 170  # "about 147" are reported for it


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ([10, 70, 20, 60], "south 70 is not below its north 60"),
        ([10, 70, 20, 95], "no latitude 95"),
        ([[0, 0], [1, 1]], "three corners"),
        ([[0, 0], [1, 1], ["a", 2]], "longitude, latitude"),
        ({"type": "Point", "coordinates": [1, 2]}, "polygons"),
        ({"type": "FeatureCollection", "features": []}, "no polygon"),
        ("/nowhere/region.geojson", "cannot read"),
        ([0, -89, 10, -85], "no tile sees"),
        ([-180, -90, 180, 90], "split it"),
    ],
)
def test_what_is_no_area_is_said(wrong: object, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        tiling.select(area.rings(wrong))  # type: ignore[arg-type]


def test_a_region_of_the_configuration_may_be_an_area(tmp_path: Path) -> None:
    (tmp_path / "bay.geojson").write_text(
        json.dumps({"type": "Polygon", "coordinates": [[[163, -75.5], [166, -75.5], [166, -74], [163, -74]]]})
    )
    config = tmp_path / "seaice.yaml"
    config.write_text("home: h\nregions: {bay: {title: Terra Nova Bay, area: bay.geojson}}\n")
    loaded = Settings.load(config)
    inline = Settings.model_validate(
        {"home": "h", "regions": {"bay": {"title": "Terra Nova Bay", "area": [163, -75.5, 166, -74]}}}
    )
    assert loaded.tiles == inline.tiles and "58CEC" in loaded.tiles
    assert Settings.model_validate(loaded.model_dump()) == loaded
    config.write_text("home: h\nregions: {bay: {title: Bay, area: gone.geojson}}\n")
    with pytest.raises(ConfigError, match=r"regions\.bay: .*cannot read the area"):
        Settings.load(config)


def test_a_map_is_drawn(tmp_path: Path) -> None:
    rings = area.rings([163, -75.5, 166, -74])
    draw(rings, tiling.select(rings), tmp_path / "map.png")
    from PIL import Image

    assert len(Image.open(tmp_path / "map.png").convert("RGB").getcolors(1 << 20)) > 3

"""What a map says of itself: outline, STAC item, quick-look, figures."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
import rasterio
from PIL import Image
from pystac.extensions.classification import ClassificationExtension
from pystac.extensions.projection import ProjectionExtension
from pystac.extensions.version import ItemVersionExtension
from pystac.validation.stac_validator import JsonSchemaSTACValidator
from rasterio.warp import transform
from rio_cogeo import cog_validate

from seaice_ops.classes.legend import COLOURS
from seaice_ops.mapping.product.footprint import outline
from seaice_ops.mapping.product.item import MapInputs, item
from seaice_ops.mapping.product.layers import LAYER_NODATA, quicklook, statistics, write_layers
from seaice_ops.mapping.window.strips import LAYERS
from seaice_ops.storage.rasters import Grid

END = datetime(2026, 2, 1, 20, 15, 29, 24000, tzinfo=UTC)


def tile_grid(crs: str, east: float, north: float) -> Grid:
    return Grid(crs, (10.0, 0.0, east, 0.0, -10.0, north), 10_980, 10_980)


CROSSING = tile_grid("EPSG:32701", 399_960.0, 1_600_020.0)  # 01CCV
WEST_OF_180 = tile_grid("EPSG:32760", 499_980.0, 1_400_040.0)  # a tile of zone 60
INLAND = tile_grid("EPSG:32733", 300_000.0, 2_200_020.0)
NORTH = tile_grid("EPSG:32601", 300_000.0, 7_200_000.0)


def inside(rings: list[list[tuple[float, float]]], x: float, y: float) -> bool:
    """Even-odd rule over all rings."""
    hits = 0
    for ring in rings:
        for (x0, y0), (x1, y1) in pairwise(ring):
            hits += (y0 > y) != (y1 > y) and x < x0 + (y - y0) / (y1 - y0) * (x1 - x0)
    return hits % 2 == 1


@pytest.mark.parametrize("grid", [CROSSING, WEST_OF_180, INLAND, NORTH])
def test_the_outline_holds_exactly_the_tile(grid: Grid) -> None:
    geometry, (west, south, east, north) = outline(grid)
    parts = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
    rings = [part[0] for part in parts]
    for ring in rings:
        assert ring[0] == ring[-1]
        assert all(-180 <= x <= 180 and -90 <= y <= 90 for x, y in ring)
        assert sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise(ring)) > 0, "clockwise"
        assert max(x for x, _ in ring) - min(x for x, _ in ring) < 10, "goes round the globe"
    left, top, size = grid.transform[2], grid.transform[5], 109_800
    steps = np.linspace(-0.1, 1.1, 25)
    for u, v in ((u, v) for u in steps for v in steps if min(abs(u), abs(v), abs(u - 1), abs(v - 1)) > 1e-3):
        xs, ys = transform(grid.crs, "EPSG:4326", [left + u * size], [top - v * size])
        x, y = xs[0], ys[0]
        within = 0 < u < 1 and 0 < v < 1
        assert inside(rings, x, y) == within
        if within:
            assert south <= y <= north
            assert west <= x <= east if west < east else (x >= west or x <= east)


def test_only_tiles_at_the_antimeridian_are_cut() -> None:
    for grid, kind in ((CROSSING, "MultiPolygon"), (WEST_OF_180, "MultiPolygon"), (INLAND, "Polygon")):
        geometry, (west, _, east, _) = outline(grid)
        assert geometry["type"] == kind
        assert (west > east) == (kind == "MultiPolygon")


def inputs(**changes: Any) -> MapInputs:
    values: dict[str, Any] = {
        "tile": "01CCV",
        "window_start": END - timedelta(days=3),
        "window_end": END,
        "n": 15,
        "scene_ids": ("a", "b"),
        "contents": ("cc", "dd"),
        "checksums": ("00", "11"),
        "source": "unet-8/0123456789ab",
        "method": "window-0",
        "revision": 2,
        "supersedes": "01CCV_20260201T201529_r1_89abcdef",
        "complete_at": END + timedelta(hours=5),
        "grid": CROSSING,
    }
    return MapInputs(**(values | changes))


FILES = {f"{name}.tif": ("ab" * 32, 10) for name in LAYERS} | {"quicklook.png": ("cd" * 32, 5)}
FIGURES = {"shares": {"open_water": 0.25}, "valid_share": 0.5}


def validate(value: dict[str, Any]) -> None:
    """Against the schemas of STAC 1.1 that pystac carries; the extensions' schemas are only on the network."""
    JsonSchemaSTACValidator().validate(
        {**value, "stac_extensions": []}, pystac.STACObjectType.ITEM, value["stac_version"], []
    )


@pytest.mark.parametrize("grid", [CROSSING, INLAND])
def test_the_item_is_valid_and_says_what_the_map_is(grid: Grid) -> None:
    value = json.loads(item(inputs(grid=grid), FIGURES, FILES))
    validate(value)
    read = pystac.Item.from_dict(value)
    assert read.id == inputs(grid=grid).map_id and read.datetime == END
    assert read.properties["seaice:window_centre"] == "2026-01-31T08:15:29.024000Z"
    assert read.properties["seaice:scene_ids"] == ["a", "b"]
    assert "not ice thickness" in read.properties["description"]
    projection = ProjectionExtension.ext(read)
    assert projection.code == grid.crs and projection.shape == [10_980, 10_980]
    assert projection.transform == [*grid.transform, 0, 0, 1]
    classes = {c.value: c.name for c in ClassificationExtension.ext(read.assets["class"]).classes or []}
    assert classes == {
        1: "open_water",
        2: "thin_ice",
        3: "thick_ice",
        254: "land_or_shelf",
        255: "no_data",
    }
    assert read.assets["class"].extra_fields["file:checksum"] == "1220" + "ab" * 32
    assert "nodata" not in read.assets["n_valid"].extra_fields and read.assets["age"].extra_fields["nodata"] == 255
    assert read.assets["quicklook"].roles == ["thumbnail", "overview"]
    version = ItemVersionExtension.ext(read)
    assert version.version == "2"
    assert read.get_single_link("predecessor-version").href == "../01CCV_20260201T201529_r1_89abcdef/item.json"
    assert all(not asset.href.startswith(("/", "http")) for asset in read.assets.values())


def test_a_broken_item_would_be_found() -> None:
    value = json.loads(item(inputs(), FIGURES, FILES))
    with pytest.raises(pystac.STACValidationError):
        validate({**value, "bbox": [1]})
    del value["properties"]["datetime"]
    with pytest.raises(pystac.STACValidationError):
        validate(value)


def test_a_first_revision_supersedes_nothing() -> None:
    value = json.loads(item(inputs(revision=1, supersedes=None), FIGURES, FILES))
    assert value["links"] == [] and value["properties"]["seaice:supersedes"] is None


def test_a_crs_without_a_code_is_written_out() -> None:
    wkt = rasterio.CRS.from_proj4("+proj=stere +lat_0=-90 +lat_ts=-70 +lon_0=10 +datum=WGS84").to_wkt()
    value = json.loads(item(inputs(grid=Grid(wkt, (10.0, 0, 1e6, 0, -10.0, 1e6), 50, 50)), FIGURES, FILES))
    validate(value)
    assert value["properties"]["proj:wkt2"] == wkt and value["properties"]["proj:code"] is None


def test_the_id_changes_with_whatever_decides_the_bytes_and_with_nothing_else() -> None:
    base = inputs().map_id
    assert base.startswith("01CCV_20260201T201529_r2_") and inputs(complete_at=END).map_id == base
    changes: list[dict[str, Any]] = [
        {"scene_ids": ("a", "c")},
        {"checksums": ("0", "1")},
        {"source": "x/y"},
        {"method": "window-0-01234567"},
        {"n": 7},
    ]
    assert len({base, *(inputs(**change).map_id for change in changes)}) == 6


def test_a_quicklook_shows_the_most_frequent_class_of_each_block_in_pure_colours() -> None:
    codes = np.full((2050, 1500), 255, np.uint8)
    codes[:1000] = 1
    codes[1000:1500] = 2
    codes[0:3, 0:3] = [[3, 3, 1], [3, 1, 3], [3, 1, 2]]
    codes[1500:1506, :6] = 254
    picture = np.asarray(Image.open(io.BytesIO(quicklook(codes))))
    assert picture.shape == (684, 500, 4)  # blocks of 3
    assert tuple(picture[0, 0]) == COLOURS[3] and tuple(picture[0, 1]) == COLOURS[1]
    assert tuple(picture[400, 7]) == COLOURS[2] and picture[600:, :, 3].max() == 0
    assert tuple(picture[501, 1]) == COLOURS[254]
    colours = {tuple(c) for c in picture.reshape(-1, 4)}
    assert colours == {COLOURS[1], COLOURS[2], COLOURS[3], COLOURS[254], COLOURS[255]}
    assert np.asarray(Image.open(io.BytesIO(quicklook(codes[:1000, :1000])))).shape == (1000, 1000, 4)


def test_statistics_worked_example() -> None:
    counts = np.zeros((5, 256), np.int64)
    counts[0, [1, 2, 3, 254, 255]] = [2, 1, 3, 4, 2]
    counts[3, [0, 4, 9, 254, 255]] = [2, 1, 2, 1, 6]
    figures = statistics(counts, Grid("EPSG:32701", (100.0, 0, 5e5, 0, -100.0, 2e6), 4, 3))
    assert figures == {
        "area_km2": {"open_water": 0.02, "thin_ice": 0.01, "thick_ice": 0.03},
        "observed_km2": 0.06,
        "land_km2": 0.04,
        "shares": {"open_water": 0.333333, "thin_ice": 0.166667, "thick_ice": 0.5},
        "valid_share": 0.75,
        "median_age_days": 4,
    }


def test_statistics_of_a_map_without_pixels() -> None:
    counts = np.zeros((5, 256), np.int64)
    counts[[0, 1, 3, 4], 255] = counts[2, 0] = INLAND.width * INLAND.height
    figures = statistics(counts, INLAND)
    assert figures["shares"] == {"open_water": None, "thin_ice": None, "thick_ice": None}
    assert figures["valid_share"] == 0 and figures["median_age_days"] is None and figures["observed_km2"] == 0
    ashore = np.zeros((5, 256), np.int64)
    ashore[0, 254] = ashore[1, 254] = ashore[2, 0] = ashore[3, 255] = ashore[4, 255] = INLAND.width * INLAND.height
    assert statistics(ashore, INLAND)["valid_share"] is None


def test_layers_are_valid_cogs_with_the_legend_and_the_same_bytes_each_time(tmp_path: Path) -> None:
    grid = Grid("EPSG:32701", (10.0, 0.0, 399_960.0, 0.0, -10.0, 1_600_020.0), 700, 1100)
    layers = np.random.default_rng(1).integers(1, 4, (5, 1100, 700)).astype(np.uint8)
    answers = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        strips = ((top, layers[:, top : top + 512]) for top in range(0, 1100, 512))
        codes, counts = write_layers(tmp_path / name, grid, strips)
        np.testing.assert_array_equal(codes, layers[0])
        np.testing.assert_array_equal(counts[:, 1:4], [[(band == v).sum() for v in (1, 2, 3)] for band in layers])
        answers.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert answers[0] == answers[1] and sorted(answers[0]) == sorted(f"{layer}.tif" for layer in LAYERS)
    for index, (layer, nodata) in enumerate(LAYER_NODATA.items()):
        path = tmp_path / "one" / f"{layer}.tif"
        assert cog_validate(str(path))[:2] == (True, [])
        with rasterio.open(path) as dataset:
            assert dataset.nodata == nodata and dataset.dtypes == ("uint8",) and dataset.crs.to_epsg() == 32701
            np.testing.assert_array_equal(dataset.read(1), layers[index])
            if layer == "class":
                assert {code: dataset.colormap(1)[code][:3] for code in (1, 2, 3)} == {
                    code: COLOURS[code][:3] for code in (1, 2, 3)
                }

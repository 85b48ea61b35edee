"""References that people make: polygons against a slow point-in-polygon oracle, and what is refused and how."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import settings as tries
from hypothesis import strategies as st
from rasterio.transform import Affine
from rasterio.warp import transform_geom

from seaice_ops.classes import legend
from seaice_ops.errors import CorruptProduct
from seaice_ops.pixels.reference import has_reference, polygons, read_conditions, read_reference
from seaice_ops.settings import Settings
from seaice_ops.storage.rasters import Grid

GRID = Grid("EPSG:32701", (10.0, 0.0, 399960.0, 0.0, -10.0, 1600020.0), 30, 20)
Ring = list[tuple[float, float]]


def ring(*corners: tuple[float, float]) -> Ring:
    """Corners given in pixels (column, row), in the grid's CRS, closed."""
    return [(399960.0 + 10 * x, 1600020.0 - 10 * y) for x, y in (*corners, corners[0])]


def write(path: Path, *features: tuple[object, Ring], lonlat: bool = False) -> Path:
    geometries = [{"type": "Polygon", "coordinates": [corners]} for _, corners in features]
    if lonlat:
        geometries = [transform_geom("EPSG:32701", "EPSG:4326", geometry) for geometry in geometries]
    collection: dict[str, object] = {
        "type": "FeatureCollection",
        "features": [
            {"type": "Feature", "properties": {"class": word}, "geometry": geometry}
            for (word, _), geometry in zip(features, geometries, strict=True)
        ],
    }
    if not lonlat:
        collection["crs"] = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32701"}}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(collection))
    return path


def inside(x: float, y: float, corners: Ring) -> bool:
    """Even-odd rule, edge by edge."""
    hit = False
    for (x1, y1), (x2, y2) in itertools.pairwise(corners):
        if (y1 > y) != (y2 > y) and x < x1 + (y - y1) / (y2 - y1) * (x2 - x1):
            hit = not hit
    return hit


corner = st.tuples(st.floats(-3, 33), st.floats(-3, 23))
triangle = st.tuples(corner, corner, corner)


@given(st.lists(st.tuples(st.sampled_from([1, 2, 3, 205]), triangle), min_size=1, max_size=4))
@tries(max_examples=40, deadline=None)
def test_a_pixel_belongs_where_its_centre_lies_and_the_later_polygon_counts(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[int, tuple[tuple[float, float], ...]]]
) -> None:
    features = [(code, ring(*corners)) for code, corners in drawn]
    codes = polygons(write(tmp_path_factory.mktemp("polygons") / "a.geojson", *features), GRID)
    for row in range(GRID.height):
        for column in range(GRID.width):
            x, y = 399960.0 + 10 * (column + 0.5), 1600020.0 - 10 * (row + 0.5)
            wanted = [code for code, corners in features if inside(x, y, corners)]
            edge = min(
                abs((x2 - x1) * (y1 - y) - (x1 - x) * (y2 - y1)) / (np.hypot(x2 - x1, y2 - y1) + 1e-9)
                for _, corners in features
                for (x1, y1), (x2, y2) in itertools.pairwise(corners)
            )
            if edge > 0.1:  # a centre on an edge may go either way
                assert codes[row, column] == (wanted[-1] if wanted else legend.NODATA)


def test_longitude_and_latitude_and_names(tmp_path: Path) -> None:
    """The tile lies at the antimeridian; its polygons are given in degrees, the classes by their names."""
    shapes = (("thick_ice", ring((0, 0), (30, 0), (30, 20), (0, 20))), (" Thin ", ring((5, 5), (9, 5), (9, 8), (5, 8))))
    codes = polygons(
        write(tmp_path / "a.geojson", *shapes, ("1", ring((0, 0), (2, 0), (2, 2), (0, 2))), lonlat=True), GRID
    )
    wanted = np.full((20, 30), 3, np.uint8)
    wanted[5:8, 5:9], wanted[:2, :2] = 2, 1
    np.testing.assert_array_equal(codes, wanted)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not a GeoJSON"),
        ('{"features": 3}', "not a GeoJSON"),
        ('{"features": [{}]}', "feature 1 has no geometry"),
        ('{"features": [{"geometry": null, "properties": {"class": 2}}]}', "feature 1 is no polygon"),
        (
            '{"features": [{"geometry": {"type": "Point", "coordinates": [1, 2]}, "properties": {"class": 2}}]}',
            "no polygon",
        ),
        ('{"features": [{"geometry": null, "properties": {"class": "slush"}}]}', "'slush'"),
        ('{"features": [{"geometry": null, "properties": {"class": 2.5}}]}', "2.5"),
        ('{"crs": {"properties": {"name": "EPSG:nought"}}, "features": []}', "not a GeoJSON"),
    ],
)
def test_what_is_no_hand_label_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "a.geojson"
    path.write_text(text)
    with pytest.raises(CorruptProduct, match=said):
        polygons(path, GRID)


def test_a_scene_without_crs_takes_no_polygons(tmp_path: Path) -> None:
    with pytest.raises(CorruptProduct, match="no CRS"):
        polygons(write(tmp_path / "a.geojson"), Grid("", GRID.transform, 30, 20))
    assert (polygons(write(tmp_path / "a.geojson"), GRID) == 255).all()


def raster(path: Path, values: np.ndarray, grid: Grid = GRID, crs: str | None = GRID.crs) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {
        "driver": "GTiff",
        "count": 1,
        "dtype": values.dtype,
        "height": values.shape[0],
        "width": values.shape[1],
    }
    with rasterio.open(path, "w", **profile, crs=crs, transform=Affine(*grid.transform)) as target:
        target.write(values, 1)


def test_a_raster_comes_before_polygons_and_conditions_stand_beside(settings: Settings) -> None:
    folder = settings.reference_path
    assert folder is not None
    assert not has_reference(folder, "S") and read_reference(folder, "S", GRID) is None
    write(folder / "S.geojson", (2, ring((0, 0), (30, 0), (30, 20), (0, 20))))
    found = read_reference(folder, "S", GRID)
    assert has_reference(folder, "S") and found is not None and (found == 2).all()
    raster(folder / "S.tif", np.full((20, 30), 3, np.uint8))
    found = read_reference(folder, "S", GRID)
    assert found is not None and (found == 3).all()
    assert read_conditions(folder, "S", GRID) is None
    raster(folder / "S.conditions.tif", np.full((20, 30), 8, np.uint8), crs=None)
    found = read_conditions(folder, "S", GRID)
    assert found is not None and (found == 8).all()


def test_rasters_of_another_kind_size_or_place_are_refused(settings: Settings) -> None:
    folder = settings.reference_path
    assert folder is not None
    wrong = {
        "holds float32": (np.zeros((20, 30), np.float32), GRID),
        "has \\(20, 31\\) pixels": (np.zeros((20, 31), np.uint8), GRID),
        "not on the scene's grid": (np.zeros((20, 30), np.uint8), Grid("", (10, 0, 399980, 0, -10, 1600020), 30, 20)),
    }
    for said, (values, grid) in wrong.items():
        raster(folder / "S.tif", values, grid)
        with pytest.raises(CorruptProduct, match=said):
            read_reference(folder, "S", GRID)
    (folder / "S.tif").write_text("no raster")
    with pytest.raises(CorruptProduct, match="cannot be read"):
        read_reference(folder, "S", GRID)

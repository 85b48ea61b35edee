"""COGs: what goes in comes out, always as the same bytes, and in the form that readers expect."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from rio_cogeo.cogeo import cog_validate

from seaice_ops.classes.legend import COLOURS
from seaice_ops.storage.rasters import Grid, cog_bytes, png_bytes

GRID = Grid("EPSG:32701", (10.0, 0.0, 399960.0, 0.0, -10.0, 1600020.0), 64, 48)


def sized(width: int, height: int) -> Grid:
    return Grid(GRID.crs, GRID.transform, width, height)


@profile(max_examples=25, deadline=None)
@given(
    bands=st.sampled_from([np.uint8, np.int16, np.float32]).flatmap(
        lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=40))
    )
)
def test_pixels_and_grid_come_back(bands: np.ndarray) -> None:
    grid = sized(bands.shape[2], bands.shape[1])
    with rasterio.MemoryFile(cog_bytes(bands, grid, nodata=None)) as file, file.open() as dataset:
        assert np.array_equal(dataset.read(), bands, equal_nan=bands.dtype.kind == "f")
        assert dataset.dtypes[0] == bands.dtype.name and Grid.of(dataset) == grid and dataset.nodata is None


def test_the_file_is_a_valid_cog_with_names_tags_colours_and_no_data(tmp_path: Path) -> None:
    codes = np.random.default_rng(1).choice(np.array([1, 2, 3, 255], np.uint8), (1, 1400, 1100))
    data = cog_bytes(
        codes, sized(1100, 1400), nodata=255, names=["class"], tags={"METHOD": "window-1"}, colours=dict(COLOURS)
    )
    path = tmp_path / "x.tif"
    path.write_bytes(data)
    valid, problems, warnings = cog_validate(path, strict=True)
    assert valid and not problems and not warnings
    with rasterio.open(path) as dataset:
        assert dataset.profile["compress"] == "zstd" and dataset.block_shapes == [(512, 512)]
        assert dataset.descriptions == ("class",) and dataset.tags()["METHOD"] == "window-1" and dataset.nodata == 255
        assert dataset.colormap(1)[3] == COLOURS[3] and len(dataset.overviews(1)) >= 1
        overview = dataset.read(1, out_shape=(350, 275))
    assert set(np.unique(overview)) <= {1, 2, 3, 255}, "classes are never mixed"


def test_the_same_pixels_give_the_same_bytes() -> None:
    pixels = np.random.default_rng(2).integers(0, 9000, (5, 700, 600), dtype=np.int16)
    first, second = (cog_bytes(pixels, sized(600, 700), nodata=-32768) for _ in range(2))
    assert first == second


def test_a_writer_that_fails_leaves_no_file(tmp_path: Path) -> None:
    from seaice_ops.storage.rasters import cog_writer

    with (
        pytest.raises(RuntimeError, match="half way"),
        cog_writer(tmp_path / "x.tif", GRID, count=1, dtype="uint8", nodata=None),
    ):
        raise RuntimeError("half way")
    assert list(tmp_path.iterdir()) == []


def test_pixel_size_is_the_edge_of_a_pixel() -> None:
    assert GRID.pixel_size == 10.0


@profile(deadline=None)
@given(rgba=hnp.arrays(np.uint8, (5, 7, 4)))
def test_png_keeps_every_pixel(rgba: np.ndarray) -> None:
    import io

    from PIL import Image

    with Image.open(io.BytesIO(png_bytes(rgba))) as image:
        assert np.array_equal(np.asarray(image), rgba)

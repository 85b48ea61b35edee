"""A map's files: five COGs, the quick-look, and the figures that the ledger keeps."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from seaice_ops.classes.legend import CLASSES, COLOURS, LAND, NODATA, SLUGS
from seaice_ops.geo.grid import Grid, pixel_km2
from seaice_ops.mapping.window.current import NEVER
from seaice_ops.mapping.window.strips import LAYERS
from seaice_ops.storage.rasters import cog_writer, png_bytes

#: No-data value of each layer; 0 valid acquisitions is a count, not a gap.
LAYER_NODATA = {"class": NODATA, "class_stable": NODATA, "n_valid": None, "age": NEVER, "conf": NODATA}

#: The values of the layer `class`.
CODES = (*CLASSES, LAND, NODATA)

#: Longest edge of a quick-look, pixels.
QUICKLOOK = 1024

#: The figures that `statistics` gives of a map.
FIGURES = ("area_km2", "observed_km2", "land_km2", "shares", "valid_share", "median_age_days")

Strips = Iterable[tuple[int, NDArray[np.uint8]]]


def write_layers(folder: Path, grid: Grid, strips: Strips) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Write ``<layer>.tif`` of all `LAYERS` into `folder` from (first row, (5, rows, columns) u8) strips.

    Returns the (rows, columns) class codes, for the quick-look, and for the statistics the (5, 256) number of pixels of
    each value in each layer.
    """
    codes = np.empty((grid.height, grid.width), np.uint8)
    counts = np.zeros((len(LAYERS), 256), np.int64)
    with ExitStack() as stack:
        targets = [stack.enter_context(_target(folder, grid, layer)) for layer in LAYERS]
        for top, layers in strips:
            rows = layers.shape[1]
            for target, band, count in zip(targets, layers, counts, strict=True):
                target.write(band, 1, window=Window(0, top, grid.width, rows))
                count += np.bincount(band.ravel(), minlength=256)
            codes[top : top + rows] = layers[0]
    return codes, counts


def _target(folder: Path, grid: Grid, layer: str) -> Any:
    colours = {code: COLOURS[code] for code in CODES} if layer in ("class", "class_stable") else None
    return cog_writer(
        folder / f"{layer}.tif",
        grid,
        count=1,
        dtype="uint8",
        nodata=LAYER_NODATA[layer],
        names=[layer],
        colours=colours,
    )


def quicklook(codes: NDArray[np.uint8]) -> bytes:
    """PNG of (rows, columns) class codes in the legend's colours, at most 1024 px long, no-data transparent.

    Each pixel shows the class that most of its block holds: colours are never mixed, for a mixture of water and
    thick ice would look like thin ice.
    """
    factor = -(-max(codes.shape) // QUICKLOOK)
    palette = np.zeros((256, 4), np.uint8)
    for code, colour in COLOURS.items():
        palette[code] = colour
    return png_bytes(palette[_majority(codes, factor)])


def _majority(codes: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    rows, columns = (-(-size // factor) for size in codes.shape)
    choices = np.array(CODES, np.uint8)
    thinned = np.empty((rows, columns), np.uint8)
    for row in range(rows):
        block = np.full((factor, columns * factor), NODATA, np.uint8)
        part = codes[row * factor : (row + 1) * factor]
        block[: part.shape[0], : part.shape[1]] = part
        cells = block.reshape(factor, columns, factor)
        thinned[row] = choices[np.argmax([(cells == code).sum(axis=(0, 2)) for code in choices], axis=0)]
    return thinned


def statistics(counts: NDArray[np.int64], grid: Grid) -> dict[str, Any]:
    """Figures of one map from its (5, 256) `counts` of pixels by layer and value.

    Areas in km2 and shares (0..1 of what was observed) by class, the area of land, the observed share of the sea, and
    the median age in days of the evidence that decided. Areas are pixels times the mean area of a pixel on the ground.
    """
    classes, ages = counts[LAYERS.index("class")], counts[LAYERS.index("age")]
    pixels = {SLUGS[code]: int(classes[code]) for code in CLASSES}
    observed, each_km2 = sum(pixels.values()), pixel_km2(grid)
    land = int(classes[LAND])
    sea = grid.width * grid.height - land
    middle = np.searchsorted(np.cumsum(ages[:NEVER]), (int(ages[:NEVER].sum()) + 1) // 2)
    return {
        "area_km2": {name: round(count * each_km2, 4) for name, count in pixels.items()},
        "observed_km2": round(observed * each_km2, 4),
        "land_km2": round(land * each_km2, 4),
        "shares": {name: round(count / observed, 6) if observed else None for name, count in pixels.items()},
        "valid_share": round(observed / sea, 6) if sea else None,
        "median_age_days": int(middle) if observed else None,
    }

"""Decode a plain true-colour scene: 8-bit PNG or GeoTIFF to reflectance."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.windows import Window

from seaice_ops.errors import CorruptProduct
from seaice_ops.ledger.tables import Scene
from seaice_ops.pixels.picture import black_border, check_png
from seaice_ops.pixels.radiometry import UNOBSERVED
from seaice_ops.pixels.sidecar import Sidecar, read_sidecar
from seaice_ops.scenes.bands import colour_table
from seaice_ops.scenes.source import STRIP, Source, decoding, open_image, read_rows
from seaice_ops.sensors.sentinel2 import TRUE_COLOUR
from seaice_ops.storage.rasters import Grid


def open_plain(scene: Scene, inbox: Path, ceiling: float) -> Source:
    """The source of the plain scene in `inbox`; `ceiling` is the reflectance shown as 255 unless its sidecar gives one.

    Raises `CorruptProduct` for an invalid sidecar or image.
    """
    sidecar = read_sidecar(inbox / f"{scene.id}.json")
    path, ceiling = inbox / sidecar.image, sidecar.ceiling or ceiling
    if path.suffix.lower() == ".png":
        check_png(path)
    with open_image(path) as dataset:
        grid = Grid(sidecar.crs, sidecar.transform, dataset.width, dataset.height)
    return Source(
        grid=grid,
        bands=TRUE_COLOUR,
        sun_zenith=sidecar.sun_zenith,
        tags={"TRUE_COLOUR_CEILING": f"{ceiling}", "ORIGIN": "8-bit true colour"},
        details={"ceiling": ceiling, "origin": "8-bit true colour"},
        strips=lambda: _strips(path, grid, sidecar, ceiling),
    )


def _strips(path: Path, grid: Grid, sidecar: Sidecar, ceiling: float) -> Iterator[tuple[int, NDArray[np.int16]]]:
    table = colour_table(ceiling)
    with open_image(path, grid) as dataset:
        _check_colours(path, dataset)
        rgb = np.empty((grid.height, grid.width, 3), np.uint8)
        for band in range(3):
            rgb[..., band] = read_rows(path, dataset, band + 1, 0, grid.height)
        border = black_border(rgb) if _lacks_nodata(dataset, sidecar) else None
        for row in range(0, grid.height, STRIP):
            rows = slice(row, row + STRIP)
            strip = rgb[rows].transpose(2, 0, 1)
            observed = _mask(path, dataset, row, strip.shape[1]) & ~_is_nodata(strip, sidecar.nodata)
            if border is not None:
                observed &= ~border[rows]
            yield row, np.where(observed, table[strip], np.int16(UNOBSERVED))


def _lacks_nodata(dataset: Any, sidecar: Sidecar) -> bool:
    """True where neither sidecar nor file marks pixels without an observation."""
    return sidecar.nodata is None and MaskFlags.all_valid in dataset.mask_flag_enums[0]


def _mask(path: Path, dataset: Any, row: int, rows: int) -> NDArray[np.bool_]:
    """(rows, columns): pixels that the file itself (alpha, mask, no-data tag) marks as observed."""
    if dataset.count == 4:
        return np.asarray(read_rows(path, dataset, 4, row, rows) != 0)
    with decoding(path):
        return np.asarray(dataset.dataset_mask(window=Window(0, row, dataset.width, rows)) != 0)


def _is_nodata(rgb: NDArray[np.uint8], nodata: float | None) -> NDArray[np.bool_]:
    """(rows, columns) bool: all three channels equal `nodata`; a 0 in one channel alone may be dark water."""
    equal: NDArray[np.bool_] = (rgb == nodata).all(axis=0) if nodata is not None else np.zeros(rgb.shape[1:], bool)
    return equal


def _check_colours(path: Path, dataset: Any) -> None:
    colours = dataset.colorinterp[:3]
    if dataset.count not in (3, 4) or set(dataset.dtypes) != {"uint8"}:
        raise CorruptProduct(f"{path} has {dataset.count} bands of {dataset.dtypes[0]}; three 8-bit colours are needed")
    if dataset.count == 4 and dataset.colorinterp[3] is not ColorInterp.alpha:
        raise CorruptProduct(f"{path} has a fourth band that is not alpha; three 8-bit colours are needed")
    if ColorInterp.red in colours and colours != (ColorInterp.red, ColorInterp.green, ColorInterp.blue):
        raise CorruptProduct(
            f"{path} has its bands in the order {[c.name for c in colours]}; red, green, blue is needed"
        )

"""One picture from a file: 8-bit colours of any kind as RGB, where they were observed, and where they lie."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import from_gcps

from seaice_ops.errors import ConfigError, CorruptProduct
from seaice_ops.pixels.picture import BLACK_REGION, black_border, check_png
from seaice_ops.storage.rasters import RASTER_ERRORS, Grid

_COLOURS = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)


@dataclass(frozen=True)
class Picture:
    """`rgb` (rows, columns, 3) u8; `valid` (rows, columns) bool; `grid` where it lies (no CRS where unknown).

    Where the file has ground control points in place of a transform, `points` are these and `grid` is the affine
    fit to them. `nodata_from` says in words how `valid` is known.
    """

    rgb: NDArray[np.uint8]
    valid: NDArray[np.bool_]
    grid: Grid
    points: tuple[GroundControlPoint, ...]
    nodata_from: str


def read_picture(path: Path, nodata: int | None = None) -> Picture:
    """Read an 8-bit PNG, TIFF or JPEG: grey (1 to 8 bits), palette, RGB, in each case with or without alpha.

    Colours are taken by what the file calls its bands (red, green, blue; further bands such as near infrared are
    left), else the first three. No-data is `nodata` in all bands; else what the file's mask, alpha, transparent
    colour or no-data tag says; else black regions at the border (`black_border`). Raises `CorruptProduct` for
    a file that is no such picture, damaged, or has more than 8 bits; `ConfigError` for a `nodata` beyond 0 to 255.
    """
    if nodata is not None and not 0 <= nodata <= 255:
        raise ConfigError(f"no-data must be from 0 to 255, not {nodata}")
    if path.suffix.lower() == ".png":
        check_png(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)  # a bare picture is welcome
            with rasterio.open(path) as dataset:
                _check_depth(path, dataset)
                rgb, seen = _colours(dataset)
                valid, how = _observed(dataset, rgb, seen, nodata)
                grid, points = _place(dataset)
    except RASTER_ERRORS as error:
        raise CorruptProduct(f"{path} cannot be read as a picture: {error}") from error
    return Picture(rgb, valid, grid, points, how)


def _check_depth(path: Path, dataset: Any) -> None:
    if set(dataset.dtypes) != {"uint8"}:
        raise CorruptProduct(
            f"{path} holds {dataset.dtypes[0]} pixels; an 8-bit picture is needed, 255 standing for one reflectance "
            "(--ceiling): scale it first, for example gdal_translate -ot Byte -scale 0 3558 0 255 for reflectance "
            "x 10000 and a ceiling of 0.3558; or name its bands B02, B04, B08, B11 to have its reflectance labelled"
        )
    if dataset.count == 2 and dataset.colorinterp[1] is not ColorInterp.alpha:
        raise CorruptProduct(
            f"{path} holds two bands of which the second is not alpha; grey or red, green, blue needed"
        )


def _colours(dataset: Any) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None]:
    """(rows, columns, 3) u8, and where its palette is not transparent (None without one that is)."""
    if dataset.count >= 3:
        named = dataset.colorinterp
        bands = [named.index(colour) + 1 for colour in _COLOURS] if set(_COLOURS) <= set(named) else [1, 2, 3]
        rgb = np.empty((dataset.height, dataset.width, 3), np.uint8)
        for index, band in enumerate(bands):
            rgb[..., index] = dataset.read(band)
        return rgb, None
    table = _table(dataset)
    stored = dataset.read(1)
    return table[:, :3][stored], (table[:, 3] > 0)[stored] if not table[:, 3].all() else None


def _table(dataset: Any) -> NDArray[np.uint8]:
    """(256, 4) u8 RGBA of each value of a one-band picture."""
    table = np.full((256, 4), 255, np.uint8)
    if dataset.colorinterp[0] is ColorInterp.palette:
        for value, colour in dataset.colormap(1).items():
            table[value] = colour
        return table
    brightest = (1 << int(dataset.tags(1, ns="IMAGE_STRUCTURE").get("NBITS", 8))) - 1
    grey = (np.minimum(np.arange(256), brightest) * 255 // brightest).astype(np.uint8)
    inverse = "MINISWHITE" in dataset.tags(ns="IMAGE_STRUCTURE")
    table[:, :3] = (255 - grey if inverse else grey)[:, None]
    return table


def _observed(
    dataset: Any, rgb: NDArray[np.uint8], seen: NDArray[np.bool_] | None, nodata: int | None
) -> tuple[NDArray[np.bool_], str]:
    if nodata is not None:
        return np.asarray((rgb != nodata).any(axis=2)), f"where all bands are {nodata}"
    if seen is not None:
        return seen, "where the palette is transparent"
    flags = dataset.mask_flag_enums[0]
    if MaskFlags.all_valid not in flags:
        kind = next(name for name in ("alpha", "nodata", "per_dataset") if MaskFlags[name] in flags)
        words = {"alpha": "alpha", "nodata": "no-data tag", "per_dataset": "mask"}[kind]
        return np.asarray(dataset.dataset_mask() > 0), f"by the file's {words}"
    return ~black_border(rgb), f"black regions of {BLACK_REGION} pixels or more at the border"


def _place(dataset: Any) -> tuple[Grid, tuple[GroundControlPoint, ...]]:
    grid = Grid.of(dataset)
    points, crs = dataset.gcps
    if grid.crs or not points or crs is None:
        return grid, ()
    return Grid(crs.to_string(), tuple(from_gcps(points))[:6], grid.width, grid.height), tuple(points)

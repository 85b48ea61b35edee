"""Label one picture on its own: a PNG or GeoTIFF in, class codes out, for people who only want labels."""

from __future__ import annotations

import os
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioIOError

from seaice_ops import legend
from seaice_ops.errors import ConfigError, CorruptProduct
from seaice_ops.labels.iqrah2024 import PUBLISHED_PIXEL_M
from seaice_ops.labels.methods import known_method, label_pixels, pixel_metres
from seaice_ops.labels.stage import class_shares
from seaice_ops.settings import LabelSettings
from seaice_ops.storage.rasters import Grid, cog_bytes, png_bytes

#: Where a file says nothing of no-data, connected regions of exact (0, 0, 0) at its border with at least this many
#: pixels are taken for it. Very dark water has real zeros, but scattered ones.
BLACK_REGION = 1024

_SUFFIXES = {".tif", ".tiff", ".png"}


def label_image(
    source: Path,
    target: Path,
    method: str,
    settings: LabelSettings = LabelSettings(),
    *,
    ceiling: float | None = None,
    pixel_size: float | None = None,
    nodata: int | None = None,
    preview: bool = False,
) -> dict[str, float]:
    """Label the 8-bit grey, RGB or RGBA picture `source` into `target`, and return each class's share of its pixels.

    `target` holds u8 legend codes: a .tif is a cloud-optimised GeoTIFF with the source's georeference and the
    legend's colours, a .png the bare codes. `ceiling`: reflectance that the picture shows as 255 (default: the
    settings'). `pixel_size`: metres (default: from the georeference, else the published 54 m). `nodata`: the value of
    all bands where nothing was observed (default: the file's mask, alpha or no-data tag, else black regions at the
    border, see `BLACK_REGION`). `preview`: also a picture in the legend's colours, `target` with the suffix .png, or
    .preview.png where `target` is a .png itself.

    Raises `ConfigError` for an unknown method or suffix or a size of 0, `CorruptProduct` for a file that is no such
    picture.
    """
    chosen = known_method(method)
    if target.suffix.lower() not in _SUFFIXES:
        raise ConfigError(f"cannot write labels to {target}: its name must end with .tif or .png")
    if not all(value is None or value > 0 for value in (ceiling, pixel_size)):
        raise ConfigError(f"ceiling and pixel size must be above 0, not {ceiling} and {pixel_size}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # a bare picture is welcome
        rgb, valid, grid = read_picture(source, nodata)
        if ceiling is not None:
            rgb = rescaled(rgb, ceiling, settings.ceiling)
        metres = pixel_size or pixel_metres(grid) or PUBLISHED_PIXEL_M
        codes = label_pixels(rgb, valid, metres, chosen, settings)
        tags = {"method": chosen, "version": settings.version(chosen), "pixel_size_m": f"{metres:g}"}
        _write(target, png_bytes(codes) if _is_png(target) else _cog(codes, grid, tags))
    if preview:
        _write(target.with_suffix(".preview.png" if _is_png(target) else ".png"), png_bytes(painted(codes)))
    return class_shares(codes)


def read_picture(path: Path, nodata: int | None = None) -> tuple[NDArray[np.uint8], NDArray[np.bool_], Grid]:
    """(rows, columns, 3) u8 RGB of an 8-bit picture, the (rows, columns) mask of observed pixels, and the grid.

    A grey picture's value is repeated; a palette is resolved. No-data as `label_image` says.
    """
    try:
        with rasterio.open(path) as dataset:
            if set(dataset.dtypes) != {"uint8"}:
                raise CorruptProduct(f"{path} holds {dataset.dtypes[0]} pixels; an 8-bit picture is needed")
            rgb = _rgb(dataset)
            return rgb, _observed(dataset, rgb, nodata), Grid.of(dataset)
    except RasterioIOError as error:
        raise CorruptProduct(f"{path} cannot be read as a picture: {error}") from error


def rescaled(rgb: NDArray[np.uint8], given: float, wanted: float) -> NDArray[np.uint8]:
    """A true colour whose 255 is reflectance `given`, with 255 at `wanted`. Saturated stays saturated: 255 says only
    that a pixel was at least as bright as the ceiling."""
    table = np.clip(np.rint(np.arange(256) * (given / wanted)), 0, 255).astype(np.uint8)
    table[255] = 255
    return np.asarray(cv2.LUT(rgb, table), np.uint8)


def painted(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(rows, columns, 4) u8 RGBA of class codes in the legend's colours."""
    table = np.zeros((256, 4), np.uint8)
    for code, colour in legend.COLOURS.items():
        table[code] = colour
    return table[codes]


def _rgb(dataset: Any) -> NDArray[np.uint8]:
    if dataset.count >= 3:
        bands = dataset.read((1, 2, 3))
    else:
        grey = dataset.read(1)
        palette = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
        if dataset.colorinterp[0] == ColorInterp.palette:
            for value, colour in dataset.colormap(1).items():
                palette[value] = colour[:3]
        bands = palette[grey].transpose(2, 0, 1)
    return np.ascontiguousarray(bands.transpose(1, 2, 0))


def _observed(dataset: Any, rgb: NDArray[np.uint8], nodata: int | None) -> NDArray[np.bool_]:
    if nodata is not None:
        return np.asarray((rgb != nodata).any(axis=2))
    if MaskFlags.all_valid not in dataset.mask_flag_enums[0]:
        return np.asarray(dataset.dataset_mask() > 0)
    return ~black_border(rgb)


def black_border(rgb: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where 4-connected regions of exact (0, 0, 0) of `BLACK_REGION` pixels or more touch the border."""
    black = (rgb.max(axis=2) == 0).astype(np.uint8)
    _, region, statistics, _ = cv2.connectedComponentsWithStats(black, connectivity=4)
    at_border = np.zeros(len(statistics), bool)
    for edge in (region[0], region[-1], region[:, 0], region[:, -1]):
        at_border[edge] = True
    at_border[0] = False  # everything that is not black
    large = np.asarray(statistics)[:, cv2.CC_STAT_AREA] >= BLACK_REGION
    return np.asarray((at_border & large)[region], np.bool_)


def _is_png(path: Path) -> bool:
    return path.suffix.lower() == ".png"


def _cog(codes: NDArray[np.uint8], grid: Grid, tags: dict[str, str]) -> bytes:
    return cog_bytes(codes[None], grid, nodata=legend.NODATA, names=("class",), tags=tags, colours=legend.COLOURS)


def _write(path: Path, data: bytes) -> None:
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_bytes(data)
        scratch.replace(path)
    except OSError as error:
        with suppress(OSError):
            scratch.unlink()
        raise ConfigError(f"cannot write {path}: {error.strerror}") from error

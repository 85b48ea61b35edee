"""Label one 8-bit picture: a PNG, GeoTIFF or JPEG in, class codes out, without ledger and object store."""

from __future__ import annotations

import tempfile
import warnings
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning

from seaice_ops.classes import legend
from seaice_ops.errors import ConfigError
from seaice_ops.geo.grid import pixel_metres
from seaice_ops.labels.methods import known_method, label_pixels
from seaice_ops.labels.output import Labelled, is_png, outputs, picture_png, write
from seaice_ops.labels.picture.reading import Picture, read_picture
from seaice_ops.labels.published.iqrah2024 import PUBLISHED_PIXEL_M
from seaice_ops.labels.scene import class_shares
from seaice_ops.settings import LabelSettings, SceneSettings, label_version
from seaice_ops.storage.rasters import Grid, cog_writer

_NOWHERE = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def label_image(
    source: Path,
    target: Path,
    method: str,
    labels: LabelSettings = LabelSettings(),
    scenes: SceneSettings = SceneSettings(),
    *,
    ceiling: float | None = None,
    pixel_size: float | None = None,
    nodata: int | None = None,
    preview: bool = False,
) -> Labelled:
    """Label the 8-bit picture `source` (see `read_picture`) into `target`.

    `target` holds u8 legend codes: a .tif is a cloud-optimised GeoTIFF with the source's georeference and the
    legend's colours, a .png the bare codes. `ceiling`: reflectance that the picture shows as 255 (default:
    `scenes`'). `pixel_size`: metres (default: from the georeference, else the published 54 m). `nodata`: the value of
    all bands where nothing was observed. `preview`: also a picture in the legend's colours, `target` with the suffix
    .png, or .preview.png where `target` is a .png itself.

    Raises `ConfigError` for an unknown method or suffix, a size of 0 or an output that would replace the source,
    `CorruptProduct` for a file that is no such picture.
    """
    chosen = known_method(method)
    shown = outputs(source, target, preview)
    for what, value in (("ceiling", ceiling), ("pixel size", pixel_size)):
        if value is not None and not value > 0:
            raise ConfigError(f"the {what} must be above 0, not {value}")
    picture = read_picture(source, nodata)
    rgb = picture.rgb if ceiling is None else rescaled(picture.rgb, ceiling, scenes.ceiling)
    metres, how = _pixel_size(picture.grid, pixel_size)
    codes = label_pixels(rgb, picture.valid, metres, chosen, labels)
    tags = {"method": chosen, "version": label_version(chosen, labels, scenes), "pixel_size_m": f"{metres:g}"}
    write(target, picture_png(codes) if is_png(target) else _geotiff(codes, picture, tags))
    if shown:
        write(shown, picture_png(codes, legend.COLOURS))
    return Labelled(chosen, class_shares(codes), metres, how, picture.nodata_from, None, shown)


def _pixel_size(grid: Grid, given: float | None) -> tuple[float, str]:
    if given is not None:
        return given, "as given"
    stated = pixel_metres(grid)
    return (stated, "from the file") if stated else (PUBLISHED_PIXEL_M, "the published size, the file states none")


def rescaled(rgb: NDArray[np.uint8], given: float, wanted: float) -> NDArray[np.uint8]:
    """A true colour whose 255 is reflectance `given`, with 255 at `wanted`. Saturated stays saturated: 255 says only
    that a pixel was at least as bright as the ceiling."""
    table = np.clip(np.rint(np.arange(256) * (given / wanted)), 0, 255).astype(np.uint8)
    table[255] = 255
    return np.asarray(cv2.LUT(rgb, table), np.uint8)


def _geotiff(codes: NDArray[np.uint8], picture: Picture, tags: dict[str, str]) -> bytes:
    grid = replace(picture.grid, crs="", transform=_NOWHERE) if picture.points else picture.grid
    with tempfile.TemporaryDirectory(prefix="seaice-labels-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        path = Path(folder) / "labels.tif"
        with cog_writer(
            path, grid, count=1, dtype=np.uint8, nodata=legend.NODATA, names=("class",), tags=tags,
            colours=legend.COLOURS,
        ) as target:  # fmt: skip
            if picture.points:
                target.gcps = list(picture.points), CRS.from_string(picture.grid.crs)
            target.write(codes, 1)
        return path.read_bytes()

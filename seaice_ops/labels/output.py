"""The files that labels are written to: rasters and pictures."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seaice_ops import files
from seaice_ops.classes import legend
from seaice_ops.errors import ConfigError
from seaice_ops.labels.result import Labels
from seaice_ops.storage.rasters import Grid, cog_bytes
from seaice_ops.versions import Method

_SUFFIXES = {".tif", ".tiff", ".png"}


@dataclass(frozen=True)
class Labelled:
    """The labels of one file, as written."""

    method: Method
    """The method used."""
    shares: dict[str, float]
    """Each class's share of all pixels (0..1), by slug."""
    pixel_m: float
    """Size of a pixel on the ground, metres."""
    pixel_from: str
    """Source of the pixel size, in words."""
    nodata_from: str
    """Source of the no-data mask, in words."""
    sun_zenith: float | None
    """Sun zenith angle that was used, degrees; None where the method asks for none or none is known."""
    preview: Path | None
    """The picture in the legend's colours; None where none was asked for."""


def outputs(source: Path, target: Path, preview: bool) -> Path | None:
    """The preview's path, if any; raises `ConfigError` where an output has a wrong suffix or is the source."""
    if target.suffix.lower() not in _SUFFIXES:
        raise ConfigError(f"cannot write labels to {target}: its name must end with .tif or .png")
    shown = target.with_suffix(".preview.png" if is_png(target) else ".png") if preview else None
    for path in (target, shown):
        if path and path.resolve() == source.resolve():
            raise ConfigError(f"{path} would replace the image itself; give the labels another name")
    return shown


def label_cog(labels: Labels, grid: Grid, tags: Mapping[str, str]) -> bytes:
    """Labels as a COG (u8, no-data 255): class; confidence and quality flags where the method gives them."""
    bands = {"class": labels.classes, "confidence": labels.confidence, "reasons": labels.reasons}
    known = {name: band for name, band in bands.items() if band is not None}
    colours = legend.COLOURS if len(known) == 1 else None  # a GeoTIFF of several bands takes no palette
    return cog_bytes(list(known.values()), grid, nodata=legend.NODATA, names=tuple(known), tags=tags, colours=colours)


def picture_png(codes: NDArray[np.uint8], colours: Mapping[int, tuple[int, int, int, int]] | None = None) -> bytes:
    """(rows, columns) u8 as PNG: the bare numbers, or with `colours` (RGBA by code) as a palette."""
    image = Image.fromarray(codes)
    transparency = {}
    if colours:
        table = np.zeros((256, 4), np.uint8)
        for code, colour in colours.items():
            table[code] = colour
        image.putpalette(table[:, :3].tobytes())
        transparency = {"transparency": table[:, 3].tobytes()}
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **transparency)
    return buffer.getvalue()


def is_png(path: Path) -> bool:
    return path.suffix.lower() == ".png"


def write(path: Path, data: bytes) -> None:
    try:
        files.write(path, data)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from error

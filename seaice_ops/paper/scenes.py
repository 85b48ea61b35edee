"""Scenes with hand labels: simulated acquisitions with their truth, or a folder of labelled images."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from seaice_ops.classes import conditions
from seaice_ops.errors import ConfigError, CorruptProduct
from seaice_ops.geo.grid import pixel_metres
from seaice_ops.labels.picture.reading import read_picture
from seaice_ops.labels.published.iqrah2024 import PUBLISHED_PIXEL_M
from seaice_ops.pixels import radiometry
from seaice_ops.sensors.sentinel2 import BANDS, TRUE_COLOUR

_SUFFIXES = (".png", ".tif", ".tiff")


@dataclass(frozen=True)
class LabelledScene:
    """One acquisition with hand labels."""

    name: str
    """Name shown to people."""
    rgb: NDArray[np.uint8]
    """(rows, columns, 3) true colour."""
    valid: NDArray[np.bool_]
    """(rows, columns) observed pixels."""
    hand: NDArray[np.uint8]
    """(rows, columns) legend codes by hand."""
    veiled: NDArray[np.bool_] | None
    """(rows, columns) pixels under thin cloud or in shadow; None where unknown."""
    pixel_m: float
    """Edge of a pixel, metres."""


def simulated(first_seed: int, count: int, size: int, ceiling: float) -> Iterator[LabelledScene]:
    """`count` simulated acquisitions of `size` x `size` pixels of 10 m, with seeds from `first_seed` on.

    Their hand labels are the truth, which real hand labels do not reach. `ceiling` is the reflectance shown as 255.
    """
    from seaice_ops.simulate.example import acquisition

    order = [BANDS.index(band) for band in TRUE_COLOUR]
    for seed in range(first_seed, first_seed + count):
        seen = acquisition(seed, size)
        rgb = radiometry.true_colour(np.ascontiguousarray(seen.reflectance[order]), ceiling)
        rgb[~seen.valid] = 0
        veiled = (seen.conditions & (conditions.THIN_CLOUD | conditions.SHADOW)) > 0
        yield LabelledScene(f"seed {seed}", rgb, seen.valid, seen.truth, veiled, seen.pixel_m)


def names_in(folder: Path) -> list[Path]:
    """The images in `folder` that have hand labels beside them, sorted; raises `ConfigError` for fewer than two."""
    images = [
        path
        for path in sorted(folder.iterdir() if folder.is_dir() else ())
        if path.suffix.lower() in _SUFFIXES and _beside(path, "labels")
    ]
    if len(images) < 2:
        raise ConfigError(
            f"{folder} holds {len(images)} labelled scenes, two are needed: <name>.png or .tif with its hand labels "
            "<name>.labels.png or .tif (u8 legend codes) and, if known, <name>.veiled.png or .tif (not 0: thin cloud, "
            "shadow)"
        )
    return images


def from_folder(folder: Path) -> Iterator[LabelledScene]:
    """The scenes that `names_in` lists; raises `CorruptProduct` where sizes differ or a file is not an 8-bit image."""
    for path in names_in(folder):
        picture = read_picture(path)
        rgb, valid = picture.rgb, picture.valid
        labels, veil = _beside(path, "labels"), _beside(path, "veiled")
        assert labels is not None
        hand = _codes(labels, valid.shape)
        veiled = None if veil is None else _codes(veil, valid.shape) > 0
        yield LabelledScene(path.stem, rgb, valid, hand, veiled, pixel_metres(picture.grid) or PUBLISHED_PIXEL_M)


def _beside(path: Path, what: str) -> Path | None:
    if path.stem.endswith((".labels", ".veiled")):
        return None
    return next((each for s in _SUFFIXES if (each := path.with_name(f"{path.stem}.{what}{s}")).exists()), None)


def _codes(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)  # bare pictures are welcome
            with rasterio.open(path) as dataset:
                codes: NDArray[np.uint8] = dataset.read(1)
    except RasterioError as error:
        raise CorruptProduct(f"{path} cannot be read: {error}") from error
    if codes.dtype != np.uint8 or codes.shape != shape:
        raise CorruptProduct(f"{path} holds {codes.dtype} of {codes.shape} pixels; its scene needs uint8 of {shape}")
    return codes

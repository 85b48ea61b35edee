"""Label one raster of reflectance whose bands are named B02 ... B11, without ledger and object store."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import Window

from seaice_ops.classes import legend
from seaice_ops.errors import ConfigError, CorruptProduct
from seaice_ops.geo.grid import pixel_metres
from seaice_ops.labels.methods import known_method, labels_of_picture
from seaice_ops.labels.output import Labelled, is_png, label_cog, outputs, picture_png, write
from seaice_ops.labels.published.iqrah2024 import PUBLISHED_PIXEL_M
from seaice_ops.labels.reflectance.label import from_strips
from seaice_ops.labels.reflectance.surfaces import BANDS
from seaice_ops.labels.result import Labels
from seaice_ops.labels.scene import class_shares
from seaice_ops.pixels.radiometry import SCALE, UNOBSERVED, true_colour
from seaice_ops.sensors.sentinel2 import TRUE_COLOUR
from seaice_ops.settings import LabelSettings, SceneSettings, label_version
from seaice_ops.storage.rasters import RASTER_ERRORS, Grid
from seaice_ops.versions import Method

SCALE_TAG, SUN_TAG = "REFLECTANCE_SCALE", "SUN_ZENITH"
"""Tags of a scene's raster: reflectance of one stored unit; sun zenith angle in degrees."""


def has_bands(path: Path) -> bool:
    """True for a raster of more than 8 bits whose bands are named as Sentinel-2's (enough of them for a method)."""
    try:
        with _opened(path) as dataset:
            named = set(dataset.descriptions) if set(dataset.dtypes) != {"uint8"} else set()
    except RASTER_ERRORS:
        return False
    return set(TRUE_COLOUR) <= named or set(BANDS) <= named


def label_bands(
    source: Path,
    target: Path,
    method: str = "reflectance",
    labels: LabelSettings = LabelSettings(),
    scenes: SceneSettings = SceneSettings(),
    *,
    scale: float | None = None,
    offset: float | None = None,
    sun_zenith: float | None = None,
    preview: bool = False,
) -> Labelled:
    """Label the raster `source` into `target`: u8 bands class, confidence and quality flags (docs/labels.md).

    `source` has its bands named (B02, B04, B08, B11 for `reflectance`; B04, B03, B02 for the methods of true colour).
    Reflectance is `scale` * stored + `offset`; the defaults are each band's own scale and offset, else the tag
    REFLECTANCE_SCALE, else 1 for floating point. `sun_zenith` in degrees (default: the tag SUN_ZENITH). Not observed:
    the file's no-data value or mask, and what is not a finite number. A `target` that ends with .png holds class only.

    Raises `ConfigError` for a wrong method, suffix or number, or where the scale is unknown; `CorruptProduct` for a
    raster that lacks a band or cannot be read.
    """
    chosen, shown = known_method(method), outputs(source, target, preview)
    try:
        with _opened(source) as dataset:
            grid, read = Grid.of(dataset), _reader(source, dataset, chosen, scale, offset)
            sun = _sun(source, dataset, sun_zenith) if chosen == "reflectance" else None
            metres = pixel_metres(grid)
            result = _labels(read, grid, chosen, labels, scenes.ceiling, sun, metres or PUBLISHED_PIXEL_M)
    except RASTER_ERRORS as error:
        raise CorruptProduct(f"{source} cannot be read: {error}") from error
    tags = {"method": chosen, "version": label_version(chosen, labels, scenes), "source": source.name}
    write(target, picture_png(result.classes) if is_png(target) else label_cog(result, grid, tags))
    if shown:
        write(shown, picture_png(result.classes, legend.COLOURS))
    how = "from the file" if metres else "the published size, the file states none"
    shares = class_shares(result.classes)
    return Labelled(chosen, shares, metres or PUBLISHED_PIXEL_M, how, "by the file's no-data value or mask", sun, shown)


def _opened(path: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(path)


def _labels(
    read: Any, grid: Grid, method: Method, labels: LabelSettings, ceiling: float, sun: float | None, metres: float
) -> Labels:
    if method == "reflectance":
        return from_strips(read, (grid.height, grid.width), sun)
    bands = read(0, grid.height)
    valid = (bands != UNOBSERVED).all(axis=0)
    rgb = true_colour(bands, ceiling)
    rgb[~valid] = 0
    return labels_of_picture(rgb, valid, metres, method, labels)


def _reader(path: Path, dataset: Any, method: Method, scale: float | None, offset: float | None) -> Any:
    """A function (first row, row after the last) -> (bands, rows, columns) int16 reflectance x 10000."""
    indexes = _indexes(path, dataset, BANDS if method == "reflectance" else TRUE_COLOUR)
    factors = [_factor(path, dataset, index, scale, offset) for index in indexes]

    def read(top: int, bottom: int) -> NDArray[np.int16]:
        window = Window.from_slices((top, bottom), (0, dataset.width))
        values = dataset.read(indexes, window=window, masked=True)
        return np.stack([stored(band, *factor) for band, factor in zip(values, factors, strict=True)])

    return read


def stored(band: Any, scale: float, offset: float) -> NDArray[np.int16]:
    """Reflectance x 10000 as scenes hold it, int16, of a masked array; `UNOBSERVED` where masked or not finite."""
    numbers = band.filled(0).astype(np.float64)
    seen = ~np.ma.getmaskarray(band) & np.isfinite(numbers)
    values = np.clip(np.rint((np.where(seen, numbers, 0) * scale + offset) * SCALE), UNOBSERVED + 1, 32_767)
    return np.where(seen, values, UNOBSERVED).astype(np.int16)


def _indexes(path: Path, dataset: Any, bands: Sequence[str]) -> list[int]:
    named = list(dataset.descriptions)
    missing = [band for band in bands if band not in named]
    if missing:
        raise CorruptProduct(
            f"bands {', '.join(missing)} are missing in {path}, which names {', '.join(map(str, named))}; "
            "name its bands B02 ... B11, or give an 8-bit true colour"
        )
    return [named.index(band) + 1 for band in bands]


def _factor(path: Path, dataset: Any, index: int, scale: float | None, offset: float | None) -> tuple[float, float]:
    """(scale, offset) from stored numbers to reflectance."""
    own, shift = dataset.scales[index - 1], dataset.offsets[index - 1]
    if scale is None and (own, shift) == (1.0, 0.0):
        scale = _tag(path, dataset, SCALE_TAG)
        if scale is None and "float" not in dataset.dtypes[index - 1]:
            raise ConfigError(
                f"the reflectance of one stored unit is unknown: {path} states none; give --scale (0.0001 for "
                "reflectance x 10000) and, where the product has one, --offset (-0.1 since baseline 04.00)"
            )
    scale, offset = own if scale is None else scale, shift if offset is None else offset
    if not (0 < scale < np.inf and np.isfinite(offset)):
        raise ConfigError(f"the scale must be above 0 and the offset a number, not {scale} and {offset}, for {path}")
    return scale, offset


def _sun(path: Path, dataset: Any, given: float | None) -> float | None:
    """The sun's zenith angle in degrees, given or from the file; None where unknown."""
    zenith = given if given is not None else _tag(path, dataset, SUN_TAG)
    if zenith is not None and not 0 <= zenith <= 180:
        raise ConfigError(f"the sun zenith angle must be from 0 to 180 degrees, not {zenith}, for {path}")
    return zenith


def _tag(path: Path, dataset: Any, name: str) -> float | None:
    """The file's tag `name` as a number; None without it."""
    text = dataset.tags().get(name)
    try:
        return None if text is None else float(text)
    except ValueError:
        raise CorruptProduct(f"the tag {name} is {text!r}, not a number, in {path}") from None

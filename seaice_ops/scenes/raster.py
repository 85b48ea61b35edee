"""The raster of a scene: reflectance x 10000 of all its bands, as a cloud-optimised GeoTIFF."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from seaice_ops.errors import ExpectedSkip
from seaice_ops.pixels.radiometry import UNOBSERVED
from seaice_ops.scenes.sentinel2.product import open_safe
from seaice_ops.scenes.source import Source, check_place
from seaice_ops.storage.rasters import cog_writer


def write_cog(path: Path, source: Source, tags: Mapping[str, str]) -> float:
    """Write all strips of `source` to `path` (int16); returns the share of pixels that were observed in every band.

    `tags` come before the source's own. Raises `ExpectedSkip` where no pixel was observed in all bands.
    """
    tags = {**tags, "REFLECTANCE_SCALE": "0.0001", **source.tags}
    valid = 0
    with cog_writer(
        path, source.grid, count=len(source.bands), dtype=np.int16, nodata=UNOBSERVED, names=source.bands, tags=tags
    ) as target:
        for row, strip in source.strips():
            target.write(strip, window=((row, row + strip.shape[1]), (0, strip.shape[2])))
            valid += int((strip != UNOBSERVED).all(axis=0).sum())
        if not valid:
            raise ExpectedSkip("no data: no pixel was observed in all bands")
    return valid / (source.grid.width * source.grid.height)


def write_safe(path: Path, folder: Path) -> None:
    """Write the Level-1C product `folder` (.SAFE) to `path` as `write_cog` does, its sun zenith angle in a tag.

    Raises `CorruptProduct` where it cannot be decoded.
    """
    source = open_safe(folder)
    check_place(source.grid, folder)
    write_cog(path, source, {} if source.sun_zenith is None else {"SUN_ZENITH": f"{source.sun_zenith:g}"})

"""Decoding a fetched Sentinel-2 product, from its archive or a mirror: five bands of reflectance on the 10 m grid."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

from seaice_ops.errors import CorruptProduct
from seaice_ops.ledger.tables import Scene
from seaice_ops.pixels.sidecar import MIRROR
from seaice_ops.scenes.bands import reflectance_table, replicate
from seaice_ops.scenes.sentinel2.metadata import ProductMetadata, TileMetadata, read_product, read_tile
from seaice_ops.scenes.sentinel2.mirror import read_mirror
from seaice_ops.scenes.source import STRIP, Source, open_image, read_rows
from seaice_ops.sensors.sentinel2 import BANDS, CEILING, METRES, PRODUCT_METADATA
from seaice_ops.storage.rasters import Grid


def open_product(scene: Scene, inbox: Path) -> Source:
    """The product in `inbox`; raises `CorruptProduct` where its metadata are wrong or not those of `scene`."""
    mirrored = (inbox / MIRROR).exists()
    product, tile = read_mirror(inbox) if mirrored else (read_product(inbox / PRODUCT_METADATA), _tile(inbox))
    _check_name(scene, product, tile, inbox)
    return _source(inbox, product, tile, mirrored)


def open_safe(folder: Path) -> Source:
    """A Level-1C product's own folder, whatever its name; raises `CorruptProduct` where it is none."""
    if not (folder / PRODUCT_METADATA).is_file():
        raise CorruptProduct(f"no {PRODUCT_METADATA} in {folder}: give the folder of a Level-1C product (.SAFE)")
    return _source(folder, read_product(folder / PRODUCT_METADATA), _tile(folder), mirrored=False)


def _source(inbox: Path, product: ProductMetadata, tile: TileMetadata, mirrored: bool) -> Source:
    _check_grids(tile, inbox)
    paths = {band: _one(inbox, f"GRANULE/*/IMG_DATA/*_{band}.{'*' if mirrored else 'jp2'}") for band in BANDS}
    tables = {band: reflectance_table(product.offsets[band], product.quantification) for band in BANDS}
    offsets = {band: product.offsets[band] for band in BANDS}
    return Source(
        grid=tile.grids[10],
        bands=BANDS,
        sun_zenith=tile.sun_zenith,
        tags={
            "OFFSETS": " ".join(f"{band}={offset:g}" for band, offset in offsets.items()),
            "QUANTIFICATION": f"{product.quantification:g}",
            "RESAMPLING": "B11 from 20 m to 10 m by nearest (each pixel repeated 2 x 2)",
            "TRUE_COLOUR_CEILING": f"{CEILING}",
        },
        details={
            "offsets": offsets,
            "quantification": product.quantification,
            "resampling": {"B11": "nearest"},
            "ceiling": CEILING,
            "sun_azimuth": tile.sun_azimuth,
            "granule_sensed_at": tile.sensed_at.isoformat(),
        },
        strips=lambda: _strips(paths, tables, tile.grids),
    )


def _tile(inbox: Path) -> TileMetadata:
    return read_tile(_one(inbox, "GRANULE/*/MTD_TL.xml"))


def _strips(
    paths: Mapping[str, Path], tables: Mapping[str, NDArray[np.int16]], grids: Mapping[int, Grid]
) -> Iterator[tuple[int, NDArray[np.int16]]]:
    grid = grids[10]
    with ExitStack() as stack:
        datasets = {band: stack.enter_context(open_image(paths[band], grids[METRES[band]])) for band in BANDS}
        for band, dataset in datasets.items():
            if dataset.count != 1 or dataset.dtypes[0] != "uint16":
                raise CorruptProduct(
                    f"{paths[band]} holds {dataset.count} bands of {dataset.dtypes[0]}, not one uint16"
                )
        pool = stack.enter_context(ThreadPoolExecutor(min(len(BANDS), len(os.sched_getaffinity(0)))))

        def start(row: int) -> list[Future[NDArray[np.int16]]]:
            rows = min(STRIP, grid.height - row)
            return [
                pool.submit(_read, paths[band], datasets[band], tables[band], METRES[band] // 10, row, rows)
                for band in BANDS
            ]

        pending = start(0)
        for row in range(0, grid.height, STRIP):
            strip = np.stack([band.result() for band in pending])
            # The next strip is decoded while this one is written; a dataset is never in two threads' hands.
            pending = start(row + STRIP) if row + STRIP < grid.height else []
            yield row, strip


def _read(path: Path, dataset: Any, table: NDArray[np.int16], factor: int, row: int, rows: int) -> NDArray[np.int16]:
    """(rows, columns) of one band on the 10 m grid; its own pixels are `factor` times as large."""
    with rasterio.Env():  # GDAL's errors are a thread's own
        values = table[read_rows(path, dataset, 1, row // factor, rows // factor)]
    return replicate(values, factor) if factor > 1 else values


def _check_name(scene: Scene, product: ProductMetadata, tile: TileMetadata, inbox: Path) -> None:
    """The metadata must be those of the scene that the product's name promises."""
    said = (product.platform, tile.tile, product.sensed_at.replace(microsecond=0))
    named = (scene.platform, scene.tile, scene.sensed_at.replace(microsecond=0))
    if said != named:
        raise CorruptProduct(f"{inbox}: the metadata are of {_words(said)}, the product's name says {_words(named)}")


def _check_grids(tile: TileMetadata, inbox: Path) -> None:
    fine, coarse = tile.grids[10], tile.grids[20]
    if (fine.width, fine.height) != (2 * coarse.width, 2 * coarse.height) or fine.transform[2::3] != coarse.transform[
        2::3
    ]:
        raise CorruptProduct(f"{inbox}: MTD_TL.xml gives 10 m and 20 m grids that do not fit each other")


def _words(said: tuple[str, str, datetime]) -> str:
    return f"{said[0]} over {said[1]} at {said[2]:%Y-%m-%dT%H:%M:%SZ}"


def _one(inbox: Path, pattern: str) -> Path:
    found = sorted(inbox.glob(pattern))
    if len(found) != 1:
        raise CorruptProduct(f"{inbox} holds {len(found)} files {pattern}, not one")
    return found[0]

"""One tile's window sums over stored probabilities, by strips of rows, so that memory holds a strip at a time."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from seaice_ops.mapping.plan import Due
from seaice_ops.mapping.survey import Survey
from seaice_ops.mapping.window import PLANES, ages_at, change, decide, shift
from seaice_ops.storage.rasters import BLOCK, Grid, open_raster
from seaice_ops.storage.store import ObjectStore


def kept_sums(folder: Path, grid: Grid) -> NDArray[np.uint16]:
    """The tile's running sums, 12 bytes a pixel, from which each next window is shifted: in a file of `folder`.

    The file has no name, so that a killed process leaves none.
    """
    with tempfile.TemporaryFile(dir=folder) as file:
        return np.memmap(file, np.uint16, "w+", shape=(PLANES, grid.height, grid.width))


def map_strips(
    store: ObjectStore, tile: Survey, due: Due, old: range, kept: NDArray[np.uint16] | None
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """(first row, layers) of the due map, in strips of whole blocks, shifting `kept` from window `old` to the map's.

    Without `kept` sums (where no other window follows, `old` being empty) each strip's sums are summed from nothing
    and dropped with it. Raises `ObjectMissing` and rasterio's `RasterioIOError`; `kept` is then of no more use.
    """
    grid = tile.grid
    ages = ages_at([scene.sensed_at for scene in tile.scenes], due.window_end)
    with ExitStack() as stack:
        sources = {
            index: stack.enter_context(open_raster(store, tile.encoded[tile.scenes[index].id].key))
            for part in change(old, due.window)
            for index in part
        }
        for top in range(0, grid.height, BLOCK):
            rows = slice(top, min(top + BLOCK, grid.height))
            sums = np.zeros((PLANES, rows.stop - top, grid.width), np.uint16) if kept is None else kept[:, rows]
            shift(sums, partial(_read, sources, Window.from_slices(rows, (0, grid.width))), old, due.window)
            yield top, decide(sums, ages)


def _read(sources: dict[int, Any], window: Window, index: int) -> NDArray[np.uint8]:
    values: NDArray[np.uint8] = sources[index].read(window=window)
    return values

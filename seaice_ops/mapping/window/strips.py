"""One tile's window sums over stored probabilities, by strips of rows, so that memory holds a strip at a time."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from seaice_ops.errors import CorruptProduct
from seaice_ops.mapping.due.plan import Due
from seaice_ops.mapping.due.survey import Survey
from seaice_ops.mapping.window.vote import PLANES, ages_at, change, decide, shift, without
from seaice_ops.storage.layout import BLOCK
from seaice_ops.storage.rasters import RASTER_ERRORS, open_raster
from seaice_ops.storage.store import ObjectStore

#: A file of the sums of all strips, 12 bytes a pixel, from which the next window is shifted.
Kept = IO[bytes]


def kept_sums(folder: Path) -> Kept:
    """A new file for a tile's sums, to be closed; it has no name, so that a killed process leaves none in `folder`."""
    return tempfile.TemporaryFile(buffering=0, dir=folder)


def map_strips(
    store: ObjectStore, tile: Survey, land: NDArray[np.bool_] | None, due: Due, old: range, kept: Kept | None
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """(first row, layers) of the due map, in strips of whole blocks, shifting `kept` from window `old` to the map's.
    `land` (rows, columns), where it is known, is no sea and has no ice.

    Where no other window follows there is nothing to keep: `kept` is None, and `old` empty. Raises `ObjectMissing`
    and `CorruptProduct`, which name the object; the sums kept are then of no more use.
    """
    grid = tile.grid
    ages = ages_at([scene.sensed_at for scene in tile.scenes], due.window_end)
    with ExitStack() as stack:
        sources = {
            index: _open(stack, store, tile.encoded[tile.scenes[index].id].key)
            for part in change(old, due.window)
            for index in part
        }
        for top in range(0, grid.height, BLOCK):
            rows = slice(top, min(top + BLOCK, grid.height))
            sums = np.zeros((PLANES, rows.stop - top, grid.width), np.uint16)
            start = top * grid.width * PLANES * sums.itemsize
            if kept and old:
                kept.seek(start)
                sums = np.fromfile(kept, np.uint16, sums.size).reshape(sums.shape)
            shift(sums, partial(_read, sources, Window.from_slices(rows, (0, grid.width))), old, due.window)
            if kept:
                kept.seek(start)
                sums.tofile(kept)
            layers = decide(sums, ages)
            yield top, layers if land is None else without(layers, land[rows])


def _open(stack: ExitStack, store: ObjectStore, key: str) -> Any:
    with _readable(key):
        return stack.enter_context(open_raster(store, key))


def _read(sources: dict[int, Any], window: Window, index: int) -> NDArray[np.uint8]:
    with _readable(sources[index].name):
        values: NDArray[np.uint8] = sources[index].read(window=window)
        return values


@contextmanager
def _readable(name: str) -> Iterator[None]:
    try:
        yield
    except RASTER_ERRORS as error:
        raise CorruptProduct(f"{name} cannot be read: {error}") from error

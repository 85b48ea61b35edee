"""One tile's map from stored probabilities or labels, strip by strip, so that memory holds one strip of rows.

There are two passes. The first shifts the window's sums and finds stable pixels; fast ice is then found in the whole
tile, because it is what is connected to land. The second reads the window's rasters again for the current class.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from seaice_ops.classes.legend import LAND
from seaice_ops.mapping.due.decided import Decision, until
from seaice_ops.mapping.due.plan import Due
from seaice_ops.mapping.due.tile_state import TileState
from seaice_ops.mapping.evidence import from_labels
from seaice_ops.mapping.window.current import ashore, current
from seaice_ops.mapping.window.painted import Painting, Stroke, strokes
from seaice_ops.mapping.window.steady import fast_ice, steady
from seaice_ops.mapping.window.vote import COUNT, PLANES, change, shift
from seaice_ops.storage import keys
from seaice_ops.storage.layout import BLOCK
from seaice_ops.storage.store import ObjectStore
from seaice_ops.storage.verified import open_verified, read_mask, readable

#: The layers of a map, in the order of its strips.
LAYERS = ("class", "class_stable", "n_valid", "age", "conf")

#: A file of the sums of all strips, 16 bytes a pixel, from which the next window is shifted.
Kept = IO[bytes]

#: Reads acquisition i within a window of the tile as (3, rows, columns) u8 class probabilities.
Read = Callable[[Window, int], NDArray[np.uint8]]


def kept_sums(folder: Path) -> Kept:
    """A new file for a tile's sums, for the caller to close; it has no name, so a killed process leaves none behind."""
    return tempfile.TemporaryFile(buffering=0, dir=folder)


def map_strips(
    store: ObjectStore, tile: TileState, land: NDArray[np.bool_] | None, due: Due, old: range, kept: Kept | None
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """(first row, (5, rows, columns) u8 in the order of LAYERS) of the due map, in strips of whole blocks.

    The sums in `kept` are shifted from window `old` to the map's; where no other window follows there is nothing to
    keep: `kept` is None, and `old` empty. `land` (rows, columns), where it is known, is no sea and has no ice. Approved
    changes are painted into `class_stable`. Raises `ObjectMissing` and `ObjectDamaged`, which name the object; the sums
    kept are then of no more use.
    """
    grid, times = tile.grid, [scene.sensed_at for scene in tile.scenes]
    shore = np.zeros((grid.height, grid.width), np.bool_) if land is None else land
    with ExitStack() as stack:
        read = evidence_reader(stack, store, tile, {*change(old, due.window)[0], *due.window})
        span = times[due.window.stop - 1] - times[due.window.start]
        stable, seen = np.empty(shore.shape, np.uint8), np.empty(shore.shape, np.uint8)
        paintings, painted = _paintings(store, until(tile.decisions, due.window_end)), list[Stroke]()
        for rows, sums in _sums(read, shore.shape, due.window, old, kept):
            stable[rows], seen[rows] = steady(sums, span), sums[COUNT]
            painted += strokes(paintings, rows, sums, times[due.window.start])
        fast = fast_ice(stable, shore)
        for stroke in painted:
            stable[stroke.rows, stroke.columns][stroke.where] = stroke.code
        stable[shore], seen[shore] = LAND, 0
        for rows in _rows(shore.shape[0]):
            window = Window.from_slices(rows, (0, grid.width))
            now = ashore(current(partial(read, window), times, due.window, due.window_end, fast[rows]), shore[rows])
            yield rows.start, np.stack([now[0], stable[rows], seen[rows], now[1], now[2]])


def _paintings(store: ObjectStore, decisions: Sequence[Decision]) -> list[Painting]:
    return [
        Painting(
            each.at, each.code, *each.box[:2], read_mask(store, keys.change_pixels(each.folder), each.pixels_sha256)
        )
        for each in decisions
    ]


def _rows(height: int) -> Iterator[slice]:
    return (slice(top, min(top + BLOCK, height)) for top in range(0, height, BLOCK))


def _sums(
    read: Read, shape: tuple[int, ...], new: range, old: range, kept: Kept | None
) -> Iterator[tuple[slice, NDArray[np.uint16]]]:
    """The window's (PLANES, rows, columns) sums of each strip, shifted from `old` in the file `kept`."""
    height, width = shape
    for rows in _rows(height):
        sums = np.zeros((PLANES, rows.stop - rows.start, width), np.uint16)
        start = rows.start * width * PLANES * sums.itemsize
        if kept and old:
            kept.seek(start)
            sums = np.fromfile(kept, np.uint16, sums.size).reshape(sums.shape)
        shift(sums, partial(read, Window.from_slices(rows, (0, width))), old, new)
        if kept:
            kept.seek(start)
            sums.tofile(kept)
        yield rows, sums


def evidence_reader(stack: ExitStack, store: ObjectStore, tile: TileState, indexes: set[int]) -> Read:
    """A function that reads the evidence of the scenes of `indexes`, opened once until `stack` closes."""
    told = {index: tile.evidence[tile.scenes[index].id] for index in indexes}
    sources = {index: stack.enter_context(open_verified(store, each.key, each.sha256)) for index, each in told.items()}
    as_labels = tile.source.model is None

    def read(window: Window, index: int) -> NDArray[np.uint8]:
        with readable(f"{store.url}/{told[index].key}"):
            values: NDArray[np.uint8] = sources[index].read(window=window)
        return from_labels(values[0], values[1] if len(values) > 1 else None) if as_labels else values

    return read

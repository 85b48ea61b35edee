"""The changes of one tile from its stored evidence, block by block: memory holds one block of all acquisitions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from seaice_ops.classes.legend import CLASSES, NODATA
from seaice_ops.mapping.change.components import Component, components
from seaice_ops.mapping.change.pixels import CHANGE, changed, segments
from seaice_ops.mapping.due.tile_state import TileState
from seaice_ops.mapping.sequence import MEDIAN
from seaice_ops.mapping.window.strips import evidence_reader
from seaice_ops.mapping.window.vote import maps
from seaice_ops.storage.layout import BLOCK
from seaice_ops.storage.store import ObjectStore

#: Maps that a sequence needs at least: those before a change, and the one that shows it.
MAPS = MEDIAN // 2 + 2


@dataclass(frozen=True)
class Told:
    """The acquisitions of a tile whose evidence is stored, one a moment, oldest first."""

    numbers: tuple[int, ...]
    """Their places in `TileState.scenes`."""
    times: tuple[datetime, ...]
    """Their sensing times, strictly ascending."""


def told(tile: TileState) -> Told:
    """What can be analysed now. Of two acquisitions of one moment the one with the later id counts."""
    known = {scene.sensed_at: i for i, scene in enumerate(tile.scenes) if scene.id in tile.evidence}
    return Told(tuple(known.values()), tuple(known))


def enough(known: Told, window: int) -> bool:
    """Whether any of the sequences is long enough to hold a change."""
    return any(len(part) >= window + MAPS - 1 for part in segments(known.times))


def find(store: ObjectStore, tile: TileState, known: Told, window: int) -> list[Component]:
    """The components of all changes of the tile, the largest first.

    Raises `ObjectMissing` and `ObjectDamaged` for evidence that cannot be read.
    """
    grid, whole = tile.grid, []
    for part in segments(known.times):
        if len(part) < window + MAPS - 1:
            continue
        numbers, times = known.numbers[part.start : part.stop], known.times[part.start : part.stop]
        with ExitStack() as stack:
            read = evidence_reader(stack, store, tile, set(numbers))
            found = [_block(partial(read, at), numbers, times, window, at) for at in blocks(grid.height, grid.width)]
        whole += components(np.concatenate([np.zeros(0, CHANGE), *found]), times, grid.width)
    return sorted(whole, key=lambda each: (-len(each.pixels), each.box, each.date()))


def blocks(height: int, width: int) -> Iterator[Window]:
    """The blocks of a stored raster, by rows."""
    for top in range(0, height, BLOCK):
        for left in range(0, width, BLOCK):
            yield Window(left, top, min(BLOCK, width - left), min(BLOCK, height - top))


def classes_of(probabilities: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(rows, columns) u8: the likeliest class of (3, rows, columns) u8 probabilities, NODATA where nothing was seen."""
    best = np.asarray(np.argmax(probabilities, axis=0) + CLASSES[0], np.uint8)
    best[(probabilities == 0).all(axis=0)] = NODATA
    return best


def _block(
    read: Callable[[int], NDArray[np.uint8]],
    numbers: Sequence[int],
    times: Sequence[datetime],
    window: int,
    at: Window,
) -> NDArray[np.void]:
    series = [read(number) for number in numbers]
    single = np.stack([classes_of(each) for each in series])
    voted = np.stack([layers[0] for layers in maps(series, times, window, times[window - 1 :])])
    found = changed(voted, single, times, window)
    found["row"] += int(at.row_off)
    found["column"] += int(at.col_off)
    return found

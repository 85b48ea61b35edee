"""Decode an acquisition received by two ground stations: gaps of the newest part are filled from the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seaice_ops.errors import CorruptPart, CorruptProduct
from seaice_ops.ledger.tables import Scene
from seaice_ops.pixels.radiometry import UNOBSERVED
from seaice_ops.scenes.sentinel2.product import open_product
from seaice_ops.scenes.source import Source

Strips = Iterator[tuple[int, NDArray[np.int16]]]


def open_merged(scene: Scene, inbox: Path) -> Source:
    """One source of the parts of `scene`, each in its own folder in `inbox`; the sun angles are the newest part's.

    Each part has its own offsets. Raises `CorruptPart`, naming the part, for one that cannot be read or lies on another
    grid than the newest.
    """
    ids: list[str] = (scene.details or {})["parts"]
    sources = [_open(scene, part, inbox / part) for part in ids]
    newest = sources[0]
    for part, source in zip(ids, sources, strict=True):
        if source.grid != newest.grid:
            raise CorruptPart(f"{part} lies on {source.grid}, its other part {ids[0]} on {newest.grid}", part=part)
    offsets = {part: dict(source.details["offsets"]) for part, source in zip(ids, sources, strict=True)}
    return Source(
        grid=newest.grid,
        bands=newest.bands,
        sun_zenith=newest.sun_zenith,
        tags={**newest.tags, "PARTS": " ".join(ids)},
        details={**newest.details, "part_offsets": offsets},
        strips=lambda: _strips(ids, [source.strips for source in sources]),
    )


def fill(newest: NDArray[np.int16], other: NDArray[np.int16]) -> NDArray[np.int16]:
    """(bands, rows, columns) int16: `newest`; where it lacks a band, the pixel of `other` if that has all bands."""
    taken = (newest == UNOBSERVED).any(axis=0) & (other != UNOBSERVED).all(axis=0)
    return np.where(taken, other, newest)


def _open(scene: Scene, part: str, folder: Path) -> Source:
    with _naming(part):
        return open_product(scene, folder)


def _strips(ids: Sequence[str], parts: Sequence[Callable[[], Strips]]) -> Strips:
    readers = [_named(part, strips()) for part, strips in zip(ids, parts, strict=True)]
    for (row, strip), *others in zip(*readers, strict=True):
        for _, other in others:
            strip = fill(strip, other)
        yield row, strip


def _named(part: str, strips: Strips) -> Strips:
    with _naming(part):
        yield from strips


@contextmanager
def _naming(part: str) -> Iterator[None]:
    """Turn `CorruptProduct` inside into `CorruptPart` of `part`."""
    try:
        yield
    except CorruptProduct as error:
        raise CorruptPart(str(error), part=part) from error

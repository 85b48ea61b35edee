"""Class probabilities of one scene, of any size, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from seaice_ops.models.families.unet import REACH, STRIDE
from seaice_ops.models.preprocess import prepare
from seaice_ops.models.weights import LoadedModel

#: Edge in pixels of the square that one pass of the network classifies; a multiple of STRIDE.
CORE = 1024


def probabilities(loaded: LoadedModel, image: NDArray[np.uint8], valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """(3, rows, columns) u8 class probabilities, round(255 p), in `legend.CLASSES` order.

    `image` (rows, columns, bands) u8, `valid` (rows, columns) bool; exactly the pixels that are not `valid` are
    (0, 0, 0). The scene is classified in squares, each with the network's full receptive field around it and aligned to
    its stride, so the result does not depend on the squares. At its border the scene is reflected: the network's own
    zero padding looks like no kind of ice.
    """
    out = np.zeros((3, *valid.shape), np.uint8)
    for core, seen in _windows(*valid.shape):
        if valid[core].any():
            beyond = [_beyond(part, size) for part, size in zip(seen, valid.shape, strict=True)]
            inner = tuple(slice(c.start - s.start, c.stop - s.start) for c, s in zip(core, seen, strict=True))
            out[(slice(None), *core)] = _pass(loaded, image[seen], valid[seen], beyond)[(slice(None), *inner)]
    out[:, ~valid] = 0
    return out


def classes(loaded: LoadedModel, share: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(rows, columns) u8 codes of the likeliest class, the first of equals; 255 where not observed.

    `share` (3, rows, columns) u8 as `probabilities` returns it.
    """
    codes = np.array([*loaded.card.classes, 255], np.uint8)
    return codes[np.where(share.any(axis=0), share.argmax(axis=0), len(codes) - 1)]


def _windows(rows: int, columns: int) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Yields (square to classify, the same with its surroundings) over the whole scene."""
    for row in range(0, rows, CORE):
        for column in range(0, columns, CORE):
            ends = ((row, rows), (column, columns))
            yield (
                tuple(slice(start, min(start + CORE, end)) for start, end in ends),  # type: ignore[misc]
                tuple(slice(max(start - REACH, 0), min(start + CORE + REACH, end)) for start, end in ends),
            )


def _beyond(seen: slice, size: int) -> tuple[int, int]:
    """Pixels to reflect before and after the part `seen` of an edge of `size`, where it touches the scene's border."""
    return STRIDE * (seen.start == 0), (STRIDE + -size % STRIDE) * (seen.stop == size)


@torch.inference_mode()
def _pass(
    loaded: LoadedModel, image: NDArray[np.uint8], valid: NDArray[np.bool_], beyond: list[tuple[int, int]]
) -> NDArray[np.uint8]:
    (above, _), (left, _), (rows, columns) = *beyond, valid.shape
    image = np.pad(image, (*beyond, (0, 0)), mode="reflect")
    valid = np.pad(valid, beyond, mode="reflect")
    x = torch.from_numpy(prepare(image, valid, loaded.card.manifest.preprocessing))[None, None]
    logits = loaded.module(x, torch.zeros(1, 1), torch.from_numpy(valid)[None, None])[0, 0]
    share: NDArray[np.uint8] = logits.softmax(0).mul_(255).round_().to(torch.uint8).numpy()
    return share[:, above : above + rows, left : left + columns]

"""Class probabilities of one scene, of any size, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from seaice_ops.models.families.unet import REACH, STRIDE
from seaice_ops.models.preprocess import prepare
from seaice_ops.models.weights import LoadedModel

#: Edge of the square that one pass of the network answers, pixels (a multiple of STRIDE).
CORE = 1024


def probabilities(loaded: LoadedModel, image: NDArray[np.uint8], valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """(3, rows, columns) u8, round(255 p) in `legend.CLASSES` order, of `image` (rows, columns, bands) u8.

    (0, 0, 0) exactly where not `valid` (rows, columns). A scene is answered in squares, each seen with the network's
    whole reach around it and cut on the network's stride, so the answer does not depend on how the scene was cut.
    Beyond its border the scene goes on as its reflection: a network pads with nothing, which looks like no ice.
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
    """(rows, columns) class codes of `probabilities`' answer: the likeliest, the first of equals; 255 not observed."""
    codes = np.array([*loaded.card.classes, 255], np.uint8)
    return codes[np.where(share.any(axis=0), share.argmax(axis=0), len(codes) - 1)]


def _windows(rows: int, columns: int) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """(square to answer, the same with what surrounds it), over the whole scene."""
    for row in range(0, rows, CORE):
        for column in range(0, columns, CORE):
            ends = ((row, rows), (column, columns))
            yield (
                tuple(slice(start, min(start + CORE, end)) for start, end in ends),  # type: ignore[misc]
                tuple(slice(max(start - REACH, 0), min(start + CORE + REACH, end)) for start, end in ends),
            )


def _beyond(seen: slice, size: int) -> tuple[int, int]:
    """Pixels to reflect before and after what is `seen` of `size`, where it ends: whole strides in all."""
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

"""One U-Net of the protocol: trained in this process by the project's own loop, and applied to the test patches."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seaice_ops.classes.legend import CLASSES
from seaice_ops.models.card import Architecture, Preprocessing, Recipe
from seaice_ops.models.families.build import build
from seaice_ops.models.preprocess import prepare
from seaice_ops.paper.patches import PATCH
from seaice_ops.training.fit.checkpoint import load_weights
from seaice_ops.training.fit.loop import train
from seaice_ops.training.ranks.comm import Alone
from seaice_ops.training.ranks.job import Job

#: Patches classified at once.
_PATCHES_AT_ONCE = 8

Codes = NDArray[np.uint8]


class _Watched(Alone):
    """A single rank that reports each epoch: the loop calls `average` once, at the epoch's end."""

    def __init__(self, told: Callable[[], None]) -> None:
        super().__init__()
        self._told = told

    def average(self, tensor: Tensor) -> Tensor:
        self._told()
        return tensor


def answers(
    images: Codes,
    labels: Codes,
    asked: Codes,
    *,
    width: int,
    epochs: int,
    batch: int,
    seed: int,
    work: Path,
    epoch_done: Callable[[], None] = lambda: None,
) -> Codes:
    """(m, 256, 256) u8 class indexes of `asked`, by a U-Net trained on `images` and `labels`.

    `images` (n, 256, 256, 4) and `asked` (m, 256, 256, 4) u8: three colours, then 255 where observed; `labels` (n, 256,
    256) u8 class index, 255 for none. As published: Adam with a learning rate of 1e-3, flips and quarter turns, equal
    class weights. Pixels without a class do not count in the loss. Temporary files lie below `work`; `epoch_done` is
    called after each epoch.
    """
    with tempfile.TemporaryDirectory(dir=work, prefix="unet-") as name:
        job = Job(
            folder=Path(name),
            architecture=Architecture(width=width),
            preprocessing=Preprocessing(ceiling=1.0),
            recipe=Recipe(
                epochs=epochs, batch=batch, chip=PATCH, max_chips=len(images), learning_rate=1e-3, ranks=1, seed=seed
            ),
            class_weights=(1.0,) * len(CLASSES),
        )
        _write(job.folder, images, labels)
        train(job, _Watched(epoch_done))
        return _classified(job, asked)


def _write(folder: Path, images: Codes, labels: Codes) -> None:
    """Write the patches as chips, in the format of `training.data.chips`."""
    np.save(folder / "pixels.npy", images)
    np.save(folder / "targets.npy", labels)
    counts = np.bincount(labels.ravel(), minlength=256)[: len(CLASSES)].tolist()
    (folder / "chips.json").write_text(json.dumps({"origins": [], "counts": counts}))


@torch.inference_mode()
def _classified(job: Job, asked: Codes) -> Codes:
    module = build(job.architecture)
    module.load_state_dict(load_weights(job.checkpoint)[0])
    device = Alone().device
    module.to(device).eval()
    found = []
    for start in range(0, len(asked), _PATCHES_AT_ONCE):
        some = asked[start : start + _PATCHES_AT_ONCE]
        valid = some[..., 3] > 0
        x = torch.from_numpy(prepare(some[..., :3], valid, job.preprocessing))[:, None].to(device)
        logits = module(x, torch.zeros(x.shape[:2]), torch.from_numpy(valid)[:, None])[:, 0]
        found.append(logits.argmax(1).to(torch.uint8).cpu().numpy())
    return np.concatenate(found)

"""The training loop, independent of the launcher: it reaches the other ranks through the communicator.

- The result does not depend on interruptions: all randomness is drawn from (seed, epoch, step, rank) or (seed, epoch,
  chip), and a checkpoint ends each epoch.
- The chips of a step, and its gradient except for dropout, do not depend on the number of ranks: the loss is a sum over
  pixels divided by the size of the whole step.
- The model is that of the last epoch; held-out scenes are not used to choose an epoch.
"""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from seaice_ops.errors import TrainingFailed
from seaice_ops.models.card import Epoch
from seaice_ops.models.families.build import build
from seaice_ops.models.families.unet import Dropout
from seaice_ops.models.preprocess import prepare
from seaice_ops.training.data.chips import IGNORE, Chips, augment, load
from seaice_ops.training.fit.checkpoint import resume, save, state_tensors
from seaice_ops.training.ranks.comm import Communicator
from seaice_ops.training.ranks.job import Job

log = logging.getLogger(__name__)

#: Share of all steps in which the learning rate climbs to its peak.
WARM_UP = 0.1

#: Share of all steps, from the first on, with dropout. Dropout up to the last step would bias the predictions made
#: without it: behind a ReLU its noise has no zero mean, which shifts sharp limits between classes.
DROPOUT = 0.5


def train(job: Job, comm: Communicator) -> None:
    """Train the job's architecture to its last epoch, from its checkpoint where there is one."""
    torch.manual_seed(job.recipe.seed)
    fit(build(job.architecture), job, comm)


def fit(module: nn.Module, job: Job, comm: Communicator) -> None:
    """Train `module` in place; all ranks end with the same weights, and rank 0 leaves them in the checkpoint."""
    chips = load(job.folder)
    module.to(comm.device).train()
    optimizer = comm.averaging(torch.optim.Adam(module.parameters(), lr=job.recipe.learning_rate), module)
    state = state_tensors(module, optimizer)
    history = resume(job.checkpoint, state, comm)
    for epoch in range(len(history), job.recipe.epochs):
        start = time.perf_counter()
        last = _epoch(module, optimizer, chips, job, comm, epoch)
        history.append(last)
        if comm.rank == 0:
            save(job.checkpoint, state, history)
            words = "epoch %d of %d: loss %.4f, accuracy %.4f, %.1f s"
            log.info(words, epoch + 1, job.recipe.epochs, last.loss, last.accuracy, time.perf_counter() - start)


def steps_of(chips: int, seed: int, epoch: int, together: int) -> list[NDArray[np.intp]]:
    """The chips of each step of an epoch: shuffled by (seed, epoch), about `together` a step, every chip once."""
    order = np.random.default_rng([seed, epoch]).permutation(chips)
    return list(np.array_split(order, max(1, chips // together)))


def learning_rate(base: float, ranks: int, done: float) -> float:
    """Linear in the number of ranks: from `base` up to ranks x base, then a cosine down to 0.

    `done` is the share of all steps that lie behind, 0..1.
    """
    if done < WARM_UP:
        return base * (1 + (ranks - 1) * done / WARM_UP)
    return base * ranks * (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP))) / 2


def loss_sum(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Summed class-weighted cross-entropy of logits (batch, class, row, column); IGNORE in `targets` counts nothing."""
    return F.cross_entropy(logits.float(), targets, weights, ignore_index=IGNORE, reduction="sum")


def _epoch(module: nn.Module, optimizer: Optimizer, chips: Chips, job: Job, comm: Communicator, epoch: int) -> Epoch:
    recipe = job.recipe
    steps = steps_of(len(chips), recipe.seed, epoch, recipe.batch * comm.size)
    weights = torch.tensor(job.class_weights, device=comm.device)
    figures = torch.zeros(4, dtype=torch.float64)
    for number, together in enumerate(steps):
        done = (epoch + number / len(steps)) / recipe.epochs
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(recipe.learning_rate, comm.size, done)
        _drop_out(module, done < DROPOUT)
        torch.manual_seed(_seed(recipe.seed, epoch, number, comm.rank))
        batch = _batch(chips, np.array_split(together, comm.size)[comm.rank], job, epoch)
        scale = comm.size / (len(together) * recipe.chip**2)
        figures += _step(module, optimizer, [tensor.to(comm.device) for tensor in batch], weights, scale)
    loss, weight, right, pixels = comm.average(figures).tolist()
    if not math.isfinite(loss):
        raise TrainingFailed(f"the loss of epoch {epoch + 1} is not finite; lower training.learning_rate")
    return Epoch(loss=loss / weight, accuracy=right / pixels)


def _step(module: nn.Module, optimizer: Optimizer, batch: Sequence[Tensor], weights: Tensor, scale: float) -> Tensor:
    """One step down the gradient of the loss times `scale`; its `_figures`."""
    x, valid, targets = batch
    with torch.autocast(x.device.type, torch.bfloat16, enabled=fast_bfloat16(x.device)):
        logits = module(x, torch.zeros(x.shape[:2], device=x.device), valid)[:, 0]
    loss = loss_sum(logits, targets, weights)
    optimizer.zero_grad()
    (loss * scale).backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return _figures(loss.detach(), logits.detach(), targets, weights)


def _drop_out(module: nn.Module, active: bool) -> None:
    for part in module.modules():
        if isinstance(part, Dropout):
            part.train(active)


def _batch(chips: Chips, mine: NDArray[np.intp], job: Job, epoch: int) -> tuple[Tensor, Tensor, Tensor]:
    """Input (batch, 1, bands, h, w) in channels-last order, valid (batch, 1, h, w), targets int64 (batch, h, w)."""
    pairs = [augment(chips.pixels[i], chips.targets[i], job.recipe.seed, epoch, int(i)) for i in mine]
    pixels, targets = np.stack([pair[0] for pair in pairs]), np.stack([pair[1] for pair in pairs])
    valid = pixels[..., -1] > 0
    x = prepare(pixels[..., :-1], valid, job.preprocessing)
    return torch.from_numpy(x)[:, None], torch.from_numpy(valid)[:, None], torch.from_numpy(targets).long()


def _figures(loss: Tensor, logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Summed loss and the weight behind it, right pixels and labelled pixels: (4,) float64, for means over pixels."""
    weight = F.pad(weights, (0, 1))[targets.clamp(max=len(weights))].sum()
    right, labelled = (logits.argmax(1) == targets).sum(), (targets != IGNORE).sum()
    return torch.stack([loss.double(), weight.double(), right.double(), labelled.double()]).cpu()


def _seed(*parts: int) -> int:
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:7], "big")


def fast_bfloat16(device: torch.device) -> bool:
    """True if the device multiplies bfloat16 in hardware, which nearly halves the time of a step."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu.get_capabilities().get("avx512_bf16"))

"""Checkpoints: one safetensors file with the optimizer's state and the weights; its header holds each epoch's figures.

It is one file, replaced atomically, so that weights, optimizer and epoch never disagree. Pickle is not used.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from seaice_ops.models.card import Epoch
from seaice_ops.training.ranks.comm import Communicator

_WEIGHTS = "weights."


def state_tensors(module: nn.Module, optimizer: Optimizer) -> dict[str, Tensor]:
    """The live tensors of a checkpoint, in the order of a broadcast: Adam's state, then the weights.

    The weights come last, so that every rank starts from the same ones whatever its optimizer has done.
    """
    state: dict[str, Tensor] = {}
    for name, parameter in module.named_parameters():
        moments = optimizer.state[parameter]
        if not moments:
            moments.update(step=torch.tensor(0.0), exp_avg=_zeros(parameter), exp_avg_sq=_zeros(parameter))
        state |= {f"adam.{moment}.{name}": tensor for moment, tensor in moments.items()}
    return state | {f"{_WEIGHTS}{name}": tensor for name, tensor in module.state_dict().items()}


def resume(path: Path, state: dict[str, Tensor], comm: Communicator) -> list[Epoch]:
    """Fill `state` on every rank from rank 0's checkpoint, if there is one; returns the history of its epochs."""
    history = _read(path, state) if comm.rank == 0 and path.exists() else []
    epochs = torch.tensor([len(history)])
    comm.broadcast(epochs)
    figures = torch.zeros(int(epochs), 2, dtype=torch.float64)
    figures[: len(history)] = torch.tensor([(e.loss, e.accuracy) for e in history], dtype=torch.float64).reshape(-1, 2)
    for tensor in (figures, *state.values()):
        if tensor.numel():
            comm.broadcast(tensor)
    return [Epoch(loss=loss, accuracy=accuracy) for loss, accuracy in figures.tolist()]


def save(path: Path, state: dict[str, Tensor], history: list[Epoch]) -> None:
    """Replace the checkpoint."""
    part = path.with_suffix(".part")
    header = {"history": json.dumps([epoch.model_dump() for epoch in history])}
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}, part, header)
    part.replace(path)


def load_weights(path: Path) -> tuple[dict[str, Tensor], tuple[Epoch, ...]]:
    """The weights in the checkpoint by their names in the module, and its history."""
    with safe_open(path, "pt") as file:
        names = [name for name in sorted(file.keys()) if name.startswith(_WEIGHTS)]
        weights = {name.removeprefix(_WEIGHTS): file.get_tensor(name) for name in names}
        return weights, tuple(Epoch.model_validate(epoch) for epoch in json.loads(file.metadata()["history"]))


def _read(path: Path, state: dict[str, Tensor]) -> list[Epoch]:
    with safe_open(path, "pt") as file, torch.no_grad():
        for name, tensor in state.items():
            tensor.copy_(file.get_tensor(name))
        return [Epoch.model_validate(epoch) for epoch in json.loads(file.metadata()["history"])]


def _zeros(parameter: Tensor) -> Tensor:
    return torch.zeros_like(parameter, memory_format=torch.preserve_format)

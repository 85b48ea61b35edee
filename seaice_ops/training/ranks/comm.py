"""Communication between the ranks of a training: their number, averages and broadcasts."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


class Communicator(Protocol):
    """The ranks that train together. Every rank makes the same calls in the same order."""

    rank: int
    size: int
    device: torch.device

    def averaging(self, optimizer: Optimizer, module: nn.Module) -> Optimizer:
        """`optimizer`, whose `step` first averages the gradients of `module` over the ranks."""

    def average(self, tensor: Tensor) -> Tensor:
        """The mean of `tensor` over the ranks, on all of them."""

    def broadcast(self, tensor: Tensor) -> None:
        """Overwrite `tensor` with rank 0's."""


class Alone:
    """One process that trains by itself."""

    rank, size = 0, 1

    def __init__(self) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def averaging(self, optimizer: Optimizer, module: nn.Module) -> Optimizer:
        return optimizer

    def average(self, tensor: Tensor) -> Tensor:
        return tensor

    def broadcast(self, tensor: Tensor) -> None:
        return

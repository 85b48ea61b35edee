"""Teach the network of `surroundings` from our own model: `make label-surroundings` writes it.

The model's draws hold a pixel and the means around it. What the table says of the pixel is given; the network learns by
how much the surroundings change that, so that both together are right most often. A minute or two.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from rich.progress import track

from seaice_ops.classes.legend import CLASSES, WATER
from seaice_ops.labels.reflectance import optics
from seaice_ops.labels.reflectance import table as reflectance_table
from seaice_ops.labels.reflectance.model import Draws, draw
from seaice_ops.labels.reflectance.surfaces import BANDS
from seaice_ops.labels.reflectance.surroundings import Floats, features

Loss = Callable[[torch.nn.Module, torch.Tensor], torch.Tensor]

TARGET = Path(__file__).with_name("surroundings.json")

_ZENITHS = range(44, 86, 4)
_DRAWS, _SEED = 1 << 16, 1
_HIDDEN, _EPOCHS, _BATCH, _RATE = 32, 8, 4096, 8e-3

#: Networks that the one which is kept learns from: each alone errs in its own way where the model is not the world.
_TEACHERS = 10

#: What is kept of what they say, as the world is not the model: on development seeds less and more are worse.
_TRUST = 0.75

#: Decimals of the weights that are kept.
_DECIMALS = 4


def main() -> int:
    parts = [_examples(zenith) for zenith in track(_ZENITHS, "draws")]
    inputs, given, classes = (torch.from_numpy(np.concatenate(pieces)) for pieces in zip(*parts, strict=True))

    def right(network: torch.nn.Module, batch: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(given[batch] + network(inputs[batch]), classes[batch])

    teachers = [_learnt(right, len(classes), seed) for seed in track(range(_TEACHERS), "teachers")]
    with torch.no_grad():
        said = torch.stack([teacher(inputs) for teacher in teachers]).mean(dim=0)
        said = _TRUST * (said - said.mean(dim=1, keepdim=True))

    def alike(network: torch.nn.Module, batch: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.mse_loss(network(inputs[batch]), said[batch])

    layers = [layer for layer in _learnt(alike, len(classes), _TEACHERS) if isinstance(layer, torch.nn.Linear)]
    stored = {
        "weights": [np.round(layer.weight.detach().numpy().astype(float), _DECIMALS).tolist() for layer in layers],
        "offsets": [np.round(layer.bias.detach().numpy().astype(float), _DECIMALS).tolist() for layer in layers],
    }
    TARGET.write_text(json.dumps(stored, separators=(",", ":")) + "\n")
    return 0


def _examples(zenith: int) -> tuple[Floats, Floats, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Features, logarithms of the table's shares, and indices of classes of draws that are not the table's."""
    draws = draw(_DRAWS, zenith, _SEED)
    surface = np.concatenate([_below_air(around, zenith) for around in (draws.near, draws.far)])
    return features(surface, zenith), np.log(_shares(draws, zenith) + 0.004), draws.classes.astype(np.int64) - WATER


def _below_air(seen: np.ndarray[tuple[int, int], np.dtype[np.float64]], zenith: int) -> list[optics.Floats]:
    return [optics.at_surface(values, optics.air(band, zenith)) for values, band in zip(seen, BANDS, strict=True)]


def _shares(draws: Draws, zenith: int) -> Floats:
    """(n, 3) what the table says of the pixels, were each class as frequent as the others under every sky."""
    cells = reflectance_table.cells_of(draws, zenith)
    water, thin, sky = reflectance_table.found(reflectance_table.table(zenith), cells)
    thick = reflectance_table.WHOLE - np.minimum(reflectance_table.WHOLE, water.astype(np.int64) + thin)
    shares = np.stack([water, thin, thick], axis=1) / reflectance_table.PRIOR[sky]
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), np.float32)


def _learnt(loss_of: Loss, count: int, seed: int) -> torch.nn.Sequential:
    """A network from weights drawn with `seed`, after `_EPOCHS` over `count` examples."""
    torch.manual_seed(seed)
    layers: list[torch.nn.Module] = []
    for wide, narrow in pairwise((2 * len(BANDS) + 1, _HIDDEN, _HIDDEN, len(CLASSES))):
        layers += [torch.nn.Linear(wide, narrow), torch.nn.ReLU()]
    network = torch.nn.Sequential(*layers[:-1])
    steps = _EPOCHS * (count // _BATCH)
    optimizer = torch.optim.Adam(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps)
    for _ in range(_EPOCHS):
        for batch in torch.randperm(count)[: steps // _EPOCHS * _BATCH].view(-1, _BATCH):
            loss = loss_of(network, batch)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
    return network


if __name__ == "__main__":
    sys.exit(main())

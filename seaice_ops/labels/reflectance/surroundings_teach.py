"""Train the network of `surroundings` on draws of the model; `make label-surroundings` runs it (a minute or two).

Each draw holds a pixel and the means around it. The table gives the pixel's shares; the network learns the weights
from the means with which those shares predict the class best. Ten teacher networks are trained on the classes, and one
student on their mean answer.
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

#: Teacher networks, whose mean answer the student learns: their single errors differ where the model is not the world.
_TEACHERS = 10

#: Factor on the teachers' logits, because the world is not the model: smaller and larger ones are worse on development
#: seeds.
_SHRINKAGE = 0.75

#: Decimals of the stored weights.
_DECIMALS = 4


def main() -> int:
    parts = [_examples(zenith) for zenith in track(_ZENITHS, "draws")]
    inputs, given, classes = (torch.from_numpy(np.concatenate(pieces)) for pieces in zip(*parts, strict=True))

    def by_class(network: torch.nn.Module, batch: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(given[batch] + network(inputs[batch]), classes[batch])

    teachers = [_trained(by_class, len(classes), seed) for seed in track(range(_TEACHERS), "teachers")]
    with torch.no_grad():
        logits = torch.stack([teacher(inputs) for teacher in teachers]).mean(dim=0)
        logits = _SHRINKAGE * (logits - logits.mean(dim=1, keepdim=True))

    def by_teachers(network: torch.nn.Module, batch: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.mse_loss(network(inputs[batch]), logits[batch])

    layers = [layer for layer in _trained(by_teachers, len(classes), _TEACHERS) if isinstance(layer, torch.nn.Linear)]
    stored = {
        "weights": [np.round(layer.weight.detach().numpy().astype(float), _DECIMALS).tolist() for layer in layers],
        "offsets": [np.round(layer.bias.detach().numpy().astype(float), _DECIMALS).tolist() for layer in layers],
    }
    TARGET.write_text(json.dumps(stored, separators=(",", ":")) + "\n")
    return 0


def _examples(zenith: int) -> tuple[Floats, Floats, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """(n, 9) features, (n, 3) logarithms of the table's shares, (n,) class indices of draws that the table lacks."""
    draws = draw(_DRAWS, zenith, _SEED)
    surface = np.concatenate([_below_air(around, zenith) for around in (draws.near, draws.far)])
    return features(surface, zenith), np.log(_shares(draws, zenith) + 0.004), draws.classes.astype(np.int64) - WATER


def _below_air(seen: np.ndarray[tuple[int, int], np.dtype[np.float64]], zenith: int) -> list[optics.Floats]:
    return [optics.at_surface(values, optics.air(band, zenith)) for values, band in zip(seen, BANDS, strict=True)]


def _shares(draws: Draws, zenith: int) -> Floats:
    """(n, 3) float32 shares of the classes by the table, with the prior divided out: all classes equally frequent."""
    cells = reflectance_table.cells_of(draws, zenith)
    water, thin, sky = reflectance_table.found(reflectance_table.table(zenith), cells)
    thick = reflectance_table.WHOLE - np.minimum(reflectance_table.WHOLE, water.astype(np.int64) + thin)
    shares = np.stack([water, thin, thick], axis=1) / reflectance_table.PRIOR[sky]
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), np.float32)


def _trained(loss_of: Loss, count: int, seed: int) -> torch.nn.Sequential:
    """A network trained for `_EPOCHS` epochs on `count` examples, its first weights drawn with `seed`."""
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

"""A model's weights, in safetensors only: pickles are never read, because they can run code."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.metadata import version

import torch
from safetensors import SafetensorError
from safetensors.torch import load as safetensors_load
from safetensors.torch import save as safetensors_save
from torch import Tensor, nn

from seaice_ops.errors import CorruptProduct
from seaice_ops.models.card import Card, Epoch, Manifest, Weights
from seaice_ops.models.families.build import build


@dataclass(frozen=True)
class LoadedModel:
    """A module in evaluation mode, and its card."""

    module: nn.Module
    card: Card


def weights_bytes(tensors: dict[str, Tensor]) -> bytes:
    """safetensors of `tensors`: the same tensors always give the same bytes."""
    return bytes(safetensors_save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}))


def describe(manifest: Manifest, weights: bytes, history: tuple[Epoch, ...]) -> Card:
    """The card of the model that `manifest` describes and `weights` (safetensors) hold."""
    parameters = sum(tensor.numel() for tensor in safetensors_load(weights).values())
    return Card(
        id=manifest.model_id,
        manifest=manifest,
        weights=Weights(sha256=hashlib.sha256(weights).hexdigest(), bytes=len(weights), parameters=parameters),
        history=history,
        software={name: version(name) for name in ("torch", "horovod", "seaice_ops")},
    )


def open_weights(card: Card, weights: bytes) -> LoadedModel:
    """The card's model with `weights` (safetensors), on the CPU, in evaluation mode.

    Raises `CorruptProduct` where the weights are not those of the card, do not fit its network, or are not finite.
    """
    if hashlib.sha256(weights).hexdigest() != card.weights.sha256:
        raise CorruptProduct(f"the weights of {card.id} are not those of its card: their SHA-256 differs")
    try:
        tensors = safetensors_load(weights)
    except SafetensorError as error:
        raise CorruptProduct(f"the weights of {card.id} are not safetensors: {error}") from error
    module = build(card.manifest.architecture)
    expected = {name: (tensor.shape, tensor.dtype) for name, tensor in module.state_dict().items()}
    if {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()} != expected:
        raise CorruptProduct(
            f"the weights of {card.id} do not fit a {card.manifest.name}: names, shapes or types differ"
        )
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise CorruptProduct(f"the weights of {card.id} hold values that are not finite")
    module.load_state_dict(tensors)
    return LoadedModel(module.eval(), card)

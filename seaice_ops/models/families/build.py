"""From an architecture's description to the module: one entry a family."""

from __future__ import annotations

from torch import nn

from seaice_ops.models.card import Architecture
from seaice_ops.models.families.unet import unet

_FAMILIES = {"unet": unet}


def build(architecture: Architecture) -> nn.Module:
    """A new module with random weights (seed torch first), in training mode.

    Its interface: ``module(x, dates, valid) -> logits``, see docs/architecture.md.
    """
    return _FAMILIES[architecture.name](architecture.width, architecture.bands, architecture.classes)

"""The job of a rank: one JSON file in the training's work folder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from seaice_ops import files
from seaice_ops.models.card import Architecture, Manifest, Preprocessing, Recipe, canonical

#: Largest weight of a rare class's pixels relative to the average pixel.
HEAVIEST = 10.0


class Job(BaseModel):
    """One training: the chips and the checkpoint lie in `folder`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path
    architecture: Architecture
    preprocessing: Preprocessing
    recipe: Recipe
    class_weights: tuple[float, ...]

    @property
    def checkpoint(self) -> Path:
        """Weights and optimizer state after the last whole epoch."""
        return self.folder / "checkpoint.safetensors"

    def write(self) -> Path:
        """Write job.json into the folder; returns its path."""
        path = self.folder / "job.json"
        files.write(path, canonical(self.model_dump(mode="json")))
        return path


def job_of(manifest: Manifest, folder: Path, counts: Sequence[int]) -> Job:
    """The job that trains `manifest` on the chips in `folder`, which hold `counts` pixels of each class."""
    return Job(
        folder=folder,
        architecture=manifest.architecture,
        preprocessing=manifest.preprocessing,
        recipe=manifest.recipe,
        class_weights=class_weights(counts),
    )


def class_weights(counts: Sequence[int]) -> tuple[float, ...]:
    """Weight of each class: 1 / sqrt(its share of the pixels), scaled to a mean of 1 over pixels, at most HEAVIEST.

    The square root is a compromise between equal pixels and equal classes. An absent class has the weight 0.
    """
    roots = [1 / math.sqrt(count) if count else 0.0 for count in counts]
    scale = sum(counts) / sum(math.sqrt(count) for count in counts)
    return tuple(min(root * scale, HEAVIEST) for root in roots)

"""A model's card: how it was made (its manifest, whose hash is its version), its weights, its training."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from seaice_ops.classes.legend import CLASSES
from seaice_ops.sensors.sentinel2 import TRUE_COLOUR

_Share = Annotated[float, Field(allow_inf_nan=False)]
_Shares = tuple[_Share, ...]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Architecture(_Part):
    """The network and its size; `models.families.build` makes it."""

    name: Literal["unet"] = "unet"
    width: int = Field(ge=2, le=128, description="channels of the first level")
    bands: int = Field(3, ge=1, le=16)
    classes: int = Field(3, ge=2, le=16)


class Preprocessing(_Part):
    """A network's input from reflectance: 8 bits a band, (value / 255 - mean) / std, `fill` where not observed.

    `mean` and `std` are fixed numbers for each band, near the middle and the spread of ice and water, not statistics of
    the training set.
    """

    bands: tuple[str, ...] = Field(TRUE_COLOUR, min_length=1, max_length=16)
    ceiling: float = Field(gt=0, le=1.5, description="reflectance that 8 bits show as 255")
    mean: _Shares = (0.5, 0.5, 0.5)
    std: _Shares = (0.25, 0.25, 0.25)
    fill: _Share = 0.0

    @model_validator(mode="after")
    def _one_a_band(self) -> Preprocessing:
        if not len(self.bands) == len(self.mean) == len(self.std):
            raise ValueError(f"bands {self.bands}, mean {self.mean} and std {self.std} differ in length")
        return self


class Labels(_Part):
    """The labels that a model learnt from."""

    method: str = Field(pattern=r"^[a-z0-9_]{1,32}$")
    version: str = Field(pattern=r"^[A-Za-z0-9._-]{1,32}$")

    @property
    def subject(self) -> str:
        """The subject of these labels' own evaluations: ``labels:method-version``."""
        return f"labels:{self.method}-{self.version}"


class Recipe(_Part):
    """The numbers that training was run with (settings.training)."""

    epochs: int = Field(ge=1)
    batch: int = Field(ge=1)
    chip: int = Field(ge=32, multiple_of=32)
    max_chips: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    ranks: int = Field(ge=1)
    seed: int


class Manifest(_Part):
    """Everything that decides a model: the same manifest is the same model, whenever and wherever it is trained."""

    algorithm: int = Field(ge=1, description="raised whenever the code would train something else from the same data")
    architecture: Architecture
    preprocessing: Preprocessing
    labels: Labels
    recipe: Recipe
    train: tuple[str, ...] = Field(min_length=1, description="ids of the scenes it learnt from")
    held_out: tuple[str, ...] = Field(min_length=1, description="ids of the scenes it never saw, of other days")
    contents: dict[str, str] | None = Field(
        None, description="SHA-256 of the pixels of each of these scenes by id; None in manifests of older versions"
    )

    @property
    def version(self) -> str:
        """Twelve hexadecimal digits: the digest of the manifest."""
        return digest(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types, without what is None: manifests of older versions keep their ids."""
        return self.model_dump(mode="json", exclude_none=True)

    @property
    def name(self) -> str:
        """The architecture's name and width."""
        return f"{self.architecture.name}-{self.architecture.width}"

    @property
    def model_id(self) -> str:
        """``name/version``."""
        return f"{self.name}/{self.version}"


class Epoch(_Part):
    """Mean training loss and accuracy over the pixels of one epoch, measured while the weights changed."""

    loss: _Share
    accuracy: _Share


class Weights(_Part):
    """The weights' file."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(gt=0)
    parameters: int = Field(gt=0)


class Card(_Part):
    """A model's card, stored beside its weights: enough to load it, apply it, trace it and train it again."""

    id: str
    classes: tuple[int, ...] = CLASSES
    manifest: Manifest
    weights: Weights
    history: tuple[Epoch, ...] = ()
    software: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Card:
        if self.id != self.manifest.model_id:
            raise ValueError(f"the id {self.id!r} is not the manifest's, {self.manifest.model_id!r}")
        if self.classes != CLASSES or self.manifest.architecture.classes != len(CLASSES):
            raise ValueError(f"the classes {self.classes} are not this legend's, {CLASSES}")
        if self.manifest.architecture.bands != len(self.manifest.preprocessing.bands):
            raise ValueError(f"the network does not take the bands {self.manifest.preprocessing.bands}")
        return self

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types, without what is None."""
        return self.model_dump(mode="json", exclude_none=True)

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return canonical(self.to_json())


def canonical(value: Any) -> bytes:
    """`value` as JSON with sorted keys: the same value always gives the same bytes."""
    return (json.dumps(value, sort_keys=True, indent=1, allow_nan=False) + "\n").encode()


def digest(value: Any) -> str:
    """Twelve hexadecimal digits of the SHA-256 of `value`'s canonical JSON."""
    return hashlib.sha256(canonical(value)).hexdigest()[:12]

"""The model registry: weights and cards in the store, their rows and aliases in the ledger, folders to carry them in.

Aliases: `champion` makes the maps, `challenger` is trained and not (yet) promoted, `previous` was champion before.
Weights are safetensors only; nothing here, nor anything it reads, is ever unpickled.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as safetensors_load
from safetensors.torch import save as safetensors_save
from sqlalchemy import select
from sqlalchemy.orm import Session
from torch import Tensor, nn

from seaice_ops.errors import ConfigError, CorruptProduct
from seaice_ops.ledger.operations import insert_new, model_by_alias, now
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Evaluation, Model, ModelAlias
from seaice_ops.models.card import Card, Epoch, Manifest, Weights, canonical
from seaice_ops.models.families.build import build
from seaice_ops.settings import Settings
from seaice_ops.storage import keys
from seaice_ops.storage.store import open_store

log = logging.getLogger(__name__)

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
WEIGHTS, CARD, EVALUATIONS = "weights.safetensors", "card.json", "evaluations.json"


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


def register(settings: Settings, card: Card, weights: bytes, alias: str | None = CHALLENGER) -> bool:
    """Store a model and make it known, under `alias`; False (and nothing written) if it was known before.

    Raises `CorruptProduct` where card and weights do not belong together.
    """
    open_weights(card, weights)
    manifest, store = card.manifest, open_store(settings.store)
    row = Model(
        id=card.id,
        name=manifest.name,
        version=manifest.version,
        sha256=card.weights.sha256,
        card=card.model_dump(mode="json"),
        created_at=now(),
    )
    # The row is inserted first and committed last: it keeps a second writer from replacing objects of a known model.
    with open_ledger(settings).begin() as session:
        if not insert_new(session, row):
            return False
        store.put(keys.model(card.id, WEIGHTS), weights)
        store.put(keys.model(card.id, CARD), card.to_bytes())
        if alias:
            _point(session, alias, card.id, "trained")
    log.info("model %s is registered", card.id)
    return True


def load(settings: Settings, model_id: str) -> LoadedModel:
    """The model of that id or alias, on the CPU, ready to predict.

    Raises `ConfigError` where it is unknown, `ObjectMissing`, and `CorruptProduct` where its weights were changed.
    """
    card = find(settings, model_id)
    return LoadedModel(open_weights(card, open_store(settings.store).get(keys.model(card.id, WEIGHTS))), card)


def find(settings: Settings, model_id: str) -> Card:
    """The card of the model of that id or alias; raises `ConfigError` where it is unknown."""
    with open_ledger(settings).begin() as session:
        row = _row(session, model_id)
    return Card.model_validate(row.card)


def champion(settings: Settings) -> str | None:
    """The id of the model that makes the maps now, or None."""
    with open_ledger(settings).begin() as session:
        row = model_by_alias(session, CHAMPION)
    return row.id if row else None


def promote(settings: Settings, model_id: str, reason: str) -> bool:
    """Make a model (id or alias) champion and the present champion previous; False if it is champion already."""
    with open_ledger(settings).begin() as session:
        row, present = _row(session, model_id), model_by_alias(session, CHAMPION)
        if present is not None and present.id == row.id:
            return False
        waiting = session.get(ModelAlias, CHALLENGER)
        if waiting is not None and waiting.model_id == row.id:
            session.delete(waiting)
        if present is not None:
            _point(session, PREVIOUS, present.id, f"until {row.id} was promoted")
        _point(session, CHAMPION, row.id, reason)
    log.info("model %s is champion: %s", row.id, reason)
    return True


def rollback(settings: Settings) -> str:
    """Exchange champion and previous; returns the id of the champion now. Raises `ConfigError` without a previous."""
    with open_ledger(settings).begin() as session:
        present, previous = model_by_alias(session, CHAMPION), model_by_alias(session, PREVIOUS)
        if present is None or previous is None:
            raise ConfigError("there is no previous champion to roll back to; promote a model instead")
        _point(session, CHAMPION, previous.id, f"rolled back from {present.id}")
        _point(session, PREVIOUS, present.id, "rolled back")
    log.info("rolled back from model %s to %s", present.id, previous.id)
    return previous.id


def explain(settings: Settings, alias: str, model_id: str, reason: str) -> None:
    """Note at `alias` why its model is where it is, if it still means `model_id`."""
    with open_ledger(settings).begin() as session:
        row = session.get(ModelAlias, alias)
        if row is not None and row.model_id == model_id and row.reason != reason[:1024]:
            _point(session, alias, model_id, reason)


class _Score(BaseModel):
    """One evaluation, as it travels with an exported model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    against: str
    metrics: dict[str, object]


_SCORES = TypeAdapter(list[_Score])


def export_model(settings: Settings, model_id: str, folder: Path) -> Path:
    """Write the model of that id or alias into `folder` (made if absent): weights, card, evaluations."""
    card = find(settings, model_id)
    with open_ledger(settings).begin() as session:
        rows = session.scalars(
            select(Evaluation).where(Evaluation.subject == card.id).order_by(Evaluation.dataset, Evaluation.against)
        )
        scores = [{"dataset": row.dataset, "against": row.against, "metrics": row.metrics} for row in rows]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / WEIGHTS).write_bytes(open_store(settings.store).get(keys.model(card.id, WEIGHTS)))
    (folder / EVALUATIONS).write_bytes(canonical(scores))
    (folder / CARD).write_bytes(card.to_bytes())
    return folder


def import_model(settings: Settings, folder: Path) -> str:
    """Register the model that `export_model` wrote into `folder`; returns its id. It gets no alias: promote it.

    Raises `ConfigError` where a file is missing and `CorruptProduct` where the card is not a valid card, the weights
    are not safetensors of exactly the card's architecture, or their SHA-256 is not the card's.
    """
    try:
        card = Card.model_validate_json((folder / CARD).read_bytes())
        weights = (folder / WEIGHTS).read_bytes()
        scores = _SCORES.validate_json((folder / EVALUATIONS).read_bytes()) if (folder / EVALUATIONS).exists() else []
    except OSError as error:
        raise ConfigError(f"{folder} does not hold a model: {error.strerror}: {error.filename}") from error
    except ValidationError as error:
        raise CorruptProduct(f"{folder} does not hold a valid model card: {error}") from error
    register(settings, card, weights, alias=None)
    with open_ledger(settings).begin() as session:
        for score in scores:
            insert_new(session, Evaluation(subject=card.id, created_at=now(), **score.model_dump()))
    return card.id


def open_weights(card: Card, weights: bytes) -> nn.Module:
    """The card's module with `weights` (safetensors), in evaluation mode; raises `CorruptProduct` unless they fit."""
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
    return module.eval()


def _row(session: Session, model_id: str) -> Model:
    row = session.get(Model, model_id) or model_by_alias(session, model_id)
    if row is None:
        raise ConfigError(f"there is no model {model_id!r}; `seaice status` lists the models and their aliases")
    return row


def _point(session: Session, alias: str, model_id: str, reason: str) -> None:
    session.merge(ModelAlias(alias=alias, model_id=model_id, reason=reason[:1024], updated_at=now()))

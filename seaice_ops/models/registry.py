"""The model registry: weights and cards in the store, their rows and aliases in the ledger.

Aliases: `champion` is the model that makes the maps, `challenger` the newest one that is not promoted, `previous` the
champion before, `best` the champion with the best macro-F1 so far. Aliases move in serialised transactions, so that no
move of two people or runs at once is lost.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from seaice_ops.errors import ConfigError
from seaice_ops.ledger.operations import insert_new, model_by_alias, now
from seaice_ops.ledger.session import Ledger
from seaice_ops.ledger.tables import Evaluation, Model, ModelAlias
from seaice_ops.models.card import Card
from seaice_ops.models.weights import LoadedModel, open_weights
from seaice_ops.storage import keys
from seaice_ops.storage.store import ObjectStore

log = logging.getLogger(__name__)

CHAMPION, CHALLENGER, PREVIOUS, BEST = "champion", "challenger", "previous", "best"
#: What the ledger's rows of results on the golden set are `against`.
GOLDEN = "golden"
WEIGHTS, CARD = "weights.safetensors", "card.json"


def register(ledger: Ledger, store: ObjectStore, card: Card, weights: bytes, alias: str | None = CHALLENGER) -> bool:
    """Store a model and insert its row, with `alias` pointing to it; False (and nothing written) if it is known.

    `weights` are safetensors. Raises `CorruptProduct` where card and weights do not belong together.
    """
    open_weights(card, weights)
    manifest = card.manifest
    row = Model(
        id=card.id,
        name=manifest.name,
        version=manifest.version,
        sha256=card.weights.sha256,
        card=card.to_json(),
        created_at=now(),
    )
    # The row is inserted first and committed last: it keeps a second writer from replacing objects of a known model.
    with ledger.begin() as session:
        if not insert_new(session, row):
            return False
        store.put(keys.model(card.id, WEIGHTS), weights)
        store.put(keys.model(card.id, CARD), card.to_bytes())
        if alias:
            _point(session, alias, card.id, "trained")
    log.info("model %s is registered", card.id)
    return True


def load(ledger: Ledger, store: ObjectStore, model_id: str) -> LoadedModel:
    """The model with the id or alias `model_id`, on the CPU, ready to predict.

    Raises `ConfigError` for an unknown model, `ObjectMissing` where its weights are not in the store, and
    `CorruptProduct` where they are not those of its card.
    """
    card = find(ledger, model_id)
    return open_weights(card, store.get(keys.model(card.id, WEIGHTS)))


def find(ledger: Ledger, model_id: str) -> Card:
    """The card of the model with the id or alias `model_id`; raises `ConfigError` for an unknown model."""
    with ledger.begin() as session:
        row = _row(session, model_id)
    return Card.model_validate(row.card)


def champion(ledger: Ledger) -> str | None:
    """The id of the model that makes the maps now, or None."""
    with ledger.begin() as session:
        row = model_by_alias(session, CHAMPION)
    return row.id if row else None


@dataclass(frozen=True)
class Listed:
    """A model as people ask for it."""

    id: str
    made: datetime
    """When it was registered, aware UTC."""
    aliases: dict[str, str]
    """What it is now, and why."""
    macro_f1: float | None
    """On the newest golden set that it was scored on; None where there was no truth."""
    acquisitions: int
    """Acquisitions of that set."""


def listed(ledger: Ledger) -> list[Listed]:
    """All models, the newest first."""
    with ledger.begin() as session:
        aliases: dict[str, dict[str, str]] = {}
        for row in session.scalars(select(ModelAlias).order_by(ModelAlias.alias)):
            aliases.setdefault(row.model_id, {})[row.alias] = row.reason
        query = select(Evaluation).where(Evaluation.against == GOLDEN).order_by(Evaluation.created_at)
        scores = {row.subject: row.metrics for row in session.scalars(query)}
        return [
            Listed(
                row.id,
                row.created_at,
                aliases.get(row.id, {}),
                scores.get(row.id, {}).get("macro_f1"),
                scores.get(row.id, {}).get("acquisitions", 0),
            )
            for row in session.scalars(select(Model).order_by(Model.created_at.desc(), Model.id))
        ]


def verdict(ledger: Ledger, store: ObjectStore, model_id: str) -> tuple[str, dict[str, Any]] | None:
    """The gate's verdict on the newest golden set that a model was scored on: the key of its page, and what it says.

    None where the gate has not judged it.
    """
    query = select(Evaluation.dataset).where(Evaluation.subject == model_id, Evaluation.against == GOLDEN)
    with ledger.begin() as session:
        versions = session.scalars(query.order_by(Evaluation.created_at.desc())).all()
    for version in versions:
        key = keys.verdict(model_id, version)
        if store.exists(f"{key}.json"):
            return f"{store.url}/{key}.html", json.loads(store.get(f"{key}.json"))
    return None


def promote(ledger: Ledger, model_id: str, reason: str) -> bool:
    """Make a model (id or alias) champion and the present champion previous; False if it is champion already."""
    with ledger.alone() as session:
        row = _row(session, model_id)
        return _promote(session, row.id, _id(session, CHAMPION), reason)


def promote_challenger(ledger: Ledger, model_id: str, rival: str | None, reason: str, best: str | None = None) -> bool:
    """Promote `model_id` if it is still the challenger and `rival`, which it was judged against, still champion.

    `best` is the best champion so far, by this judgement (default: `model_id`). False, and nothing changed, where
    somebody has promoted or rolled back a model in the meantime.
    """
    with ledger.alone() as session:
        if (_id(session, CHALLENGER), _id(session, CHAMPION)) != (model_id, rival):
            return False
        _point(session, BEST, best or model_id, "best macro-F1 on the golden set so far")
        return _promote(session, model_id, rival, reason)


def rollback(ledger: Ledger) -> str:
    """Exchange champion and previous; returns the id of the champion now. Raises `ConfigError` without a previous."""
    with ledger.alone() as session:
        present, previous = _id(session, CHAMPION), _id(session, PREVIOUS)
        if present is None or previous is None:
            raise ConfigError("there is no previous champion to roll back to; promote a model instead")
        _point(session, CHAMPION, previous, f"rolled back from {present}")
        _point(session, PREVIOUS, present, "rolled back")
    log.info("rolled back from model %s to %s", present, previous)
    return previous


def explain(ledger: Ledger, alias: str, model_id: str, reason: str) -> None:
    """Record `reason` at `alias`, if it still points to `model_id`; reasons are cut to 1024 characters."""
    reason = reason[:1024]
    with ledger.begin() as session:
        session.execute(
            update(ModelAlias)
            .where(ModelAlias.alias == alias, ModelAlias.model_id == model_id, ModelAlias.reason != reason)
            .values(reason=reason, updated_at=now())
        )


def _promote(session: Session, model_id: str, present: str | None, reason: str) -> bool:
    if present == model_id:
        return False
    session.execute(delete(ModelAlias).where(ModelAlias.alias == CHALLENGER, ModelAlias.model_id == model_id))
    if present is not None:
        _point(session, PREVIOUS, present, f"until {model_id} was promoted")
    _point(session, CHAMPION, model_id, reason)
    log.info("model %s is champion: %s", model_id, reason)
    return True


def _row(session: Session, model_id: str) -> Model:
    row = session.get(Model, model_id) or model_by_alias(session, model_id)
    if row is None:
        raise ConfigError(f"there is no model {model_id!r}; `seaice status` lists the models and their aliases")
    return row


def _id(session: Session, alias: str) -> str | None:
    row = model_by_alias(session, alias)
    return row.id if row else None


def _point(session: Session, alias: str, model_id: str, reason: str) -> None:
    """Point `alias` to `model_id`: insert it, or move it in one statement if it exists."""
    values = {"model_id": model_id, "reason": reason[:1024], "updated_at": now()}
    if not insert_new(session, ModelAlias(alias=alias, **values)):
        session.execute(update(ModelAlias).where(ModelAlias.alias == alias).values(**values))

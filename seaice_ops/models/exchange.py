"""Export and import of models: folders with weights, card and evaluations that carry a model to another home."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from sqlalchemy import select

from seaice_ops.classes.legend import SLUGS
from seaice_ops.errors import ConfigError, CorruptProduct
from seaice_ops.ledger.operations import insert_new, now, ready_scenes
from seaice_ops.ledger.session import Ledger
from seaice_ops.ledger.tables import Evaluation
from seaice_ops.models.card import Card, canonical
from seaice_ops.models.registry import CARD, GOLDEN, WEIGHTS, find, register
from seaice_ops.storage import keys
from seaice_ops.storage.store import ObjectStore

EVALUATIONS = "evaluations.json"

_Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _ClassScores(_Strict):
    precision: _Share | None = None
    recall: _Share | None = None
    f1: _Share | None = None
    iou: _Share | None = None
    pixels: _Count = 0
    abstained: _Share | None = None


class _Metrics(_Strict):
    """The figures of `classes.metrics.scores`; all are shares 0..1 but the counts of pixels."""

    pixels: _Count = 0
    accuracy: _Share | None = None
    majority: _Share | None = None
    macro_f1: _Share | None = None
    mean_iou: _Share | None = None
    abstained: _Share | None = None
    named_no_class: _Share | None = None
    classes: dict[str, _ClassScores] = Field(default_factory=dict, max_length=len(SLUGS))
    confusion: list[list[_Count]] = Field(default_factory=list, max_length=len(SLUGS))


class _Score(_Strict):
    """One evaluation, as it travels with an exported model."""

    dataset: Annotated[str, Field(max_length=64)]
    against: Annotated[str, Field(max_length=32)]
    metrics: _Metrics


_SCORES = TypeAdapter(list[_Score])


def export_model(ledger: Ledger, store: ObjectStore, model_id: str, folder: Path) -> Path:
    """Write the model of that id or alias into `folder` (made if absent): weights, card, evaluations."""
    card = find(ledger, model_id)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / WEIGHTS).write_bytes(store.get(keys.model(card.id, WEIGHTS)))
    (folder / EVALUATIONS).write_bytes(canonical(_scores(ledger, card.id)))
    (folder / CARD).write_bytes(card.to_bytes())
    return folder


def import_model(ledger: Ledger, store: ObjectStore, folder: Path) -> str:
    """Register the model that `export_model` wrote into `folder`; returns its id. It gets no alias: promote it.

    Raises `ConfigError` where a file is missing or no ready scene has the bands that the model sees, and
    `CorruptProduct` where the card or the evaluations are not valid, the weights are not safetensors of exactly the
    card's architecture, or their SHA-256 is not the card's.
    """
    try:
        card = Card.model_validate_json((folder / CARD).read_bytes())
        weights = (folder / WEIGHTS).read_bytes()
        scores = _SCORES.validate_json((folder / EVALUATIONS).read_bytes()) if (folder / EVALUATIONS).exists() else []
    except OSError as error:
        raise ConfigError(f"{folder} does not hold a model: {error.strerror}: {error.filename}") from error
    except ValidationError as error:
        raise CorruptProduct(f"{error.title} in {folder} is not valid: {error}") from error
    _refuse_unseen_bands(ledger, card)
    register(ledger, store, card, weights, alias=None)
    with ledger.begin() as session:
        for score in scores:
            insert_new(session, Evaluation(subject=card.id, created_at=now(), **score.model_dump(exclude_unset=True)))
    return card.id


def _scores(ledger: Ledger, model_id: str) -> list[dict[str, Any]]:
    # Results on a golden set stay where that set is.
    query = select(Evaluation).where(Evaluation.subject == model_id, Evaluation.against != GOLDEN)
    with ledger.begin() as session:
        rows = session.scalars(query.order_by(Evaluation.dataset, Evaluation.against))
        return [{"dataset": row.dataset, "against": row.against, "metrics": row.metrics} for row in rows]


def _refuse_unseen_bands(ledger: Ledger, card: Card) -> None:
    """Raise `ConfigError` if there are ready scenes and none has all the bands that the model needs."""
    needed = card.manifest.preprocessing.bands
    with ledger.begin() as session:
        known = {tuple(scene.bands or ()) for scene in ready_scenes(session)}
    if known and not any(set(needed) <= set(bands) for bands in known):
        have = " or ".join(sorted(", ".join(bands) for bands in known))
        raise ConfigError(
            f"{card.id} needs the bands {', '.join(needed)}, and no ready scene has them all (the scenes have {have}), "
            "so it cannot make a map; import a model that needs only the scenes' bands"
        )

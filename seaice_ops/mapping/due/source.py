"""The source of the classes in maps: the champion or the auto-labels, whichever has the better score.

A network that learnt from labels is not necessarily better than they are. Both are scored on the same held-out pixels
with reference labels (`training.judge`). The champion makes the maps if its macro-F1 is the higher one; without a
reference the labels do.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from seaice_ops.ledger.operations import model_by_alias
from seaice_ops.ledger.tables import Evaluation, LabelSet, Model, Probabilities, Scene
from seaice_ops.models.card import Labels
from seaice_ops.sensors.sentinel2 import TRUE_COLOUR


@dataclass(frozen=True)
class Source:
    """The source of the classes in force."""

    id: str
    """The champion's id, or `labels:method-version`."""
    model: str | None
    """The champion's id where it is the source."""
    bands: tuple[str, ...]
    """Bands that a scene must have."""
    why: str
    """The reason in words, with both scores where there are any."""


@dataclass(frozen=True)
class Evidence:
    """The stored raster with one scene's classes: a label raster, or a model's probabilities."""

    key: str
    sha256: str
    created_at: datetime


def source(session: Session, labels: Labels) -> Source:
    """The source in force, by what the ledger holds."""
    champion = model_by_alias(session, "champion")
    scores = _scores(session, champion, labels.subject) if champion else None
    if champion and scores and scores[0] > scores[1]:
        seen = champion.card.get("manifest", {}).get("preprocessing", {}).get("bands", TRUE_COLOUR)
        why = f"on reference labels the champion has macro-F1 {scores[0]:.3f}, the auto-labels {scores[1]:.3f}"
        return Source(champion.id, champion.id, tuple(seen), why)
    if scores:
        why = f"on reference labels the auto-labels have macro-F1 {scores[1]:.3f}, the champion {scores[0]:.3f}"
    else:
        why = "no champion has been compared with the auto-labels on reference labels"
    return Source(labels.subject, None, (), why)


def _scores(session: Session, champion: Model, labels: str) -> tuple[float, float] | None:
    """(macro-F1 of the champion, of the labels) on the newest reference set on which both were scored."""
    query = select(Evaluation).where(Evaluation.against == "truth").order_by(Evaluation.created_at.desc())
    of_labels = {
        row.dataset: row.metrics.get("macro_f1") for row in session.scalars(query.where(Evaluation.subject == labels))
    }
    for row in session.scalars(query.where(Evaluation.subject == champion.id)):
        ours, theirs = row.metrics.get("macro_f1"), of_labels.get(row.dataset)
        if ours is not None and theirs is not None:
            return ours, theirs
    return None


def evidence(session: Session, tile: str, chosen: Source, labels: Labels) -> dict[str, Evidence]:
    """What the source tells of the present pixels of the tile's scenes, by scene id."""
    table = Probabilities if chosen.model else LabelSet
    same = or_(table.scene_sha256.is_(None), table.scene_sha256 == Scene.sha256)
    query = select(table.scene_id, table.key, table.sha256, table.created_at).join(Scene)
    query = query.where(Scene.tile == tile, same)
    if chosen.model:
        query = query.where(Probabilities.model_id == chosen.model)
    else:
        query = query.where(LabelSet.method == labels.method, LabelSet.version == labels.version)
    return {scene: Evidence(key, sha256, at) for scene, key, sha256, at in session.execute(query)}

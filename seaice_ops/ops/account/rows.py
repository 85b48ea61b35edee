"""What the ledger holds of the acquisitions of some tiles in an interval of sensing time, in a few statements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from seaice_ops.ledger.coverage import searched, spans_of
from seaice_ops.ledger.scenes import chunks
from seaice_ops.ledger.tables import LabelSet, Map, Probabilities, Scene, SceneEvent, SceneState
from seaice_ops.ledger.watermarks import watermarks
from seaice_ops.models.card import Labels
from seaice_ops.ops.account.facts import Coverage, Version

_MOVING = (SceneState.DISCOVERED, SceneState.FETCHED, SceneState.FAILED)


@dataclass(frozen=True)
class Span:
    """The acquisitions meant: of `tiles`, sensed in [start, end)."""

    tiles: tuple[str, ...]
    start: datetime
    end: datetime


@dataclass
class Held:
    """One acquisition in the ledger."""

    tile: str
    sensed_at: datetime
    versions: list[Version] = field(default_factory=list)
    sha256: str | None = None
    """Of the ready version's pixels."""
    key: str | None = None
    """Of the ready version's object."""
    bytes: int | None = None
    labelled: datetime | None = None
    """When the labels in force of these pixels were made."""
    labels: str | None = None
    """The key of those labels."""
    encoded: datetime | None = None
    """When these pixels were encoded by the model asked about."""

    @property
    def ready(self) -> Version | None:
        """The version that is held."""
        return next((version for version in self.versions if version.state is SceneState.READY), None)


@dataclass(frozen=True)
class NewestMap:
    """The newest revision of the map that ends at some acquisition."""

    id: str
    folder: str
    scene_ids: list[str]
    contents: list[str] | None
    method: str | None
    """How it was made, with its version."""

    def shows(self, scene_id: str, sha256: str | None) -> bool:
        """True where it was made from the scene's present pixels."""
        if scene_id not in self.scene_ids:
            return False
        at = self.scene_ids.index(scene_id)
        return self.contents is None or (at < len(self.contents) and self.contents[at] == sha256)


def scenes(session: Session, span: Span, method: Labels, model: str | None) -> dict[str, Held]:
    """The acquisitions by identity, each with its labels in force and, of `model`, its probabilities."""
    came = and_(SceneEvent.scene_id == Scene.id, SceneEvent.number == Scene.moves, Scene.state.in_(_MOVING))
    columns = (
        Scene.id, Scene.identity, Scene.tile, Scene.sensed_at, Scene.state, Scene.reason, Scene.updated_at,
        Scene.claimed_by, Scene.attempts, Scene.sha256, Scene.key, Scene.bytes,
        SceneEvent.at, SceneEvent.before, LabelSet.created_at.label("labelled"), LabelSet.key.label("labels"),
        Probabilities.created_at.label("encoded"),
    )  # fmt: skip
    query = select(*columns).order_by(Scene.sensed_at, Scene.id)
    for table, on in ((SceneEvent, came), (LabelSet, _labels(method)), (Probabilities, _encoded(model))):
        query = query.join(table, on, isouter=True)  # so the scenes of the span are looked up first, by their index
    found: dict[str, Held] = {}
    for where in _within(span, Scene.tile, Scene.sensed_at):
        for row in session.execute(query.where(where)):
            held = found.setdefault(row.identity, Held(row.tile, row.sensed_at))
            held.versions.append(_version(row))
            if row.state is SceneState.READY:
                held.sha256, held.key, held.bytes = row.sha256, row.key, row.bytes
                held.labelled, held.labels, held.encoded = row.labelled, row.labels, row.encoded
    return found


def _labels(method: Labels) -> ColumnElement[bool]:
    """Labels in force of the scene's present pixels."""
    same = and_(LabelSet.scene_id == Scene.id, LabelSet.scene_sha256 == Scene.sha256)
    return and_(same, LabelSet.method == method.method, LabelSet.version == method.version)


def _encoded(model: str | None) -> ColumnElement[bool]:
    """Probabilities of the scene's present pixels by `model`."""
    same = or_(Probabilities.scene_sha256.is_(None), Probabilities.scene_sha256 == Scene.sha256)
    return and_(Probabilities.scene_id == Scene.id, Probabilities.model_id == (model or ""), same)


def _version(row: Any) -> Version:
    # Without an event (a row of an older version) a failure that was never tried was found by a search.
    before = row.before if row.at else (SceneState.FETCHED if row.attempts else None)
    return Version(row.id, row.state, row.at or row.updated_at, row.updated_at, row.reason, before, row.claimed_by)


def maps(session: Session, span: Span) -> dict[tuple[str, datetime], NewestMap]:
    """The newest map by tile and end of its window."""
    method = Map.statistics["method"].as_string().label("method")
    columns = (Map.tile, Map.window_end, Map.id, Map.folder, Map.scene_ids, Map.scene_contents, method)
    return {
        (row.tile, row.window_end): NewestMap(row.id, row.folder, row.scene_ids, row.scene_contents, row.method)
        for where in _within(span, Map.tile, Map.window_end)
        for row in session.execute(select(*columns).where(where).order_by(Map.revision))
    }


def coverage(session: Session, archive: str, tiles: Sequence[str]) -> dict[str, Coverage]:
    """What searches of `archive` have covered of each tile."""
    marks: dict[str, datetime] = {}
    known: defaultdict[str, tuple[datetime, datetime] | None] = defaultdict(lambda: None)
    for some in chunks(tiles):
        marks |= watermarks(session, archive, some)
        query = select(Scene.tile, func.min(Scene.sensed_at), func.max(Scene.sensed_at)).where(Scene.tile.in_(some))
        known.update({tile: (first, last) for tile, first, last in session.execute(query.group_by(Scene.tile))})
    notes = searched(session, archive, tiles)
    return {
        tile: Coverage(
            marks.get(tile),
            note.published_from if (note := notes.get(tile)) else None,
            tuple(spans_of(note)) if note else (),
            known[tile],
        )
        for tile in tiles
    }


def _within(
    span: Span, tile: InstrumentedAttribute[str], moment: InstrumentedAttribute[datetime]
) -> Iterator[ColumnElement[bool]]:
    for some in chunks(span.tiles):
        yield and_(tile.in_(some), moment >= span.start, moment < span.end)

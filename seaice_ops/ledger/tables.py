"""The ledger's tables (SQLite or PostgreSQL).

A row that names an object is written after the object, in one transaction: a crash can leave an object
without a row, never a row without its object.
"""

from __future__ import annotations

import enum
import json
import re
from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, BigInteger, DateTime, Enum, ForeignKey, Index, String, TypeDecorator, false, text
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

_NOT_STORABLE = re.compile("[\0\ud800-\udfff]")


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC datetimes on every database (SQLite keeps none)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"naive datetime {value} given to the ledger")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def storable(text: str, length: int | None = None) -> str:
    """`text` as every database can hold it: no NUL, no half of a character, at most `length` characters."""
    return _NOT_STORABLE.sub("\N{REPLACEMENT CHARACTER}", text)[:length]


def storable_json(value: Any) -> str:
    """`value` as JSON whose texts are `storable`."""
    # The engine is given this writer: psycopg's own is one for the whole process, and other packages replace it.
    return json.dumps(_storable_values(value))


def _storable_values(value: Any) -> Any:
    match value:
        case str():
            return storable(value)
        case dict():
            return {_storable_values(name): _storable_values(part) for name, part in value.items()}
        case list() | tuple():
            return [_storable_values(part) for part in value]
    return value


class Words(TypeDecorator[str]):
    """Text that others wrote (reasons, callers): made `storable` instead of refused."""

    impl = String
    cache_ok = True

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.length = length

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else storable(value, self.length)


class Base(DeclarativeBase):
    """Root of the tables."""

    type_annotation_map: ClassVar = {
        datetime: UtcDateTime(),
        dict[str, Any]: JSON(),
        list[str]: JSON(),
        list[float]: JSON(),
    }


class SceneState(enum.StrEnum):
    """The states of a scene; `ledger.scenes.MOVES` are the moves between them."""

    DISCOVERED = "discovered"
    FETCHED = "fetched"
    READY = "ready"
    FAILED = "failed"
    SUPERSEDED = "superseded"
    WITHDRAWN = "withdrawn"


_STATE = Enum(SceneState, native_enum=False, length=16, values_callable=lambda e: [m.value for m in e])


class Scene(Base):
    """One product of one acquisition of one tile. At most one row of an `identity` is ready.

    `id` is the product's name without .SAFE; `identity` is platform, sensing start, tile and relative orbit.
    `claimed_by` is the run that last took it in hand to ingest it. `reason` and `superseded_by` belong to the present
    state. `moves` counts the changes of state; each is a `SceneEvent`. Only `ledger.scenes` changes `state`.
    """

    __tablename__ = "scene"

    id: Mapped[str] = mapped_column(String(128), primary_key=True)
    identity: Mapped[str] = mapped_column(String(64), index=True)
    tile: Mapped[str] = mapped_column(String(5))
    platform: Mapped[str] = mapped_column(String(16))
    sensed_at: Mapped[datetime]
    relative_orbit: Mapped[int]
    baseline: Mapped[str] = mapped_column(String(8), default="")
    generated_at: Mapped[datetime]
    published_at: Mapped[datetime]
    href: Mapped[str] = mapped_column(String(1024))
    state: Mapped[SceneState] = mapped_column(_STATE)
    reason: Mapped[str | None] = mapped_column(Words(2048))
    moves: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    attempts: Mapped[int] = mapped_column(default=0)
    superseded_by: Mapped[str | None] = mapped_column(String(128))
    claimed_by: Mapped[str | None] = mapped_column(Words(256))
    key: Mapped[str | None] = mapped_column(String(512))
    sha256: Mapped[str | None] = mapped_column(String(64))
    bytes: Mapped[int | None]
    crs: Mapped[str | None] = mapped_column(String(2048))
    transform: Mapped[list[float] | None]
    width: Mapped[int | None]
    height: Mapped[int | None]
    bands: Mapped[list[str] | None]
    sun_zenith: Mapped[float | None]
    valid_share: Mapped[float | None]
    details: Mapped[dict[str, Any] | None]
    discovered_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    __table_args__ = (Index("ix_scene_tile_time", "tile", "sensed_at"), Index("ix_scene_state", "state"))


#: At most one ready row an acquisition, whatever runs at the same time.
Index(
    "uq_scene_ready_identity",
    Scene.identity,
    unique=True,
    sqlite_where=text("state = 'ready'"),
    postgresql_where=text("state = 'ready'"),
)


class SceneEvent(Base):
    """One change of a scene's state: the `number`-th, by which run, and why. `before` is None for a new scene."""

    __tablename__ = "scene_event"

    scene_id: Mapped[str] = mapped_column(ForeignKey("scene.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    before: Mapped[SceneState | None] = mapped_column(_STATE)
    after: Mapped[SceneState] = mapped_column(_STATE)
    reason: Mapped[str | None] = mapped_column(Words(2048))
    caller: Mapped[str] = mapped_column(Words(256))

    __table_args__ = (Index("ix_scene_event_at", "at"),)


class KnownStore(Base):
    """The object store that holds what this ledger names, by the id in its marker. One row."""

    __tablename__ = "object_store"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    created_at: Mapped[datetime]


class LabelSet(Base):
    """The auto-labels of one scene by one version of one method.

    `scene_sha256` is the content of the scene that they were made from: labels of other content count as missing.
    """

    __tablename__ = "label_set"

    scene_id: Mapped[str] = mapped_column(ForeignKey("scene.id"), primary_key=True)
    method: Mapped[str] = mapped_column(String(32), primary_key=True)
    version: Mapped[str] = mapped_column(String(32), primary_key=True)
    key: Mapped[str] = mapped_column(String(512))
    sha256: Mapped[str] = mapped_column(String(64))
    scene_sha256: Mapped[str | None] = mapped_column(String(64))
    shares: Mapped[dict[str, Any]]
    seconds: Mapped[float]
    created_at: Mapped[datetime]


class Model(Base):
    """One trained model. `id` is ``name/version``; the version is a hash of everything that made it."""

    __tablename__ = "model"

    id: Mapped[str] = mapped_column(String(96), primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    version: Mapped[str] = mapped_column(String(32))
    sha256: Mapped[str] = mapped_column(String(64))
    card: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class ModelAlias(Base):
    """champion, challenger, previous: which model each means now."""

    __tablename__ = "model_alias"

    alias: Mapped[str] = mapped_column(String(32), primary_key=True)
    model_id: Mapped[str] = mapped_column(ForeignKey("model.id"))
    reason: Mapped[str] = mapped_column(Words(1024), default="")
    updated_at: Mapped[datetime]


class Evaluation(Base):
    """The score of a model (or of a labelling method) on held-out acquisitions.

    `against` is ``truth`` (reference rasters) or ``auto-labels``; the two are never mixed. Of labels there are also
    ``agreement`` (with other labels) and ``plausibility`` (flagged scenes), which hold no scores.
    """

    __tablename__ = "evaluation"

    subject: Mapped[str] = mapped_column(String(96), primary_key=True)
    dataset: Mapped[str] = mapped_column(String(64), primary_key=True)
    against: Mapped[str] = mapped_column(String(32), primary_key=True)
    metrics: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class Probabilities(Base):
    """The class probabilities of one scene by one model.

    `scene_sha256` is the `Scene.sha256` of the pixels they were made from; where it is unknown (an older version wrote
    the row) they count as made from the scene's present pixels.
    """

    __tablename__ = "probabilities"

    scene_id: Mapped[str] = mapped_column(ForeignKey("scene.id"), primary_key=True)
    model_id: Mapped[str] = mapped_column(ForeignKey("model.id"), primary_key=True)
    scene_sha256: Mapped[str | None] = mapped_column(String(64))
    key: Mapped[str] = mapped_column(String(512))
    sha256: Mapped[str] = mapped_column(String(64))
    seconds: Mapped[float]
    created_at: Mapped[datetime]


class Map(Base):
    """One revision of the map of one tile at one window end.

    `scene_contents` are the `Scene.sha256` of the pixels that it was made from, in the order of `scene_ids`: None where
    an older version wrote the row, which then counts as made from the present pixels; shorter where they are unknown,
    which then count as other pixels. `source` names what told the classes: a model's id, or `labels:method-version`.
    `catalogued` is the collection of the catalogue that lists it, None while none does.
    """

    __tablename__ = "map"

    id: Mapped[str] = mapped_column(String(128), primary_key=True)
    tile: Mapped[str] = mapped_column(String(5))
    window_start: Mapped[datetime]
    window_end: Mapped[datetime]
    revision: Mapped[int]
    source: Mapped[str] = mapped_column(String(96))
    scene_ids: Mapped[list[str]]
    scene_contents: Mapped[list[str] | None]
    supersedes: Mapped[str | None] = mapped_column(String(128))
    folder: Mapped[str] = mapped_column(String(512))
    statistics: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]

    catalogued: Mapped[str | None] = mapped_column(String(96))

    __table_args__ = (
        Index("uq_map_tile_end_revision", "tile", "window_end", "revision", unique=True),
        Index("ix_map_catalogued", "catalogued", "tile", "window_end"),
    )


class ChangeState(enum.StrEnum):
    """The states of a dated change; `ledger.changes.MOVES` are the moves between them."""

    PROVISIONAL = "provisional"
    CONFIRMED = "confirmed"
    APPROVED = "approved"
    REJECTED = "rejected"
    GONE = "gone"


_CHANGE_STATE = Enum(ChangeState, native_enum=False, length=16, values_callable=lambda e: [m.value for m in e])


class Change(Base):
    """One dated change of a part of a tile: its pixels turned from one class to another.

    `id` is that of its first finding. `content` is a hash of what was found: pixels, classes, dates. `folder` holds its
    pixels, polygons and pictures; `pixels_sha256` is the SHA-256 of the object with the pixels. The change lies in
    (`since`, `at`]; between `first_at` and `last_at` eight tenths of its pixels changed. `top`, `left`, `height` and
    `width` are the box of its pixels on the grid `crs`, `transform`. `decided_class` is the class that a person gave
    it. `moves` counts the changes of state; each is a `ChangeEvent`. Only `ledger.changes` changes `state`.
    """

    __tablename__ = "change"

    id: Mapped[str] = mapped_column(String(96), primary_key=True)
    tile: Mapped[str] = mapped_column(String(5), index=True)
    state: Mapped[ChangeState] = mapped_column(_CHANGE_STATE)
    moves: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    before_class: Mapped[int]
    after_class: Mapped[int]
    decided_class: Mapped[int | None]
    at: Mapped[datetime]
    since: Mapped[datetime]
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
    confidence: Mapped[int]
    pixels: Mapped[int]
    area_km2: Mapped[float]
    crs: Mapped[str] = mapped_column(String(2048))
    transform: Mapped[list[float]]
    top: Mapped[int]
    left: Mapped[int]
    height: Mapped[int]
    width: Mapped[int]
    box: Mapped[list[float]]
    content: Mapped[str] = mapped_column(String(64))
    folder: Mapped[str] = mapped_column(String(512))
    pixels_sha256: Mapped[str] = mapped_column(String(64))
    scene_ids: Mapped[list[str]]
    reason: Mapped[str | None] = mapped_column(Words(2048))
    decided_by: Mapped[str | None] = mapped_column(Words(256))
    decided_at: Mapped[datetime | None]
    found_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class ChangeEvent(Base):
    """One change of a dated change's state: the `number`-th, by whom, and why. `before` is None for a new one."""

    __tablename__ = "change_event"

    change_id: Mapped[str] = mapped_column(ForeignKey("change.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    before: Mapped[ChangeState | None] = mapped_column(_CHANGE_STATE)
    after: Mapped[ChangeState] = mapped_column(_CHANGE_STATE)
    reason: Mapped[str | None] = mapped_column(Words(2048))
    caller: Mapped[str] = mapped_column(Words(256))


class Drift(Base):
    """The ice drift between two neighbouring acquisitions of a tile.

    `inputs` is the SHA-256 of what the vectors were made from: a row of other inputs counts as missing. `median_speed`
    is in m/s; None where no ice could be followed.
    """

    __tablename__ = "drift"

    before_id: Mapped[str] = mapped_column(ForeignKey("scene.id"), primary_key=True)
    after_id: Mapped[str] = mapped_column(ForeignKey("scene.id"), primary_key=True)
    tile: Mapped[str] = mapped_column(String(5), index=True)
    inputs: Mapped[str] = mapped_column(String(64))
    key: Mapped[str] = mapped_column(String(512))
    sha256: Mapped[str] = mapped_column(String(64))
    vectors: Mapped[int]
    median_speed: Mapped[float | None]
    created_at: Mapped[datetime]


class Watermark(Base):
    """Up to which publication time everything that `archive` published of `tile` is in the ledger.

    The row of the tile ``withdrawn`` says the same of the archive's list of withdrawn products.
    """

    __tablename__ = "watermark"

    archive: Mapped[str] = mapped_column(String(64), primary_key=True)
    tile: Mapped[str] = mapped_column(String(16), primary_key=True)
    published_until: Mapped[datetime]
    updated_at: Mapped[datetime]


class Searched(Base):
    """What of `tile` searches of `archive` have covered, besides its watermark.

    What was published from `published_from` until the watermark is in the ledger. `sensed` holds the intervals of
    sensing time that were searched, in order and apart: [start, end, when], ISO 8601, `when` that of the first search.
    """

    __tablename__ = "searched"

    archive: Mapped[str] = mapped_column(String(64), primary_key=True)
    tile: Mapped[str] = mapped_column(String(16), primary_key=True)
    published_from: Mapped[datetime | None]
    sensed: Mapped[list[list[str]]] = mapped_column(JSON)


class TransferUsage(Base):
    """Bytes received from and requests sent to an archive within one UTC hour, named by its start."""

    __tablename__ = "transfer_usage"

    archive: Mapped[str] = mapped_column(String(64), primary_key=True)
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    bytes: Mapped[int] = mapped_column(BigInteger)
    requests: Mapped[int] = mapped_column(BigInteger)


class Breaker(Base):
    """Failures of an archive in a row, and until when it is left alone; `told`: people know that it is."""

    __tablename__ = "breaker"

    archive: Mapped[str] = mapped_column(String(64), primary_key=True)
    failures: Mapped[int]
    opened_at: Mapped[datetime | None]
    retry_at: Mapped[datetime | None]
    reason: Mapped[str | None] = mapped_column(Words(2048))
    told: Mapped[bool] = mapped_column(default=False, server_default=false())
    updated_at: Mapped[datetime]


class Run(Base):
    """One run of one stage, with its Summary."""

    __tablename__ = "run"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    stage: Mapped[str] = mapped_column(String(32), index=True)
    caller: Mapped[str] = mapped_column(Words(256), default="")
    version: Mapped[str] = mapped_column(String(64))
    started_at: Mapped[datetime]
    seconds: Mapped[float]
    summary: Mapped[dict[str, Any]]
    error: Mapped[str | None] = mapped_column(Words(2048))

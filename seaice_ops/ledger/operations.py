"""Operations on the ledger that more than one stage uses. Each takes an open session."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, Table, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from seaice_ops.ledger.tables import Base, LabelSet, Map, Model, ModelAlias, Scene, SceneState


def now() -> datetime:
    """The present, aware UTC."""
    return datetime.now(UTC)


def insert_new(session: Session, row: Base) -> bool:
    """Insert `row` unless its primary key (or another unique index) is taken; True if it was inserted.

    For at-least-once writers: the first one wins, the repeat is a no-op on both databases.
    """
    table: Table = type(row).__table__  # type: ignore[assignment]
    # A None is left to the column: its default, or NULL (an explicit None would be stored as JSON null).
    values = {c.name: value for c in table.columns if (value := getattr(row, c.name)) is not None}
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    insert = dialect.insert(table).values(**values).on_conflict_do_nothing().returning(*table.primary_key.columns)
    return session.execute(insert).first() is not None  # PostgreSQL's drivers do not always count rows


def ready_scenes(
    session: Session, tiles: Iterable[str] | None = None, since: datetime | None = None, until: datetime | None = None
) -> list[Scene]:
    """Ready scenes, oldest sensing time first (ties by id), optionally of `tiles` and in [since, until]."""
    query = select(Scene).where(Scene.state == SceneState.READY).order_by(Scene.sensed_at, Scene.id)
    if tiles is not None:
        query = query.where(Scene.tile.in_(list(tiles)))
    if since is not None:
        query = query.where(Scene.sensed_at >= since)
    if until is not None:
        query = query.where(Scene.sensed_at <= until)
    return list(session.scalars(query))


def scene_rank(baseline: str, generated_at: datetime, scene_id: str) -> tuple[tuple[int, ...], datetime, str]:
    """Orders the versions of one acquisition: the highest baseline, then the newest generation, is the best.

    Baselines compare as numbers (``05.11`` after ``05.9``); a name without one (``""``) comes before all others.
    """
    return tuple(int(part) for part in baseline.split(".") if part), generated_at, scene_id


def unlabelled_scenes(session: Session, method: str, version: str) -> list[Scene]:
    """Ready scenes whose present content has no labels by this version of this method, oldest first."""
    labelled = labels_in_force(method, version).where(LabelSet.scene_id == Scene.id).exists()
    query = select(Scene).where(Scene.state == SceneState.READY, ~labelled).order_by(Scene.sensed_at, Scene.id)
    return list(session.scalars(query))


def labels_in_force(method: str, version: str) -> Select[LabelSet]:
    """The labels by this version of this method that were made from what their scene holds now."""
    return select(LabelSet).where(
        LabelSet.method == method,
        LabelSet.version == version,
        LabelSet.scene_id == Scene.id,
        LabelSet.scene_sha256 == Scene.sha256,
    )


def keep_labels(session: Session, row: LabelSet) -> bool:
    """Insert labels, or replace those of what their scene held before; False where another worker was faster."""
    if insert_new(session, row):
        return True
    stale = update(LabelSet).where(
        LabelSet.scene_id == row.scene_id,
        LabelSet.method == row.method,
        LabelSet.version == row.version,
        LabelSet.scene_sha256.is_distinct_from(row.scene_sha256),
    )
    values = {name: getattr(row, name) for name in ("key", "sha256", "scene_sha256", "shares", "seconds", "created_at")}
    result: Any = session.execute(stale.values(**values))
    return bool(result.rowcount)


def forget_labels(session: Session, row: LabelSet) -> None:
    """Remove labels whose raster is missing or damaged, so that the next run makes them again.

    Nothing is removed where another worker has made them again already.
    """
    session.execute(
        delete(LabelSet).where(
            LabelSet.scene_id == row.scene_id,
            LabelSet.method == row.method,
            LabelSet.version == row.version,
            LabelSet.sha256 == row.sha256,
            LabelSet.created_at == row.created_at,
        )
    )


def model_by_alias(session: Session, alias: str) -> Model | None:
    """The model that `alias` (champion, challenger, previous) means now, or None."""
    return session.scalar(select(Model).join(ModelAlias).where(ModelAlias.alias == alias))


def newest_maps(session: Session, tile: str) -> dict[datetime, Map]:
    """The highest revision of the map at each window end of `tile`, by window end, oldest first."""
    rows = session.scalars(select(Map).where(Map.tile == tile).order_by(Map.window_end, Map.revision))
    return {row.window_end: row for row in rows}

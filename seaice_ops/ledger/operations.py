"""Operations on the ledger that more than one stage uses. Each takes an open session."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from sqlalchemy import Table, select
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
    """Ready scenes without labels by this version of this method, oldest first."""
    labelled = select(LabelSet.scene_id).where(LabelSet.method == method, LabelSet.version == version)
    return list(
        session.scalars(
            select(Scene)
            .where(Scene.state == SceneState.READY, Scene.id.not_in(labelled))
            .order_by(Scene.sensed_at, Scene.id)
        )
    )


def model_by_alias(session: Session, alias: str) -> Model | None:
    """The model that `alias` (champion, challenger, previous) means now, or None."""
    return session.scalar(select(Model).join(ModelAlias).where(ModelAlias.alias == alias))


def newest_maps(session: Session, tile: str) -> dict[datetime, Map]:
    """The highest revision of the map at each window end of `tile`, by window end, oldest first."""
    rows = session.scalars(select(Map).where(Map.tile == tile).order_by(Map.window_end, Map.revision))
    return {row.window_end: row for row in rows}

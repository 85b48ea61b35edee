"""What the ledger names, what the store holds, and the difference both ways."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from seaice_ops.ledger.tables import Change, Drift, LabelSet, Map, Model, Probabilities, Scene, SceneState
from seaice_ops.storage import keys
from seaice_ops.storage.store import ObjectStore

#: An object is older than this before it counts as an orphan: what is being written has no row yet.
GRACE = timedelta(days=7)

#: Folders whose objects are made again from the archive or from other objects. Only here is anything deleted.
MADE_AGAIN = ("scenes", "labels", "probabilities", "drift")

#: Folders that hold what cannot be made again, or is published. Orphans here are told and kept.
KEPT = ("models", "maps", "changes")

#: The tables that name one object by a column `key`.
_BY_KEY = (Scene, LabelSet, Probabilities, Drift)


@dataclass(frozen=True)
class Orphan:
    """An object that no row names. `goes`: `--delete` would remove it."""

    key: str
    bytes: int
    written_at: datetime
    goes: bool
    reason: str


@dataclass(frozen=True)
class Found:
    """The orphans and the keys of missing objects, sorted, and the items of maps that the ledger does not know."""

    orphans: list[Orphan]
    missing: list[str]
    unknown_maps: list[str]


def held_by(store: ObjectStore) -> dict[str, tuple[int, datetime]]:
    """Size and time of the last write of each object that a row should name, by key."""
    return {key: what for folder in (*MADE_AGAIN, *KEPT) for key, what in store.ages(folder).items()}


def find(session: Session, held: dict[str, tuple[int, datetime]], present: datetime) -> Found:
    """Compare `held`, what the store held a moment ago, with the ledger: a row that came meanwhile makes no orphan.

    `missing` may hold what was written since the store was listed.
    """
    named, folders = set(_named(session)), _folders(session)
    published = {key.rpartition("/")[0] for key in held if key.startswith("maps/") and key.endswith("/item.json")}
    orphans = []
    for key, (size, written_at) in sorted(held.items()):
        old = present - written_at > GRACE
        if not old or key in named or _folder(key) in folders or _folder(key) in published:
            continue
        goes = key.startswith(tuple(f"{folder}/" for folder in MADE_AGAIN))
        reason = "no row names it" if goes else "no row names it; kept, as it may be all there is of it"
        orphans.append(Orphan(key, size, written_at, goes, reason))
    missing = [key for key in sorted(set(_needed(session))) if key not in held]
    unknown = sorted(published - folders)
    return Found(orphans, missing, unknown)


def is_named(session: Session, key: str) -> bool:
    """True if a row names `key`, one of `MADE_AGAIN`, or is about to: its scene waits to be decoded."""
    tables = (table.key for table in _BY_KEY)
    if any(session.scalar(select(column).where(column == key).limit(1)) for column in tables):
        return True
    scene_id = key.rpartition("/")[2].removesuffix(".tif")
    scene = session.get(Scene, scene_id) if key.startswith("scenes/") else None
    if scene is not None:
        return scene.state in (SceneState.DISCOVERED, SceneState.FETCHED)
    table = key.removesuffix(".png") + ".parquet"  # a drift's picture lies beside its table
    return key.endswith(".png") and session.scalar(select(Drift.key).where(Drift.key == table).limit(1)) is not None


def _named(session: Session) -> Iterator[str]:
    for table in _BY_KEY:
        yield from (key for key in session.scalars(select(table.key)) if key)
    yield from map(keys.drift_picture, session.scalars(select(Drift.key)))


def _folders(session: Session) -> set[str]:
    """Folders that rows name: all below them belongs to the row."""
    models = {keys.model(model_id, "card.json").rpartition("/")[0] for model_id in session.scalars(select(Model.id))}
    return models | set(session.scalars(select(Map.folder))) | set(session.scalars(select(Change.folder)))


def _needed(session: Session) -> Iterator[str]:
    """The objects that must be there."""
    yield from filter(None, session.scalars(select(Scene.key).where(Scene.state == SceneState.READY)))
    for table in (LabelSet, Probabilities, Drift):
        yield from session.scalars(select(table.key))
    for model_id in session.scalars(select(Model.id)):
        yield from (keys.model(model_id, name) for name in ("weights.safetensors", "card.json"))
    yield from map(keys.map_item, session.scalars(select(Map.folder)))
    yield from map(keys.change_pixels, session.scalars(select(Change.folder)))


def _folder(key: str) -> str:
    return key.rpartition("/")[0]

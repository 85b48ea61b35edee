"""Which object store belongs to a ledger: the ledger remembers the id in the store's marker.

A store that is not mounted, or another one, then ends a stage before it changes anything.
"""

from __future__ import annotations

from uuid import uuid4

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from seaice_ops.errors import ConfigError
from seaice_ops.ledger.operations import now
from seaice_ops.ledger.session import Ledger, open_ledger
from seaice_ops.ledger.tables import KnownStore, Model, Scene, SceneState
from seaice_ops.settings import Settings
from seaice_ops.storage import keys
from seaice_ops.storage.store import ObjectStore, make_folder, mark, open_store

#: Objects looked for before a store without a marker gets one for a ledger that names objects.
_SAMPLE = 5


def initialise(settings: Settings) -> Ledger:
    """Create the ledger, or bring its schema up to date, and the object store with its marker. Safe to repeat.

    Raises `ConfigError` where the store is not the one that the ledger's objects are in: it is never replaced by an
    empty one.
    """
    ledger = open_ledger(settings)
    ledger.migrate()
    with ledger.begin() as session:
        known, named = _known(session), _named(session)
    if known and named:
        open_store(settings.store, known)
        return ledger
    if not named:
        make_folder(settings.store)
    store = open_store(settings.store)
    if named and not any(store.exists(key) for key in named):
        raise ConfigError(
            f"{store.url} holds none of the objects that the ledger names, such as {named[0]}: is its disk mounted, "
            "and is SEAICE_STORE_URL right?"
        )
    _remember(ledger, mark(store, uuid4().hex))
    return ledger


def known_store(ledger: Ledger, url: str) -> ObjectStore:
    """The store at `url`, which must be the ledger's.

    Raises `ConfigError` where it is another one, is not there, or `seaice init` has not been run.
    """
    with ledger.begin() as session:
        known = _known(session)
    if known is None:
        raise ConfigError(f"the ledger knows no object store yet, so {url} is not used; run `seaice init`")
    return open_store(url, known)


def store_of(settings: Settings) -> ObjectStore:
    """The store of the ledger that `settings` name; raises as `known_store` does."""
    return known_store(open_ledger(settings), settings.store)


def _known(session: Session) -> str | None:
    return session.scalar(select(KnownStore.id))


def _named(session: Session) -> list[str]:
    """Keys of some objects that the ledger says are there, newest first."""
    scenes = select(Scene.key).where(Scene.state == SceneState.READY, Scene.key.is_not(None))
    found = [key for key in session.scalars(scenes.order_by(Scene.updated_at.desc()).limit(_SAMPLE)) if key]
    models = session.scalars(select(Model.id).order_by(Model.created_at.desc()).limit(_SAMPLE))
    return found + [keys.model(model_id, "card.json") for model_id in models]


def _remember(ledger: Ledger, store_id: str) -> None:
    with ledger.alone() as session:
        session.execute(delete(KnownStore).where(KnownStore.id != store_id))
        if session.get(KnownStore, store_id) is None:
            session.add(KnownStore(id=store_id, created_at=now()))

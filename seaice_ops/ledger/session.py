"""Opening the ledger and its transactions."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from seaice_ops.errors import ConfigError, TransientError
from seaice_ops.settings import Settings, redact


@lru_cache(maxsize=8)
def _engine(url: str) -> Engine:
    try:
        engine = create_engine(url, poolclass=NullPool)
    except (ArgumentError, ImportError) as error:
        raise ConfigError(f"SEAICE_LEDGER_URL {redact(url)!r} is not usable: {error}") from None
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _sqlite_connect)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def _sqlite_connect(connection: Any, record: Any) -> None:
    # We issue BEGIN ourselves: the driver's own deferred BEGIN lets two readers both try to become writers.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("busy_timeout=60000", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["engine"] = _engine(url)
    return config


def migrate(settings: Settings) -> None:
    """Create the ledger or bring it to this version's schema; safe to repeat and to run at the same time."""
    url = make_url(settings.ledger)
    if url.get_backend_name() == "sqlite" and url.database:
        folder = Path(url.database).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"cannot create {folder} for the ledger: {error.strerror}; set SEAICE_HOME") from error
    with _readable_errors(settings):
        command.upgrade(_config(settings.ledger), "head")


def schema_revision(settings: Settings) -> tuple[str | None, str | None]:
    """(revision of the database, revision of this code); equal when no migration is due."""
    with _readable_errors(settings), _engine(settings.ledger).connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    return current, ScriptDirectory.from_config(_config(settings.ledger)).get_current_head()


@contextmanager
def begin(settings: Settings) -> Iterator[Session]:
    """One transaction: committed on leaving, rolled back by an error.

    Raises `TransientError` where the database does not answer and `ConfigError` where it has no tables.
    """
    url = make_url(settings.ledger)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        raise ConfigError(f"there is no ledger at {url.database}; run `seaice init` (or set SEAICE_HOME)")
    with _readable_errors(settings), Session(_engine(settings.ledger), expire_on_commit=False) as session:
        with session.begin():
            yield session


@contextmanager
def _readable_errors(settings: Settings) -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        where, what = redact(settings.ledger), str(error.orig).strip()
        if isinstance(error.orig, sqlite3.OperationalError) and "no such table" in what:
            raise ConfigError(f"the ledger {where} has no tables; run `seaice init`") from None
        raise TransientError(f"the ledger {where} does not answer: {what}") from None

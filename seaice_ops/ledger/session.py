"""The ledger as a database: its transactions, its schema, and errors that say what to do."""

from __future__ import annotations

import fcntl
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from seaice_ops.errors import ConfigError, TransientError, lack_now
from seaice_ops.ledger.tables import storable_json
from seaice_ops.settings import Settings, redact

#: What SQLite answers when the file itself is wrong, which no repetition cures.
_SQLITE_FILE_ERRORS = ("SQLITE_CANTOPEN", "SQLITE_NOTADB", "SQLITE_READONLY", "SQLITE_PERM", "SQLITE_CORRUPT")


@lru_cache(maxsize=8)
def _engine(url: str) -> Engine:
    try:
        engine = create_engine(_url(url), poolclass=NullPool, json_serializer=storable_json)
    except (ArgumentError, ImportError) as error:
        raise ConfigError(
            f"SEAICE_LEDGER_URL {redact(url)!r} is not usable: {_words(url, error)}; "
            "it begins with postgresql+psycopg:// or sqlite:///"
        ) from None
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _sqlite_connect)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def _sqlite_connect(connection: Any, record: Any) -> None:
    # We issue BEGIN ourselves: the driver's own deferred BEGIN lets two readers both try to become writers.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("busy_timeout=60000", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _url(url: str) -> URL:
    try:
        parts = make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigError(
            f"SEAICE_LEDGER_URL {redact(url)!r} is not a database URL such as "
            "postgresql+psycopg://user:password@host/seaice"
        ) from None
    if "@" in (parts.host or "") or (parts.get_backend_name() != "sqlite" and "@" in (parts.database or "")):
        raise ConfigError(
            f"SEAICE_LEDGER_URL {redact(url)!r} is ambiguous: percent-encode @ : / in user and password (%40 %3A %2F)"
        )
    return parts


def _words(url: str, error: object) -> str:
    """The driver's words without the password of `url`, which some drivers repeat."""
    said, parts = redact(str(error).strip()), _url(url)
    secrets = [parts.password, *(value for name, value in parts.query.items() if "password" in name)]
    for secret in filter(None, map(str, secrets)):
        said = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "***", said)
    return said


def _sqlite_file(url: str) -> Path | None:
    """The ledger's file, or None for another database."""
    parts = _url(url)
    return Path(parts.database or "") if parts.get_backend_name() == "sqlite" else None


def _require_file(url: str) -> None:
    file = _sqlite_file(url)
    if file and not file.is_file():  # connecting would create an empty one
        raise ConfigError(f"there is no ledger at {file}; run `seaice init` (or set SEAICE_HOME)")


def _config(url: str) -> Config:
    config = Config()
    folder = str(Path(__file__).parent / "migrations")
    config.set_main_option("script_location", folder.replace("%", "%%"))  # % is the ini format's own sign
    config.attributes["engine"] = _engine(url)
    return config


@contextmanager
def _alone_in(file: Path | None, engine: Engine) -> Iterator[None]:
    """One process at a time on an SQLite file, whose write-ahead log is turned on (the file remembers that)."""
    if not file:
        yield
        return
    # Two connections that turn the log on at once fail at once, whatever busy_timeout says; so they wait here.
    folder = _locked(file.parent)
    try:
        with closing(engine.raw_connection()) as connection:
            connection.cursor().execute("PRAGMA journal_mode=WAL")
        yield
    finally:
        os.close(folder)


def _locked(folder: Path) -> int:
    """A descriptor of `folder` that has its lock until it is closed."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:
            os.close(descriptor)
            raise
    except OSError as error:
        raise ConfigError(
            f"cannot lock {folder} for the ledger: {error.strerror}; set SEAICE_HOME to a local folder "
            "that can be read, or SEAICE_LEDGER_URL to PostgreSQL"
        ) from error
    return descriptor


@dataclass(frozen=True)
class Ledger:
    """The ledger's database. Every method raises `TransientError` where it does not answer, and `ConfigError` where
    its URL is wrong, its file is missing or unusable, or its tables are not of this version."""

    url: str
    """SQLAlchemy URL; it may hold a password, so it is never shown as it is (`settings.redact`)."""

    @contextmanager
    def begin(self) -> Iterator[Session]:
        """One transaction: committed on leaving, rolled back by an error."""
        _require_file(self.url)
        with (
            _readable_errors(self.url),
            Session(_engine(self.url), expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def alone(self) -> Iterator[Session]:
        """`begin`, one such transaction at a time: for decisions that depend on which rows are not there yet."""
        with self.begin() as session:
            if session.get_bind().dialect.name == "postgresql":  # SQLite has one writer at a time anyway
                session.execute(text("SELECT pg_advisory_xact_lock(72177322)"))
            yield session

    def migrate(self) -> None:
        """Create the tables or bring them to this version's schema; safe to repeat and to run at the same time."""
        file = _sqlite_file(self.url)
        if file:
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ConfigError(
                    f"cannot create {file.parent} for the ledger: {error.strerror}; set SEAICE_HOME to a place that "
                    "can be written"
                ) from error
        with _readable_errors(self.url), _alone_in(file, _engine(self.url)):
            command.upgrade(_config(self.url), "head")

    def schema_revision(self) -> tuple[str | None, str | None]:
        """(revision of the database, revision of this code); equal when no migration is due. Creates nothing."""
        _require_file(self.url)
        with _readable_errors(self.url), _engine(self.url).connect() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
        return current, ScriptDirectory.from_config(_config(self.url)).get_current_head()


def open_ledger(settings: Settings) -> Ledger:
    """The ledger that `settings.ledger` names."""
    return Ledger(settings.ledger)


@contextmanager
def _readable_errors(url: str) -> Iterator[None]:
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        where, what = redact(url), _words(url, cause)
        if _other_schema(cause):
            first = what.splitlines()[0]
            raise ConfigError(
                f"the ledger {where} lacks tables or columns of this version ({first}); run `seaice init`"
            ) from None
        if _wrong_file(cause) and (lack := lack_now()):
            raise TransientError(f"the ledger {where} cannot be opened: {lack}") from None
        if _wrong_file(cause):
            raise ConfigError(f"the ledger {where} cannot be used: {what}; set SEAICE_HOME") from None
        if isinstance(error, (OperationalError, sqlite3.OperationalError)):
            raise TransientError(f"the ledger {where} does not answer: {what}") from None
        raise


def _other_schema(error: BaseException | None) -> bool:
    """Whether a table or a column is missing: the ledger is new, or of an older version."""
    words = ("no such table", "no such column", "has no column named")
    return getattr(error, "sqlstate", None) in ("42P01", "42703") or (
        isinstance(error, sqlite3.OperationalError) and any(each in str(error) for each in words)
    )


def _wrong_file(error: BaseException | None) -> bool:
    return getattr(error, "sqlite_errorname", "").startswith(_SQLITE_FILE_ERRORS)

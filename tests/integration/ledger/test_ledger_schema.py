"""The ledger's migrations and its errors, on SQLite and PostgreSQL."""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, inspect, select

from helpers.racing import race
from helpers.servers import free_port, settings_for
from seaice_ops.errors import ConfigError, TransientError
from seaice_ops.ledger import session as ledger_session
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Base, Run
from seaice_ops.settings import Settings

TABLES = set(Base.metadata.tables)


def _migrate(settings: Settings) -> None:
    open_ledger(settings).migrate()


def _schema_revision(settings: Settings) -> None:
    open_ledger(settings).schema_revision()


def _read(settings: Settings) -> None:
    with open_ledger(settings).begin() as session:
        session.scalars(select(Run)).all()


def test_migration_makes_every_table_and_can_be_repeated(empty_ledger: Settings) -> None:
    open_ledger(empty_ledger).migrate()
    current, head = open_ledger(empty_ledger).schema_revision()
    assert current == head is not None
    open_ledger(empty_ledger).migrate()
    assert open_ledger(empty_ledger).schema_revision() == (current, head)
    assert set(inspect(create_engine(empty_ledger.ledger)).get_table_names()) == TABLES | {"alembic_version"}


def test_migrations_and_tables_do_not_drift(ledger: Settings) -> None:
    with create_engine(ledger.ledger).connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_index_of_ready_identity_is_partial_and_unique(ledger: Settings) -> None:
    indexes = {i["name"]: i for i in inspect(create_engine(ledger.ledger)).get_indexes("scene")}
    index = indexes["uq_scene_ready_identity"]
    assert index["unique"] and index["column_names"] == ["identity"]
    [(_, where)] = [item for item in index["dialect_options"].items() if item[0].endswith("_where")]
    assert "state" in str(where) and "'ready'" in str(where)


def test_downgrade_removes_everything_and_upgrade_brings_it_back(ledger: Settings) -> None:
    config = ledger_session._config(ledger.ledger)
    command.downgrade(config, "base")
    assert set(inspect(create_engine(ledger.ledger)).get_table_names()) == {"alembic_version"}
    assert open_ledger(ledger).schema_revision()[0] is None
    open_ledger(ledger).migrate()
    assert set(inspect(create_engine(ledger.ledger)).get_table_names()) == TABLES | {"alembic_version"}


def _migrate(settings: Settings) -> tuple[str | None, str | None]:
    open_ledger(settings).migrate()
    return open_ledger(settings).schema_revision()


def test_workers_that_start_together_may_all_migrate(empty_ledger: Settings) -> None:
    revisions = race(_migrate, [(empty_ledger,)] * 4)
    head = open_ledger(empty_ledger).schema_revision()[1]
    assert revisions == [(head, head)] * 4


def test_a_worker_that_starts_while_another_turns_the_log_on_waits_for_it(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    folder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # against this, SQLite refuses a write-ahead log without waiting
        with ThreadPoolExecutor() as pool:
            started = pool.submit(_migrate, settings)
            time.sleep(0.5)
            assert not started.done()
            other.execute("COMMIT")
            os.close(folder)
            current, head = started.result(30)
    assert current == head


def test_a_folder_that_cannot_be_locked_is_a_configuration_error(tmp_path: Path, monkeypatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refused)
    with pytest.raises(ConfigError, match=r"cannot lock .* for the ledger: No locks available; set SEAICE_HOME"):
        _migrate(settings_for(tmp_path / "home"))


def test_ledger_of_an_older_version_says_what_to_run(ledger: Settings) -> None:
    engine = create_engine(ledger.ledger)
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE run DROP COLUMN error")
    engine.dispose()
    with pytest.raises(ConfigError, match=r"lacks tables or columns of this version .*run `seaice init`"):
        _read(ledger)


def test_ledger_without_tables_says_what_to_run(empty_ledger: Settings) -> None:
    if empty_ledger.ledger.startswith("sqlite"):
        file = Path(empty_ledger.ledger.removeprefix("sqlite:///"))
        file.parent.mkdir(parents=True)
        file.touch()
    assert open_ledger(empty_ledger).schema_revision()[0] is None
    with pytest.raises(ConfigError, match=r"lacks tables or columns of this version .*run `seaice init`"):
        _read(empty_ledger)


def test_missing_sqlite_file_is_named_and_not_created(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "home")
    for use in (_read, _schema_revision):
        with pytest.raises(ConfigError, match=r"no ledger at .*ledger\.sqlite; run `seaice init`"):
            use(settings)
    assert not (tmp_path / "home").exists()


def test_file_that_is_no_database_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").write_bytes(b"these are not the pages of a database" * 100)
    for use in (_read, _schema_revision, _migrate):
        with pytest.raises(ConfigError, match="file is not a database"):
            use(settings_for(tmp_path))


def test_ledger_below_a_file_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot create"):
        _migrate(settings_for(tmp_path / "file" / "home"))


@pytest.mark.parametrize("use", [_migrate, _schema_revision, _read])
def test_unreachable_postgresql_is_transient_and_keeps_its_password(
    use: Callable[[Settings], object], tmp_path: Path
) -> None:
    url = f"postgresql+psycopg://seaice:s3cr3t@127.0.0.1:{free_port()}/seaice"
    with pytest.raises(TransientError, match=r"127\.0\.0\.1") as caught:
        use(settings_for(tmp_path, ledger=url))
    assert "s3cr3t" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "url",
    ["no url s3cr3t", "postgresql://u:s3cr3t@h:port/d", "oracle+nothing://u:s3cr3t@h/d", "nosuch://u:s3cr3t@h/d"],
)
def test_unusable_url_is_a_configuration_error(url: str, tmp_path: Path) -> None:
    for use in (_read, _migrate, _schema_revision):
        with pytest.raises(ConfigError, match="SEAICE_LEDGER_URL") as caught:
            use(settings_for(tmp_path, ledger=url))
        assert "u:s3cr3t" not in str(caught.value)

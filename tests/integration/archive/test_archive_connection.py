"""From Airflow's connection to the service: what a task is lent, and what the doctor says of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers.cdse_service import faults, service
from helpers.cdse_service.settings import settings_of
from seaice_ops.archive.transport.credentials import credentials
from seaice_ops.ledger.stores import initialise
from seaice_ops.ops.doctor import Check, check
from seaice_ops.settings import Settings

VARIABLE = "AIRFLOW_CONN_SEAICE_ARCHIVE"


@pytest.fixture(scope="module")
def space() -> Iterator[Any]:
    with service() as space:
        yield space


@pytest.fixture
def settings(space: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in ("USERNAME", "PASSWORD", "S3_ACCESS_KEY", "S3_SECRET_KEY"):
        monkeypatch.delenv(f"SEAICE_ARCHIVE_{name}", raising=False)
    monkeypatch.setenv(VARIABLE, "")  # so that what a test puts there is taken away after it
    monkeypatch.delenv(VARIABLE)
    settings = settings_of(space, tmp_path / "home", http={"attempts": 1})
    initialise(settings)
    return settings


@pytest.fixture(scope="module")
def wing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_HOME", str(tmp_path_factory.mktemp("airflow")))
        from seaice_ops.airflow import connections

        yield connections


def archive_check(settings: Settings) -> Check:
    (found,) = [each for each in check(settings) if each.name == "archive"]
    return found


def test_a_task_is_lent_the_connection_that_only_airflow_knows(wing, settings, monkeypatch) -> None:
    from airflow.sdk import Connection

    known = Connection(
        conn_id="seaice_archive",
        conn_type="generic",
        login="ice@example.org",
        password="pa/ss?w&o#rd",
        extra='{"s3_access_key": "AK", "s3_secret_key": "s/e+c="}',
    )
    monkeypatch.setattr(Connection, "get", classmethod(lambda cls, name: {"seaice_archive": known}[name]))
    monkeypatch.setenv(VARIABLE, "")  # an empty variable is none
    wing.lend_archive(settings)
    assert credentials(settings.archive.connection).account() == ("ice@example.org", "pa/ss?w&o#rd")
    assert credentials(settings.archive.connection).s3_keys() == ("AK", "s/e+c=")


def test_without_a_connection_or_a_service_nothing_is_lent(wing, settings, monkeypatch) -> None:
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    def unknown(cls: type, name: str) -> None:
        raise AirflowNotFoundException(name)

    monkeypatch.setattr(Connection, "get", classmethod(unknown))
    wing.lend_archive(settings)
    monkeypatch.setattr(Connection, "get", None)
    folder = settings.model_copy(update={"archive": settings.archive.model_copy(update={"kind": "folder"})})
    wing.lend_archive(folder)
    assert VARIABLE not in os.environ


def test_the_doctor_sees_the_service_and_our_credentials(space, settings, monkeypatch) -> None:
    assert not archive_check(settings).ok and VARIABLE in archive_check(settings).what
    monkeypatch.setenv(VARIABLE, f"aws://{space.access_key}:{space.secret_key}@/")
    seen = archive_check(settings)
    assert seen.ok and "cdse answers" in seen.what and "S3 keys" in seen.what and space.secret_key not in seen.what
    space.faults.add("*", faults.status(503), times=99)
    down = archive_check(settings)
    space.faults.clear()
    assert not down.ok and "503" in down.what and "docs/copernicus.md" in down.advice

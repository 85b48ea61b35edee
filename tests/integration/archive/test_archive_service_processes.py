"""Many processes and one service: killed ones go on where they stood, all share a token, and no secret gets out."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
import traceback
from datetime import timedelta

import pytest

from helpers.cdse_service import Catalogue, faults, service
from helpers.cdse_service.runs import bring, find, ingest, objects, rough_product, states
from helpers.cdse_service.settings import account, keys, settings_of
from helpers.factories import SENSED
from helpers.racing import race
from seaice_ops.archive import fetch
from seaice_ops.archive.fetch import FetchRequest
from seaice_ops.archive.source import open_archive
from seaice_ops.archive.transport.credentials import credentials
from seaice_ops.errors import SeaIceError
from seaice_ops.ledger.stores import initialise
from seaice_ops.settings import Settings

FETCH = """
import sys
from seaice_ops.archive import fetch
from seaice_ops.archive.fetch import FetchRequest
from seaice_ops.settings import Settings
fetch.run(Settings.model_validate_json(sys.argv[1]), FetchRequest((sys.argv[2],)))
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive")
    for day in range(3):
        rough_product(folder, seed=day, sensed=SENSED + timedelta(days=day))
    return folder


@pytest.fixture
def space(archive, monkeypatch):
    with service() as space:
        space.catalogue.publish_folder(archive)
        for name in ("USERNAME", "PASSWORD", "S3_ACCESS_KEY", "S3_SECRET_KEY"):
            monkeypatch.delenv(f"SEAICE_ARCHIVE_{name}", raising=False)
        yield space


def enter(environment, monkeypatch):
    for key, value in environment.items():
        monkeypatch.setenv(key, value)


def migrated(settings: Settings) -> Settings:
    initialise(settings)
    return settings


def only_the_first(space) -> str:
    first = space.catalogue.visible()[0]
    space.catalogue = Catalogue()
    return space.catalogue.publish(first)


def fetch_one(settings: str, scene_id: str) -> int:
    return fetch.run(Settings.model_validate_json(settings), FetchRequest((scene_id,))).done["scenes"]


@pytest.mark.parametrize(("who", "route"), [(keys, "s3.get"), (account, "odata.file")])
def test_a_worker_killed_in_mid_transfer_loses_nothing(space, tmp_path, monkeypatch, who, route):
    name = only_the_first(space)
    calm, killed = (migrated(settings_of(space, tmp_path / home)) for home in ("calm", "killed"))
    enter(who(space), monkeypatch)
    ingest(calm)
    find(killed)
    space.log.clear()
    for band in ("_B02.jp2", "_B08.jp2"):
        space.faults.add(route, faults.drip(piece=8_000, pause=0.1), match=band, times=2)
    for band in ("_B02.jp2", "_B08.jp2"):
        kill_when(space, route, band, killed.model_dump_json(), name)
    ingest(killed)
    assert states(killed) == states(calm) == {name: "ready"} and objects(killed) == objects(calm)
    for band in ("_B02.jp2", "_B08.jp2"):
        assert [entry.status for entry in space.log.of(route, band)] == [200, 206, 206]


def kill_when(space, route: str, band: str, settings: str, name: str) -> None:
    """Run a fetch and SIGKILL it when 24 kB of `band` have come."""
    before = space.log.bytes_sent(route, band)
    worker = subprocess.Popen([sys.executable, "-c", FETCH, settings, name], start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while space.log.bytes_sent(route, band) - before < 24_000:
            assert worker.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()


def test_processes_share_one_token_and_four_connections(space, tmp_path, monkeypatch):
    enter(account(space), monkeypatch)
    settings = migrated(settings_of(space, tmp_path / "home", http={"min_bytes_s": 0.0}))
    arguments = [(settings.model_dump_json(), id_) for id_ in sorted(find(settings).items)]
    space.log.clear()
    space.faults.add("odata.file", faults.drip(piece=30_000, pause=0.03), times=999)
    assert race(fetch_one, arguments) == [1, 1, 1]
    assert set(states(settings).values()) == {"fetched"}
    assert len(space.log.of("token")) == 1 and space.identity.sessions == 1
    assert 2 <= space.log.most_at_once("odata.file") <= 4
    space.identity.end_access()
    shutil.rmtree(settings.work / "inbox")
    assert race(fetch_one, arguments) == [1, 1, 1]
    grants = [entry.request.form["grant_type"] for entry in space.log.of("token")]
    assert grants == ["password", "refresh_token"]


TROUBLE = {
    "s3.get": [faults.status(403), faults.cut(at=9), faults.corrupt, faults.redirect("http://localhost:9/x")],
    "odata.file": [faults.status(401), faults.cut(at=9), faults.corrupt, faults.redirect("http://localhost:9/x")],
    "token": [faults.not_json, faults.truncated_json, faults.status(500), faults.status(400)],
    "stac": [faults.status(401), faults.not_json],
    "dhus.search": [faults.status(401), faults.truncated_json, faults.status(500)],
    "dhus.file": [faults.cut(at=9), faults.status(403)],
}


@pytest.mark.parametrize(("kind", "who"), [("cdse", keys), ("cdse", account), ("dhus", account)])
def test_secrets_stay_where_they_are(space, tmp_path, monkeypatch, caplog, capfd, kind, who):
    """Everything goes wrong that can, with every logger at its most talkative; then all that was left is searched."""
    caplog.set_level(logging.DEBUG)
    only_the_first(space)
    enter(who(space), monkeypatch)
    settings = migrated(settings_of(space, tmp_path / "home", kind=kind, http={"attempts": 1}))
    told = [
        repr(settings),
        str(settings.redacted()),
        repr(credentials("seaice_archive")),
        repr(open_archive(settings)),
    ]
    for route, troubles in [("none", [faults.status(500)]), *TROUBLE.items()]:
        for trouble in troubles:
            space.faults.clear()
            space.faults.add(route, trouble, times=3)
            try:
                told += [str(summary.to_dict()) for summary in bring(settings)]
            except SeaIceError as error:
                told += [str(error), repr(error), *traceback.format_exception(error)]
    space.faults.clear()
    ingest(settings)
    assert "ready" in states(settings).values()
    told += [caplog.text, *capfd.readouterr(), *(str(record.__dict__) for record in caplog.records)]
    for path in (path for path in settings.home.rglob("*") if path.is_file()):
        if path.parent.name == "tokens":
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        else:
            told.append(path.read_bytes().decode("latin-1"))
    assert "DEBUG" in caplog.text and any(str(settings.home) in text for text in told)
    found = {secret for secret in space.secrets() if any(secret in text for text in told)}
    assert not found

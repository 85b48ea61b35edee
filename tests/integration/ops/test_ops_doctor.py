"""The doctor finds this environment well, and says what is wrong with a broken one."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from datetime import timedelta
from importlib import metadata
from pathlib import Path

import pytest

from helpers.ledger_rows import a_run
from helpers.servers import free_port, settings_for
from seaice_ops.ledger.operations import now
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.stores import initialise
from seaice_ops.ops import doctor
from seaice_ops.ops.doctor import Check, check
from seaice_ops.settings import Settings
from seaice_ops.storage.store import ObjectStore

VENV = Path(doctor.sys.executable).parent


@pytest.fixture
def well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("PATH", f"{VENV}:{os.environ['PATH']}")
    settings = settings_for(tmp_path / "home")
    initialise(settings)
    settings.archive_path.mkdir()
    return settings


def look(name: str, settings: Settings | None = None) -> Check:
    """One check by its name."""
    if settings is None:
        return next(doctor._ask(n, advice, f) for n, advice, f in doctor._ENVIRONMENT if n == name)
    return next(doctor._ask(n, advice, lambda f=f: f(settings)) for n, advice, f in doctor._SETTINGS if n == name)


def test_this_environment_is_well(well: Settings) -> None:
    checks = check(well)
    assert [f"{c.name}: {c.what}" for c in checks if not c.ok] == []
    assert len({c.name for c in checks}) == len(checks) == 19
    assert all(c.what and not c.advice for c in checks)


def test_without_settings_the_reason_is_told_and_the_environment_still_checked() -> None:
    checks = check(None, "config/seaice.yaml: regions is missing")
    assert [c.name for c in checks if not c.ok and c.name != "Spark"] == ["configuration"]
    assert "regions is missing" in checks[-1].what and "SEAICE_CONFIG" in checks[-1].advice
    assert len(checks) == 9


def test_nothing_is_left_behind(well: Settings) -> None:
    before = sorted(well.home.rglob("*"))
    check(well)
    after = sorted(p for p in well.home.rglob("*") if p.is_file() or p.parent.name not in ("objects", "home"))
    assert [p for p in after if p not in before and p.suffix not in (".sqlite-wal", ".sqlite-shm")] == []


def test_no_java_and_an_old_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "no java on PATH" in look("Java").what
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    java.chmod(java.stat().st_mode | stat.S_IXUSR)
    answer = look("Java")
    assert not answer.ok and "not version 17" in answer.what and "openjdk-17" in answer.advice


def test_spark_overwritten_without_jars_or_not_on_path(
    tmp_path: Path, well: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyspark

    assert look("Spark").ok
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "spark-submit is not on PATH" in look("Spark").what
    monkeypatch.setattr(pyspark, "__file__", str(tmp_path / "pyspark" / "__init__.py"))
    assert "has no jars" in look("Spark").what
    monkeypatch.setattr(pyspark, "__version__", "4.0.0")
    answer = look("Spark")
    assert "overwritten" in answer.what and "pyspark-client" in answer.advice


def test_packages_that_differ_from_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert look("packages").ok
    (tmp_path / "requirements").mkdir()
    hashes = "    --hash=sha256:" + "0" * 64
    (tmp_path / "requirements" / "runtime.lock").write_text(
        f"numpy==1.0 \\\n{hashes}\nno-such-package==2 \\\n{hashes}\npsycopg[binary]=={metadata.version('psycopg')} \\\n"
    )
    monkeypatch.setattr(doctor, "ROOT", tmp_path)
    answer = look("packages")
    assert not answer.ok and answer.advice == "run scripts/setup"
    assert answer.what.startswith("2 of 3 differ from the lock: numpy") and "no-such-package missing" in answer.what


def test_horovod_of_another_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    assert look("Horovod").ok
    monkeypatch.setattr(torch, "__version__", "9.9.9")
    assert "was compiled for torch" in look("Horovod").what


def test_home_ledger_and_store_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings = settings_for(tmp_path / "file" / "home")
    answers = {name: look(name, settings) for name in ("home", "ledger", "object store", "archive")}
    assert not any(answer.ok for answer in answers.values())
    assert "SEAICE_HOME" in answers["home"].advice and "seaice init" in answers["ledger"].advice
    assert "SEAICE_STORE_URL" in answers["object store"].advice and "seaice simulate" in answers["archive"].advice
    all_of_it = check(settings)
    assert len(all_of_it) == 19
    assert [c.what for c in all_of_it if c.name in ("quota", "outage")] == ["not known without the ledger"] * 2


def test_ledger_of_another_schema_or_out_of_reach(ledger: Settings, tmp_path: Path) -> None:
    from alembic import command

    from seaice_ops.ledger.session import _config

    assert look("ledger", ledger).ok
    command.downgrade(_config(ledger.ledger), "base")
    answer = look("ledger", ledger)
    assert "schema is at nothing" in answer.what and "seaice init" in answer.advice
    url = f"postgresql+psycopg://ice:s3cr3t@127.0.0.1:{free_port()}/x"
    answer = look("ledger", settings_for(tmp_path, ledger=url))
    assert "does not answer" in answer.what and "s3cr3t" not in answer.what


def test_store_that_works_and_one_that_overwrites(stored: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert look("object store", stored).ok
    monkeypatch.setattr(ObjectStore, "create", lambda self, key, data: bool(self.put(key, data)))
    answer = look("object store", stored)
    assert "overwrites" in answer.what and "conditional writes" in answer.advice


def test_an_empty_folder_in_the_stores_place_is_no_store(well: Settings, tmp_path: Path) -> None:
    (tmp_path / "unmounted").mkdir()
    found = look("object store", well.model_copy(update={"store": str(tmp_path / "unmounted")}))
    assert not found.ok and not list((tmp_path / "unmounted").iterdir())


@pytest.mark.parametrize(
    ("mask", "said"),
    [("", "mapped as ice"), ("coastline", "roaring-landmask 0"), ("land/{tile}.tif", "a file for each of 2 tile(s)")],
)
def test_the_land_mask_is_looked_for(well: Settings, mask: str, said: str) -> None:
    settings = well.model_copy(update={"scenes": well.scenes.model_copy(update={"land_mask": mask})})
    if "{tile}" in mask:
        assert "there is no file for 01CCV, 60CWS" in look("land mask", settings).what
        (well.home / "land").mkdir()
        for tile in settings.tiles:
            assert not look("land mask", settings).ok and "scenes.land_mask" in look("land mask", settings).advice
            (well.home / f"land/{tile}.tif").touch()
    answer = look("land mask", settings)
    assert answer.ok and said in answer.what


def test_full_disk(well: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert look("disk", well).ok
    monkeypatch.setattr(doctor, "ENOUGH_DISK", 2**60)
    assert "GiB are free" in look("disk", well).what and not look("disk", well).ok


def test_clock_behind_the_ledger(well: Settings) -> None:
    assert look("clock", well).ok
    with open_ledger(well).begin() as session:
        run = a_run("label")
        run.started_at = now() + timedelta(hours=1)
        session.add(run)
    answer = look("clock", well)
    assert "the ledger has a run of" in answer.what and "NTP" in answer.advice


@pytest.mark.parametrize("value", [None, "", "not an address"])
def test_webhook_without_an_address(well: Settings, monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    settings = Settings.model_validate({**well.model_dump(), "notify": {"webhook_env": "TEST_WEBHOOK"}})
    monkeypatch.delenv("TEST_WEBHOOK", raising=False)
    if value is not None:
        monkeypatch.setenv("TEST_WEBHOOK", value)
    assert "TEST_WEBHOOK" in look("notifications", settings).what and not look("notifications", settings).ok
    monkeypatch.setenv("TEST_WEBHOOK", "https://hooks.example.org/secret")
    answer = look("notifications", settings)
    assert answer.ok and "webhook" in answer.what and "secret" not in answer.what


def test_a_check_that_breaks_is_an_answer() -> None:
    def broken() -> str:
        raise RuntimeError("first line\nsecond line")

    ask: Callable[[], Check] = lambda: doctor._ask("x", "do this", broken)  # noqa: E731
    assert ask() == Check("x", False, "RuntimeError: first line", "do this")

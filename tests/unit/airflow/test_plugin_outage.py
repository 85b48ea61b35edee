"""How tasks end while the archive does not answer or its quota is used up: they wait or are put off, none is red."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from seaice_ops.archive.limits import breaker
from seaice_ops.errors import ArchiveUnavailable, ConfigError, QuotaExceeded
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ops import notify
from seaice_ops.settings import Settings

PLUGINS = Path(__file__).parents[3] / "plugins"


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_HOME", str(tmp_path_factory.mktemp("airflow")))
        patch.syspath_prepend(str(PLUGINS))
        import seaice_airflow

        yield seaice_airflow
    sys.modules.pop("seaice_airflow", None)


@pytest.fixture
def task(plugin: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """task(kind, body): the body as the plugin makes it, over a service whose breaker opens at once."""
    archive = {"kind": "cdse", "outage": {"failures": 1, "first_wait_s": 1e-6}}
    service = Settings.model_validate({**settings.model_dump(), "archive": archive})
    monkeypatch.setattr(plugin.Settings, "load", classmethod(lambda cls: service))

    def make(kind: str, body: Callable[[], Any]) -> Any:
        def asks(settings: Settings, caller: str) -> Any:
            with breaker.guarded(open_ledger(settings), settings.archive):
                return body()

        return plugin.stage_task(getattr(plugin, kind)(asks))()

    return make


def raises(error: Exception) -> Callable[[], Any]:
    def body() -> Any:
        raise error

    return body


@pytest.mark.parametrize("error", [ArchiveUnavailable("503"), TimeoutError(), QuotaExceeded("12 TB")], ids=repr)
def test_a_search_waits_and_a_scene_is_put_off(task: Callable[..., Any], error: Exception) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    assert task("waits_for_archive", raises(error)).is_done is False
    with pytest.raises(AirflowSkipException, match="a later run takes it up"):
        task("put_off_with_archive", raises(error))


def test_a_search_that_finds_nothing_is_done(task: Callable[..., Any]) -> None:
    answer = task("waits_for_archive", list)
    assert (answer.is_done, answer.xcom_value) == (True, [])


def test_what_a_person_must_mend_is_red(task: Callable[..., Any]) -> None:
    for kind in ("waits_for_archive", "put_off_with_archive"):
        with pytest.raises(ConfigError):
            task(kind, raises(ConfigError("wrong password")))


def test_an_outage_of_many_tasks_is_told_once(task: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    told: list[str] = []
    monkeypatch.setattr(notify, "notify", lambda settings, subject, text, level: told.append(subject))
    for _ in range(5):
        with pytest.raises(AirflowSkipException):
            task("put_off_with_archive", raises(ArchiveUnavailable("503")))
    assert told == ["the archive does not answer"]
    task("put_off_with_archive", dict)
    assert told[1:] == ["the archive answers again"]


def test_a_run_of_a_season_searches_its_region_and_a_daily_run_everything(plugin: Any, settings: Settings) -> None:
    assert plugin.tiles_asked_for(settings, SimpleNamespace(conf={})) is None
    assert plugin.tiles_asked_for(settings, SimpleNamespace(conf=None)) is None
    assert plugin.tiles_asked_for(settings, SimpleNamespace(conf={"region": "test"})) == ("01CCV", "60CWS")
    with pytest.raises(ConfigError, match="it has test"):
        plugin.tiles_asked_for(settings, SimpleNamespace(conf={"region": "gone"}))

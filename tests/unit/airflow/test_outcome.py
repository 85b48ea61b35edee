"""How tasks end: outages are waited out or put off, set-aside products are skips, what a person must mend is red."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from seaice_ops.archive.limits import breaker
from seaice_ops.errors import ArchiveUnavailable, ConfigError, CorruptProduct, ExpectedSkip, QuotaExceeded, Unexplained
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ops import notify
from seaice_ops.settings import Settings
from seaice_ops.summary import Summary


@pytest.fixture(autouse=True, scope="module")
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Airflow writes a configuration file into its home when it is imported."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_HOME", str(tmp_path_factory.mktemp("airflow")))
        yield


@pytest.fixture
def service(settings: Settings) -> Settings:
    """Settings of a service whose breaker opens at once."""
    archive = {"kind": "cdse", "outage": {"failures": 1, "first_wait_s": 1e-6}}
    return Settings.model_validate({**settings.model_dump(), "archive": archive})


def asking(service: Settings, answer: Any) -> Callable[[], Any]:
    """A request to the archive that ends with `answer`, an error or a value."""

    def ask() -> Any:
        with breaker.guarded(open_ledger(service), service.archive):
            if isinstance(answer, Exception):
                raise answer
            return answer

    return ask


def put_off(service: Settings, answer: Any) -> None:
    from seaice_ops.airflow.outcome import put_off_in_outage

    with put_off_in_outage(service):
        asking(service, answer)()


@pytest.mark.parametrize("error", [ArchiveUnavailable("503"), TimeoutError(), QuotaExceeded("12 TB")], ids=repr)
def test_a_search_waits_and_a_scene_is_put_off(service: Settings, error: Exception) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    from seaice_ops.airflow.outcome import wait_for_archive

    assert wait_for_archive(service, asking(service, error)).is_done is False
    with pytest.raises(AirflowSkipException, match="a later run takes it up"):
        put_off(service, error)


def test_a_search_that_finds_nothing_is_done(service: Settings) -> None:
    from seaice_ops.airflow.outcome import wait_for_archive

    answer = wait_for_archive(service, asking(service, []))
    assert (answer.is_done, answer.xcom_value) == (True, [])


def test_what_a_person_must_mend_is_red(service: Settings) -> None:
    from seaice_ops.airflow.outcome import wait_for_archive

    with pytest.raises(ConfigError):
        wait_for_archive(service, asking(service, ConfigError("wrong password")))
    with pytest.raises(ConfigError):
        put_off(service, ConfigError("wrong password"))


def test_an_outage_of_many_tasks_is_told_once(service: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    told: list[str] = []
    monkeypatch.setattr(notify, "notify", lambda settings, subject, text, level: told.append(subject))
    for _ in range(5):
        with pytest.raises(AirflowSkipException):
            put_off(service, ArchiveUnavailable("503"))
    assert told == ["the archive does not answer"]
    put_off(service, {})
    assert told[1:] == ["the archive answers again"]


@pytest.fixture
def try_of(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """A try of the task `d.t` in the run `r`, outside Airflow."""
    from seaice_ops.airflow import outcome

    ti = SimpleNamespace(dag_id="d", task_id="t", run_id="r")
    monkeypatch.setattr(outcome, "get_current_context", lambda: {"ti": ti})
    monkeypatch.setattr(outcome.Settings, "load", classmethod(lambda cls: settings))
    return outcome.task_run


def test_a_try_knows_its_name_and_airflow_fills_in_the_same(try_of: Callable[[], Any]) -> None:
    import jinja2

    from seaice_ops.airflow.outcome import CALLER_TEMPLATE

    with try_of() as run:
        assert run.caller == "d.t r" == jinja2.Template(CALLER_TEMPLATE).render(ti=run.context["ti"])


def test_nothing_to_do_is_a_skip_with_its_reason(try_of: Callable[[], Any]) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    with pytest.raises(AirflowSkipException, match="nothing to do: low sun"), try_of():
        raise ExpectedSkip("low sun")


def test_a_bad_product_is_told_once_reason_first(try_of: Callable[[], Any], caplog: pytest.LogCaptureFixture) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    from seaice_ops.airflow.ingest import done

    path = "/data/home/work/inbox/S2B_X/GRANULE/L1C_T01CCV/IMG_DATA/T01CCV_B02.jp2"
    summary = Summary("decode", failed={"S2B_X": f"{path} cannot be decoded: it is no JPEG 2000"})
    with caplog.at_level(logging.INFO), pytest.raises(AirflowSkipException) as ended, try_of():
        done(summary, "S2B_X")
    said = [*caplog.messages, str(ended.value)]
    assert [line for line in said if "JPEG 2000" in line] == [
        "product set aside: T01CCV_B02.jp2 cannot be decoded: it is no JPEG 2000 (S2B_X)"
    ]
    assert not any("/data/" in line for line in said)


@pytest.mark.parametrize(
    ("reason", "short"),
    [
        ("/a/b c.tif is cut off", "b c.tif is cut off"),
        ("no data: no pixel was observed", "no data: no pixel was observed"),
        ("s3://eodata/a/b.jp2 has 3 bytes, 4 were published", "s3://eodata/a/b.jp2 has 3 bytes, 4 were published"),
        ("'/w/x/y.xml': km/h and 1/2 stay", "'y.xml': km/h and 1/2 stay"),
        ("/a/b/c.jp2: /d/e/f.xml is missing", "c.jp2: f.xml is missing"),
    ],
)
def test_reasons_name_files_without_their_folders(reason: str, short: str) -> None:
    from seaice_ops.airflow.ingest import without_folders

    assert without_folders(reason) == short


def context(run_type: str = "scheduled", conf: Any = None, **interval: Any) -> Any:
    return {"dag_run": SimpleNamespace(run_type=run_type, conf=conf), **interval}


DAY = {
    "data_interval_start": datetime(2026, 2, 1, tzinfo=UTC),
    "data_interval_end": datetime(2026, 2, 2, tzinfo=UTC),
}


def test_a_backfill_searches_by_sensing_time_and_a_daily_run_by_publication(settings: Settings) -> None:
    from seaice_ops.airflow.ingest import search_request

    for kind, by, catch_up in (("backfill", "sensed", False), ("scheduled", "published", True)):
        request = search_request(settings, context(kind, **DAY))
        assert (request.by, request.start, request.end) == (by, *DAY.values())
        assert (request.tiles, request.catch_up) == (None, catch_up)


@pytest.mark.parametrize("dates", [{}, {"data_interval_start": None, "data_interval_end": None}], ids=["none", "null"])
def test_a_run_by_hand_without_dates_ends_now(settings: Settings, dates: dict[str, Any]) -> None:
    from seaice_ops.airflow.ingest import search_request

    before = datetime.now(UTC)
    request = search_request(settings, context("manual", **dates))
    assert before <= request.end <= datetime.now(UTC) and request.end - request.start == timedelta(days=1)
    assert request.by == "published" and request.catch_up


@pytest.mark.parametrize("kind", ["backfill", "scheduled", "manual"])
def test_a_runs_conf_names_its_region(settings: Settings, kind: str) -> None:
    from seaice_ops.airflow.ingest import search_request

    for conf in (None, {}, {"region": None}, {"by": "whom"}):
        assert search_request(settings, context(kind, conf, **DAY)).tiles is None
    assert search_request(settings, context(kind, {"region": "test"}, **DAY)).tiles == ("01CCV", "60CWS")
    for wrong, words in (("gone", "it has test"), (["test"], "one of test"), (7, "one of test"), ("", "it has test")):
        with pytest.raises(ConfigError, match=words):
            search_request(settings, context(kind, {"region": wrong}, **DAY))


def test_a_runs_conf_lists_products() -> None:
    from seaice_ops.airflow.ingest import products_asked_for

    for conf in (None, {}, {"products": None}, {"products": []}, {"region": "test"}):
        assert products_asked_for(conf) == ()
    assert products_asked_for({"products": ["a.SAFE", " b", "", "# c", "a"]}) == ("a", "b")
    for wrong in ("a", [1], {"a": 1}):
        with pytest.raises(ConfigError, match="list of names"):
            products_asked_for({"products": wrong})


def test_the_account_is_red_only_for_what_is_unexplained() -> None:
    from seaice_ops.airflow.account import explain

    well = {"said": "nothing is missing", "report": "account/x", "count": 0, "unexplained": []}
    assert explain(well) == "nothing is missing"
    found = {"said": "", "report": "account/x", "count": 12, "unexplained": [f"S2B_{n}: lost" for n in range(10)]}
    with pytest.raises(Unexplained, match=r"^12 unexplained: S2B_0: lost; .*; and 2 more; the report is account/x/"):
        explain(found)


def test_a_list_for_mapped_tasks_is_as_long_as_airflow_takes(caplog: pytest.LogCaptureFixture) -> None:
    from airflow.sdk.configuration import conf

    from seaice_ops.airflow.ingest import mappable

    limit = conf.getint("core", "max_map_length")
    for n in (0, limit, limit + 76):
        assert mappable([str(i) for i in range(n)]) == [str(i) for i in range(min(n, limit))]
    assert caplog.messages == [f"76 of {limit + 76} scenes are left to later runs: core.max_map_length"]


def test_a_set_aside_product_raises_the_reason_of_its_scene_only() -> None:
    from seaice_ops.airflow.ingest import done

    summary = Summary("fetch", failed={"a": "cut off"}, skipped={"b": "night"})
    with pytest.raises(CorruptProduct, match=r"cut off \(a\)"):
        done(summary, "a")
    with pytest.raises(ExpectedSkip, match="night"):
        done(summary, "b")
    assert done(summary, "c") is summary

"""A season driven through Airflow: every day once, oldest first, one backfill at a time, whatever is killed when."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from helpers.airflow_fake import FakeAirflow
from seaice_ops.airflow import rest
from seaice_ops.archive.limits import breaker, quota
from seaice_ops.backfill import drive
from seaice_ops.backfill.drive import ahead, next_piece, plan_days, step
from seaice_ops.backfill.estimate import DAY, Estimate
from seaice_ops.backfill.season import REDO, BackfillRequest
from seaice_ops.errors import ArchiveUnavailable, ConfigError
from seaice_ops.ledger.operations import now
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.stores import initialise
from seaice_ops.ledger.tables import Scene, SceneState
from seaice_ops.settings import Settings

FIRST = date(2026, 1, 25)


def an_estimate(n_days: int, each: int = 3, scene_bytes: float = 1e6) -> Estimate:
    days = [FIRST + i * DAY for i in range(n_days)]
    products = {day.isoformat(): each for day in days}
    return Estimate("test", str(FIRST), str(days[-1]), each * n_days, products, scene_bytes, 90.0, False, 4, "")


def a_request(redo: Any = "nothing") -> BackfillRequest:
    return BackfillRequest("test", start=FIRST, end=FIRST + 100 * DAY, redo=redo)


def play(settings: Settings, airflow: FakeAirflow, found: Estimate, redo: Any = "nothing", owner: str = "me") -> int:
    """Look and let Airflow move on in turn until the request is done; how often it was looked."""
    for looks in range(1, 500):
        if step(settings, airflow.client(), a_request(redo), found, owner).state == "done":
            return looks
        airflow.advance()
    raise AssertionError("it never ends")


RUNS = st.lists(
    st.sampled_from([None, "daily success", "daily failed", "ours success", "ours failed", "other success"]),
    min_size=1,
    max_size=40,
)


def runs_of(kinds: list[str | None]) -> dict[date, dict[str, Any]]:
    found = {}
    for i, kind in enumerate(kinds):
        if kind:
            who, state = kind.split()
            conf = {"daily": {}, "ours": {"region": "test", "request": "before"}, "other": {"region": "other"}}[who]
            moment = datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC) + i * DAY
            found[FIRST + i * DAY] = {"logical_date": moment.isoformat(), "state": state, "conf": conf, "of": 0}
    return found


def wanted(kinds: list[str | None], redo: str) -> list[date]:
    """What is to run, said plainly: all that has not run for us; failed ones and successes as `redo` says."""
    plain = {"nothing": set(), "failed": {"ours failed"}, "everything": {"ours failed", "ours success"}}[redo]
    return [FIRST + i * DAY for i, k in enumerate(kinds) if not (k or "").startswith("ours") or k in plain]


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a ledger without scenes."""

    home = tmp_path_factory.mktemp("home")
    made = Settings.model_validate({"home": home, "regions": {"test": {"title": "Test", "tiles": ["01CCV"]}}})
    initialise(made)
    return made


@pytest.mark.parametrize("redo", REDO)
@profile(deadline=None, max_examples=40)
@given(kinds=RUNS, kills=st.integers(0, 5))
def test_every_wanted_day_runs_once_oldest_first_and_no_other(
    quiet: Settings, redo: Any, kinds: list[str | None], kills: int
) -> None:
    airflow = FakeAirflow(runs=runs_of(kinds), deaf=kills)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rest.time, "sleep", lambda seconds: None)
        play(quiet, airflow, an_estimate(len(kinds)), redo)
    assert [day for day, _ in airflow.history] == wanted(kinds, redo)
    assert all(conf["region"] == "test" and conf["request"] == "me" for _, conf in airflow.history)
    again = FakeAirflow(runs=airflow.runs, backfills=airflow.backfills)
    play(quiet, again, an_estimate(len(kinds)), redo)  # a driver that was killed at its end
    assert again.history == []


def test_pieces_are_months_and_airflow_is_asked_for_few(quiet: Settings) -> None:
    airflow = FakeAirflow()
    play(quiet, airflow, an_estimate(60))
    assert [(b["from_date"][:10], b["to_date"][:10]) for b in airflow.backfills] == [
        ("2026-01-25", "2026-01-31"), ("2026-02-01", "2026-02-28"), ("2026-03-01", "2026-03-25"),
    ]  # fmt: skip
    assert {b["reprocess_behavior"] for b in airflow.backfills} == {"none"}


def test_redo_becomes_airflows_reprocess_behaviour(quiet: Settings) -> None:
    kinds = ["ours success", "ours failed", None, "ours failed", "ours success"]
    for redo, behaviours in (
        ("nothing", ["none"]),
        ("failed", ["failed"]),
        ("everything", ["completed", "none", "completed"]),
    ):
        airflow = FakeAirflow(runs=runs_of(kinds))
        play(quiet, airflow, an_estimate(len(kinds)), redo)
        assert [b["reprocess_behavior"] for b in airflow.backfills] == behaviours


def test_a_failed_day_is_not_tried_for_ever_but_by_the_next_request(quiet: Settings) -> None:
    bad = FIRST + 2 * DAY
    airflow = FakeAirflow(outcome=lambda day, conf: "failed" if day == bad else "success")
    play(quiet, airflow, an_estimate(5), "failed")
    assert Counter(day for day, _ in airflow.history)[bad] == 1
    airflow.outcome = lambda day, conf: "success"
    play(quiet, airflow, an_estimate(5), "failed", owner="you")
    assert [day for day, _ in airflow.history][5:] == [bad]


def test_another_backfill_comes_first_and_is_named(quiet: Settings) -> None:
    airflow = FakeAirflow()
    airflow._create(
        {"dag_id": "seaice_ingest", "from_date": "2025-01-01T00:00:00+00:00", "to_date": "2025-01-02T00:00:00+00:00",
         "reprocess_behavior": "none", "dag_run_conf": {"region": "elsewhere"}}
    )  # fmt: skip
    seen = step(quiet, airflow.client(), a_request(), an_estimate(2), "me")
    assert seen.state == "running" and "backfill 1 of elsewhere" in seen.why and "comes first" in seen.why
    assert len(airflow.backfills) == 1


def test_a_paused_dag_is_said(quiet: Settings) -> None:
    airflow = FakeAirflow(paused=True)
    step(quiet, airflow.client(), a_request(), an_estimate(2), "me")
    assert "seaice_ingest is paused: unpause it" in step(quiet, airflow.client(), a_request(), an_estimate(2), "me").why


def test_a_killed_driver_adopts_the_backfill_that_runs(quiet: Settings) -> None:
    airflow = FakeAirflow()
    step(quiet, airflow.client(), a_request(), an_estimate(4), "me")
    airflow.advance()
    seen = step(quiet, airflow.client(), a_request(), an_estimate(4), "somebody else with the same form")
    assert len(airflow.backfills) == 1 and (seen.done, seen.running) == (1, 3)
    play(quiet, airflow, an_estimate(4), owner="somebody else with the same form")
    assert len(airflow.backfills) == 1


def a_scene(day: date, state: SceneState) -> Scene:
    moment = datetime(day.year, day.month, day.day, 20, tzinfo=UTC)
    return Scene(
        id=f"s-{day}", identity=f"i-{day}", tile="01CCV", platform="S2B", sensed_at=moment, relative_orbit=1,
        generated_at=moment, published_at=moment, href="h", state=state, discovered_at=moment, updated_at=now(),
    )  # fmt: skip


def test_a_day_whose_scenes_were_put_off_runs_again_but_not_for_ever(settings: Settings) -> None:
    with open_ledger(settings).begin() as session:
        session.add(a_scene(FIRST + DAY, SceneState.DISCOVERED))
        session.add(a_scene(FIRST, SceneState.READY))
    airflow = FakeAirflow()
    play(settings, airflow, an_estimate(3))
    assert Counter(day for day, _ in airflow.history) == {FIRST: 1, FIRST + DAY: drive.ATTEMPTS, FIRST + 2 * DAY: 1}
    seen = step(settings, airflow.client(), a_request(), an_estimate(3), "me")
    assert (seen.state, seen.days, seen.done, seen.scenes, seen.expected) == ("done", 3, 3, 1, 9)


def of_service(settings: Settings, **values: Any) -> Settings:
    archive = {**settings.archive.model_dump(), "kind": "cdse", **values}
    return Settings.model_validate({**settings.model_dump(), "archive": archive})


def test_nothing_begins_while_the_archive_is_down(settings: Settings) -> None:
    service = of_service(settings, outage={"failures": 1})
    with (
        pytest.raises(ArchiveUnavailable),
        breaker.guarded(open_ledger(service), service.archive),
    ):
        raise TimeoutError
    airflow = FakeAirflow()
    seen = step(service, airflow.client(), a_request(), an_estimate(3), "me")
    assert seen.state == "waiting" and "has not answered since" in seen.why and airflow.backfills == []


def test_a_piece_waits_for_room_in_the_quota(settings: Settings) -> None:
    service = of_service(settings, quota={"bytes_per_30_days": 100 * 10**6})
    hour = now().replace(minute=0, second=0, microsecond=0) - timedelta(days=29)
    quota.add_usage(open_ledger(service), "cdse", hour, 97 * 10**6, 1)
    airflow = FakeAirflow()
    found = an_estimate(6)  # 3 MB a day; a piece is at most a tenth of the quota
    seen = step(service, airflow.client(), a_request(), found, "me")
    assert seen.state == "waiting" and airflow.backfills == []
    assert f"from {hour + timedelta(days=30, hours=1):%Y-%m-%dT%H:%MZ}" in seen.why and "9 MB" in seen.why
    with pytest.raises(ConfigError, match="ever allows"):
        step(service, airflow.client(), a_request(), an_estimate(6, each=200), "me")


def test_pieces_fit_the_quota(settings: Settings) -> None:
    service = of_service(settings, quota={"bytes_per_30_days": 100 * 10**6})
    airflow = FakeAirflow()
    play(service, airflow, an_estimate(7))
    assert [(b["from_date"][8:10], b["to_date"][8:10]) for b in airflow.backfills] == [
        ("25", "27"),
        ("28", "30"),
        ("31", "31"),
    ]


def test_a_piece_never_spans_what_it_would_wrongly_redo() -> None:
    runs = runs_of(["ours failed", "ours success", "daily success"])
    table = list(plan_days(a_request("failed"), "me", FIRST, FIRST + 4 * DAY, runs, frozenset()))
    assert [day.kind for day in table] == ["failed", "done", "again", "absent", "absent"]
    assert next_piece(table, an_estimate(5), 10**12) == (FIRST, FIRST, "failed")


def test_seasons_wait_for_those_that_were_asked_for_before() -> None:
    import httpx

    runs = [
        {"dag_run_id": "a", "conf": {"dry_run": False}},
        {"dag_run_id": "dry", "conf": {"dry_run": True}},
        {"dag_run_id": "old form", "conf": None},
        {"dag_run_id": "b", "conf": {"dry_run": False}},
        {"dag_run_id": "c", "conf": {"dry_run": False}},
    ]
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json={"dag_runs": runs}))
    client = httpx.Client(base_url="http://airflow", transport=transport)
    assert ahead(client, "seaice_backfill_season", "a") == []
    assert ahead(client, "seaice_backfill_season", "b") == ["a"]
    assert ahead(client, "seaice_backfill_season", "c") == ["a", "b"]

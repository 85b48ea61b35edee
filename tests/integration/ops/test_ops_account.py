"""The account of a season with every kind of hole, on both databases, against the holes as they were made."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, func, select, update

from helpers.account_season import DAY, HOUR, Catalogue, Season, put
from helpers.ledger_rows import a_run
from helpers.mapped import crown
from seaice_ops.archive.product import Withdrawn
from seaice_ops.errors import ArchiveUnavailable, ConfigError
from seaice_ops.geo.tiles import zone_tiles
from seaice_ops.ledger.coverage import note_followed
from seaice_ops.ledger.operations import now
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import (
    Breaker,
    LabelSet,
    Map,
    Probabilities,
    Run,
    Scene,
    SceneEvent,
    SceneState,
    TransferUsage,
)
from seaice_ops.ledger.watermarks import advance_watermarks
from seaice_ops.ops.account import sample, stage
from seaice_ops.ops.account.late import why_late
from seaice_ops.ops.account.reasons import Reason
from seaice_ops.ops.account.report import Report, to_json
from seaice_ops.ops.account.stage import AccountRequest
from seaice_ops.ops.account.to_text import to_markdown, to_text
from seaice_ops.settings import Settings

HOLES, WHOLE = "01CCV", "60CWS"


@pytest.fixture
def home(ledger: Settings) -> Settings:
    return ledger.model_copy(update={"archive": ledger.archive.model_copy(update={"kind": "cdse"})})


@pytest.fixture
def account(home: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Report]:
    """account(season) -> the account of the last 30 days, the archive offering what the season offers."""

    def make(season: Season, request: AccountRequest = AccountRequest(), gone: list[Withdrawn] | None = None) -> Report:
        monkeypatch.setattr(stage, "open_archive", lambda settings: Catalogue(season.offered, gone or []))
        return stage.run(home, request)[1]

    return make


def keep(season: Season, followed: bool = True) -> None:
    """Write the objects and the rows; both tiles were followed for 40 days, until two hours ago."""
    season.store()
    with open_ledger(season.settings).begin() as session:
        for kind in (Scene, SceneEvent, LabelSet, Probabilities, Map):
            session.add_all([row for row in season.rows if type(row) is kind])
            session.flush()
    if followed:
        with open_ledger(season.settings).alone() as session:
            advance_watermarks(session, "cdse", [HOLES, WHOLE], now() - 2 * HOUR)
            note_followed(session, "cdse", [HOLES, WHOLE], now() - 40 * DAY)


def at(days: float) -> datetime:
    """So many days ago, to the second."""
    return (now() - timedelta(days=days)).replace(microsecond=0)


def holes(season: Season) -> dict[str, Reason]:
    """Make every kind of hole in the last 30 days; the reason of each, by acquisition."""
    made: dict[str, Reason] = {}

    def hole(why: Reason, days: float, state: SceneState | None = None, offered: bool = True, **values: Any) -> Any:
        sensed = at(days)
        identity = f"S2B_{sensed:%Y%m%dT%H%M%S}_T{HOLES}_R028"
        made[identity] = why
        if offered:
            season.product(HOLES, sensed, published_at=values.get("published_at", sensed + 2 * HOUR))
        return season.scene(HOLES, sensed, state, **values) if state else identity

    failed, found, fetched = SceneState.FAILED, SceneState.DISCOVERED, SceneState.FETCHED
    hole(Reason.FILE, 27, failed, before=found, reason="B04.jp2: wrong checksum", attempts=3)
    hole(Reason.FILE, 26.9, failed, before=None, reason="it has no file MTD_TL.xml")
    hole(Reason.DATA, 26, failed, before=fetched, reason="its offset is not known", attempts=1)
    hole(
        Reason.LOW_SUN,
        25,
        failed,
        before=fetched,
        reason="night: the sun stood 93.0 degrees from the zenith",
        attempts=1,
    )
    hole(Reason.NO_SEA, 24, failed, before=fetched, reason="no data: no pixel was observed in all bands", attempts=1)
    hole(Reason.LABELS, 23, SceneState.READY)
    waits = hole(Reason.MODEL, 22, SceneState.READY)
    season.label(waits)
    season.rows.pop()  # its probabilities
    hole(Reason.WITHDRAWN, 21, SceneState.WITHDRAWN, offered=False, reason="Corrupted")
    old = at(20)
    scene, _ = season.good(HOLES, old)
    season.product(HOLES, old, "05.12", published_at=at(0.2))
    season.scene(HOLES, old, found, baseline="05.12", since=at(0.1), claimed_by="a run")
    made[scene.identity] = Reason.SUPERSEDED
    hole(Reason.UNEXPLAINED, 19)  # the ledger does not know it
    hole(Reason.UNEXPLAINED, 18, found)
    hole(Reason.UNEXPLAINED, 17, fetched)
    hole(Reason.UNEXPLAINED, 16, SceneState.SUPERSEDED, superseded_by="nothing")
    gone, _ = season.good(HOLES, at(15))
    season.offered.pop()
    made[gone.identity] = Reason.UNEXPLAINED
    hole(Reason.NOT_YET, 1.2, found, since=at(1))
    hole(Reason.NOT_YET, 1.1, fetched, since=at(0.9), claimed_by="a run")
    hole(Reason.NOT_YET, 0.3, published_at=at(0.05))
    return made


def season_of(home: Settings, model: bool = True) -> Season:
    season = Season(home, crown(home) if model else None)
    for days in range(2, 29):
        season.good(WHOLE, at(days + 0.5))
        season.good(HOLES, at(days + 0.4))
    return season


def told(report: Report) -> dict[str, Reason]:
    return {line.identity: line.reason for line in report.lines if line.reason}


def test_every_hole_is_reported_with_its_reason_to_the_last_row(home: Settings, account: Any) -> None:
    season = season_of(home)
    made = holes(season)
    due = season.scene(WHOLE, at(10), SceneState.READY)  # labelled, encoded, and no map in ten days
    season.product(WHOLE, due.sensed_at)
    season.label(due)
    made[due.identity] = Reason.UNEXPLAINED
    keep(season)
    with open_ledger(home).begin() as session:
        session.add(a_run("publish", error="TransientError: the disk is full"))
    report = account(season)
    assert report.archive == "asked" and report.notices == ()
    stuck = next(line for line in report.missing if line.identity == due.identity)
    assert stuck.words.endswith("; the last run of publish ended with TransientError: the disk is full")
    assert told(report) == made
    assert set(told(report).values()) == set(Reason) - {Reason.OUTAGE, Reason.QUOTA}
    assert_counts(season, report)
    again = [line.product for line in report.lines if line.ingest]
    assert report.ingest == again and len(again) == len(set(again)) == 8
    data = json.loads(json.dumps(to_json(report)))
    assert data["total"]["reasons"] == {r.value: n for r in Reason if (n := Counter(made.values())[r])}
    assert len(data["missing"]) == len(made) and data["ingest"] == {"products": report.ingest}
    assert len(data["unexplained"]) == 6
    assert all(line.product in to_markdown(report) for line in report.missing)
    assert any("unexplained" in line for line in to_text(report))


def assert_counts(season: Season, report: Report) -> None:
    """The table against counts made one by one from the rows themselves."""
    with open_ledger(season.settings).begin() as session:
        scenes = list(session.scalars(select(Scene)))
        labels = {row.scene_id for row in session.scalars(select(LabelSet))}
        maps = {row.scene_ids[-1] for row in session.scalars(select(Map))}
    table, _ = report.table()
    seen = 0
    for tile in (HOLES, WHOLE):
        for day in {each.sensed_at.date() for each in [*scenes, *season.offered]}:
            there = [s for s in scenes if s.tile == tile and s.sensed_at.date() == day]
            ready = [s.id for s in there if s.state is SceneState.READY]
            offers = {p.identity for p in season.offered if p.tile == tile and p.sensed_at.date() == day}
            cell = table.get(tile, {}).get(day)
            counts = [cell.steps[step] if cell else 0 for step in ("expected", "held", "labelled", "mapped")]
            slow = [len(offers), len(ready), len(labels & set(ready)), len(maps & set(ready))]
            assert counts == slow, (tile, day)
            seen += sum(slow)
    assert seen > 200


def test_an_outage_and_a_used_up_quota_put_off_what_the_archive_must_give(home: Settings, account: Any) -> None:
    season = season_of(home)
    made = holes(season)
    keep(season)
    waiting = {identity for identity, reason in made.items() if reason is Reason.NOT_YET}
    with open_ledger(home).begin() as session:
        hour = now().replace(minute=0, second=0, microsecond=0) - HOUR
        session.add(TransferUsage(archive="cdse", hour=hour, bytes=13 * 10**12, requests=1))
    by_quota = told(account(season))
    fetched = {row.identity for row in season.rows if isinstance(row, Scene) and row.state is SceneState.FETCHED}
    assert {identity for identity in waiting if by_quota[identity] is Reason.QUOTA} == waiting - fetched
    with open_ledger(home).begin() as session:
        row = {"failures": 6, "opened_at": at(0.5), "retry_at": now() + HOUR, "reason": "503", "updated_at": at(0.1)}
        session.add(Breaker(archive="cdse", **row))
    report = account(season)
    assert {identity for identity in waiting if told(report)[identity] is Reason.OUTAGE} == waiting - fetched
    assert "cdse has not answered since" in next(line.words for line in report.lines if line.reason is Reason.OUTAGE)


def test_healthy_work_is_never_called_broken(home: Settings, account: Any) -> None:
    season = season_of(home, model=False)
    for tile in (HOLES, WHOLE):
        season.product(tile, at(1.3), published_at=at(0.9))  # the search of tonight finds it
        season.product(tile, at(90 / 24), published_at=at(0.5))  # late
        claimed = season.scene(tile, at(1.2), SceneState.DISCOVERED, since=at(1), claimed_by="a run")
        decoding = season.scene(tile, at(1.1), SceneState.FETCHED, since=at(0.9), claimed_by="a run")
        unlabelled = season.scene(tile, at(1.05), SceneState.READY, since=at(0.2))
        due = season.scene(tile, at(1.0), SceneState.READY, since=at(0.9))
        season.label(due)
        for row in (claimed, decoding, unlabelled, due):
            season.product(tile, row.sensed_at)
    keep(season)
    report = account(season)
    assert Counter(told(report).values()) == {Reason.NOT_YET: 10, Reason.LABELS: 2}
    assert report.unexplained == []
    # The archive was silent for a week: what waited for it goes on with tonight's run.
    with open_ledger(home).begin() as session:
        old = {"updated_at": at(6), "claimed_by": None}
        session.execute(update(Scene).where(Scene.state == SceneState.DISCOVERED).values(**old))
        session.execute(update(SceneEvent).where(SceneEvent.after == SceneState.DISCOVERED).values(at=at(6)))
    assert len(account(season).unexplained) == 2
    with open_ledger(home).begin() as session:
        session.add(Breaker(archive="cdse", failures=0, updated_at=at(0.2)))
    assert account(season).unexplained == []


def test_a_long_queue_that_moves_is_no_hole(home: Settings, account: Any) -> None:
    season = Season(home)
    for number in range(2100):
        sensed = at(20) + timedelta(seconds=number)
        season.product(HOLES, sensed)
        season.scene(HOLES, sensed, SceneState.DISCOVERED, since=at(4))
    keep(season)
    assert len(account(season).unexplained) == 2100
    later = Season(home, offered=season.offered)
    later.good(WHOLE, at(0.5))
    keep(later, followed=False)
    report = account(later)
    assert report.unexplained == [] and Counter(told(report).values()) == {Reason.NOT_YET: 2100}


def test_days_before_a_tile_was_followed_are_no_alarm(home: Settings, account: Any) -> None:
    season = season_of(home, model=False)
    keep(season, followed=False)
    early = [season.product(HOLES, at(28.95)), season.product(HOLES, at(28.9))]
    hole = season.product(HOLES, at(10))
    with open_ledger(home).alone() as session:
        advance_watermarks(session, "cdse", [HOLES, WHOLE], now() - 2 * HOUR)
        note_followed(session, "cdse", [HOLES, WHOLE], at(28.8))
    report = account(season)
    assert told(report) == {
        **{product.identity: Reason.NOT_YET for product in early},
        hole.identity: Reason.UNEXPLAINED,
    }
    assert set(report.ingest) == {product.id for product in [*early, hole]}


def test_without_an_answer_the_account_goes_by_the_ledger(
    home: Settings, account: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    season = season_of(home)
    made = holes(season)
    keep(season)

    def silent(settings: Settings) -> None:
        raise ArchiveUnavailable("cdse does not answer: 503")

    account(season)
    monkeypatch.setattr(stage, "open_archive", silent)
    summary, report = stage.run(home, AccountRequest())
    assert report.archive == "not asked: cdse does not answer: 503" == summary.skipped["archive"]
    in_ledger = {row.identity for row in season.rows if isinstance(row, Scene)}
    unasked = {Reason.WITHDRAWN, Reason.SUPERSEDED}
    expected = {i: r for i, r in made.items() if i in in_ledger and r not in unasked}
    found = told(report)
    assert {i: r for i, r in found.items() if r not in unasked} == {
        i: r for i, r in expected.items() if i not in {line.identity for line in report.lines if line.published}
    }
    with open_ledger(home).begin() as session:
        assert session.scalar(select(func.count()).where(Run.stage == "account", Run.error.is_(None))) == 2
    late = why_late(home, [HOLES, WHOLE])
    assert list(late) == [HOLES] and late[HOLES].reason is Reason.NOT_YET


def test_a_ledger_of_yesterday_and_a_clock_that_jumped_back(home: Settings, account: Any) -> None:
    season = season_of(home, model=False)
    keep(season)
    with open_ledger(home).alone() as session:  # yesterday's: it does not know the last days
        session.execute(delete(Map).where(Map.window_end > at(3)))
        for kind in (LabelSet, SceneEvent):
            session.execute(delete(kind).where(kind.scene_id.in_(select(Scene.id).where(Scene.sensed_at > at(3)))))
        session.execute(delete(Scene).where(Scene.sensed_at > at(3)))
        session.execute(update(Scene).where(Scene.sensed_at > at(6)).values(updated_at=now() + 9 * DAY))
    report = account(season)
    assert set(told(report).values()) == {Reason.UNEXPLAINED} and len(told(report)) == 2
    assert "the store holds 2 maps that the ledger does not know" in report.notices[0]
    assert "a clock was ahead" in report.notices[1]


def test_deleted_truncated_and_flipped_objects_are_found(
    home: Settings, account: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    season = season_of(home, model=False)
    keep(season)
    scenes, labels, maps = ([row for row in season.rows if type(row) is kind] for kind in (Scene, LabelSet, Map))
    assert account(season).objects.damaged == () and account(season).objects.listed == 54 * 9
    broken = [f"{maps[0].folder}/class.tif", f"{maps[1].folder}/item.json", f"{maps[2].folder}/age.tif"]
    broken += [scenes[3].key, scenes[4].key, labels[5].key]
    for key in (broken[0], broken[3], broken[5]):
        (Path(home.store) / key).unlink()
    for key in (broken[1], broken[2]):
        put(home, key, b"")
    put(home, broken[4], b"pix")
    report = account(season)
    assert {each.key for each in report.objects.damaged} == set(broken)
    assert told(report) == {row.identity: Reason.UNEXPLAINED for row in scenes[:6]}
    assert {line.identity for line in report.lines if not line.published} == {row.identity for row in scenes[:3]}
    assert set(report.ingest) == {scenes[3].id, scenes[4].id}
    assert len(report.unexplained) == 6
    shutil.rmtree(Path(home.store) / maps[7].folder)
    assert len(account(season).unexplained) == 7  # a whole map is one loss
    assert set(report.again) == {row.id for row in maps[:3]}
    assert all(f"--again {row.id}" in to_markdown(report) for row in maps[:3])


def test_a_flipped_byte_is_found_within_thirty_days(
    home: Settings, account: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    season = season_of(home, model=False)
    keep(season)
    maps = [row for row in season.rows if isinstance(row, Map)]
    flipped = f"{maps[9].folder}/conf.tif"
    put(home, flipped, b"x" * len("conf.tif"))
    days, compared, present = [], 0, now()
    for day in range(sample.PERIOD):
        monkeypatch.setattr(stage, "now", lambda day=day: present + timedelta(days=day))
        objects = account(season, AccountRequest(at(1).date(), at(1).date())).objects
        compared += objects.sampled
        days += [day for each in objects.damaged if each.key == flipped and "SHA-256" in each.what]
    assert len(days) == 1 and compared == len(maps) * 7
    monkeypatch.setattr(stage, "now", lambda: present + timedelta(days=days[0] - sample.PERIOD))
    assert flipped in " ".join(account(season, AccountRequest(at(28).date(), at(1).date())).unexplained)


def test_an_archive_that_offers_nothing_at_all_is_not_believed(home: Settings, account: Any) -> None:
    season = season_of(home, model=False)
    keep(season)
    season.offered.clear()
    report = account(season)
    assert report.archive.startswith("not believed: it offers none of the 54 acquisitions")
    assert told(report) == {} and sum(line.expected for line in report.lines) == 54


def test_without_the_store_the_account_says_so(home: Settings, account: Any) -> None:
    season = season_of(home, model=False)
    keep(season)
    Path(home.store).rename(Path(home.store).with_name("elsewhere"))
    report = account(season)
    assert "is its disk mounted" in report.notices[0] and report.objects.listed == 0
    assert all(line.published for line in report.lines)


def test_what_the_archive_has_just_withdrawn_is_known_before_the_next_search(home: Settings, account: Any) -> None:
    season = season_of(home, model=False)
    scene, _ = season.good(HOLES, at(5))
    season.offered.pop()
    keep(season)
    report = account(season, gone=[Withdrawn(scene.id, "Duplicated", at(1))])
    assert told(report) == {scene.identity: Reason.WITHDRAWN}
    assert "Duplicated" in report.missing[0].words


def test_requests_are_bounded_whatever_the_region(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    tiles = [tile.name for zone in range(1, 61) for tile in zone_tiles(zone, south=True)][:5000]
    region = {"title": "All", "tiles": tiles}
    wide = Settings.model_validate({**home.model_dump(), "regions": {"all": region}})
    product = Season(wide).product(tiles[0], at(3))
    catalogue = Catalogue([product])
    monkeypatch.setattr(stage, "open_archive", lambda settings: catalogue)
    report = stage.run(wide, AccountRequest())[1]
    assert max(count for count, _, _ in catalogue.asked) <= 250
    assert max(end - start for _, start, end in catalogue.asked) <= timedelta(days=7)
    assert len(catalogue.asked) == 20 * 5 and [line.product for line in report.lines] == [product.id]


def test_a_request_without_days_or_region_is_refused(home: Settings) -> None:
    with pytest.raises(ConfigError, match="no days"):
        stage.run(home, AccountRequest(at(1).date(), at(3).date()))
    with pytest.raises(ConfigError, match="no region"):
        stage.run(home, AccountRequest(region="nowhere"))

"""`status.collect` and `status.render` on ledgers with known rows."""

from __future__ import annotations

import io
import json
import re
from datetime import timedelta

import pytest
from rich.console import Console

from helpers.ledger_rows import FIRST, a_label, a_map, a_model, a_run, a_scene, a_score, an_alias
from seaice_ops.errors import ConfigError
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Base, SceneState
from seaice_ops.ledger.watermarks import advance_watermarks
from seaice_ops.ops.status import age, collect, newest_run, render
from seaice_ops.settings import Settings


def keep(settings: Settings, *rows: Base) -> None:
    for row in rows:
        with open_ledger(settings).begin() as session:
            session.add(row)


def text_of(status: dict) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(render(status))
    return console.file.getvalue()


@pytest.fixture
def season(settings: Settings) -> Settings:
    scenes = [a_scene(day) for day in range(4)]
    bad = a_scene(5, state=SceneState.FAILED, reason="B04.jp2 is truncated", updated_at=FIRST + timedelta(days=9))
    keep(settings, *scenes, bad, a_scene(2, "60CWS"), a_scene(0, "60CWS", SceneState.SUPERSEDED), a_scene(1, "59CMV"))
    current = settings.label_version("colour")
    keep(settings, *[a_label(scene, current) for scene in scenes], a_label(scenes[0], "0-old"))
    keep(settings, a_model(), a_model("newer", day=3), an_alias("champion"), an_alias("challenger", "unet/newer"))
    keep(settings, a_score("unet/0123abcd", "truth", 0.91), a_score("unet/0123abcd", "auto-labels", 0.95))
    keep(settings, a_score(f"labels:colour-{current}", "truth", 0.89))
    keep(settings, a_map(2), a_map(3), a_map(3, revision=2), a_map(1))
    keep(
        settings,
        a_run("label", 1, done={"labels": 3}),
        a_run("label", 2),
        a_run("train", 3, error="TrainingFailed: rank 1 ended"),
        a_run("map", 4, failed={"01CCV_x": "pixels are missing"}),
    )
    return settings


def test_an_empty_ledger_is_described_as_such(settings: Settings) -> None:
    status = collect(settings)
    assert json.loads(json.dumps(status)) == status
    assert set(status["scenes"]["by_state"].values()) == {0}
    assert status["maps"] == {t: {"windows": 0, "revisions": 0, "newest": None} for t in ("01CCV", "60CWS")}
    assert status["labels"] == status["models"] == status["errors"] == [] and status["runs"] == {}
    assert "no map yet" in text_of(status) and newest_run(settings) is None


def test_an_outage_that_a_search_waits_out_is_one_error(settings: Settings) -> None:
    with open_ledger(settings).begin() as session:
        session.add(a_run("encode", 0, error="TransientError: the disk is full"))
        session.add(a_run("search", 1, error="QuotaExceeded: used up"))
        for minute in range(2, 20):
            session.add(a_run("search", minute, error=f"ArchiveUnavailable: next try at {minute}"))
        session.add(a_run("encode", 20, error="TransientError: the disk is full"))
    reasons = [error["reason"] for error in collect(settings)["errors"]]
    disk = "TransientError: the disk is full"
    assert reasons == [disk, "ArchiveUnavailable: next try at 19", "QuotaExceeded: used up", disk]


def test_a_missing_ledger_is_a_configuration_error(settings: Settings) -> None:
    (settings.home / "ledger.sqlite").unlink()
    with pytest.raises(ConfigError, match="seaice init"):
        collect(settings)


def test_scenes_are_counted_by_state_and_tile(season: Settings) -> None:
    scenes = collect(season)["scenes"]
    assert {state: n for state, n in scenes["by_state"].items() if n} == {"ready": 6, "failed": 1, "superseded": 1}
    assert scenes["by_tile"] == {
        "01CCV": {"failed": 1, "ready": 4, "newest_ready": "2026-02-04T20:15:29Z"},
        "59CMV": {"ready": 1, "newest_ready": "2026-02-02T20:15:29Z"},
        "60CWS": {"ready": 1, "superseded": 1, "newest_ready": "2026-02-03T20:15:29Z"},
    }


def test_labels_and_models_come_with_their_scores(season: Settings) -> None:
    status = collect(season)
    by_version = {each["version"]: each for each in status["labels"]}
    current = by_version[season.label_version("colour")]
    assert (current["scenes"], current["current"], current["seconds"]) == (4, True, 6.0)
    assert [score["macro_f1"] for score in current["scores"]] == [0.89]
    assert by_version["0-old"]["current"] is False and by_version["0-old"]["scores"] == []
    assert [(m["id"], m["aliases"]) for m in status["models"]] == [
        ("unet/newer", ["challenger"]),
        ("unet/0123abcd", ["champion"]),
    ]
    scores = {score["against"]: score for score in status["models"][1]["scores"]}
    assert scores["truth"]["macro_f1"] == 0.91 and scores["auto-labels"]["macro_f1"] == 0.95


def test_the_newest_map_is_the_last_revision_of_the_last_window(season: Settings) -> None:
    maps = collect(season)["maps"]
    assert maps["60CWS"]["newest"] is None
    newest = maps["01CCV"]["newest"]
    assert (maps["01CCV"]["windows"], maps["01CCV"]["revisions"]) == (3, 4)
    assert newest["revision"] == 2 and newest["window_end"] == "2026-02-04T20:15:29Z"
    assert newest["key"] == f"{newest['folder']}/item.json" and newest["scenes"] == 3
    assert newest["age_hours"] > 0 and newest["statistics"]["area_km2"]["thin_ice"] == 30.25


def test_the_tile_that_is_furthest_behind_says_until_when_the_archive_was_searched(season: Settings) -> None:
    for tile, hours in (("01CCV", 3), ("60CWS", 2)):
        assert collect(season)["archive"]["searched_until"] is None
        with open_ledger(season).begin() as session:
            advance_watermarks(session, "folder", [tile], FIRST + timedelta(hours=hours))
    assert collect(season)["archive"]["searched_until"] == "2026-02-01T22:15:29Z"
    assert "until 2026-02-01T22:15:29Z" in text_of(collect(season))


def test_a_withdrawn_map_says_why(season: Settings) -> None:
    gone = a_map(3, revision=3, scenes=0)
    gone.statistics = {"withdrawn": "its only acquisition was withdrawn: Corrupted"}
    keep(season, gone)
    newest = collect(season)["maps"]["01CCV"]["newest"]
    assert (newest["scenes"], newest["withdrawn"]) == (0, "its only acquisition was withdrawn: Corrupted")
    assert "withdrawn: its only acquisition" in text_of(collect(season))


def test_errors_are_newest_first_and_runs_are_the_last_of_each_stage(season: Settings) -> None:
    status = collect(season)
    assert [(e["stage"], e["item"], e["reason"]) for e in status["errors"]] == [
        ("ingest", a_scene(5).id, "B04.jp2 is truncated"),
        ("map", "01CCV_x", "pixels are missing"),
        ("train", None, "TrainingFailed: rank 1 ended"),
    ]
    assert status["errors"][0]["tile"] == "01CCV"
    assert list(status["runs"]) == ["label", "train", "map"]
    assert status["runs"]["label"]["said"] == "label: nothing new"
    assert status["runs"]["map"]["said"] == "map: nothing new; 1 failed"
    assert newest_run(season) == FIRST + timedelta(minutes=4)


def test_people_read_the_same(season: Settings) -> None:
    status = collect(season)
    text = text_of(status)
    for words in ("6 ready, 1 failed", "12.5 / 30.25 / 62.1", "champion", "pixels are missing", "60CWS"):
        assert words in text, words
    assert re.search(r"unet/0123abcd +champion +truth +100 +0\.910", text)
    assert status["maps"]["01CCV"]["newest"]["key"] in text
    assert all(sentence in text for sentence in status["late"]) and len(status["late"]) == 1  # 60CWS has no map


def test_markup_in_a_reason_is_shown_not_obeyed(settings: Settings) -> None:
    keep(settings, a_scene(0, state=SceneState.FAILED, reason="[bold]B04[/nothing] is bad"))
    assert "[bold]B04[/nothing] is bad" in text_of(collect(settings))


@pytest.mark.parametrize(("hours", "text"), [(0.4, "0 h"), (47.9, "48 h"), (48, "2 d"), (240, "10 d")])
def test_ages_are_hours_then_days(hours: float, text: str) -> None:
    assert age(hours) == text

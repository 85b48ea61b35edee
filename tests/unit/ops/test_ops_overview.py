"""The overview of ledgers with known rows, and how it reads as JSON and in a terminal."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest

from helpers.ledger_rows import FIRST, a_label, a_map, a_model, a_run, a_scene, a_score, an_alias
from seaice_ops.errors import ConfigError
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Base, SceneState
from seaice_ops.ledger.watermarks import advance_watermarks
from seaice_ops.ops.overview import collect as module
from seaice_ops.ops.overview.collect import overview
from seaice_ops.ops.overview.facts import Overview, age
from seaice_ops.ops.overview.to_json import to_json
from seaice_ops.ops.overview.to_text import to_text
from seaice_ops.settings import Settings


def keep(settings: Settings, *rows: Base) -> None:
    for row in rows:
        with open_ledger(settings).begin() as session:
            session.add(row)


def collect(settings: Settings) -> dict:
    return to_json(overview(settings))


def text_of(found: Overview, width: int = 200) -> str:
    return "\n".join(line.plain for line in to_text(found, width))


def newest_run(settings: Settings) -> datetime | None:
    with open_ledger(settings).begin() as session:
        return module.newest_run(session)


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


def test_a_product_that_cannot_be_read_is_no_tile(settings: Settings) -> None:
    with open_ledger(settings).begin() as session:
        session.add(a_scene(1, tile="", state=SceneState.FAILED))
    found = overview(settings)
    assert set(found.tiles) == set(settings.tiles) and found.scenes["failed"] == 1


def test_an_empty_ledger_is_described_as_such(settings: Settings) -> None:
    status = collect(settings)
    assert json.loads(json.dumps(status)) == status
    assert set(status["scenes"]["by_state"].values()) == {0}
    assert status["maps"] == {t: {"windows": 0, "revisions": 0, "newest": None} for t in ("01CCV", "60CWS")}
    assert status["labels"] == status["models"] == status["errors"] == [] and status["runs"] == {}
    assert "no map yet" in text_of(overview(settings)) and newest_run(settings) is None


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
    assert "until 2026-02-01T22:15:29Z" in text_of(overview(season))


def test_a_withdrawn_map_says_why(season: Settings) -> None:
    gone = a_map(3, revision=3, scenes=0)
    gone.statistics = {"withdrawn": "its only acquisition was withdrawn: Corrupted"}
    keep(season, gone)
    newest = collect(season)["maps"]["01CCV"]["newest"]
    assert (newest["scenes"], newest["withdrawn"]) == (0, "its only acquisition was withdrawn: Corrupted")
    assert "withdrawn: its only acquisition" in text_of(overview(season))


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
    text = text_of(overview(season))
    for words in (
        "6 ready, 1 failed",
        "open water 12.5 km2, thin ice 30.25 km2",
        "unet/0123abcd (champion)",
        "pixels are missing",
        "60CWS",
        "against truth: macro-F1 0.910, accuracy 0.900, majority class 0.600, 100 pixels",
    ):
        assert words in text, words
    assert status["maps"]["01CCV"]["newest"]["key"] in text
    assert all(sentence in text for sentence in status["late"]) and len(status["late"]) == 1  # 60CWS has no map


def test_at_80_columns_no_key_and_no_id_is_cut(season: Settings) -> None:
    keep(season, a_scene(6, state=SceneState.FAILED, reason=f"{'a long reason of many words ' * 9}ends in {'x' * 90}"))
    text = text_of(overview(season), 80)
    longer = [line.split() for line in text.splitlines() if len(line) > 80]
    assert ["x" * 90] in longer and all(len(words[-1]) > 40 and len(words) <= 2 for words in longer)
    words = text.split()
    status = collect(season)
    for whole in (
        status["maps"]["01CCV"]["newest"]["key"],
        a_scene(6).id,
        "unet/0123abcd",
        season.label_version("colour"),
        status["runs"]["map"]["started_at"],
    ):
        assert whole in words, whole


def test_what_an_evaluation_holds_besides_numbers_is_left_out(settings: Settings) -> None:
    odd = a_score("unet/0123abcd", "truth", 0.5)
    odd.metrics = {"accuracy": "98 %", "macro_f1": float("nan"), "pixels": {"a": 1}, "majority": True, "mean_iou": 0.25}
    listed = a_score("unet/0123abcd", "auto-labels", 0.5)
    listed.metrics = ["accuracy"]  # type: ignore[assignment]
    keep(settings, a_model(), odd, listed)
    [score] = collect(settings)["models"][0]["scores"]
    assert [score[name] for name in ("accuracy", "macro_f1", "pixels", "majority", "mean_iou")] == [None] * 4 + [0.25]
    assert "against truth: no figures" in text_of(overview(settings))


def test_a_tile_without_an_acquisition_for_long_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "now", lambda: FIRST + timedelta(days=286))
    keep(settings, a_scene(0))
    [said] = collect(settings)["inactive"]
    assert said.startswith("01CCV: no acquisition since 2026-02-01 (286 days)")
    assert said in " ".join(text_of(overview(settings), 200).split())


def test_a_password_in_the_stores_address_is_not_shown(settings: Settings) -> None:
    secret = settings.model_copy(update={"store": "https://ice:s3cret@host/bucket?sig=s3cret"})
    assert "s3cret" not in json.dumps(collect(secret)) + text_of(overview(secret)) + str(secret.redacted())


@pytest.mark.parametrize(("hours", "text"), [(0.4, "0 h"), (47.9, "48 h"), (48, "2 d"), (240, "10 d")])
def test_ages_are_hours_then_days(hours: float, text: str) -> None:
    assert age(hours) == text

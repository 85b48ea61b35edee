"""Scheduled searches: which intervals they cover, how the watermarks move, and what was withdrawn."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from helpers.factories import SENSED, make_product, withdraw
from seaice_ops.archive import search
from seaice_ops.archive.intervals import SLICE, Part, parts
from seaice_ops.archive.product import Withdrawn
from seaice_ops.archive.providers.folder import FolderArchive
from seaice_ops.archive.search import SearchRequest
from seaice_ops.errors import ConfigError, TransientError
from seaice_ops.ledger.operations import now
from seaice_ops.ledger.session import Ledger, open_ledger
from seaice_ops.ledger.tables import Scene, SceneState
from seaice_ops.ledger.watermarks import WITHDRAWN, watermarks

T0 = datetime(2026, 2, 2, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
TILES = ("01CCV", "60CWS")
BANDS = {b: np.full((8, 8) if b != "B11" else (4, 4), 2000, np.uint16) for b in ("B02", "B03", "B04", "B08", "B11")}


@pytest.fixture
def archive(settings):
    settings.archive_path.mkdir(parents=True)
    return settings.archive_path


def daily(settings, end=T0, start=None, tiles=None):
    return search.run(settings, SearchRequest("published", start or end - DAY, end, tiles, catch_up=True))


def marks(settings) -> dict[str, datetime]:
    with open_ledger(settings).begin() as session:
        return watermarks(session, "folder", [*TILES, WITHDRAWN])


def states(settings) -> dict[str, str]:
    with open_ledger(settings).begin() as session:
        return {scene.id: scene.state.value for scene in session.scalars(select(Scene))}


# ---- intervals

hours = st.integers(-24 * 60, 24 * 60).map(lambda n: T0 + n * HOUR)


@given(st.dictionaries(st.sampled_from("ABCD"), hours), hours, st.integers(1, 800), st.integers(0, 72))
def test_each_tile_is_searched_without_a_gap_from_its_watermark_to_the_end(known, start, length, overlap):
    end, reach = start + length * HOUR, overlap * HOUR
    found = parts("ABCD", start, end, known, reach)
    for tile in "ABCD":
        mine = [(part.start, part.end) for part in found if tile in part.tiles]
        assert mine[0][0] == min(known.get(tile, start), start) - reach
        assert mine[-1][1] == end
        assert all(before[1] == after[0] for before, after in pairwise(mine))
        assert all(DAY * 0 < right - left <= SLICE for left, right in mine)
    assert found[0].start == min(part.start for part in found)


def test_tiles_with_the_same_watermark_are_asked_for_together():
    found = parts(["B", "A"], T0, T0 + DAY, {}, HOUR)
    assert found == [Part(("A", "B"), T0 - HOUR, T0 + DAY)]


# ---- watermarks


def test_first_run_begins_at_its_own_interval_and_leaves_a_mark_for_each_tile(settings, archive):
    before = make_product(archive, bands=BANDS, published=T0 - DAY - 49 * HOUR)
    inside = make_product(archive, bands=BANDS, published=T0 - DAY - 47 * HOUR, tile="60CWS")
    assert daily(settings).items == [inside]
    assert marks(settings) == dict.fromkeys([*TILES, WITHDRAWN], T0)
    assert before not in states(settings)


def test_days_missed_are_caught_up_and_later_marks_stay(settings, archive):
    daily(settings)
    missed = make_product(archive, bands=BANDS, published=T0 + 5 * DAY)
    assert daily(settings, T0 + 40 * DAY).items == [missed]
    assert daily(settings, T0 + 6 * DAY).items == [missed]  # an old run that is cleared searches its own interval
    assert marks(settings)["01CCV"] == T0 + 40 * DAY


def test_mark_stays_behind_the_present_and_what_is_stamped_later_is_found_later(settings, archive, monkeypatch):
    monkeypatch.setattr("seaice_ops.archive.search.now", lambda: T0)
    ahead = make_product(archive, bands=BANDS, published=T0 + 3 * HOUR)
    assert daily(settings, T0 + 2 * HOUR).items == []
    assert marks(settings)["01CCV"] == T0
    monkeypatch.setattr("seaice_ops.archive.search.now", now)
    assert daily(settings, T0 + DAY).items == [ahead]


def test_what_is_published_while_the_archive_answers_is_found_by_the_next_run(settings, archive, monkeypatch):
    clock = [T0]
    monkeypatch.setattr("seaice_ops.archive.search.now", lambda: clock[0])
    real = FolderArchive.search

    def slow(self, *asked):
        found = real(self, *asked)
        clock[0] += 3 * DAY
        return found

    monkeypatch.setattr(FolderArchive, "search", slow)
    daily(settings, T0 + 9 * DAY, T0)
    assert marks(settings)["01CCV"] == T0


def test_tile_that_is_new_to_the_region_begins_by_itself(settings, archive):
    daily(settings, tiles=("01CCV",))
    assert set(marks(settings)) == {"01CCV"}
    first, second = (make_product(archive, bands=BANDS, tile=tile, published=T0 + DAY) for tile in TILES)
    assert daily(settings, T0 + 20 * DAY).items == [first]
    assert marks(settings)["60CWS"] == T0 + 20 * DAY
    backfill = search.run(settings, SearchRequest("sensed", SENSED, SENSED + DAY))
    assert second in backfill.items
    assert marks(settings)["60CWS"] == T0 + 20 * DAY


def test_backfill_moves_no_mark(settings, archive):
    make_product(archive, bands=BANDS)
    search.run(settings, SearchRequest("sensed", SENSED, SENSED + DAY))
    search.run(settings, SearchRequest("published", SENSED, SENSED + DAY))
    assert marks(settings) == {}
    with pytest.raises(ConfigError, match="only a search by 'published'"):
        SearchRequest("sensed", SENSED, SENSED + DAY, catch_up=True)


def test_outage_in_the_middle_keeps_what_was_found_and_goes_on_from_there(settings, archive, monkeypatch):
    daily(settings)
    early = make_product(archive, bands=BANDS, published=T0 + DAY)
    late = make_product(archive, bands=BANDS, published=T0 + 20 * DAY, tile="60CWS")
    real, asked = FolderArchive.search, []

    def until_down(self, tiles, by, start, end):
        asked.append((start, end))
        if len(asked) == 2:
            raise TransientError("the archive is down")
        return real(self, tiles, by, start, end)

    monkeypatch.setattr(FolderArchive, "search", until_down)
    with pytest.raises(TransientError):
        daily(settings, T0 + 30 * DAY)
    assert (states(settings), marks(settings)["01CCV"]) == ({early: "discovered"}, asked[0][1])
    assert daily(settings, T0 + 30 * DAY).items == [early, late]
    assert asked[2][0] == asked[0][1] - 2 * DAY


# ---- withdrawn


def test_withdrawn_product_is_remembered_and_its_next_best_version_takes_over(settings, archive):
    old = make_product(archive, bands=BANDS, baseline="0509", published=T0 - 2 * HOUR)
    new = make_product(archive, bands=BANDS, baseline="0511", published=T0 - HOUR)
    assert daily(settings).items == [new]
    with open_ledger(settings).begin() as session:
        session.get_one(Scene, new).state = SceneState.READY
    withdraw(archive, new, T0 + HOUR, "Obsolete")
    summary = daily(settings, T0 + DAY)
    assert (summary.items, summary.done["withdrawn"]) == ([old], 1)
    with open_ledger(settings).begin() as session:
        scene = session.get_one(Scene, new)
    assert (scene.state, scene.reason) == (SceneState.WITHDRAWN, "Obsolete")
    again = daily(settings, T0 + DAY)
    assert again.nothing_new and again.items == [old]
    assert search.run(settings, SearchRequest("sensed", SENSED, SENSED + DAY)).items == [old]


def test_what_is_no_product_does_not_say_since_when_withdrawals_matter(settings, archive, monkeypatch):
    make_product(archive, bands=BANDS, published=T0 - HOUR)
    (archive / "no-entry.json").write_text("{")
    os.utime(archive / "no-entry.json", (0, 0))
    asked = []
    monkeypatch.setattr(FolderArchive, "withdrawn", lambda _, start, end: asked.append(start) or [])
    daily(settings)
    assert [start for start in asked if start] == [T0 - HOUR - 2 * DAY]


def test_copy_that_is_still_offered_keeps_the_product(settings, archive, monkeypatch):
    name = make_product(archive, bands=BANDS, published=T0 - HOUR)
    daily(settings)
    listed = [Withdrawn(name, "Duplicated", T0 + HOUR)]
    monkeypatch.setattr(FolderArchive, "withdrawn", lambda _, start, end: listed if start else [])
    daily(settings, T0 + 9 * DAY)
    assert states(settings) == {name: "discovered"}


def test_folder_withdraws_until_published_again(archive):
    name = make_product(archive, bands=BANDS, published=T0)
    folder = FolderArchive(archive, frozenset(TILES))
    everything = (TILES, "sensed", SENSED, SENSED + DAY)
    withdraw(archive, name, T0 + HOUR)
    (archive / "other.withdrawn.json").write_text("{")
    (odd,) = folder.search(*everything)
    assert odd.id == "other.withdrawn" and "is not JSON" in str(odd.problem)
    (archive / "other.withdrawn.json").unlink()
    assert folder.withdrawn(T0, T0 + DAY) == [Withdrawn(name, "Corrupted", T0 + HOUR)]
    assert folder.withdrawn(T0 + DAY, T0 + 2 * DAY) == folder.withdrawn(T0, T0 + HOUR) == []
    entry = archive / f"{name}.json"
    entry.write_text(json.dumps({**json.loads(entry.read_text()), "published": (T0 + 2 * HOUR).isoformat()}))
    assert [product.id for product in folder.search(*everything)] == [name]


# ---- more than one run can take


def test_a_search_hands_on_so_many_at_a_time_oldest_first_and_later_runs_take_the_rest(settings, archive, monkeypatch):
    monkeypatch.setattr("seaice_ops.archive.search.MOST_SCENES", 3)
    names = [
        make_product(archive, bands=BANDS, sensed=SENSED - n * HOUR, published=T0 - HOUR, tile=TILES[n % 2])
        for n in range(7)
    ][::-1]
    taken = []
    for run in range(3):
        request = SearchRequest("published", T0 + run * DAY - DAY, T0 + run * DAY, catch_up=True)
        mine = search.run(settings, request, caller=f"run {run}").items
        assert mine == names[3 * run : 3 * run + 3]
        taken += mine
        with open_ledger(settings).begin() as session:  # each is in the hands of the run that took it, the rest of none
            rows = {row.id: row for row in session.scalars(select(Scene))}
            for name in mine:
                rows[name].state = SceneState.READY
            assert {rows[name].claimed_by for name in names[3 * run + 3 :]} <= {None}
    assert taken == names
    assert daily(settings, T0 + 3 * DAY).nothing_new


def test_a_run_that_ends_before_the_rest_is_released_loses_nothing(settings, archive, monkeypatch):
    monkeypatch.setattr("seaice_ops.archive.search.MOST_SCENES", 1)
    names = [make_product(archive, bands=BANDS, sensed=SENSED + n * HOUR, published=T0 - HOUR) for n in range(2)]
    with monkeypatch.context() as patch:
        patch.setattr("seaice_ops.archive.search.release_scenes", Mock(side_effect=TransientError("killed")))
        with pytest.raises(TransientError):
            search.run(settings, SearchRequest("published", T0 - DAY, T0, catch_up=True), caller="first")
    elsewhen = SearchRequest("sensed", SENSED + 9 * DAY, SENSED + 10 * DAY)
    assert search.run(settings, elsewhen).items == []  # the first run, as far as anybody knows, is at work
    monkeypatch.setattr("seaice_ops.archive.record.now", lambda: now() + 2 * HOUR)
    assert search.run(settings, elsewhen).items == names[:1]


def test_what_is_handed_on_fits_into_airflows_mapped_tasks():
    from airflow.configuration import conf

    assert conf.getint("core", "max_map_length") >= search.MOST_SCENES


# ---- a clock that was ahead

CLOCKS = ("archive.search", "archive.record", "ledger.operations", "ledger.runs", "ledger.scenes", "ledger.watermarks")


def run_at(settings, monkeypatch, moment):
    with monkeypatch.context() as patch:
        for module in CLOCKS:
            patch.setattr(f"seaice_ops.{module}.now", lambda: moment)
        return daily(settings, moment)


@pytest.mark.parametrize("seen_before", [True, False])
def test_a_mark_of_the_future_is_not_trusted(settings, archive, monkeypatch, caplog, seen_before):
    if seen_before:
        make_product(archive, bands=BANDS, published=T0 - HOUR)
    run_at(settings, monkeypatch, T0)
    run_at(settings, monkeypatch, T0 + 365 * DAY)  # in truth a day later
    assert marks(settings)["01CCV"] == T0 + 365 * DAY
    missed = make_product(archive, bands=BANDS, sensed=SENSED + 3 * DAY, published=T0 + 3 * DAY)
    backfilled = make_product(archive, bands=BANDS, sensed=SENSED + 9 * DAY, published=T0 + 9 * DAY)
    search.run(settings, SearchRequest("sensed", SENSED + 9 * DAY, SENSED + 10 * DAY))
    caplog.clear()
    found = run_at(settings, monkeypatch, T0 + 16 * DAY)
    assert missed in found.items and set(states(settings)) >= {missed, backfilled}
    assert "the watermark of 01CCV in the archive folder is 2027-02-02" in caplog.text
    assert marks(settings) == dict.fromkeys([*TILES, WITHDRAWN], T0 + 16 * DAY)
    caplog.clear()
    assert run_at(settings, monkeypatch, T0 + 17 * DAY).done["scenes"] == 0
    assert "watermark" not in caplog.text


def test_a_scene_claimed_by_a_clock_ahead_is_abandoned_like_any_other(settings, archive, monkeypatch):
    name = make_product(archive, bands=BANDS, published=T0 - HOUR)
    for module in CLOCKS:
        monkeypatch.setattr(f"seaice_ops.{module}.now", lambda: T0 + 365 * DAY)
    search.run(settings, SearchRequest("published", T0 - DAY, T0), caller="lost")
    for module in CLOCKS:
        monkeypatch.setattr(f"seaice_ops.{module}.now", lambda: T0 + DAY)
    assert search.run(settings, SearchRequest("sensed", T0 + DAY, T0 + 2 * DAY), caller="next").items == [name]


# ---- what cannot be


def test_products_with_impossible_times_or_addresses_fail_alone_and_once(settings, archive, monkeypatch):
    good = make_product(archive, bands=BANDS, published=T0 - HOUR)
    real = FolderArchive.search
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)

    def odd(self, tiles, by, start, end):
        product = real(self, tiles, by, start, end)
        others = [
            replace(product[0], id="early", published_at=first),
            replace(product[0], id="late", sensed_at=last),
            replace(product[0], id="n\0l", platform=""),
            replace(product[0], id="half \ud800"),
            replace(product[0], id="far", href="x" * 1025),
            replace(product[0], id="told", problem="a\0b" + "c" * 3000),
        ]
        return [*product, *others]

    monkeypatch.setattr(FolderArchive, "search", odd)
    summary = daily(settings)
    assert summary.items == [good]
    assert set(summary.failed) == {"early", "late", "n\ufffdl", "half \ufffd", "far", "told"}
    assert summary.failed["early"] == f"{good}.SAFE: 0001-01-01T00:00:00+00:00 cannot be true"
    with open_ledger(settings).begin() as session:
        for scene in session.scalars(select(Scene)):
            assert len(scene.id) <= 128 and len(scene.href) <= 1024 and "\0" not in f"{scene.id}{scene.reason}"
            assert datetime(1970, 1, 1, tzinfo=UTC) <= scene.published_at < datetime(2200, 1, 1, tzinfo=UTC)
    assert daily(settings).nothing_new


def test_withdrawals_with_odd_names_causes_and_times_end_nothing(settings, archive, monkeypatch):
    names = [make_product(archive, bands=BANDS, sensed=SENSED - n * HOUR, published=T0 - HOUR) for n in range(2)]
    daily(settings)
    last = datetime.max.replace(tzinfo=UTC)
    listed = [Withdrawn("n\0l", "c", T0), Withdrawn(names[0], "a\0b\ud800" * 900, T0), Withdrawn(names[1], "c", last)]
    monkeypatch.setattr(FolderArchive, "withdrawn", lambda _, start, end: listed if start else [])
    monkeypatch.setattr(FolderArchive, "search", lambda *_: [])
    assert daily(settings, T0 + DAY).done["withdrawn"] == 2
    assert states(settings) == dict.fromkeys(names, "withdrawn")
    assert daily(settings, T0 + DAY).nothing_new


def test_withdrawals_of_before_the_first_satellite_are_not_asked_for(settings, archive, monkeypatch):
    make_product(archive, bands=BANDS, published=datetime(1971, 1, 1, tzinfo=UTC))
    search.run(settings, SearchRequest("sensed", SENSED, SENSED + DAY))
    asked = []
    monkeypatch.setattr(FolderArchive, "withdrawn", lambda _, start, end: asked.append(start) or [])
    daily(settings)
    assert min(filter(None, asked)).year == 2015


def test_one_product_is_searched_for_in_few_transactions(settings, archive, monkeypatch):
    make_product(archive, bands=BANDS, published=T0 - HOUR)
    begun = []
    real = Ledger.begin
    monkeypatch.setattr(Ledger, "begin", lambda self: begun.append(1) or real(self))
    search.run(settings, SearchRequest("sensed", SENSED, SENSED + DAY))
    assert len(begun) == 2  # what was found, and the run
    begun.clear()
    daily(settings)
    assert len(begun) == 4  # the watermarks, what was found, what was withdrawn, the run

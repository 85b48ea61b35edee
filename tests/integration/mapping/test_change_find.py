"""Changes found in a made-up season: recorded once, kept through rebuilt maps, and never asked twice."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from helpers.changing import BREAKUP, ICE, WINDOW, all_changes, season, withdraw
from helpers.crash import VOLATILE, crash_everywhere
from helpers.ledger_changes import a_change
from helpers.mapped import day, shortened
from helpers.racing import race
from seaice_ops.ledger.changes import APPROVED, CONFIRMED, GONE, PROVISIONAL, REJECTED, add_change, decide
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Change, Scene
from seaice_ops.mapping.change.objects import FILES
from seaice_ops.mapping.change.stage import FindRequest, run
from seaice_ops.settings import Settings
from seaice_ops.storage.store import open_store
from seaice_ops.storage.verified import read_mask
from seaice_ops.summary import Summary

DAYS = [float(number) for number in range(14)]
LATER = [14.0, 15.0, 16.0, 17.0, 18.0, 19.0]


@pytest.fixture
def short(settings: Settings) -> Settings:
    return shortened(settings, WINDOW)


def find(settings: Settings, **request: object) -> Summary:
    return run(settings, FindRequest(tiles=("01CCV",), **request), caller="test")  # type: ignore[arg-type]


def find_in_process(settings: Settings) -> dict[str, object]:
    return find(settings).to_dict()


def decided(settings: Settings, state: object, name: str) -> None:
    with open_ledger(settings).begin() as session:
        decide(session, session.get_one(Change, name), state, who="ann")  # type: ignore[arg-type]


def test_a_break_up_is_found_once_with_its_place_date_and_pictures(
    short: Settings, add_scene: Callable[..., Scene]
) -> None:
    season(short, add_scene, DAYS)
    assert find(short).done == {"changes": 1}
    [row] = all_changes(short)
    assert (row.at, row.since, row.state) == (day(BREAKUP), day(BREAKUP - 1), PROVISIONAL)
    assert (row.before_class, row.after_class, row.confidence, row.tile) == (3, 1, 100, "01CCV")
    mask, store = np.zeros((64, 64), np.bool_), open_store(short.store)
    pixels = read_mask(store, f"{row.folder}/pixels.png", row.pixels_sha256)
    mask[row.top : row.top + row.height, row.left : row.left + row.width] = pixels
    truth = np.zeros_like(mask)
    truth[ICE] = True
    assert (mask & truth).sum() == 600 and (mask & ~truth).sum() < 12  # drifting pixels beside it may agree by chance
    feature = json.loads(store.get(f"{row.folder}/change.geojson"))
    assert feature["properties"]["from"] == "thick_ice" and feature["bbox"] == row.box
    assert row.scene_ids[0].split("_")[2] < row.scene_ids[1].split("_")[2]
    assert [store.exists(f"{row.folder}/{name}") for name in FILES] == [True] * 4
    again = find(short)
    assert again.nothing_new and again.unchanged == {"changes": 1, "decided": 0}


def test_further_acquisitions_confirm_it_and_a_withdrawal_takes_it_away(
    short: Settings, add_scene: Callable[..., Scene]
) -> None:
    season(short, add_scene, DAYS)
    find(short)
    [first] = all_changes(short)
    after = season(short, add_scene, LATER)
    assert find(short).done["changed"] == 1
    [row] = all_changes(short)
    assert (row.id, row.state) == (first.id, CONFIRMED)
    store = open_store(short.store)
    assert row.folder != first.folder and not list(store.list(first.folder))
    with open_ledger(short).begin() as session:
        gone = [*session.query(Scene).where(Scene.sensed_at >= day(BREAKUP), Scene.sensed_at < day(14))]
    withdraw(short, [*gone, *after])
    find(short)
    assert [each.state for each in all_changes(short)] == [GONE]


@pytest.mark.parametrize("state", [APPROVED, REJECTED])
def test_what_was_decided_stays_so_when_the_maps_are_rebuilt(
    short: Settings, add_scene: Callable[..., Scene], state: object
) -> None:
    scenes = season(short, add_scene, DAYS)
    find(short)
    [first] = all_changes(short)
    decided(short, state, first.id)
    season(short, add_scene, LATER)
    withdraw(short, [scenes[3], scenes[7]])
    assert find(short).nothing_new
    [row] = all_changes(short)
    assert (row.id, row.state, row.content, row.moves) == (first.id, state, first.content, 2)


def test_only_what_is_dated_in_the_period_is_touched(short: Settings, add_scene: Callable[..., Scene]) -> None:
    season(short, add_scene, DAYS)
    assert find(short, end=day(BREAKUP)).nothing_new
    assert find(short, start=day(BREAKUP)).done == {"changes": 1}
    assert find(short, end=day(BREAKUP)).nothing_new and all_changes(short)[0].state is PROVISIONAL


def test_open_changes_of_a_grid_that_is_no_more_are_gone(short: Settings, add_scene: Callable[..., Scene]) -> None:
    season(short, add_scene, DAYS)
    with open_ledger(short).begin() as session:
        add_change(session, a_change(transform=[20.0, 0.0, 399960.0, 0.0, -20.0, 1600020.0]), caller="test")
    assert find(short).done == {"changes": 1, "gone": 1} and find(short).nothing_new


def test_a_tile_with_few_acquisitions_says_so(short: Settings, add_scene: Callable[..., Scene]) -> None:
    season(short, add_scene, DAYS[:7])
    assert find(short).skipped["01CCV"].startswith("insufficient: 7 acquisitions")


def test_finders_at_once_record_it_once(short: Settings, add_scene: Callable[..., Scene]) -> None:
    season(short, add_scene, DAYS)
    told = race(find_in_process, [(short,), (short,)])
    assert sum(each["done"].get("changes", 0) for each in told) == 1
    assert len(all_changes(short)) == 1


def test_finding_survives_a_kill_at_every_write(short: Settings, add_scene: Callable[..., Scene]) -> None:
    season(short, add_scene, DAYS)
    find(short)
    season(short, add_scene, LATER)  # the change is found again with other dates: new objects, and the old ones go
    boundaries = crash_everywhere(
        short,
        """
        from seaice_ops.mapping.change.stage import FindRequest, run

        run(settings, FindRequest(tiles=("01CCV",)))
        """,
        volatile=VOLATILE | {"found_at"},
    )
    assert boundaries >= 2 * len(FILES) + 1

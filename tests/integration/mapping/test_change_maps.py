"""Approved changes in maps: painted from their date on, re-issued exactly where they touch, and once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import numpy as np
import pytest

from helpers.changing import BREAKUP, ICE, WINDOW, all_changes, season
from helpers.mapped import all_maps, day, publish_maps, shortened
from helpers.racing import race
from seaice_ops.ledger.changes import APPROVED, REJECTED, decide, relabel, reopen
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Change, Map, Scene
from seaice_ops.mapping import publish
from seaice_ops.mapping.change.stage import FindRequest, run
from seaice_ops.mapping.product import release
from seaice_ops.mapping.window.steady import NOT_STABLE
from seaice_ops.settings import Settings
from seaice_ops.storage.rasters import read_raster
from seaice_ops.storage.store import open_store

DAYS = [3.0 * number for number in range(-2, 4)] + [float(BREAKUP) + 3 * number for number in range(8)]


@pytest.fixture
def mapped(settings: Settings, add_scene: Callable[..., Scene]) -> Settings:
    """A published season with one change found."""
    short = shortened(settings, WINDOW)
    season(short, add_scene, DAYS)
    publish_maps(short)
    run(short, FindRequest(tiles=("01CCV",)))
    assert len(all_changes(short)) == 1 and len(all_maps(short)) == len(DAYS)
    return short


def act(settings: Settings, what: Callable[..., bool], *values: object) -> None:
    with open_ledger(settings).begin() as session:
        assert what(session, session.query(Change).one(), *values, who="ann")


def newest(settings: Settings) -> dict[datetime, Map]:
    return {row.window_end: row for row in all_maps(settings)}


def stable(settings: Settings, row: Map) -> np.ndarray:
    return read_raster(open_store(settings.store), f"{row.folder}/class_stable.tif")[0][0]


def layers(settings: Settings, row: Map) -> list[np.ndarray]:
    names = ("class", "n_valid", "age", "conf")
    return [read_raster(open_store(settings.store), f"{row.folder}/{name}.tif")[0][0] for name in names]


def test_an_approval_paints_the_maps_from_its_date_on_and_reissues_only_them(mapped: Settings) -> None:
    before = newest(mapped)
    [change] = all_changes(mapped)
    assert change.at == day(BREAKUP) and not (stable(mapped, before[day(BREAKUP)])[ICE] == 1).any()
    act(mapped, decide, APPROVED)
    touched = [end for end in before if end >= day(BREAKUP)]
    told = publish_maps(mapped)
    assert told["done"] == {"maps": len(touched)} and publish_maps(mapped)["done"] == {}
    after = newest(mapped)
    assert {end for end in after if after[end].revision == 2} == set(touched)
    for end in touched:
        assert (stable(mapped, after[end])[ICE] == 1).all()
        assert after[end].supersedes == before[end].id
        for old, new in zip(layers(mapped, before[end]), layers(mapped, after[end]), strict=True):
            assert np.array_equal(old, new)
    outside = np.ones((64, 64), np.bool_)
    outside[change.top : change.top + change.height, change.left : change.left + change.width] = False
    for end in touched:
        assert np.array_equal(stable(mapped, before[end])[outside], stable(mapped, after[end])[outside])


def test_a_correction_or_a_reopening_issues_them_again_and_a_rejection_nothing(mapped: Settings) -> None:
    act(mapped, decide, REJECTED)
    assert publish_maps(mapped)["done"] == {}
    act(mapped, reopen)
    act(mapped, relabel, 2)
    count = publish_maps(mapped)["done"]["maps"]
    straddling = newest(mapped)[day(BREAKUP)]
    assert (stable(mapped, straddling)[ICE] == 2).all()
    # The whole window lies after the change and its vote says water: the evidence is believed.
    assert not (stable(mapped, newest(mapped)[day(DAYS[-1])])[ICE] == 2).any()
    act(mapped, reopen)
    assert publish_maps(mapped)["done"]["maps"] == count
    assert not np.isin(stable(mapped, newest(mapped)[day(BREAKUP)])[ICE], (2, 1)).any()
    assert (stable(mapped, newest(mapped)[day(BREAKUP)])[ICE] == NOT_STABLE).any()


def test_later_maps_are_made_with_it_and_another_find_asks_nothing(
    mapped: Settings, add_scene: Callable[..., Scene]
) -> None:
    act(mapped, decide, APPROVED)
    publish_maps(mapped)
    season(mapped, add_scene, [DAYS[-1] + 3])
    assert publish_maps(mapped)["done"] == {"maps": 1}
    last = all_maps(mapped)[-1]
    assert last.revision == 1 and last.statistics["changes"][0].startswith(all_changes(mapped)[0].id)
    assert run(mapped, FindRequest(tiles=("01CCV",))).nothing_new


def test_a_map_that_lost_its_row_gets_it_back_and_is_not_made_again(
    mapped: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    act(mapped, decide, APPROVED)

    def killed(*given: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(release, "record", killed)
        publish_maps(mapped)
    told = publish_maps(mapped)
    assert told["failed"] == {} and publish_maps(mapped)["done"] == {}
    assert {row.revision for end, row in newest(mapped).items() if end >= day(BREAKUP)} == {2}


def test_two_writers_at_once_publish_each_revision_once(mapped: Settings) -> None:
    act(mapped, decide, APPROVED)
    told = race(publish_maps, [(mapped,), (mapped,)])
    assert sum(each["done"].get("maps", 0) for each in told) == 8 and not any(each["failed"] for each in told)
    assert publish.run(mapped, publish.PublishRequest()).nothing_new

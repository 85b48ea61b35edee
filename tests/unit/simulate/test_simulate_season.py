"""The plan of a season: how often tiles are seen, when products come out, where the traps lie."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seaice_ops.errors import ConfigError
from seaice_ops.simulate.season import LATE, NEWER, OLDER, PLAIN, TRUNCATED, _counts, season_of
from seaice_ops.simulate.stage import Planned, SimulateRequest, plan, publication_days

REQUEST = SimulateRequest(tiles=("01CCV", "60CWS"))
NAME = re.compile(r"S2[AB]_MSIL1C_\d{8}T\d{6}_N0(511|301)_R\d{3}_T(01CCV|60CWS)_\d{8}T\d{6}")


def of_kind(kind: str, request: SimulateRequest = REQUEST) -> Planned:
    (product,) = [p for p in plan(request) if p.kind == kind]
    return product


def test_the_demo_season() -> None:
    season, products = season_of(REQUEST), plan(REQUEST)
    assert (season.first_days, season.advance_days) == (12, 5)
    assert Counter(p.tile for p in products if p.kind != OLDER) == {"01CCV": 24, "60CWS": 24}
    for tile in REQUEST.tiles or ():
        looks = sorted({p.sensed for p in products if p.tile == tile})
        a_day = Counter(when.date() for when in looks)
        assert sum(when.date() < season.day(12) for when in looks) == 18
        assert max(a_day.values()) == 2
        assert min(a_day.values()) == 1
        assert any(season.day(n) not in a_day for n in range(12))
        assert len({when.time() for when in looks}) > 4  # different local times
    assert products == sorted(products, key=lambda p: (p.published, p.id))


def test_traps_of_the_demo_season() -> None:
    season = season_of(REQUEST)
    advance = season.begins + timedelta(days=season.first_days)
    late, cut, older, newer = (of_kind(kind) for kind in (LATE, TRUNCATED, OLDER, NEWER))
    assert late.sensed < advance <= late.published
    assert cut.published >= advance
    assert advance <= older.published < newer.published
    assert newer.published.date() > older.published.date()
    assert older.identity == newer.identity
    assert (older.baseline, newer.baseline) == ("03.01", "05.11")
    assert season.begins < season.lead[0] < season.lead[1] < season.breakup < advance


@given(acquisitions=st.integers(1, 60), seed=st.integers(0, 10**6))
def test_any_season_is_whole(acquisitions: int, seed: int) -> None:
    request = replace(REQUEST, acquisitions=acquisitions, seed=seed)
    products = plan(request)
    kinds = Counter(p.kind for p in products)
    assert len({p.id for p in products}) == len(products) == 2 * acquisitions + kinds[OLDER]
    assert all(NAME.fullmatch(p.id) for p in products)
    assert all(p.sensed < p.generated < p.published for p in products)
    assert len({p.identity for p in products}) == 2 * acquisitions
    assert max(kinds[k] for k in (LATE, TRUNCATED, OLDER, NEWER)) <= 1
    assert kinds[OLDER] == kinds[NEWER]
    if acquisitions >= 6:
        assert set(kinds) == {PLAIN, LATE, TRUNCATED, OLDER, NEWER}
    assert products == plan(request)


@given(days=st.integers(1, 40), data=st.data())
def test_looks_a_day_add_up(days: int, data: st.DataObject) -> None:
    acquisitions = data.draw(st.integers(0, 2 * days))
    counts = _counts(acquisitions, days)
    assert sum(counts) == acquisitions
    assert max(counts) <= 2


def test_one_tile_holds_all_traps() -> None:
    assert {p.kind for p in plan(SimulateRequest(tiles=("60CWS",), acquisitions=6))} == {
        PLAIN, LATE, TRUNCATED, OLDER, NEWER,
    }  # fmt: skip


def test_publication_days_are_those_of_the_plan() -> None:
    days = publication_days(REQUEST)
    assert days == sorted(set(days))
    assert days[0] == date(2026, 2, 1)
    assert {p.published.date() for p in plan(REQUEST)} == set(days)


@pytest.mark.parametrize("wrong", [{"acquisitions": 0}, {"size": 63}, {"size": 257}, {"size": 10_982}, {"tiles": None}])
def test_an_impossible_season_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        plan(replace(REQUEST, **wrong))


def test_lead_and_breakup_are_seen_before_and_after() -> None:
    season = season_of(REQUEST)
    for tile in REQUEST.tiles or ():
        looks = sorted({p.sensed for p in plan(REQUEST) if p.tile == tile})
        assert 3 <= sum(season.lead[0] <= when < season.lead[1] for when in looks) <= 7
        assert sum(when >= season.breakup for when in looks) >= 8
    assert season.breakup == datetime(2026, 2, 10, 8, tzinfo=UTC)

"""Which days a season is, what rebuilding it costs, and the pieces it is cut into."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from seaice_ops.archive import fetch, search
from seaice_ops.backfill.estimate import DAY, Estimate, estimate, midnight, months, piece_end, scene_cost
from seaice_ops.backfill.season import BackfillRequest, days, hemisphere, season_days
from seaice_ops.errors import ConfigError
from seaice_ops.geo.regions import Region
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Scene
from seaice_ops.scenes import decode
from seaice_ops.settings import Settings
from seaice_ops.simulate import stage as simulate

TODAY = date(2026, 11, 21)


@pytest.mark.parametrize(
    ("season", "side", "first", "last"),
    [
        ("2025-26", "north", date(2025, 10, 1), date(2026, 9, 30)),
        ("2025-26", "south", date(2025, 3, 1), date(2026, 2, 28)),
        ("2023-24", "south", date(2023, 3, 1), date(2024, 2, 29)),
        ("1999-00", "north", date(1999, 10, 1), date(2000, 9, 30)),
    ],
)
def test_seasons(season: str, side: str, first: date, last: date) -> None:
    assert season_days(season, side) == (first, last)


@given(st.integers(2015, 2098), st.sampled_from(["north", "south"]))
def test_seasons_follow_each_other_without_gap(year: int, side: str) -> None:
    one = season_days(f"{year}-{(year + 1) % 100:02d}", side)
    following = season_days(f"{year + 1}-{(year + 2) % 100:02d}", side)
    assert one[1] + timedelta(days=1) == following[0]
    assert 364 <= (one[1] - one[0]).days <= 365


@pytest.mark.parametrize("season", ["2025", "2025-27", "25-26", "2025-2026", "next"])
def test_what_is_no_season_is_said(season: str) -> None:
    with pytest.raises(ConfigError, match="2025-26"):
        season_days(season, "north")


def test_a_region_lies_in_one_hemisphere() -> None:
    assert hemisphere(Region(title="a", tiles=("01CCV",))) == "south"
    assert hemisphere(Region(title="a", tiles=("33XWJ", "32VNH"))) == "north"
    with pytest.raises(ConfigError, match="dates"):
        hemisphere(Region(title="Both", tiles=("01CCV", "33XWJ")))


def test_days_are_those_that_are_over_and_could_be_sensed(settings: Settings) -> None:
    assert days(settings, BackfillRequest("test", season="2025-26"), TODAY) == (date(2025, 3, 1), date(2026, 2, 28))
    assert days(settings, BackfillRequest("test", season="2026-27"), TODAY) == (date(2026, 3, 1), date(2026, 11, 20))
    asked = BackfillRequest("test", start=date(2014, 1, 1), end=date(2016, 1, 1))
    assert days(settings, asked, TODAY) == (date(2015, 7, 1), date(2016, 1, 1))


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"season": "2027-28"}, "no day between"),
        ({"start": TODAY, "end": TODAY - DAY}, "after the last"),
        ({}, "either a season"),
        ({"season": "2025-26", "start": TODAY, "end": TODAY}, "either a season"),
        ({"start": TODAY}, "either a season"),
        ({"season": "2025-26", "redo": "all"}, "redo is one of"),
        ({"season": "2025-26", "at_once": 0}, "1 to 16"),
        ({"season": "2025-26", "region": "nowhere"}, "no region 'nowhere'"),
    ],
)
def test_a_form_that_means_no_days_says_why(settings: Settings, asked: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        days(settings, BackfillRequest(**{"region": "test", **asked}), TODAY)


@given(st.dates(date(2015, 7, 1), date(2026, 1, 1)), st.integers(0, 900))
def test_months_cover_every_day_once(first: date, n: int) -> None:
    last = first + n * DAY
    parts = list(months(first, last))
    assert [day for a, b in parts for day in _each(a, b)] == list(_each(first, last))
    assert all((a.year, a.month) == (b.year, b.month) for a, b in parts)


def _each(first: date, last: date) -> list[date]:
    return [first + i * DAY for i in range((last - first).days + 1)]


def an_estimate(products: dict[date, int], first: date, last: date, scene_bytes: float = 1.0) -> Estimate:
    by_day = {day.isoformat(): n for day, n in products.items()}
    found = sum(products.values())
    return Estimate("test", first.isoformat(), last.isoformat(), found, by_day, scene_bytes, 90.0, False, 4, "")


@profile(deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=90), st.integers(1, 1000))
def test_pieces_follow_each_other_and_fit(counts: list[int], limit: int) -> None:
    first = date(2026, 1, 20)
    found = an_estimate(
        dict(zip(_each(first, first + len(counts) * DAY), counts, strict=False)), first, first + (len(counts) - 1) * DAY
    )
    day, seen = first, 0
    while seen < len(counts):
        end = piece_end(found, day, limit)
        size = (end - day).days + 1
        total = sum(counts[seen : seen + size])
        assert size >= 1 and (day.month == end.month)
        assert size == 1 or total <= limit * 0.1
        seen, day = seen + size, end + DAY
    assert seen == len(counts)


def test_an_estimate_counts_acquisitions_once_and_knows_what_is_there(settings: Settings) -> None:
    simulate.run(settings, simulate.SimulateRequest(size=64, acquisitions=4))
    first, last = date(2026, 1, 1), date(2026, 12, 31)
    truth = simulate.plan(simulate.SimulateRequest(size=64, acquisitions=4).resolved(settings))
    usable = {p.id for p in truth if p.kind not in ("older",)}
    before = estimate(settings, "test", first, last)
    assert (before.found, before.missing, before.measured) == (len(usable), len(usable), False)
    assert before.bytes == int(before.missing * 526e6) and before.hours == before.missing * 90 / 4 / 3600
    assert not list(settings.work.glob("inbox/*"))

    eternity = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    ids = search.run(settings, search.SearchRequest("sensed", *eternity)).items
    for stage, request in ((fetch, fetch.FetchRequest), (decode, decode.DecodeRequest)):
        stage.run(settings, request(tuple(ids)))
    after = estimate(settings, "test", first, last)
    unusable = len([p for p in truth if p.kind == "truncated"])
    assert (after.found, after.missing, after.measured) == (len(usable), unusable, True)
    assert 0 < after.scene_bytes < 10e6 and 0 < after.scene_seconds < 60
    assert Estimate.from_dict(after.to_dict()) == after
    assert "as measured here" in after.sentence() and "assumed" in before.sentence()


def test_an_estimate_is_of_the_regions_own_tiles_and_days(settings: Settings, add_scene: Callable[..., Scene]) -> None:
    simulate.run(settings, simulate.SimulateRequest(size=64, acquisitions=4))
    two = Settings.model_validate(
        {
            **settings.model_dump(),
            "regions": {name: {"title": name, "tiles": [name.upper()]} for name in ("01ccv", "60cws")},
        }
    )
    whole = estimate(settings, "test", date(2026, 1, 1), date(2026, 12, 31))
    parts = [estimate(two, name, date(2026, 1, 1), date(2026, 12, 31)) for name in two.regions]
    assert sum(part.found for part in parts) == whole.found > 0
    day = date.fromisoformat(min(whole.products))
    one = estimate(settings, "test", day, day)
    assert one.products == {day.isoformat(): whole.products[day.isoformat()]}
    assert scene_cost(open_ledger(settings))[2] is False
    assert midnight(day) == datetime(day.year, day.month, day.day, tzinfo=UTC)
    assert np.isfinite(one.hours)

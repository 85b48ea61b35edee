"""When a scene is flagged, and when it is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seaice_ops.quality import flags

USUAL = [{"open_water": 0.2 + i / 100, "thin_ice": 0.3 - i / 100, "thick_ice": 0.4, "no_data": 0.1} for i in range(6)]


def names(found: list[flags.Flag]) -> list[str]:
    return [flag.name for flag in found]


def test_a_usual_scene_has_no_flag() -> None:
    assert flags.of_shares("m", USUAL[2], USUAL) == []
    assert flags.of_agreement("a", "b", 0.71) == flags.of_agreement("a", "b", None) == []


@pytest.mark.parametrize(
    ("shares", "wanted"),
    [
        ({"thick_ice": 0.8, "no_data": 0.2}, ["one class"]),
        ({"thick_ice": 0.79, "open_water": 0.01, "no_data": 0.2}, []),
        ({"thin_ice": 0.2, "open_water": 0.2, "cloud": 0.3, "low_sun": 0.2, "no_data": 0.1}, ["abstains"]),
        ({"thin_ice": 0.25, "open_water": 0.25, "cloud": 0.5}, []),
        ({"cloud": 0.5, "no_data": 0.5}, ["nothing labelled"]),
        ({"no_data": 1.0}, []),
        ({"land_or_shelf": 1.0}, []),
    ],
)
def test_shares_alone(shares: dict[str, float], wanted: list[str]) -> None:
    full = {"open_water": 0.0, "thin_ice": 0.0, "thick_ice": 0.0} | shares
    assert names(flags.of_shares("m", full)) == wanted


def test_shares_out_of_the_tiles_season_are_named_with_their_figures() -> None:
    odd = {"open_water": 0.8, "thin_ice": 0.05, "thick_ice": 0.05, "no_data": 0.1}
    found = flags.of_shares("colour", odd, USUAL)
    assert names(found) == ["out of season", "out of season"]
    assert found[0].reason.startswith("89% open water; the tile's 6 scenes of this season have 25%")
    assert flags.of_shares("colour", odd, USUAL[:4]) == [], "too little history"


@given(st.lists(st.floats(0.01, 1), min_size=3, max_size=3), st.floats(0, 0.9))
def test_no_data_does_not_make_a_scene_unusual(parts: list[float], gap: float) -> None:
    """The same classes behind more or less no-data are as usual as before."""
    whole = np.array(parts) / sum(parts)
    shares = dict(zip(("open_water", "thin_ice", "thick_ice"), (whole * (1 - gap)).tolist(), strict=True)) | {
        "no_data": gap
    }
    full = dict(zip(("open_water", "thin_ice", "thick_ice"), whole.tolist(), strict=True))
    assert names(flags.of_shares("m", shares, USUAL)) == names(flags.of_shares("m", full, USUAL))


@given(st.datetimes(datetime(2016, 1, 1), datetime(2026, 1, 1)), st.integers(-900, 900))
def test_seasons_are_circular(day: datetime, apart: int) -> None:
    first, second = day.replace(tzinfo=UTC), day.replace(tzinfo=UTC) + timedelta(days=apart)
    assert flags.same_season(first, second) == flags.same_season(second, first)
    within_a_year = min(abs(apart) % 365.25, 365.25 - abs(apart) % 365.25)
    if abs(within_a_year - flags.SEASON_DAYS) > 4:
        assert flags.same_season(first, second) == (within_a_year < flags.SEASON_DAYS)


def test_thresholds_at_the_ends_of_the_scale() -> None:
    counts = np.zeros(256, np.int64)
    counts[[20, 120, 230]] = 100
    assert flags.of_brightness("colour", counts, 204) == []
    counts[255] = 100
    assert names(flags.of_brightness("colour", counts, 204)) == ["saturated"]
    dark = np.zeros(256, np.int64)
    dark[[10, 150]] = 500
    found = flags.of_brightness("colour", dark, 204)
    assert names(found) == ["too dark"] and "V = 150" in found[0].reason
    assert flags.of_brightness("colour", np.zeros(256, np.int64), 204) == []
    assert names(flags.of_saturation("m", 0.3)) == ["saturated"] and not flags.of_saturation("m", 0.1)


def test_disagreement_names_both() -> None:
    (flag,) = flags.of_agreement("colour", "reflectance", 0.5)
    assert flags.text([flag])[0].startswith("colour / reflectance: disagreement: the two give the same class on 50%")

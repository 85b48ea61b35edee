"""An empty week in season is told once; empty days, the dark season and regions that are new are not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from helpers.ledger_rows import FIRST, a_scene
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import SceneState
from seaice_ops.ops import inactive
from seaice_ops.settings import Settings

DAY = timedelta(days=1)


@pytest.fixture
def told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Any:
    """told(moment) -> what was told when asked at that moment."""

    def ask(moment: datetime) -> list[str]:
        monkeypatch.setattr("seaice_ops.ops.inactive.now", lambda: moment)
        monkeypatch.setattr("seaice_ops.ledger.runs.now", lambda: moment)
        said: list[str] = []
        inactive.tell_inactive(settings, lambda _, subject, text, level: said.append(text))
        return said

    with open_ledger(settings).begin() as session:
        session.add(a_scene(0))
    return ask


def test_an_empty_week_is_told_once_however_irregularly_it_is_asked(told: Any) -> None:
    answers = [told(FIRST + days * DAY) for days in (1, 3, 6.9, 9, 10, 30)]
    assert [len(said) for said in answers] == [0, 0, 0, 1, 0, 0]
    assert answers[3] == ["Test: no new product since 2026-02-01T20:15Z, and the sun is up there"]


def test_a_new_scene_begins_a_new_week(told: Any, settings: Settings) -> None:
    assert told(FIRST + 6 * DAY) == []
    with open_ledger(settings).begin() as session:
        session.add(a_scene(5))
    assert [told(FIRST + days * DAY) for days in (7, 11)] == [[], []]
    assert len(told(FIRST + 12 * DAY)) == 1


def test_nothing_is_told_in_the_dark_season_and_the_next_one_counts_from_its_first_day(told: Any) -> None:
    sunrise = inactive.season_began(["01CCV"], datetime(2026, 12, 1, tzinfo=UTC))
    assert sunrise is not None and datetime(2026, 9, 1, tzinfo=UTC) < sunrise < datetime(2026, 10, 1, tzinfo=UTC)
    assert inactive.season_began(["01CCV"], datetime(2026, 6, 20, tzinfo=UTC)) is None
    moments = [FIRST + DAY, datetime(2026, 6, 20, tzinfo=UTC), sunrise + 6 * DAY]
    assert [told(moment) for moment in moments] == [[], [], []]
    assert len(told(sunrise + 7 * DAY)) == 1 and told(sunrise + 8 * DAY) == []


def test_a_region_without_scenes_is_not_told(settings: Settings) -> None:
    assert inactive.tell_inactive(settings, pytest.fail) == []


def test_a_tile_is_inactive_after_a_week_of_sun_without_an_acquisition(settings: Settings) -> None:
    with open_ledger(settings).begin() as session:
        session.add_all([a_scene(0), a_scene(9, state=SceneState.WITHDRAWN)])

    def asked(at: datetime) -> dict[str, str]:
        with open_ledger(settings).begin() as session:
            found = inactive.inactive_tiles(session, settings.tiles, at)
        return {tile: each.sentence(at) for tile, each in found.items()}

    assert asked(FIRST + 6.9 * DAY) == {} == asked(datetime(2026, 6, 20, tzinfo=UTC))
    assert asked(FIRST + 7 * DAY) == {"01CCV": "no acquisition since 2026-02-01 (7 days), and the sun is up"}
    [words] = asked(FIRST + 286 * DAY).values()
    assert words.startswith("no acquisition since 2026-02-01 (286 days), and the sun has been up since 2026-09-")


@pytest.mark.parametrize(
    ("tile", "day", "degrees"),
    [("01CCV", (12, 21), 52.6), ("01CCV", (6, 21), 99.4), ("33XWJ", (6, 21), 52.6), ("31NAA", (3, 21), 4.0)],
)
def test_noon_sun(tile: str, day: tuple[int, int], degrees: float) -> None:
    assert inactive.noon_zenith(tile[2], datetime(2026, *day, tzinfo=UTC)) == pytest.approx(degrees, abs=1.0)

"""A step of the demo shows what it waits for, outlasts an outage, and gives up where nothing moves."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from seaice_ops.demo import progress
from seaice_ops.demo.progress import Waiting, step, watch
from seaice_ops.errors import ConfigError, TransientError


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time passes by sleeping only."""
    seconds = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: seconds[0])
    monkeypatch.setattr(progress.time, "sleep", lambda s: seconds.__setitem__(0, seconds[0] + s))


def test_it_tells_each_look_and_ends_when_there_is_nothing_to_wait_for() -> None:
    told: list[str] = []
    answers = iter([Waiting("a"), TransientError("Airflow does not answer"), Waiting("b"), None])

    def look() -> Waiting | None:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    watch(look, told.append)
    assert told == ["a", "Airflow does not answer", "b"]


def test_it_gives_up_where_the_same_is_waited_for_too_long() -> None:
    told: list[str] = []
    with pytest.raises(TransientError, match="nothing has moved for 90 s: no run is active"):
        watch(lambda: Waiting("no run is active", 90.0), told.append)
    assert len(told) == 90 / progress.LOOK + 1
    moving = (Waiting(f"day {n // 50}", 90.0) if n < 1000 else None for n in range(1001))
    watch(lambda: next(moving), told.append)


def test_what_a_person_must_change_is_not_waited_for() -> None:
    def look() -> Waiting | None:
        raise ConfigError("wrong login")

    with pytest.raises(ConfigError, match="wrong login"):
        watch(look, lambda words: None)


def test_a_log_is_never_silent_for_minutes_and_not_flooded(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(progress, "term", Console(file=out, width=200))
    answers = iter([*[Waiting("[b]one[/b]")] * 100, *[Waiting("two")] * 3, None])
    with step("backfill [x]") as tell:
        watch(lambda: next(answers), tell)
    lines = [line.split(" ", 1)[1].strip() for line in out.getvalue().splitlines()]
    assert lines == [
        "backfill [x] ...", "[b]one[/b]", "[b]one[/b]", "[b]one[/b]", "two", "done: backfill [x] (154 s)",
    ]  # fmt: skip

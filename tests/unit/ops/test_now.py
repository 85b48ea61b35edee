"""The rows of the page *Now*: which tile is late, why, at which step, and what its days were."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from seaice_ops.ledger.tables import SceneState
from seaice_ops.ops.account.facts import Line
from seaice_ops.ops.account.reasons import Reason
from seaice_ops.ops.pages.now import DAYS, STATES, ordered, rows, task_address

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
PROMISE = timedelta(hours=36)
READY, FAILED = SceneState.READY, SceneState.FAILED


def days(number: float) -> datetime:
    return AT - timedelta(days=number)


def line(tile: str, ago: float, reason: Reason, words: str = "so it is") -> Line:
    sensed = days(ago)
    identity = f"S2B_{sensed:%Y%m%dT%H%M%S}_T{tile}_R028"
    return Line(tile, sensed.date(), identity, "p", True, True, False, False, False, False, reason, words)


def test_a_row_says_how_late_it_is_and_which_run_tells_why() -> None:
    runs = {"label": "seaice_autolabel.label scheduled__2026-03-01T00:00:00+00:00", "publish": "cli"}
    scenes = [("01CCV", days(3), READY, None), ("01CCV", days(5), READY, None), ("60CWS", days(1), FAILED, "night: 91")]
    missing = {"01CCV": line("01CCV", 3, Reason.LABELS)}
    first, second = rows(["01CCV", "60CWS"], AT, PROMISE, scenes, [("01CCV", days(5))], missing, runs)
    assert (first.newest, first.mapped) == (days(3), days(5))
    assert first.late == pytest.approx(36) and first.reason == "waiting for labels" and first.stage == "label"
    assert first.task == "../dags/seaice_autolabel/runs/scheduled__2026-03-01T00%3A00%3A00%2B00%3A00/tasks/label"
    by_day = dict(first.strip)
    assert len(first.strip) == DAYS and by_day[days(3).date()] == "waiting" and by_day[days(5).date()] == "mapped"
    assert dict(second.strip)[days(1).date()] == "dark" and second.late is None and second.reason == ""


def test_a_day_shows_what_there_is_to_act_on_first() -> None:
    scenes = [
        ("01CCV", days(2), READY, None),
        ("01CCV", days(2.1), FAILED, "B08 is cut"),
        ("01CCV", days(2.2), READY, None),
    ]
    (row,) = rows(["01CCV"], AT, PROMISE, scenes, [("01CCV", days(2))], {}, {})
    assert dict(row.strip)[days(2).date()] == "failed"
    withdrawn = [("01CCV", days(4), SceneState.WITHDRAWN, "gone"), ("01CCV", days(6), SceneState.SUPERSEDED, None)]
    (row,) = rows(["01CCV"], AT, PROMISE, withdrawn, [], {}, {})
    assert {state for _, state in row.strip} == {"nothing"} and row.newest is None
    assert set(STATES) >= {state for _, state in row.strip}


def test_what_cannot_become_a_map_is_not_late() -> None:
    missing = {tile: line(tile, 9, reason) for tile, reason in (("a", Reason.LOW_SUN), ("b", Reason.NOT_YET))}
    dark, waiting = rows(["a", "b"], AT, PROMISE, [], [], missing, {})
    assert dark.late is None and waiting.late == pytest.approx(9 * 24 - 36)


def test_the_worst_come_first() -> None:
    missing = {
        "01": line("01", 2, Reason.NOT_YET),
        "02": line("02", 9, Reason.NOT_YET),
        "03": line("03", 1, Reason.UNEXPLAINED),
        "05": line("05", 1, Reason.LABELS),
    }
    found = ordered(rows(["01", "02", "03", "04", "05"], AT, PROMISE, [], [], missing, {}))
    assert [each.tile for each in found] == ["03", "02", "01", "05", "04"]


@pytest.mark.parametrize("caller", ["", "cli", "cli host", "a/b.c run", "../../x.y run", "seaice.t"])
def test_only_tasks_have_an_address(caller: str) -> None:
    assert task_address(caller) == ""


def test_an_address_holds_nothing_but_names() -> None:
    assert task_address("d.t x/../../y?z=<b>") == "../dags/d/runs/x%2F..%2F..%2Fy%3Fz%3D%3Cb%3E/tasks/t"

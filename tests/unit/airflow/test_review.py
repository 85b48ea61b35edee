"""Questions about changes, and what answers do: the same as the command line, once, and never over another's."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from helpers.ledger_changes import a_change
from seaice_ops.ledger.changes import APPROVED, CONFIRMED, PROVISIONAL, REJECTED, add_change, decide, get_change
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.stores import known_store
from seaice_ops.ledger.tables import Change
from seaice_ops.settings import Settings


@pytest.fixture(autouse=True, scope="module")
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Airflow writes a configuration file into its home when it is imported."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_HOME", str(tmp_path_factory.mktemp("airflow")))
        yield


@pytest.fixture
def asked(settings: Settings) -> Settings:
    with open_ledger(settings).begin() as session:
        add_change(session, a_change(state=CONFIRMED), caller="find")
    return settings


def row(settings: Settings) -> Change:
    with open_ledger(settings).begin() as session:
        return get_change(session, "c1")


@pytest.mark.parametrize(
    ("option", "class_after", "state", "code"),
    [
        ("Approve", "as found", APPROVED, 1),
        ("Approve", "thin ice", APPROVED, 2),
        ("Reject", "thin ice", REJECTED, None),
        ("Later", "as found", CONFIRMED, None),
    ],
)
def test_an_answer_is_a_decision(asked: Settings, option: str, class_after: str, state: object, code: int) -> None:
    from seaice_ops.airflow.review import apply

    told = apply(asked, "c1", option, class_after, "ann")
    assert (row(asked).state, row(asked).decided_class) == (state, code)
    assert told == ("is left for later" if option == "Later" else f"is {state}")
    assert apply(asked, "c1", option, class_after, "ann") == told  # the task is repeated
    assert row(asked).moves == (1 if option == "Later" else 2)


def test_an_answer_that_comes_second_changes_nothing_and_says_so(asked: Settings) -> None:
    from seaice_ops.airflow.review import apply

    with open_ledger(asked).begin() as session:
        decide(session, get_change(session, "c1"), REJECTED, who="ann")
    assert "rejected by ann" in apply(asked, "c1", "Approve", "as found", "bob")
    assert row(asked).state is REJECTED


def test_nobody_s_answer_is_no_decision(asked: Settings) -> None:
    from seaice_ops.airflow.review import APPROVE, ChangeReview

    task = ChangeReview(task_id="ask", change="c1", subject="s", body="b")
    event = {"chosen_options": ["Later"], "params_input": {}, "responded_at": datetime.now(UTC)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Settings, "load", lambda: asked)
        assert task.execute_complete({}, {**event, "responded_by_user": None}) == "is left for later"
        by_ann = {**event, "chosen_options": [APPROVE], "params_input": {"class_after": "as found"}}
        assert task.execute_complete({}, {**by_ann, "responded_by_user": {"id": "1", "name": "ann"}}) == "is approved"
    assert (row(asked).state, row(asked).decided_by) == (APPROVED, "ann")


def test_open_changes_are_asked_confirmed_and_large_ones_first(
    asked: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    from seaice_ops.airflow import outcome, review

    with open_ledger(asked).begin() as session:
        for name, state, pixels in (("c2", PROVISIONAL, 9000), ("c3", CONFIRMED, 700), ("c4", PROVISIONAL, 10)):
            add_change(session, a_change(name, state=state, pixels=pixels), caller="find")
        decide(session, get_change(session, "c4"), REJECTED, who="ann")
    instance = SimpleNamespace(dag_id="d", task_id="t", run_id="r")
    monkeypatch.setattr(outcome, "get_current_context", lambda: {"ti": instance})
    monkeypatch.setattr(Settings, "load", lambda: asked)
    questions = review.questions()
    assert [each["change"] for each in questions] == ["c3", "c1", "c2"]
    with open_ledger(asked).begin() as session:
        for name in ("c1", "c2", "c3"):
            decide(session, get_change(session, name), REJECTED, who="ann")
    with pytest.raises(AirflowSkipException, match="no change waits"):
        review.questions()


def test_the_pictures_of_a_question_are_served(asked: Settings) -> None:
    from seaice_ops.airflow.review import question
    from seaice_ops.ops.pages.app import create

    store = known_store(open_ledger(asked), asked.store)
    for name in ("before.png", "after.png", "change.geojson"):
        store.put(f"{row(asked).folder}/{name}", name.encode())
    asked_for = question(row(asked), "/air")
    assert asked_for["subject"] == "01CCV, 2026-02-11: thick / snow-covered ice -> open water, 0.06 km2"
    links = re.findall(r"\]\(/air/seaice(/[^)]+)\)", asked_for["body"])
    client = TestClient(create(lambda: asked, []))
    assert [client.get(link).text for link in links] == ["before.png", "after.png", "change.geojson"]
    for wrong in ("/changes/c9/before.png", "/changes/c1/pixels.png", "/changes/../before.png"):
        assert client.get(wrong).status_code in (404, 422)


def test_a_place_across_the_antimeridian_is_named_by_its_middle() -> None:
    from seaice_ops.airflow.review import _place

    assert _place([179.0, -72.5, -178.0, -72.0]) == "72.250 S, 179.500 W"

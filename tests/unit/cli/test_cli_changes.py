"""The verbs of dated changes: what they print, and what the second of two reviewers is told."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner, Result

from helpers.ledger_changes import a_change
from seaice_ops.cli import app
from seaice_ops.ledger.changes import add_change
from seaice_ops.ledger.session import open_ledger
from seaice_ops.settings import Settings


@pytest.fixture(autouse=True)
def known(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Settings, "load", lambda: settings)
    with open_ledger(settings).begin() as session:
        for name in ("c1", "c2"):
            add_change(session, a_change(name), caller="find")


def changes(*words: str) -> Result:
    return CliRunner().invoke(app, ["changes", *words])


def listed(*words: str) -> list[str]:
    return [each["id"] for each in json.loads(changes("list", "--json", *words).output)]


def test_the_second_reviewer_is_told_who_decided_and_how_to_reopen() -> None:
    assert "c1 is approved" in changes("approve", "c1", "--by", "ann", "--reason", "seen on radar").output
    assert changes("approve", "c1", "--by", "ann").exit_code == 0  # the same again
    late = changes("reject", "c1", "--by", "bob")
    assert late.exit_code == 1 and "approved by ann" in " ".join(late.stderr.split())
    assert listed("--state", "approved") == ["c1"] and listed("--state", "provisional") == ["c2"]
    assert listed("--tile", "60CWS") == []
    shown = json.loads(changes("show", "c1", "--json").output)
    assert shown["decided_by"] == "ann" and shown["reason"] == "seen on radar"
    assert [line.split("  ")[1] for line in shown["history"]] == [
        "provisional: it is found, and few maps have followed it (find)",
        "approved: seen on radar (ann)",
    ]


def test_a_class_is_corrected_and_a_decision_taken_back() -> None:
    assert "approved as thin" in changes("relabel", "c2", "--to", "thin", "--by", "ann").output
    assert json.loads(changes("show", "c2", "--json").output)["decided_to"] == "thin_ice"
    assert "open again" in changes("reopen", "c2", "--by", "bob").output
    assert "c2 is rejected" in changes("reject", "c2", "--by", "bob").output


@pytest.mark.parametrize(
    ("words", "code"),
    [(("relabel", "c1", "--to", "slush"), 2), (("list", "--state", "old"), 2), (("approve", "c9"), 1)],
)
def test_what_is_wrong_is_refused(words: tuple[str, ...], code: int) -> None:
    assert changes(*words).exit_code == code

"""Two people decide one change at the same moment, on both databases: one of them wins, and the log says who."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy.orm import Session

from helpers.ledger_changes import a_change, confirm_as, decide_as
from helpers.racing import race
from seaice_ops.errors import DecidedMeanwhile
from seaice_ops.ledger.changes import APPROVED, REJECTED, add_change, decide, get_change
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Change, ChangeEvent
from seaice_ops.settings import Settings


def test_of_reviewers_in_processes_of_their_own_one_wins_each_change(ledger: Settings) -> None:
    names = [f"c{number}" for number in range(6)]
    with open_ledger(ledger).begin() as session:
        for name in names:
            add_change(session, a_change(name), caller="find")
    answers = race(_decide_all, [(ledger, names, who, who == "ann") for who in ("ann", "bob")])
    with open_ledger(ledger).begin() as session:
        rows = {row.id: row for row in session.query(Change)}
        events = session.query(ChangeEvent).all()
    for number, name in enumerate(names):
        won = [who for who, told in zip(("ann", "bob"), answers, strict=True) if told[number] == "won"]
        assert won == [rows[name].decided_by]
        assert rows[name].state is (APPROVED if won == ["ann"] else REJECTED)
        lost = next(told[number] for told in answers if told[number] != "won")
        assert lost.startswith("DecidedMeanwhile")
    assert len(events) == 2 * len(names)


def test_of_reviewers_who_both_looked_before_one_wins(ledger: Settings) -> None:
    with open_ledger(ledger).begin() as session:
        add_change(session, a_change(), caller="find")
    looked = threading.Barrier(2)

    def review(who: str) -> str:
        with open_ledger(ledger).begin() as session:
            seen = get_change(session, "c1")
        looked.wait(60)
        try:
            with open_ledger(ledger).begin() as session:
                return _told(session, seen, who)
        except DecidedMeanwhile:
            return "late"

    with ThreadPoolExecutor() as pool:
        assert sorted(pool.map(review, ("ann", "bob"))) == ["late", "won"]


def test_a_decision_beside_the_finder_is_not_lost(ledger: Settings) -> None:
    with open_ledger(ledger).begin() as session:
        add_change(session, a_change(), caller="find")
    with ThreadPoolExecutor() as pool:
        decision, found = pool.submit(decide_as, ledger, "c1", "ann", True), pool.submit(confirm_as, ledger, "c1", "f")
        told, moved = decision.result(60), found.result(60)
    with open_ledger(ledger).begin() as session:
        row = get_change(session, "c1")
    assert (row.state is APPROVED) == (told == "won")
    assert row.moves == 1 + (told == "won") + (moved == "won")


def _told(session: Session, seen: Change, who: str) -> str:
    decide(session, seen, APPROVED, who=who)
    return "won"


def _decide_all(settings: Settings, names: list[str], who: str, approve: bool) -> list[str]:
    return [decide_as(settings, name, who, approve) for name in names]

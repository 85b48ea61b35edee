"""Scenes under workers that search, fetch, decode, label, withdraw and publish again at the same time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from helpers.lives import ACTS, VERSIONS, Act, Worker, at_random, check, empty
from helpers.racing import race
from seaice_ops.archive.product import Withdrawn
from seaice_ops.archive.record import record
from seaice_ops.labels.stage import Outcome, _commit
from seaice_ops.ledger.runs import StageRun
from seaice_ops.ledger.scenes import fail_scene
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Scene, SceneState
from seaice_ops.settings import Settings
from seaice_ops.summary import Summary

versions, hours = st.integers(0, len(VERSIONS) - 1), st.integers(0, 9)
act = st.tuples(st.sampled_from(ACTS), versions, hours).map(lambda one: [one])
ingestion = st.tuples(versions, hours).map(
    lambda of: [(what, *of) for what in ("search", "look", "fetch", "look", "decode")]
)
acts = st.lists(st.one_of(act, act, ingestion), max_size=5).map(
    lambda pieces: [one for piece in pieces for one in piece]
)

A_FETCHED: list[Act] = [("search", 0, 0), ("look", 0, 0), ("fetch", 0, 0), ("look", 0, 0)]
AGAIN: list[Act] = [("withdraw", 0, 1), ("search", 0, 2), ("look", 0, 0), ("fetch", 0, 0)]


def at_once(workers: list[Worker], lives: list[list[Act]]) -> int:
    """Let the workers begin at the same moment, each in a thread of its own; how many moves all made."""
    barrier = threading.Barrier(len(workers))

    def begin(worker: Worker, acts: list[Act]) -> int:
        barrier.wait(60)
        return worker.play(acts)

    with ThreadPoolExecutor(len(workers)) as pool:
        return sum(pool.map(begin, workers, lives))


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(before=acts, lives=st.lists(acts, min_size=2, max_size=3))
@example(before=A_FETCHED, lives=[AGAIN, [("decode", 0, 0)]])
def test_no_interleaving_makes_a_forbidden_move_or_loses_one(
    ledger: Settings, before: list[Act], lives: list[list[Act]]
) -> None:
    empty(ledger)
    first = Worker(ledger, "first")
    moves = first.play(before)
    others = [Worker(ledger, f"worker {number}") for number in range(len(lives))]
    for other in others:
        other.seen = dict(first.seen)
    check(ledger, moves + at_once(others, lives))


def test_workers_in_processes_of_their_own_agree_with_the_log(ledger: Settings) -> None:
    made = race(at_random, [(ledger, seed, 30) for seed in range(3)])
    assert len(check(ledger, sum(made))) >= 8


def test_pixels_of_a_withdrawn_publication_never_become_ready(ledger: Settings) -> None:
    """A decode of the first publication ends after the second has been fetched."""
    slow, quick = Worker(ledger, "slow"), Worker(ledger, "quick")
    moves = slow.play(A_FETCHED) + quick.play(AGAIN)
    assert slow.decode(0, 0) == 0
    quick.play([("look", 0, 0), ("decode", 0, 0)])
    check(ledger, moves + 1)
    with open_ledger(ledger).begin() as session:
        assert session.get_one(Scene, "P0").sha256 == "md5:2"


def test_a_label_that_fails_beside_a_withdrawal_leaves_the_scene_withdrawn(ledger: Settings, monkeypatch) -> None:
    """The scene is withdrawn between the labelling stage's look at it and its statement."""
    worker = Worker(ledger, "worker")
    worker.play([*A_FETCHED, ("decode", 0, 0)])
    looked, withdrawn = threading.Event(), threading.Event()

    def slowly(*args: object, **values: object) -> bool:
        looked.set()
        withdrawn.wait(2)  # SQLite lets the withdrawal wait for this transaction: then it comes second
        return fail_scene(*args, **values)  # type: ignore[arg-type]

    def withdraw() -> None:
        looked.wait(60)
        with open_ledger(ledger).alone() as session:
            gone = [Withdrawn("P0", "Corrupted", worker.seen[0].published_at.replace(year=2027))]
            record(session, ledger.inbox(""), [], withdrawn=gone, caller="search")
        withdrawn.set()

    monkeypatch.setattr("seaice_ops.labels.stage.fail_scene", slowly)
    stage = StageRun(open_ledger(ledger), ledger.store, ledger.work, "label", Summary("label"))
    with stage.ledger.begin() as session:
        seen = session.get_one(Scene, "P0")
    with ThreadPoolExecutor() as pool:
        other = pool.submit(withdraw)
        _commit(stage, seen, Outcome("P0", None, "it has no CRS"))
        other.result(60)
    with open_ledger(ledger).begin() as session:
        scene = session.get_one(Scene, "P0")
    assert (scene.state, scene.reason) == (SceneState.WITHDRAWN, "Corrupted")

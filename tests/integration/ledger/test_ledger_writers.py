"""The ledger under several writer processes at once, and under kill -9, on SQLite and PostgreSQL."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from psycopg.types.json import set_json_dumps
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.orm import Session

from helpers.racing import race
from seaice_ops.errors import TransientError
from seaice_ops.ledger.operations import insert_new
from seaice_ops.ledger.runs import recorded
from seaice_ops.ledger.scenes import add_scene, fail_scene, move_scene
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.stores import initialise
from seaice_ops.ledger.tables import LabelSet, Model, Run, Scene, SceneEvent, SceneState, storable
from seaice_ops.settings import Settings

NOON = datetime(2026, 2, 1, 12, tzinfo=UTC)


def a_scene(number: int, identity: int | None = None, state: SceneState = SceneState.DISCOVERED) -> Scene:
    sensed = NOON + timedelta(hours=number if identity is None else identity)
    return Scene(
        id=f"S2B_MSIL1C_{number:05d}",
        identity=f"S2B_{sensed:%Y%m%dT%H%M%S}_T01CCV_R028",
        tile="01CCV",
        platform="S2B",
        sensed_at=sensed,
        relative_orbit=28,
        generated_at=sensed,
        published_at=sensed,
        href="memory",
        state=state,
        moves=0,
        discovered_at=NOON,
        updated_at=NOON,
    )


def a_label(scene: int) -> LabelSet:
    return LabelSet(
        scene_id=f"S2B_MSIL1C_{scene:05d}",
        method="colour",
        version="1",
        key="k",
        sha256="0" * 64,
        shares={"thin_ice": 0.5},
        seconds=0.1,
        created_at=NOON,
    )


def _insert_overlapping(settings: Settings, writer: int, count: int) -> list[str]:
    """Insert scenes 0..count-1 in this writer's own order; the ids of those that were new."""
    numbers = list(range(count))
    random.Random(writer).shuffle(numbers)
    new = []
    for number in numbers:
        row = a_scene(number)
        row.href = f"writer {writer}"
        with open_ledger(settings).begin() as session:
            if insert_new(session, row):
                new.append(row.id)
    return new


def test_every_row_is_inserted_by_exactly_one_of_four_writers(ledger: Settings) -> None:
    inserted = race(_insert_overlapping, [(ledger, writer, 60) for writer in range(4)])
    ids = sorted(i for ids in inserted for i in ids)
    assert ids == sorted({f"S2B_MSIL1C_{n:05d}" for n in range(60)})
    with open_ledger(ledger).begin() as session:
        rows = {row.id: row.href for row in session.scalars(select(Scene))}
    assert rows == {i: f"writer {writer}" for writer, ids in enumerate(inserted) for i in ids}


def _make_ready(settings: Settings, writer: int, identities: int) -> list[int]:
    """Try to make this writer's version of every acquisition the ready one; the acquisitions it won."""
    won = []
    for identity in range(identities):
        number = 1000 * (writer + 1) + identity
        try:
            with open_ledger(settings).begin() as session:
                insert_new(session, a_scene(number, identity))
                session.execute(
                    update(Scene).where(Scene.id == f"S2B_MSIL1C_{number:05d}").values(state=SceneState.READY)
                )
            won.append(identity)
        except IntegrityError:
            continue
    return won


def test_one_version_of_an_acquisition_is_ready_whoever_comes_first(ledger: Settings) -> None:
    won = race(_make_ready, [(ledger, writer, 30) for writer in range(4)])
    assert sorted(i for mine in won for i in mine) == list(range(30))
    with open_ledger(ledger).begin() as session:
        ready = session.scalars(select(Scene.identity).where(Scene.state == SceneState.READY)).all()
    assert len(ready) == len(set(ready)) == 30


def _claim(settings: Settings, count: int) -> list[bool]:
    """Try to bring every scene from discovered to fetched; which of them this process brought there."""
    won = []
    for number in range(count):
        with open_ledger(settings).begin() as session:
            won.append(move_scene(session, a_scene(number), SceneState.FETCHED, caller="test"))
    return won


def test_one_worker_moves_a_scene_and_the_others_learn_it(ledger: Settings) -> None:
    with open_ledger(ledger).begin() as session:
        session.add_all([a_scene(number) for number in range(40)])
    answers = race(_claim, [(ledger, 40)] * 4)
    assert [sum(column) for column in zip(*answers, strict=True)] == [1] * 40
    with open_ledger(ledger).begin() as session:
        assert set(session.scalars(select(Scene.state))) == {SceneState.FETCHED}
        assert not move_scene(session, a_scene(404), SceneState.FETCHED, caller="test")


def _swap(settings: Settings, writer: int, rounds: int) -> int:
    """Supersede the ready version by this writer's, `rounds` times, as decode does: both rows in one transaction."""
    mine = f"S2B_MSIL1C_{1000 * (writer + 1):05d}"
    for _ in range(rounds):
        with open_ledger(settings).begin() as session:
            session.execute(text("SELECT id FROM scene ORDER BY id" + _for_update(session))).all()
            session.execute(
                update(Scene)
                .where(Scene.state == SceneState.READY)
                .values(state=SceneState.SUPERSEDED, superseded_by=mine)
            )
            session.execute(
                update(Scene).where(Scene.id == mine).values(state=SceneState.READY, attempts=Scene.attempts + 1)
            )
    return rounds


def _for_update(session: Session) -> str:
    return " FOR UPDATE" if session.get_bind().dialect.name == "postgresql" else ""


def test_state_transitions_of_concurrent_writers_are_serial(ledger: Settings) -> None:
    with open_ledger(ledger).begin() as session:
        for writer in range(4):
            insert_new(session, a_scene(1000 * (writer + 1), identity=0))
    assert race(_swap, [(ledger, writer, 25) for writer in range(4)]) == [25] * 4
    with open_ledger(ledger).begin() as session:
        rows = session.scalars(select(Scene)).all()
    assert [row.attempts for row in rows] == [25] * 4
    assert sorted(row.state for row in rows) == [SceneState.READY] + [SceneState.SUPERSEDED] * 3


def test_transactions_that_lock_each_other_are_transient(postgres, tmp_path) -> None:
    from helpers.servers import settings_for
    from seaice_ops.ledger.session import open_ledger

    settings = settings_for(tmp_path, ledger=postgres())
    initialise(settings)
    with open_ledger(settings).begin() as session:
        session.add_all([a_scene(0), a_scene(1)])
    both, answers = threading.Barrier(2), []

    def update_in_order(numbers: tuple[int, int]) -> None:
        try:
            with open_ledger(settings).begin() as session:
                for number in numbers:
                    session.execute(update(Scene).where(Scene.id == f"S2B_MSIL1C_{number:05d}").values(attempts=number))
                    if number == numbers[0]:
                        both.wait(30)
            answers.append("done")
        except TransientError as error:
            answers.append(str(error))

    threads = [threading.Thread(target=update_in_order, args=(order,)) for order in ((0, 1), (1, 0))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(a == "done" for a in answers) == [False, True]
    assert "deadlock" in next(a for a in answers if a != "done")


def test_insert_new_keeps_the_first_row_and_fills_defaults(ledger: Settings) -> None:
    first, second = a_scene(1), a_scene(1)
    second.href = "second"
    with open_ledger(ledger).begin() as session:
        assert insert_new(session, first) is True
        assert insert_new(session, second) is False
    with open_ledger(ledger).begin() as session:
        row = session.get_one(Scene, first.id)
        assert (row.href, row.attempts, row.baseline) == ("memory", 0, "")
        assert session.scalar(select(func.count()).where(Scene.details.is_(None))) == 1  # NULL, not JSON null


def test_insert_new_also_yields_to_the_ready_version(ledger: Settings) -> None:
    with open_ledger(ledger).begin() as session:
        assert insert_new(session, a_scene(1, identity=7, state=SceneState.READY))
        assert not insert_new(session, a_scene(2, identity=7, state=SceneState.READY))
        assert insert_new(session, a_scene(3, identity=7, state=SceneState.SUPERSEDED))
        assert insert_new(session, a_scene(4, identity=7, state=SceneState.FAILED))


def test_labels_of_an_unknown_scene_are_refused(ledger: Settings) -> None:
    with pytest.raises(IntegrityError), open_ledger(ledger).begin() as session:
        insert_new(session, a_label(404))


def test_an_error_rolls_the_whole_transaction_back(ledger: Settings) -> None:
    with pytest.raises(RuntimeError, match="half way"), open_ledger(ledger).begin() as session:
        insert_new(session, a_scene(1))
        raise RuntimeError("half way")
    with open_ledger(ledger).begin() as session:
        assert session.scalars(select(Scene)).all() == []


@pytest.mark.parametrize("column", ["sensed_at", "updated_at"])
def test_naive_datetimes_are_refused(ledger: Settings, column: str) -> None:
    row = a_scene(1)
    setattr(row, column, datetime(2026, 2, 1))
    with pytest.raises(StatementError, match="naive datetime"), open_ledger(ledger).begin() as session:
        session.add(row)


def test_datetimes_come_back_aware_in_utc(ledger: Settings) -> None:
    auckland = timezone(timedelta(hours=13))
    row = a_scene(1)
    row.sensed_at = datetime(2026, 2, 2, 1, 30, 15, 250_000, tzinfo=auckland)
    with open_ledger(ledger).begin() as session:
        session.add(row)
    with open_ledger(ledger).begin() as session:
        seen = session.scalar(select(Scene.sensed_at))
        assert session.scalar(select(func.count()).where(Scene.sensed_at == row.sensed_at)) == 1
    assert seen == datetime(2026, 2, 1, 12, 30, 15, 250_000, tzinfo=UTC) and seen.utcoffset() == timedelta(0)


def test_json_and_enums_come_back_as_they_went(ledger: Settings) -> None:
    card = {"width": 8, "metrics": {"macro_f1": 0.91, "list": [1, None, "ä"]}, "nothing": None}
    model = Model(id="unet/1", name="unet", version="1", sha256="0" * 64, card=card, created_at=NOON)
    with open_ledger(ledger).begin() as session:
        assert insert_new(session, model)
        insert_new(session, a_scene(1, state=SceneState.WITHDRAWN))
    with open_ledger(ledger).begin() as session:
        assert session.get_one(Model, "unet/1").card == card
        assert session.scalar(select(Scene.state)) is SceneState.WITHDRAWN


def test_recorded_keeps_the_summary_and_the_error(ledger: Settings) -> None:
    with recorded(ledger, "label") as stage:
        stage.summary.done["labels"] = 3
    with pytest.raises(TransientError), recorded(ledger, "fetch"):
        raise TransientError("the archive does not answer; " + "x" * 5000)
    with open_ledger(ledger).begin() as session:
        good, bad = session.scalars(select(Run).order_by(Run.id)).all()
    assert good.stage == "label" and good.summary["done"] == {"labels": 3} and good.error is None
    assert bad.error is not None and bad.error.startswith("TransientError: the archive") and len(bad.error) == 2048


KILLED = """
import sys, time
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.operations import insert_new
from seaice_ops.settings import Settings
sys.path.insert(0, sys.argv[2])
from test_ledger_writers import a_scene
with open_ledger(Settings.model_validate_json(sys.argv[1])).begin() as session:
    for number in range(50):
        insert_new(session, a_scene(number))
    print("written", flush=True)
    time.sleep(600)
"""


def test_a_writer_killed_before_commit_leaves_nothing_and_blocks_nobody(ledger: Settings) -> None:
    here = Path(__file__).parent
    writer = subprocess.Popen(
        [sys.executable, "-c", KILLED, ledger.model_dump_json(), str(here)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(here.parents[1])},
    )
    try:
        assert writer.stdout is not None and writer.stdout.readline() == "written\n"
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.wait(30)
    start = time.monotonic()
    with open_ledger(ledger).begin() as session:
        assert session.scalars(select(Scene)).all() == []
        assert insert_new(session, a_scene(0))
    assert time.monotonic() - start < 20


@pytest.fixture
def strict_json() -> Iterator[None]:
    """Another package of this process has given psycopg a JSON writer that takes whole Unicode only."""
    set_json_dumps(lambda value: json.dumps(value, ensure_ascii=False).encode())
    yield
    set_json_dumps(json.dumps)


def test_text_of_others_is_stored_whatever_it_holds(ledger: Settings, strict_json: None) -> None:
    odd = "a\0b\ud800c" * 1000
    with open_ledger(ledger).begin() as session:
        add_scene(session, a_scene(1), caller=odd)
    with open_ledger(ledger).begin() as session:
        assert fail_scene(session, session.get_one(Scene, a_scene(1).id), odd, caller=odd)
    with pytest.raises(TransientError), recorded(ledger, "fetch", odd) as stage:
        stage.summary.failed["n\0l"] = odd
        raise TransientError(odd)
    with open_ledger(ledger).begin() as session:
        scene, run = session.scalars(select(Scene)).one(), session.scalars(select(Run)).one()
        events = session.scalars(select(SceneEvent)).all()
    for text_, length in ((scene.reason, 2048), (run.error, 2048), (run.caller, 256), (events[-1].caller, 256)):
        assert text_ is not None and len(text_) == length and "\0" not in text_
    assert scene.reason == events[-1].reason
    assert run.summary["failed"] == {storable("n\0l"): storable(odd)}

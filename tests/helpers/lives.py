"""Workers that search, fetch, decode, label, withdraw and publish again the same scenes, by the stages' own functions.

There are no pixels and no files: what an archive publishes is a checksum, and decoding stores that as the scene's own.
"""

from __future__ import annotations

import random
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import delete, select

from seaice_ops.archive.fetch import _fetched, _set_aside
from seaice_ops.archive.product import Product, ProductFile, Withdrawn
from seaice_ops.archive.record import record
from seaice_ops.errors import CorruptPart, TransientError
from seaice_ops.labels.stage import Outcome, _commit
from seaice_ops.ledger.runs import StageRun
from seaice_ops.ledger.scenes import MOVES, fail_scene
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Scene, SceneEvent, SceneState
from seaice_ops.scenes.decode import make_ready
from seaice_ops.settings import Settings
from seaice_ops.summary import Summary

BEGIN = datetime(2026, 2, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)

#: Two acquisitions of two baselines each: (acquisition, baseline).
VERSIONS = [(acquisition, baseline) for acquisition in (0, 1) for baseline in ("05.10", "05.11")]
ACTS = ("search", "look", "fetch", "spoil", "decode", "break", "label", "withdraw")

Act = tuple[str, int, int]
"""An act, the one of `VERSIONS` that it concerns, and the hour at which the archive published or withdrew it."""


def product(version: int, hour: int) -> Product:
    """The product as published at `hour`: each time with other files."""
    acquisition, baseline = VERSIONS[version]
    sensed = BEGIN + acquisition * timedelta(days=1)
    return Product(
        id=f"P{version}",
        kind="product",
        platform="S2B",
        tile="01CCV",
        sensed_at=sensed,
        relative_orbit=28,
        baseline=baseline,
        generated_at=sensed,
        published_at=BEGIN + hour * HOUR,
        href=f"P{version}.SAFE",
        files=(ProductFile("MTD.xml", 1, f"md5:{hour}"),),
    )


class Worker:
    """A worker that acts on scenes as it last read them, however long ago, and counts the moves that it made."""

    def __init__(self, settings: Settings, name: str) -> None:
        self.settings, self.ledger, self.name = settings, open_ledger(settings), name
        self.seen: dict[int, Scene] = {}
        self.moves = 0

    def play(self, acts: list[Act]) -> int:
        for what, version, hour in acts:
            with suppress(TransientError):  # a deadlock: nothing was done
                self.moves += getattr(self, what if what != "break" else "spoil_pixels")(version, hour)
        return self.moves

    def search(self, version: int, hour: int) -> int:
        with self.ledger.alone() as session:
            decided = record(session, Path("/nowhere"), [product(version, hour)], caller=self.name)
        return len(decided.decisions)

    def withdraw(self, version: int, hour: int) -> int:
        gone = [Withdrawn(f"P{version}", "Corrupted", BEGIN + hour * HOUR)]
        with self.ledger.alone() as session:
            return len(record(session, Path("/nowhere"), [], withdrawn=gone, caller=self.name).decisions)

    def look(self, version: int, hour: int) -> int:
        with self.ledger.begin() as session:
            scene = session.get(Scene, f"P{version}")
        if scene is not None:
            self.seen[version] = scene
        return 0

    def fetch(self, version: int, hour: int) -> int:
        scene = self._in_hand(version, SceneState.DISCOVERED)
        return int(scene is not None and _fetched(self.ledger, scene, self.name))

    def spoil(self, version: int, hour: int) -> int:
        scene = self._in_hand(version, SceneState.DISCOVERED, SceneState.FETCHED)
        return int(scene is not None and _set_aside(self.ledger, scene, CorruptPart("half a file"), self.name))

    def decode(self, version: int, hour: int) -> int:
        scene = self._in_hand(version, SceneState.FETCHED)
        if scene is None:
            return 0
        with self.ledger.begin() as session:
            done = make_ready(session, scene, {"sha256": published(scene)}, caller=self.name)
        return sum(done.values())

    def spoil_pixels(self, version: int, hour: int) -> int:
        scene = self._in_hand(version, SceneState.FETCHED)
        if scene is None:
            return 0
        with self.ledger.begin() as session:
            return int(fail_scene(session, scene, "no pixels", caller=self.name))

    def label(self, version: int, hour: int) -> int:
        ledger = open_ledger(self.settings)
        with ledger.begin() as session:
            scene = session.get(Scene, f"P{version}")
        if scene is None or scene.state is not SceneState.READY:
            return 0
        stage = StageRun(ledger, self.settings.store, self.settings.work, self.name, Summary("label"))
        _commit(stage, scene, Outcome(scene.id, None, "cannot be labelled"))
        return len(stage.summary.failed)

    def _in_hand(self, version: int, *states: SceneState) -> Scene | None:
        scene = self.seen.get(version)
        return scene if scene is not None and scene.state in states else None


def published(scene: Scene) -> str:
    """The checksum of what the archive published, as the row tells it."""
    return str((scene.details or {})["files"][0]["checksum"])


def at_random(settings: Settings, seed: int, count: int) -> int:
    """Run a worker that acts at random, mostly on a sensible next step; returns the number of moves it made."""
    chance = random.Random(seed)
    acts: list[Act] = []
    for _ in range(count):
        version, hour = chance.randrange(len(VERSIONS)), chance.randrange(40)
        purpose = [("search",), ("look", "fetch", "look", "decode"), ("look", "label"), ("withdraw", "search"), ACTS]
        acts += [(what, version, hour) for what in chance.choices(purpose, (4, 6, 1, 2, 1))[0]]
    return Worker(settings, f"worker {seed}").play(acts)


def empty(settings: Settings) -> None:
    with open_ledger(settings).begin() as session:
        session.execute(delete(SceneEvent))
        session.execute(delete(Scene))


def check(settings: Settings, moves: int) -> set[tuple[SceneState | None, SceneState]]:
    """Check the events against the table of moves and the workers' count, and the rows against the events."""
    with open_ledger(settings).begin() as session:
        scenes = list(session.scalars(select(Scene)))
        events = list(session.scalars(select(SceneEvent).order_by(SceneEvent.scene_id, SceneEvent.number)))
    assert len(events) == moves
    made = {(event.before, event.after) for event in events}
    assert made <= set(MOVES)
    for scene in scenes:
        mine = [event for event in events if event.scene_id == scene.id]
        assert [event.number for event in mine] == list(range(1, scene.moves + 1))
        assert [event.before for event in mine] == [None, *(event.after for event in mine[:-1])]
        assert mine[-1].after is scene.state
        if scene.state is SceneState.READY:
            assert scene.sha256 == published(scene), "pixels of another publication"
            assert mine[-1].reason == f"sha256 {scene.sha256}"
        else:
            assert mine[-1].reason == (scene.reason or (scene.superseded_by and f"by {scene.superseded_by}"))
    ready = [scene.identity for scene in scenes if scene.state is SceneState.READY]
    assert len(set(ready)) == len(ready)
    return made

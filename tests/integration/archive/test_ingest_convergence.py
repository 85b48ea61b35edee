"""Whatever happened, after the last run the ledger and the objects are what the archive offers, by a slow oracle."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from helpers.crash import _memory
from helpers.histories import ACQUISITIONS, Version, World, fresh, pixels, playing, rows, scene_id, truth
from helpers.servers import settings_for
from seaice_ops.ledger.stores import initialise
from seaice_ops.ledger.tables import SceneState
from seaice_ops.pixels.imagery import read_bands
from seaice_ops.storage.store import open_store


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty ledger's file."""
    home = settings_for(tmp_path_factory.mktemp("template"))
    initialise(home)
    return home.home / "ledger.sqlite"


versions = st.builds(
    Version,
    st.sampled_from(range(len(ACQUISITIONS))),
    st.sampled_from([0, 0, 1]),
    st.sampled_from(["0510", "0511"]),
    st.integers(0, 1),
    st.sampled_from([False] * 5 + [True]),
)
faults = st.one_of(
    st.just({}), st.just({}), st.fixed_dictionaries({"answers": st.integers(0, 9)}),
    st.fixed_dictionaries({"writes": st.integers(0, 25)}),
)  # fmt: skip
events = st.one_of(
    st.tuples(st.just("publish"), versions, st.sampled_from([0, 1, 30])),
    st.tuples(st.just("publish"), versions, st.sampled_from([0, 1, 30])),
    st.tuples(st.just("withdraw"), st.integers(0, 5)),
    st.tuples(st.just("wait"), st.sampled_from([1, 20, 24, 26, 24 * 9])),
    st.tuples(st.just("scheduled"), faults),
    st.tuples(st.just("scheduled"), faults),
    st.tuples(st.just("backfill"), st.integers(0, 5), st.integers(1, 4), faults),
    st.tuples(st.just("together"), st.lists(st.booleans(), max_size=12)),
)

A, B, NEWER = Version(0, 0, "0511", 0), Version(0, 1, "0511", 0), Version(0, 0, "0511", 1)


def play(world: World, history: list[tuple]) -> None:
    for what, *values in history:
        fault = values.pop() if values and isinstance(values[-1], dict) else {}
        getattr(world, what)(*values, **fault)


@contextmanager
def beginning(template: Path) -> Iterator[World]:
    """A world whose first run has found an empty archive: from there on nothing may be missed."""
    with tempfile.TemporaryDirectory(dir=_memory()) as folder, playing(World(fresh(template, Path(folder)))) as world:
        world.scheduled()
        yield world


def finish(world: World) -> None:
    """The daily runs after the last event, until one finds nothing to ingest: each failure takes one run more."""
    world.wait(24 * 9)
    for _ in range(12):
        if not world.scheduled():
            return
        world.wait(24)
    raise AssertionError("the daily runs never come to rest")


def check(world: World) -> None:
    """The ledger, the objects and the inbox against the truth."""
    found, expected = rows(world.settings), truth(world)
    ready = {id_ for id_, scene in found.items() if scene.state is SceneState.READY}
    assert ready == {scene_id(parts) for parts in expected.values()}
    store = open_store(world.settings.store)
    for parts in expected.values():
        scene = found[scene_id(parts)]
        assert scene.sha256 == hashlib.sha256(store.get(scene.key or "")).hexdigest()
        np.testing.assert_array_equal(read_bands(store, scene)[0], pixels(parts))
    for version, at in world.published.items():
        gone = world.withdrawn.get(version, at) > at
        assert version.id in found or gone, f"{version.id} was lost"
        state = found[version.id].state if version.id in found else None
        if gone:
            assert state in (None, SceneState.WITHDRAWN)
        elif version.id not in ready:
            assert state in (SceneState.SUPERSEDED, SceneState.FAILED if version.damaged else None)
    assert not list(world.settings.inbox("").glob("*"))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(history=st.lists(events, min_size=3, max_size=14))
@example(
    history=[
        ("publish", A, 0),
        ("wait", 24),
        ("scheduled", {}),
        ("publish", B, 30),
        ("wait", 24),
        ("scheduled", {"writes": 9}),
    ]
)
@example(
    history=[("publish", A, 0), ("publish", B, 0), ("wait", 24), ("scheduled", {}), ("withdraw", 1), ("wait", 24 * 9)]
)
@example(
    history=[
        ("publish", A, 0),
        ("wait", 26),
        ("scheduled", {}),
        ("withdraw", 0),
        ("wait", 24),
        ("scheduled", {}),
        ("publish", A, 0),
    ]
)
@example(
    history=[
        ("publish", NEWER, 0),
        ("publish", A, 0),
        ("backfill", 0, 4, {"answers": 5}),
        ("together", [True, False, True]),
    ]
)
@example(history=[("publish", A, 0), ("wait", 24 * 9), ("scheduled", {"writes": 9})])
def test_any_history_ends_in_the_truth(template: Path, history: list[tuple]) -> None:
    with beginning(template) as world:
        play(world, history)
        finish(world)
        check(world)


def test_a_whole_season_without_the_service_is_caught_up_by_one_run(template: Path) -> None:
    with beginning(template) as world:
        for number, acquisition in enumerate(range(len(ACQUISITIONS))):
            world.publish(Version(acquisition, 0, "0511", 0), 0)
            world.wait(24 * 40)
            assert not world.scheduled(answers=number)
        world.wait(24 * 2)
        assert world.scheduled() == len(ACQUISITIONS)
        check(world)

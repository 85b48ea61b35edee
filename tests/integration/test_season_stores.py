"""A small season by the stages alone: the same bytes in a folder with SQLite and on an S3 server with PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from seaice_ops.archive import fetch, search
from seaice_ops.errors import PublishConflict
from seaice_ops.labels import stage as labels
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.stores import initialise
from seaice_ops.ledger.tables import Map, Scene
from seaice_ops.mapping import encode, publish
from seaice_ops.scenes import decode
from seaice_ops.settings import Settings
from seaice_ops.simulate import stage as simulate
from seaice_ops.storage import keys
from seaice_ops.storage.store import open_store
from seaice_ops.summary import Summary
from seaice_ops.training import stage as training

EVER = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


def loop(settings: Settings) -> list[Summary]:
    """One turn of the whole loop, stage by stage."""
    found = search.run(settings, search.SearchRequest("sensed", *EVER))
    ids = tuple(found.items)
    return [
        found,
        fetch.run(settings, fetch.FetchRequest(ids)),
        decode.run(settings, decode.DecodeRequest(ids)),
        labels.run(settings, labels.LabelRequest()),
        training.run(settings, training.TrainRequest()),
        encode.run(settings, encode.EncodeRequest()),
        publish.run(settings, publish.PublishRequest()),
    ]


@pytest.fixture
def homes(tmp_path: Path, s3_url: str, postgres: Callable[[], str]) -> tuple[Settings, Settings]:
    """Settings of a folder with SQLite, and of S3 with PostgreSQL, on one simulated archive."""
    values = {
        "archive": {"path": str(tmp_path / "archive")},
        "reference": str(tmp_path / "archive" / "truth"),
        "regions": {"test": {"title": "Test", "tiles": ["01CCV", "60CWS"]}},
        "scenes": {"ceiling": 0.9},
        "training": {"width": 2, "epochs": 1, "chip": 64, "min_scenes": 3, "min_new_scenes": 1},
        "mapping": {"window": 3},
    }
    here = Settings.model_validate({**values, "home": tmp_path / "here"})
    there = Settings.model_validate({**values, "home": tmp_path / "there", "store": s3_url, "ledger": postgres()})
    for settings in (here, there):
        initialise(settings)
    simulate.run(here, simulate.SimulateRequest(size=128, acquisitions=6))
    return here, there


def published(settings: Settings) -> dict[str, bytes]:
    """All objects but those whose bytes say when they were made here (an item tells when its scenes came in)."""
    store = open_store(settings.store)
    return {key: store.get(key) for key in store.list() if not key.endswith("item.json")}


def test_both_hold_the_same_season(homes: tuple[Settings, Settings]) -> None:
    here, there = homes
    for settings in homes:
        first = loop(settings)
        # One epoch teaches a network less than its labels know: they make the maps, and nothing is encoded.
        assert [summary.stage for summary in first if summary.nothing_new] == ["encode"]
        assert [summary.stage for summary in loop(settings) if not summary.nothing_new] == []
    ours, theirs = published(here), published(there)
    assert ours.keys() == theirs.keys()
    assert [key for key in ours if ours[key] != theirs[key]] == []
    with open_ledger(here).begin() as a, open_ledger(there).begin() as b:
        rows = [{row.id: (row.scene_ids, row.source) for row in session.scalars(select(Map))} for session in (a, b)]
        states = [{row.id: row.state for row in session.scalars(select(Scene))} for session in (a, b)]
    assert rows[0] == rows[1] and rows[0]
    assert states[0] == states[1]

    # A committed map on S3 is never replaced.
    store = open_store(there.store)
    with open_ledger(there).begin() as session:
        row = session.scalars(select(Map)).first()
        item = keys.map_item(row.folder)
    before = store.get(item)
    with pytest.raises(PublishConflict, match="kept"):
        store.create(item, b"{}")
    assert store.get(item) == before

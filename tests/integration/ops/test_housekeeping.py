"""Housekeeping on both kinds of store and both databases: only old objects that no row names go."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from helpers import ledger_rows
from seaice_ops.errors import ConfigError
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.stores import initialise, known_store
from seaice_ops.ops.housekeeping import stage
from seaice_ops.settings import Settings
from seaice_ops.storage.store import ObjectStore

ORPHAN, MODEL, LEFTOVER = (
    "scenes/01CCV/2026/02/orphan.tif",
    "models/unet/lost/card.json",
    "maps/01CCV/2026/02/m/age.tif",
)


@pytest.fixture(params=[("sqlite", "folder"), ("postgresql", "s3")], ids="-".join)
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    from helpers import servers

    database, kind = request.param
    url = request.getfixturevalue("postgres")() if database == "postgresql" else ""
    where = request.getfixturevalue("s3_url") if kind == "s3" else ""
    settings = servers.settings_for(tmp_path / "home", ledger=url, store=where)
    initialise(settings)
    return settings


def season(settings: Settings) -> ObjectStore:
    """A named scene, a scene without its object, and three orphans."""
    ledger = open_ledger(settings)
    named = ledger_rows.a_scene(0, key="scenes/01CCV/2026/02/named.tif")
    gone = ledger_rows.a_scene(1, key="scenes/01CCV/2026/02/gone.tif")
    with ledger.begin() as session:
        session.add_all([named, gone])
    store = known_store(ledger, settings.store)
    for key in ("scenes/01CCV/2026/02/named.tif", ORPHAN, MODEL, LEFTOVER):
        store.put(key, b"12345")
    return store


def later(monkeypatch: pytest.MonkeyPatch, days: int = 8) -> None:
    monkeypatch.setattr(stage, "now", lambda: datetime.now(UTC) + timedelta(days=days))


def test_only_old_orphans_that_can_be_made_again_go(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    store = season(home)
    assert stage.run(home, delete=True)[1].orphans == []  # all are young
    later(monkeypatch)
    summary, found = stage.run(home)
    assert [(o.key, o.goes) for o in found.orphans] == [(LEFTOVER, False), (MODEL, False), (ORPHAN, True)]
    assert found.missing == ["scenes/01CCV/2026/02/gone.tif"]
    assert summary.nothing_new
    assert store.exists(ORPHAN)
    summary, _ = stage.run(home, delete=True)
    assert summary.done == {"deleted objects": 1, "freed bytes": 5}
    assert sorted(store.list()) == [LEFTOVER, MODEL, "scenes/01CCV/2026/02/named.tif"]
    assert stage.run(home, delete=True)[0].nothing_new


def test_what_is_named_or_written_after_the_listing_survives(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    store, find = season(home), stage.find
    later(monkeypatch)
    other = "labels/colour-1/01CCV/other.tif"
    store.put(other, b"1")

    def then_others_write(*args: object) -> object:
        found = find(*args)  # type: ignore[arg-type]
        session = args[0]
        session.add(ledger_rows.a_scene(2, key=ORPHAN))  # type: ignore[attr-defined]
        past = [replace(o, written_at=o.written_at - timedelta(days=1)) if o.key == other else o for o in found.orphans]
        return replace(found, orphans=past)

    monkeypatch.setattr(stage, "find", then_others_write)
    summary, _ = stage.run(home, delete=True)
    assert set(summary.skipped) == {ORPHAN, other}
    assert store.exists(ORPHAN)
    assert store.exists(other)


def test_an_older_ledger_deletes_nothing(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    store = season(home)
    store.put("maps/01CCV/2026/02/m/item.json", b"{}")
    later(monkeypatch)
    with pytest.raises(ConfigError, match="does not know"):
        stage.run(home, delete=True)
    assert store.exists(ORPHAN)


def test_an_interrupted_run_is_finished_by_the_next(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    store, delete = season(home), ObjectStore.delete
    store.put("labels/colour-1/01CCV/other.tif", b"1")
    later(monkeypatch)

    def then_stop(self: ObjectStore, key: str) -> None:
        delete(self, key)
        raise KeyboardInterrupt

    with monkeypatch.context() as once:
        once.setattr(ObjectStore, "delete", then_stop)
        with pytest.raises(KeyboardInterrupt):
            stage.run(home, delete=True)
    assert store.exists(ORPHAN)
    stage.run(home, delete=True)
    assert sorted(store.list()) == [LEFTOVER, MODEL, "scenes/01CCV/2026/02/named.tif"]

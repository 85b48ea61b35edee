"""The migration that gives labels the content of their scene, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from alembic import command
from sqlalchemy import create_engine, text

from seaice_ops.ledger import session as ledger_session
from seaice_ops.ledger.session import open_ledger
from seaice_ops.settings import Settings

CHANGED = datetime(2026, 2, 1, tzinfo=UTC)


def test_labels_older_than_their_scenes_last_change_are_made_anew(ledger: Settings) -> None:
    config = ledger_session._config(ledger.ledger)
    command.downgrade(config, "0002")
    scene = {
        "identity": "i", "tile": "01CCV", "platform": "S2B", "relative_orbit": 28, "baseline": "05.11", "href": "h",
        "state": "ready", "attempts": 1, "sha256": "ab" * 32, "sensed_at": CHANGED, "generated_at": CHANGED,
        "published_at": CHANGED, "discovered_at": CHANGED, "updated_at": CHANGED,
    }  # fmt: skip
    labels = {"method": "colour", "version": "1", "key": "k", "sha256": "cd" * 32, "shares": "{}", "seconds": 1.0}
    with create_engine(ledger.ledger).begin() as connection:
        for name, later in (("stale", -1), ("fresh", 1)):
            for table, row in (
                ("scene", {**scene, "id": name, "identity": name}),
                ("label_set", {**labels, "scene_id": name, "created_at": CHANGED + timedelta(hours=later)}),
            ):
                values = ", ".join(f":{column}" for column in row)
                connection.execute(text(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({values})"), row)
    open_ledger(ledger).migrate()
    with create_engine(ledger.ledger).connect() as connection:
        found = dict(connection.execute(text("SELECT scene_id, scene_sha256 FROM label_set")).tuples().all())
    assert found == {"stale": None, "fresh": "ab" * 32}

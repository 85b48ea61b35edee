"""The second version of the ledger, on both databases: the migration to it, and watermarks under several writers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from alembic import command
from sqlalchemy import create_engine, text

from helpers.racing import race
from seaice_ops.ledger import session as ledger_session
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Scene
from seaice_ops.ledger.watermarks import advance_watermarks, watermarks
from seaice_ops.settings import Settings

NOON = datetime(2026, 2, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)

#: A scene as version 0001 kept it.
OLD_ROW = """
INSERT INTO scene (id, identity, tile, platform, sensed_at, relative_orbit, baseline, generated_at, published_at, href,
  state, attempts, details, discovered_at, updated_at)
VALUES ('one', 'S2B_x', '01CCV', 'S2B', '2026-02-01 12:00:00', 28, '05.11', '2026-02-01 12:00:00',
  '2026-02-01 12:00:00', 'one.SAFE', 'ready', 0, '{"kind": "product"}', '2026-02-01 12:00:00', '2026-02-01 12:00:00')
"""


def test_ledger_of_the_first_version_is_brought_up_with_its_rows(empty_ledger: Settings) -> None:
    if empty_ledger.ledger.startswith("sqlite"):
        empty_ledger.home.mkdir(parents=True)
    config = ledger_session._config(empty_ledger.ledger)
    command.upgrade(config, "0001")
    engine = create_engine(empty_ledger.ledger)
    with engine.begin() as connection:
        connection.execute(text(OLD_ROW))
    open_ledger(empty_ledger).migrate()
    assert open_ledger(empty_ledger).schema_revision()[0] == open_ledger(empty_ledger).schema_revision()[1] != "0001"
    with open_ledger(empty_ledger).begin() as session:
        scene = session.get_one(Scene, "one")
        assert (scene.sensed_at, scene.details, scene.claimed_by) == (NOON, {"kind": "product"}, None)
        assert watermarks(session, "cdse", ["01CCV"]) == {}
    command.downgrade(config, "0001")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT id, state FROM scene")).one() == ("one", "ready")


def test_watermark_moves_forward_only_and_for_each_tile_alone(ledger: Settings) -> None:
    with open_ledger(ledger).begin() as session:
        advance_watermarks(session, "cdse", ["01CCV", "60CWS"], NOON)
    with open_ledger(ledger).begin() as session:
        advance_watermarks(session, "cdse", ["01CCV"], NOON + HOUR)
        advance_watermarks(session, "cdse", ["60CWS"], NOON - HOUR)
        advance_watermarks(session, "dhus", ["60CWS"], NOON - HOUR)
    with open_ledger(ledger).begin() as session:
        expected = {"01CCV": NOON + HOUR, "60CWS": NOON}
        assert watermarks(session, "cdse", ["01CCV", "60CWS", "33XWJ"]) == expected
        assert watermarks(session, "dhus", ["01CCV", "60CWS"]) == {"60CWS": NOON - HOUR}


def _work(settings: Settings, worker: int) -> None:
    """Twenty times: push the watermarks of two tiles, in the worker's own order."""
    for step in range(20):
        with open_ledger(settings).begin() as session:
            tiles = ["01CCV", "60CWS"] if worker % 2 else ["60CWS", "01CCV"]
            advance_watermarks(session, "cdse", tiles, NOON + ((step * 7 + worker) % 20) * HOUR)


def test_workers_at_the_same_moment_lose_nothing(ledger: Settings) -> None:
    assert race(_work, [(ledger, worker) for worker in range(1, 5)]) == [None] * 4
    with open_ledger(ledger).begin() as session:
        assert set(watermarks(session, "cdse", ["01CCV", "60CWS"]).values()) == {NOON + 19 * HOUR}

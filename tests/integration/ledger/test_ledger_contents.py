"""The migration that adds which pixels probabilities and maps were made from."""

from __future__ import annotations

from alembic import command
from sqlalchemy import text

from seaice_ops.ledger.operations import now
from seaice_ops.ledger.session import _config, open_ledger
from seaice_ops.ledger.tables import Map, Model, Probabilities, Scene, SceneState
from seaice_ops.settings import Settings


def test_rows_of_before_go_by_the_pixels_that_their_scenes_have_now(ledger: Settings) -> None:
    command.downgrade(_config(ledger.ledger), "0002")
    time = now()
    with open_ledger(ledger).begin() as session:
        session.execute(
            text(
                "INSERT INTO scene (id, identity, tile, platform, sensed_at, relative_orbit, baseline, generated_at, "
                "published_at, href, state, attempts, sha256, discovered_at, updated_at) VALUES ('s', 's', '01CCV', "
                "'S2B', :t, 28, '05.11', :t, :t, 'x', :state, 1, 'of the pixels', :t, :t)"
            ),
            {"t": time, "state": SceneState.READY.value},
        )
        session.add(Model(id="m/1", name="m", version="1", sha256="", card={}, created_at=time))
        session.flush()
        session.execute(
            text(
                "INSERT INTO probabilities (scene_id, model_id, key, sha256, seconds, created_at) "
                "VALUES ('s', 'm/1', 'k', 'd', 1, :t)"
            ),
            {"t": time},
        )
        session.execute(
            text(
                "INSERT INTO map (id, tile, window_start, window_end, revision, model_id, scene_ids, folder, "
                "statistics, created_at) VALUES ('a', '01CCV', :t, :t, 1, 'm/1', '[\"s\"]', 'f', '{}', :t)"
            ),
            {"t": time},
        )
    open_ledger(ledger).migrate()
    with open_ledger(ledger).begin() as session:
        assert session.get_one(Scene, "s").sha256 == "of the pixels"
        assert session.get_one(Probabilities, ("s", "m/1")).scene_sha256 == "of the pixels"
        assert session.get_one(Map, "a").scene_contents is None

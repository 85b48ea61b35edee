"""Ingestion killed at every boundary between two writes, and run again: nothing lost, nothing doubled, nothing left."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
from sqlalchemy import select

from helpers.crash import crash_everywhere, snapshot
from helpers.factories import SENSED, band_path, make_plain, make_product, withdraw
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Scene

INGEST = """
from datetime import UTC, datetime

from seaice_ops.archive import fetch, search
from seaice_ops.archive.fetch import FetchRequest
from seaice_ops.archive.search import SearchRequest
from seaice_ops.scenes import decode
from seaice_ops.scenes.decode import DecodeRequest
from seaice_ops.scenes.plain import open_plain

request = SearchRequest("sensed", datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
ids = tuple(search.run(settings, request).items)
fetch.run(settings, FetchRequest(ids))
decode.run(settings, DecodeRequest(ids))
"""
BANDS = {b: np.full((8, 8) if b != "B11" else (4, 4), 3000, np.uint16) for b in ("B02", "B03", "B04", "B08", "B11")}
RGB = np.full((6, 7, 3), 90, np.uint8)


def run(settings) -> None:
    exec(compile(INGEST, "ingest", "exec"), {"settings": settings})


def states(settings) -> dict[str, str]:
    with open_ledger(settings).begin() as session:
        return {scene.id: scene.state.value for scene in session.scalars(select(Scene))}


def test_an_ingest_that_is_killed_anywhere_ends_the_same(settings):
    archive = settings.archive_path
    archive.mkdir(parents=True)
    make_product(archive, bands=BANDS, baseline="0301", offset=None)
    run(settings)  # this version is ready, and is to be superseded by the next
    make_product(archive, bands=BANDS, baseline="0511")
    make_product(archive, bands=BANDS, tile="33XWJ")
    make_plain(archive, "ross", RGB, sensed="2026-02-05T20:00:00Z")
    broken = make_product(archive, bands=BANDS, sensed=SENSED + timedelta(days=1), entry=False)
    path = band_path(archive, broken, "B08")
    path.write_bytes(path.read_bytes()[:-300])
    boundaries = crash_everywhere(settings, INGEST)
    # At least: 3 scenes of 2 and 7 and 7 files, their rows, 2 objects, 3 inboxes emptied file by file, 3 run rows.
    assert boundaries > 40
    run(settings)
    assert sorted(states(settings).values()) == ["failed", "failed", "ready", "ready", "superseded"]


def test_catching_up_that_is_killed_anywhere_ends_the_same(settings):
    archive = settings.archive_path
    archive.mkdir(parents=True)
    bad = make_product(archive, bands=BANDS, sensed=SENSED + timedelta(days=1))
    run(settings)
    withdraw(archive, bad, SENSED + timedelta(days=2))
    for minutes in (0, 1):
        strip, generated = SENSED + timedelta(minutes=minutes), SENSED + timedelta(hours=1 + minutes)
        make_product(archive, bands=BANDS, datastrip=strip, generated=generated)
    catch_up = INGEST.replace(
        'SearchRequest("sensed", datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))',
        'SearchRequest("published", datetime(2026, 2, 2, tzinfo=UTC), datetime(2026, 2, 12, tzinfo=UTC), None, True)',
    )
    assert catch_up != INGEST
    # At least: 2 slices, the withdrawn, 14 files, an object, a ready row, 14 files and their folders gone, 3 run rows.
    assert crash_everywhere(settings, catch_up) > 35
    exec(compile(catch_up, "ingest", "exec"), {"settings": settings})
    assert sorted(states(settings).values()) == ["ready", "superseded", "superseded", "withdrawn"]


def test_repeating_a_finished_ingest_changes_nothing(settings):
    archive = settings.archive_path
    archive.mkdir(parents=True)
    make_product(archive, bands=BANDS)
    make_product(archive, bands=BANDS, baseline="0301", offset=None)
    run(settings)
    before = snapshot(settings.home)
    run(settings)
    assert snapshot(settings.home) == before

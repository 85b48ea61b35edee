"""Several workers ingest the same scenes at the same moment, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
from sqlalchemy import select

from helpers.factories import SENSED, make_product
from helpers.racing import race
from seaice_ops.errors import TransientError
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Scene
from seaice_ops.settings import Settings
from seaice_ops.storage.store import open_store

BANDS = {b: np.full((8, 8) if b != "B11" else (4, 4), 3000, np.uint16) for b in ("B02", "B03", "B04", "B08", "B11")}


def ingest(settings: Settings) -> int:
    from seaice_ops.archive import fetch, search
    from seaice_ops.archive.fetch import FetchRequest
    from seaice_ops.archive.search import SearchRequest
    from seaice_ops.scenes import decode
    from seaice_ops.scenes.decode import DecodeRequest

    ever = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
    ids = tuple(search.run(settings, SearchRequest("sensed", *ever)).items)
    fetch.run(settings, FetchRequest(ids))
    return decode.run(settings, DecodeRequest(ids)).done["scenes"]


def search_between(settings: Settings, first: int, last: int) -> tuple[str, ...]:
    """A search by publication of the hours [first, last) after the sensing."""
    from seaice_ops.archive import search
    from seaice_ops.archive.search import SearchRequest

    start, end = (SENSED + timedelta(hours=hours) for hours in (first, last))
    return tuple(search.run(settings, SearchRequest("published", start, end)).items)


def test_two_stations_found_at_the_same_moment_by_two_searches_are_merged(ledger):
    ledger.archive_path.mkdir(parents=True)
    names = [
        make_product(
            ledger.archive_path,
            bands=BANDS,
            datastrip=SENSED + timedelta(minutes=station),
            generated=SENSED + timedelta(hours=1 + station),
            published=SENSED + timedelta(hours=2 + station),
        )
        for station in (0, 1)
    ]
    found = race(search_between, [(ledger, 2, 3), (ledger, 3, 4)])
    whole = f"{names[1]}_with_{SENSED + timedelta(hours=1):%Y%m%dT%H%M%S}"
    assert (whole,) in found  # whichever came second saw both
    assert ingest(ledger) == 1
    with open_ledger(ledger).begin() as session:
        states = {scene.id: scene.state.value for scene in session.scalars(select(Scene))}
    assert states == {**dict.fromkeys(names, "superseded"), whole: "ready"}


def test_each_acquisition_is_ready_exactly_once(ledger):
    ledger.archive_path.mkdir(parents=True)
    tiles = ledger.tiles
    names = [make_product(ledger.archive_path, bands=BANDS, tile=tile) for tile in tiles]
    old = [make_product(ledger.archive_path, bands=BANDS, tile=tile, baseline="0301", offset=None) for tile in tiles]
    answers = race(ingest, [(ledger,)] * 3)
    # A worker whose files another has already used up may be told to try again; nothing else may go wrong.
    assert all(isinstance(answer, int | TransientError) for answer in answers), answers
    again = ingest(ledger)
    # A worker that was told to try again may have made one scene ready before, which no answer then counts.
    counted = sum(answer for answer in [*answers, again] if isinstance(answer, int))
    assert counted == len(names) or (counted < len(names) and any(isinstance(a, TransientError) for a in answers))
    with open_ledger(ledger).begin() as session:
        states = {scene.id: scene.state.value for scene in session.scalars(select(Scene))}
    assert states == dict.fromkeys(names, "ready") | dict.fromkeys(old, "superseded")
    assert len(list(open_store(ledger.store).list("scenes"))) == len(names)
    assert not list(ledger.inbox("").glob("*"))

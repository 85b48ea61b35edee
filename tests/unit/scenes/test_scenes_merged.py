"""Halves of one tile from two ground stations: merged pixel by pixel, in any order of arrival, to the same bytes."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sqlalchemy import select

from helpers.factories import SENSED, band_path, make_product, numbers, tile_xml, withdraw, write_entry
from seaice_ops.archive import fetch, search
from seaice_ops.archive.fetch import FetchRequest
from seaice_ops.archive.search import SearchRequest
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.stores import initialise
from seaice_ops.ledger.tables import Scene
from seaice_ops.pixels.imagery import read_bands
from seaice_ops.pixels.radiometry import UNOBSERVED
from seaice_ops.scenes import decode
from seaice_ops.scenes.decode import DecodeRequest
from seaice_ops.scenes.merged import fill
from seaice_ops.storage.store import open_store

EVER = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
HOUR = timedelta(hours=1)
SIZE = 48

#: What each station holds: rows of the tile, offset, sun zenith. The first two overlap by 16 rows.
STATIONS = [((0, 32), -1000, 61.0), ((16, 48), -900, 62.0), ((40, 48), -1000, 63.0)]


@pytest.fixture
def archive(settings):
    settings.archive_path.mkdir(parents=True)
    return settings.archive_path


def part_numbers(station: int) -> dict[str, np.ndarray]:
    (first, last), _, _ = STATIONS[station]
    bands = numbers(SIZE, seed=station)
    for band, values in bands.items():
        factor = 2 if band == "B11" else 1
        values[values == 0] = 7
        values[: first // factor] = values[last // factor :] = 0
    return bands


def publish(archive, station: int, hours: int = 0, **fields) -> str:
    """The product of one station, generated so many hours after the sensing (by default in the stations' order)."""
    _, offset, zenith = STATIONS[station]
    return make_product(
        archive,
        bands=part_numbers(station),
        offset=offset,
        sun_zenith=zenith,
        datastrip=SENSED + timedelta(minutes=station),
        generated=SENSED + (hours or station + 1) * HOUR,
        **fields,
    )


def look(settings) -> list[str]:
    return search.run(settings, SearchRequest("sensed", *EVER)).items


def ingest(settings):
    ids = tuple(look(settings))
    fetch.run(settings, FetchRequest(ids))
    return decode.run(settings, DecodeRequest(ids))


def scenes(settings) -> dict[str, Scene]:
    with open_ledger(settings).begin() as session:
        return {scene.id: scene for scene in session.scalars(select(Scene))}


def states(settings) -> dict[str, str]:
    return {id_: scene.state.value for id_, scene in scenes(settings).items()}


def reflectance(stations) -> np.ndarray:
    """(5, rows, columns) as a slow loop over pixels says: the first of `stations` that saw the pixel in all bands."""
    out = np.full((5, SIZE, SIZE), UNOBSERVED)
    for row, column in itertools.product(range(SIZE), repeat=2):
        for station in stations:
            (first, last), offset, _ = STATIONS[station]
            if first <= row < last:
                bands = part_numbers(station)
                seen = [int(bands[b][row, column]) for b in ("B02", "B03", "B04", "B08")]
                seen.append(int(bands["B11"][row // 2, column // 2]))
                out[:, row, column] = [min(number + offset, 32767) for number in seen]
                break
    return out


def test_every_pixel_is_the_newest_parts_where_it_has_one(settings, archive, monkeypatch):
    monkeypatch.setattr("seaice_ops.scenes.sentinel2.product.STRIP", 20)
    made = {station: part_numbers(station) for station in range(3)}
    monkeypatch.setitem(globals(), "part_numbers", made.__getitem__)
    first, second = publish(archive, 0), publish(archive, 1)
    summary = ingest(settings)
    whole = f"{second}_with_20260201T211529"
    assert dict(summary.done) == {"scenes": 1}
    assert states(settings) == {first: "superseded", second: "superseded", whole: "ready"}
    scene = scenes(settings)[whole]
    values, valid, _ = read_bands(open_store(settings.store), scene)
    np.testing.assert_array_equal(values, reflectance([1, 0]))
    assert valid.all() and scene.valid_share == 1.0
    assert scene.sun_zenith == 62.0
    assert scene.details["part_offsets"][first]["B02"] == -1000
    assert scene.details["part_offsets"][second]["B02"] == -900
    assert not settings.inbox(whole).exists()
    with rasterio.open(settings.home / "objects" / scene.key) as dataset:
        assert dataset.tags()["PARTS"] == f"{second} {first}"


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 1, 0)])
def test_any_order_of_arrival_ends_in_the_same_bytes(settings, archive, order):
    for station in order:
        publish(archive, station)
        ingest(settings)
    [scene] = [scene for scene in scenes(settings).values() if scene.state.value == "ready"]
    assert scene.sha256 == _together(settings, archive)


def _together(settings, archive) -> str:
    """The hash of the merged scene made of all parts at once, in a home of its own."""

    other = settings.model_copy(update={"home": settings.home / "other", "ledger": "", "store": ""})
    other = type(settings).model_validate({**other.model_dump(), "archive": {"path": archive}})
    initialise(other)
    ingest(other)
    [scene] = [scene for scene in scenes(other).values() if scene.state.value == "ready"]
    return str(scene.sha256)


def test_part_on_another_grid_fails_and_the_other_stands_alone(settings, archive):
    first, second = publish(archive, 0), publish(archive, 1)
    tile = next((archive / f"{first}.SAFE").glob("GRANULE/*/MTD_TL.xml"))
    tile.write_text(tile_xml("01CCV", SENSED, SIZE, 61.0).replace("<ULX>300000", "<ULX>300010"))
    write_entry(archive, first, SENSED)
    summary = ingest(settings)
    [(whole, reason)] = summary.failed.items()
    assert f"{first} lies on" in reason
    assert states(settings) == {first: "failed", second: "superseded", whole: "failed"}
    assert ingest(settings).done["scenes"] == 1
    assert states(settings)[second] == "ready"


@pytest.mark.parametrize("when", ["fetch", "decode"])
def test_part_that_cannot_be_used_is_left_out_and_taken_in_again_once_repaired(settings, archive, when):
    first, second = publish(archive, 0), publish(archive, 1)
    path = band_path(archive, second, "B08")
    sound = path.read_bytes()
    path.write_bytes(sound[:-300])
    if when == "decode":
        write_entry(archive, second, SENSED)  # damaged before it was published
    ingest(settings)
    assert states(settings)[second] == "failed"
    ingest(settings)
    assert states(settings)[first] == "ready"
    path.write_bytes(sound)
    if when == "fetch":  # the entry says what it always said: publish something that differs
        tile = next((archive / f"{second}.SAFE").glob("GRANULE/*/MTD_TL.xml"))
        tile.write_text(tile.read_text() + "\n")
    write_entry(archive, second, SENSED + 9 * HOUR)
    ingest(settings)
    assert states(settings)[second] == "superseded"
    assert states(settings)[f"{second}_with_20260201T211529"] == "ready"


def test_withdrawn_part_is_no_longer_in_the_scene(settings, archive):
    first, second = publish(archive, 0), publish(archive, 1)
    ingest(settings)
    withdraw(archive, second, SENSED + 9 * HOUR)
    request = SearchRequest("published", SENSED, SENSED + 24 * HOUR, catch_up=True)
    ids = tuple(search.run(settings, request).items)
    assert ids == (first,)
    fetch.run(settings, FetchRequest(ids))
    decode.run(settings, DecodeRequest(ids))
    whole = f"{second}_with_20260201T211529"
    assert states(settings) == {first: "ready", second: "withdrawn", whole: "withdrawn"}
    assert scenes(settings)[whole].reason == f"its part {second} was withdrawn: Corrupted"


pixels = arrays(np.int16, (2, 3, 4), elements=st.sampled_from([UNOBSERVED, -5, 1000]))


@given(pixels, pixels)
def test_fill_takes_whole_pixels_only(newest, other):
    out = fill(newest, other)
    for row, column in itertools.product(range(3), range(4)):
        mine, theirs = newest[:, row, column], other[:, row, column]
        fit = UNOBSERVED in mine and UNOBSERVED not in theirs
        assert (out[:, row, column] == (theirs if fit else mine)).all()

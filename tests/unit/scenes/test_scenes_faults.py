"""What is the machine's fault is not the data's, what cannot be a scene is refused, and each scene fares alone."""

from __future__ import annotations

import errno
import os
import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from helpers.factories import SENSED, make_plain, make_product, numbers, withdraw
from helpers.racing import race
from seaice_ops.archive import fetch, record, search
from seaice_ops.archive.fetch import FetchRequest
from seaice_ops.archive.search import SearchRequest
from seaice_ops.errors import ConfigError, CorruptProduct, SeaIceError, TransientError, sparing_data
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Scene, SceneEvent, SceneState
from seaice_ops.scenes import decode
from seaice_ops.scenes.decode import DecodeRequest
from seaice_ops.scenes.source import check_place
from seaice_ops.storage.rasters import Grid

EVER = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
DAY = timedelta(days=1)
UTM = "EPSG:32701"
SOUND = (10.0, 0.0, 300000.0, 0.0, -10.0, 2000020.0)


@pytest.fixture
def archive(settings):
    settings.archive_path.mkdir(parents=True)
    return settings.archive_path


def found(settings) -> tuple[str, ...]:
    return tuple(search.run(settings, SearchRequest("sensed", *EVER)).items)


def fetched(settings) -> tuple[str, ...]:
    ids = found(settings)
    fetch.run(settings, FetchRequest(ids))
    return ids


def scenes(settings) -> dict[str, Scene]:
    with open_ledger(settings).begin() as session:
        return {scene.id: scene for scene in session.scalars(select(Scene))}


@contextmanager
def limited(what: int, limit: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(what)
    resource.setrlimit(what, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(what, (soft, hard))


def address_space() -> int:
    size = re.search(r"VmSize:\s+(\d+)", Path("/proc/self/status").read_text())
    assert size
    return int(size[1]) << 10


# ---- the machine's fault


@contextmanager
def descriptors(spare: int) -> Iterator[None]:
    """Only `spare` more files can be opened."""
    held: list[int] = []
    with limited(resource.RLIMIT_NOFILE, 256):
        try:
            with suppress(OSError):
                while True:
                    held.append(os.open(os.devnull, os.O_RDONLY))
            for _ in range(spare):
                os.close(held.pop())
            yield
        finally:
            for descriptor in held:
                os.close(descriptor)


@pytest.mark.parametrize("spare", range(4, 13))
def test_a_scene_waits_where_descriptors_are_short(settings, archive, spare):
    name = make_product(archive, bands=numbers(16))
    ids = fetched(settings)
    with descriptors(spare), suppress(SeaIceError):
        decode.run(settings, DecodeRequest(ids))
    assert scenes(settings)[name].attempts == 0
    decode.run(settings, DecodeRequest(ids))
    assert scenes(settings)[name].state is SceneState.READY


def test_a_ledger_that_cannot_be_opened_for_want_of_descriptors_is_transient(settings, archive):
    make_product(archive, bands=numbers(16))
    ids = fetched(settings)
    with descriptors(1), pytest.raises(TransientError, match="cannot be opened: Too many open files"):
        decode.run(settings, DecodeRequest(ids))


@pytest.mark.parametrize("spare", [8, 24, 40, 80])
def test_a_scene_waits_where_memory_is_short(settings, archive, spare):
    name = make_product(archive, bands=numbers(512))
    ids = fetched(settings)
    with limited(resource.RLIMIT_AS, address_space() + (spare << 20)), suppress(SeaIceError, MemoryError):
        decode.run(settings, DecodeRequest(ids))
    assert scenes(settings)[name].attempts == 0
    decode.run(settings, DecodeRequest(ids))
    assert scenes(settings)[name].state is SceneState.READY


@pytest.mark.parametrize("code", [errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EIO, errno.ENOSPC])
def test_an_error_that_comes_of_the_machine_is_transient(code):
    with pytest.raises(TransientError, match="P1 waits for a later run"), sparing_data("P1"):
        try:
            raise OSError(code, os.strerror(code))
        except OSError as error:
            raise CorruptProduct("B04.jp2 cannot be decoded") from error


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("can't start new thread"), CorruptProduct("Too many open files")]
)
def test_so_are_errors_that_only_say_so(error):
    with pytest.raises(TransientError), sparing_data("P1"):
        raise error


def test_libraries_that_do_not_say_why_they_failed_are_not_believed_while_memory_is_short():
    tight = limited(resource.RLIMIT_AS, address_space() + (32 << 20))
    with tight, pytest.raises(TransientError, match="memory"), sparing_data("P1"):
        raise CorruptProduct("opj_get_decoded_tile() failed")
    with pytest.raises(CorruptProduct), sparing_data("P1"):
        raise CorruptProduct("opj_get_decoded_tile() failed")


@pytest.mark.parametrize("error", [CorruptProduct("truncated"), ConfigError("no key"), KeyError("a fault of ours")])
def test_other_errors_go_through_as_they_are(error):
    with pytest.raises(type(error)) as raised, sparing_data("P1"):
        raise error
    assert raised.value is error


def test_a_disk_that_fails_while_a_scene_is_fetched_lets_it_wait(settings, archive, monkeypatch):
    names = [make_product(archive, bands=numbers(16), sensed=SENSED + n * DAY) for n in range(2)]
    ids = found(settings)
    real = Path.open

    def failing(self, *args, **kwargs):
        if names[0] in str(self) and self.suffix == ".jp2":
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(self))
        return real(self, *args, **kwargs)

    with monkeypatch.context() as patch, pytest.raises(TransientError, match="Input/output error"):
        patch.setattr(Path, "open", failing)
        fetch.run(settings, FetchRequest(ids))
    rows = scenes(settings)
    assert [(rows[name].state.value, rows[name].attempts) for name in names] == [("discovered", 0), ("fetched", 0)]
    assert rows[names[0]].claimed_by is None


# ---- each scene fares alone


def test_lost_files_of_one_scene_do_not_keep_the_others_from_their_turn(settings, archive):
    names = [make_product(archive, bands=numbers(16), sensed=SENSED + n * DAY) for n in range(3)]
    ids = fetched(settings)
    (settings.inbox(names[0]) / "MTD_MSIL1C.xml").unlink()
    with pytest.raises(TransientError, match=rf"{names[0]} is to be fetched again"):
        decode.run(settings, DecodeRequest(ids))
    assert [scenes(settings)[name].state.value for name in names] == ["discovered", "ready", "ready"]


# ---- what cannot be a scene


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("EPSG:32701", "EPSG:99999"),
        ("EPSG:32701", "EPSG:4326"),
        ("EPSG:32701", "EPSG:2263"),  # feet
        ("<NROWS>16</NROWS><NCOLS>16</NCOLS>", "<NROWS>1000000000</NROWS><NCOLS>1000000000</NCOLS>"),
        ("<NROWS>16</NROWS><NCOLS>16</NCOLS>", "<NROWS>-64</NROWS><NCOLS>-64</NCOLS>"),
        ("<XDIM>10</XDIM>", "<XDIM>1e300</XDIM>"),
        ("<XDIM>10</XDIM>", "<XDIM>1e-5</XDIM>"),
        ("<XDIM>10</XDIM>", "<XDIM>nan</XDIM>"),
        ("<ULX>300000</ULX>", "<ULX>1e12</ULX>"),
    ],
)
def test_a_product_that_cannot_be_fails_beside_a_sound_one(settings, archive, old, new):
    name = make_product(archive, bands=numbers(16), entry=False)
    good = make_product(archive, bands=numbers(16), sensed=SENSED + DAY)
    tile = next((archive / f"{name}.SAFE").rglob("MTD_TL.xml"))
    assert old in tile.read_text()
    tile.write_text(tile.read_text().replace(old, new))
    summary = decode.run(settings, DecodeRequest(fetched(settings)))
    assert {id_: row.state.value for id_, row in scenes(settings).items()} == {name: "failed", good: "ready"}
    assert str(settings.inbox(name)) in summary.failed[name]


@pytest.mark.parametrize(
    ("old", "new"), [("[43.5,", "[NaN,"), ("43.5", "1e300"), ("43.5", "1e-05"), ("300000.0", "Infinity")]
)
def test_a_plain_scene_that_cannot_be_fails_beside_a_sound_one(settings, archive, old, new):
    for name in ("good", "bad"):
        make_plain(archive, name, np.full((16, 16, 3), 200, np.uint8), platform=f"S2-{name}")
    sidecar = archive / "bad.json"
    sidecar.write_text(sidecar.read_text().replace(old, new))
    decode.run(settings, DecodeRequest(fetched(settings)))
    assert {id_: row.state.value for id_, row in scenes(settings).items()} == {"bad": "failed", "good": "ready"}


@pytest.mark.parametrize(
    "grid",
    [
        Grid(UTM, SOUND, 10_980, 10_980),
        Grid(UTM, SOUND, 1, 1),
        Grid("EPSG:3031", (25.0, 0.0, -3_000_000.0, 0.0, -25.0, 3_000_000.0), 100, 100),
        Grid("EPSG:3413", (500.0, 0.0, -4_000_000.0, 0.0, -500.0, 4_000_000.0), 100, 100),
    ],
)
def test_places_that_scenes_have(grid):
    check_place(grid, Path("inbox"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"crs": ""}, "is not a coordinate reference system"),
        ({"crs": UTM + " " * 3000}, "has more than 2048 letters"),
        ({"crs": "EPSG:32701\0"}, "is not a coordinate reference system"),
        ({"transform": (10.0, 1.0, 300000.0, 0.0, -10.0, 2000020.0)}, "must be north-up"),
        ({"transform": (10.0, 0.0, 300000.0, 0.0, 10.0, 2000020.0)}, "must be north-up"),
        ({"width": 0}, "width has an edge of 0 pixels"),
        ({"height": 10**9}, "height has an edge of 1e\\+09 pixels"),
    ],
)
def test_places_that_no_scene_has(change, words):
    grid = {"crs": UTM, "transform": SOUND, "width": 64, "height": 64} | change
    with pytest.raises(CorruptProduct, match=words):
        check_place(Grid(**grid), Path("inbox"))


@pytest.mark.parametrize("tile", ["60CWS", "33XWH"])
def test_pixels_outside_their_tile_are_refused(tile):
    with pytest.raises(CorruptProduct, match=f"outside the tile {tile}"):
        check_place(Grid(UTM, SOUND, 10_980, 10_980), Path("inbox"), tile)


def test_pixels_of_another_projection_within_their_tile_are_a_scene():
    check_place(Grid(UTM, SOUND, 64, 64), Path("inbox"), "01CCV")
    polar = Grid("EPSG:3031", (500.0, 0.0, -4_000_000.0, 0.0, -500.0, 4_000_000.0), 16_000, 16_000)
    check_place(polar, Path("inbox"), "01CCV")


def test_a_scene_outside_its_tile_fails(settings, archive):
    rgb = np.random.default_rng(1).integers(1, 255, (64, 64, 3)).astype(np.uint8)
    name = make_plain(archive, "elsewhere", rgb, tile="60CWS")  # its transform is one of 01CCV
    summary = decode.run(settings, DecodeRequest(fetched(settings)))
    assert "outside the tile 60CWS" in summary.failed[name]


def test_an_acquisition_of_the_future_is_refused_until_its_time_has_come(settings, archive, monkeypatch):
    name = make_product(archive)
    sensed = SENSED - timedelta(days=3)
    monkeypatch.setattr(record, "now", lambda: sensed)
    summary = search.run(settings, SearchRequest("sensed", *EVER))
    assert summary.items == [] and "lies in the future" in summary.failed[name]
    assert search.run(settings, SearchRequest("sensed", *EVER)).failed == {}, "the same reason is told once"
    monkeypatch.undo()
    assert search.run(settings, SearchRequest("sensed", *EVER)).items == [name]


def ingest_as_the_command_does(settings) -> dict[str, str]:
    """For a process of its own: what failed or waits."""
    problems: dict[str, str] = {}
    for name in search.run(settings, SearchRequest("sensed", *EVER), caller="cli").items:
        for stage, request in ((fetch, FetchRequest((name,))), (decode, DecodeRequest((name,)))):
            try:
                summary = stage.run(settings, request, caller="cli")
                problems |= summary.failed | {k: v for k, v in summary.skipped.items() if v != "not fetched yet"}
            except SeaIceError as error:
                problems[name] = str(error)
    return problems


def test_two_runs_at_once_get_in_each_others_way_without_a_false_reason(settings, archive):
    names = [make_product(archive, sensed=SENSED + k * DAY) for k in range(6)]
    assert race(ingest_as_the_command_does, [(settings,)] * 3) == [{}] * 3
    assert {name: scenes(settings)[name].state for name in names} == dict.fromkeys(names, SceneState.READY)


@pytest.mark.parametrize("error", [TransientError("the inbox is gone"), ConfigError("the inbox cannot be written")])
def test_what_another_run_brought_on_meanwhile_is_not_this_runs_failure(settings, archive, monkeypatch, error):
    name = make_product(archive)

    def overtaken(*_):
        monkeypatch.undo()
        fetch.run(settings, FetchRequest((name,)))
        decode.run(settings, DecodeRequest((name,)))
        raise error

    assert found(settings) == (name,)
    monkeypatch.setattr(fetch, "_bring", overtaken)
    summary = fetch.run(settings, FetchRequest((name,)))
    assert summary.nothing_new and summary.unchanged["scenes"] == 1
    assert scenes(settings)[name].state is SceneState.READY


def test_a_scene_of_a_sensor_that_is_not_configured_waits_alone(settings, archive) -> None:
    names = [make_product(archive, sensed=SENSED + day * DAY) for day in range(2)]
    ids = fetched(settings)
    with open_ledger(settings).begin() as session:
        row = session.get_one(Scene, names[0])
        row.details = {**row.details, "kind": "pelican"}
    summary = decode.run(settings, DecodeRequest(ids))
    assert "add its sensor's module to `sensors`" in summary.skipped[names[0]] and summary.done["scenes"] == 1
    assert [scenes(settings)[name].state for name in names] == [SceneState.FETCHED, SceneState.READY]


# ---- published again


def test_a_product_published_again_with_other_pixels_has_their_checksum_and_its_history(settings, archive):
    def published(value: int, at: datetime) -> str:
        bands = {b: np.full((8, 8) if b != "B11" else (4, 4), value, np.uint16) for b in numbers(8)}
        name = make_product(archive, bands=bands, published=at)
        decode.run(settings, DecodeRequest(fetched(settings)), caller=f"run {value}")
        return name

    name = published(1100, SENSED + DAY)
    first = scenes(settings)[name].sha256
    withdraw(archive, name, SENSED + 2 * DAY)
    search.run(settings, SearchRequest("published", SENSED, SENSED + 3 * DAY, catch_up=True))
    for path in sorted(archive.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    assert published(9500, SENSED + 3 * DAY) == name
    second = scenes(settings)[name].sha256
    assert first != second
    with open_ledger(settings).begin() as session:
        events = session.scalars(select(SceneEvent).order_by(SceneEvent.number)).all()
    assert [event.after.value for event in events] == [
        *("discovered", "fetched", "ready", "withdrawn"),
        *("discovered", "fetched", "ready"),
    ]
    assert [event.reason for event in events if event.after is SceneState.READY] == [
        f"sha256 {first}",
        f"sha256 {second}",
    ]
    assert events[3].reason == "Corrupted" and events[-1].caller == "run 9500"

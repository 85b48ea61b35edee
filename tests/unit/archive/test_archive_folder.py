"""The folder archive: what it finds, in which interval, and what it refuses with which words."""

from __future__ import annotations

import hashlib
import json
import os
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from helpers.factories import SENSED, band_path, make_plain, make_product, product_name, write_entry, write_sidecar
from seaice_ops.archive.providers.folder import FolderArchive, read_sidecar
from seaice_ops.errors import ConfigError, CorruptProduct

TILES = frozenset({"01CCV", "60CWS"})
EVER = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
BANDS = {
    band: np.full((8, 8) if band != "B11" else (4, 4), 2000, np.uint16) for band in ("B02", "B03", "B04", "B08", "B11")
}
RGB = np.full((4, 5, 3), 90, np.uint8)


@pytest.fixture
def archive(tmp_path):
    folder = tmp_path / "archive"
    folder.mkdir()
    return FolderArchive(folder, TILES)


def search(archive, tiles=TILES, by="sensed", start=EVER[0], end=EVER[1]):
    return archive.search(tiles, by, start, end)


def test_missing_folder_is_a_configuration_error(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere.*SEAICE_ARCHIVE"):
        search(FolderArchive(tmp_path / "nowhere", TILES))


def test_a_file_in_place_of_the_folder_is_a_configuration_error(tmp_path):
    (tmp_path / "archive").write_text("")
    with pytest.raises(ConfigError, match="Not a directory"):
        search(FolderArchive(tmp_path / "archive", TILES))


def test_empty_folder_holds_nothing(archive):
    assert search(archive) == []


def test_catalogue_entry(archive):
    name = make_product(archive.root, bands=BANDS, published=SENSED + timedelta(days=3))
    (found,) = search(archive)
    assert (found.id, found.kind, found.tile, found.baseline) == (name, "product", "01CCV", "05.11")
    assert found.published_at == SENSED + timedelta(days=3)
    assert len(found.files) == 7
    data = band_path(archive.root, name, "B03").read_bytes()
    b03 = next(file for file in found.files if file.path.endswith("_B03.jp2"))
    assert (b03.size, b03.checksum) == (len(data), f"md5:{hashlib.md5(data).hexdigest()}")


def test_bare_folder_is_published_when_it_was_generated(archive):
    make_product(archive.root, bands=BANDS, entry=False, generated=SENSED + timedelta(hours=5))
    (found,) = search(archive, by="published", start=SENSED + timedelta(hours=5), end=SENSED + timedelta(hours=6))
    assert found.published_at == SENSED + timedelta(hours=5)
    assert {file.checksum for file in found.files} == {None}
    assert search(archive, by="published", end=SENSED + timedelta(hours=5)) == []


def test_older_name_without_baseline(archive):
    make_product(archive.root, bands=BANDS, baseline="", entry=False)
    (found,) = search(archive)
    assert (found.baseline, found.problem) == ("", None)


def test_plain_scene(archive):
    make_plain(archive.root, "ross", RGB, sha256="0" * 64, relative_orbit=99)
    (found,) = search(archive)
    assert (found.id, found.kind, found.platform) == ("ross", "scene", "S2A")
    assert found.identity == "S2A_20260201T201529_T01CCV_R099"
    assert [file.path for file in found.files] == ["ross.json", "ross.png"]
    assert found.files[1].checksum == "sha256:" + "0" * 64


def test_plain_scene_without_publication_time_is_published_with_its_file(archive):
    make_plain(archive.root, "ross", RGB, published=None)
    os.utime(archive.root / "ross.json", (1_700_000_000, 1_700_000_000))
    (found,) = search(archive)
    assert found.published_at == datetime.fromtimestamp(1_700_000_000, UTC)


@pytest.mark.parametrize("by", ["published", "sensed"])
def test_interval_is_half_open(archive, by):
    for day in range(4):
        moment = SENSED + timedelta(days=day)
        make_product(archive.root, bands=BANDS, sensed=moment, published=moment)
    found = search(archive, by=by, start=SENSED + timedelta(days=1), end=SENSED + timedelta(days=3))
    assert [p.sensed_at for p in found] == [SENSED + timedelta(days=1), SENSED + timedelta(days=2)]


def test_order_is_by_sensing_time_whatever_was_published_first(archive):
    for day in (2, 0, 1):
        make_product(
            archive.root, bands=BANDS, sensed=SENSED + timedelta(days=day), published=SENSED + timedelta(days=9 - day)
        )
    assert [p.sensed_at.day for p in search(archive, by="published")] == [1, 2, 3]


def test_only_the_wanted_tiles(archive):
    make_product(archive.root, bands=BANDS)
    make_product(archive.root, bands=BANDS, tile="60CWS")
    assert [p.tile for p in search(archive, tiles={"60CWS"})] == ["60CWS"]


def test_tile_in_no_region_is_a_problem_that_names_file_and_tile(archive):
    name = make_product(archive.root, bands=BANDS, tile="33XWJ")
    (found,) = search(archive)
    assert f"{name}.SAFE: tile 33XWJ is in no configured region" in found.problem


def test_tile_that_is_none_is_a_problem(archive):
    make_product(archive.root, bands=BANDS, tile="99III")
    (found,) = search(archive)
    assert "99III is not an MGRS tile" in found.problem


def test_level_2a_is_refused(archive):
    (archive.root / f"{product_name(level='L2A')}.SAFE").mkdir()
    (found,) = search(archive)
    assert "is a Level-2A product; only Level-1C is ingested" in found.problem


def test_real_metadata_only_products_lack_their_bands(outside_data):
    real = FolderArchive(outside_data / "s2_metadata", frozenset({"01LAC", "46RER", "01WCS", "33XWJ"}))
    problems = {p.tile: p.problem for p in search(real, tiles=real.known)}
    assert "no files GRANULE/*/IMG_DATA/*_B02.jp2" in problems["01LAC"]
    assert "Level-2A" in problems["33XWJ"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the file is not JSON"),
        ("{", "the file is not JSON"),
        ("[]", "the file must be a section"),
        ('{"kind": "map"}', "kind must be 'product' or 'scene'"),
        ('{"kind": "product", "name": "x"}', "published is missing; files is missing"),
    ],
)
def test_entry_that_cannot_be_read_is_a_problem_in_every_search(archive, text, words):
    path = archive.root / f"{product_name()}.json"
    path.write_text(text)
    (found,) = search(archive, start=EVER[0], end=EVER[0] + timedelta(days=1))
    assert found.problem.startswith(str(path))
    assert words in found.problem


def test_entry_of_another_name_is_a_problem(archive):
    name = make_product(archive.root, bands=BANDS)
    (archive.root / f"{name}.json").rename(archive.root / "copy.json")
    problems = [p.problem for p in search(archive) if p.problem]
    assert problems == [f"{archive.root}/copy.json: name: {name} is not the file's own name"]


@pytest.mark.parametrize("bad", ["../outside", "/etc/passwd", "GRANULE/../../x"])
def test_entry_that_names_files_outside_is_a_problem(archive, bad):
    name = make_product(archive.root, bands=BANDS)
    path = archive.root / f"{name}.json"
    entry = json.loads(path.read_text())
    entry["files"][bad] = {"size": 1, "md5": "0" * 32}
    path.write_text(json.dumps(entry))
    (found,) = search(archive)
    assert "outside itself" in found.problem


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("tile", "1CCV", "tile is not of the right form"),
        ("sensed", "2026-02-01T20:15:29", "sensed must have its offset to UTC"),
        ("sensed", "yesterday", "sensed must be a time"),
        ("platform", "S2A/../..", "platform is not of the right form"),
        ("image", "../secret.png", "image is not of the right form"),
        ("image", "nothing.png", "nothing.png does not exist"),
        ("crs", "EPSG:999999", "crs: is not a coordinate reference system"),
        ("crs", "EPSG:4326", "crs: must be a projected system"),
        ("transform", [10, 0, 0], "transform.3 is missing"),
        ("transform", [10, 1, 0, 0, -10, 0], "transform: must be north-up"),
        ("ceiling", 0, "ceiling must be 0.05 or more"),
        ("sha256", "abc", "sha256 is not of the right form"),
        ("colour", "blue", "colour is not known here"),
    ],
)
def test_wrong_sidecar_names_file_and_field(archive, field, value, words):
    make_plain(archive.root, "ross", RGB, **{field: value})
    (found,) = search(archive)
    assert found.problem.startswith(f"{archive.root}/ross.json")
    assert words in found.problem


def test_read_sidecar_is_offered_to_the_command_line(tmp_path):
    path = write_sidecar(tmp_path, "ross", sensed="2019-11-04T18:00:00+13:00")
    assert read_sidecar(path).sensed == datetime(2019, 11, 4, 5, tzinfo=UTC)
    path.write_text("{}")
    with pytest.raises(CorruptProduct, match=r"ross.json: kind is missing; image is missing"):
        read_sidecar(path)
    with pytest.raises(CorruptProduct, match=r"gone.json cannot be read"):
        read_sidecar(tmp_path / "gone.json")


# ---- fetching


def test_fetch_copies_exactly_what_a_scene_needs(archive, tmp_path):
    name = make_product(archive.root, bands=BANDS)
    (archive.root / f"{name}.SAFE" / "manifest.safe").write_text("not needed")
    write_entry(archive.root, name, SENSED)
    (found,) = search(archive)
    paths = archive.fetch(found, found.files, tmp_path / "inbox")
    assert len(paths) == 7
    for path in paths:
        original = archive.root / f"{name}.SAFE" / path.relative_to(tmp_path / "inbox")
        assert path.read_bytes() == original.read_bytes()
    assert sorted(p for p in (tmp_path / "inbox").rglob("*") if p.is_file()) == sorted(paths)


@pytest.mark.parametrize("damage", ["truncate", "flip", "delete", "folder"])
def test_fetch_names_the_damaged_file_and_leaves_nothing_of_it(archive, tmp_path, damage):
    name = make_product(archive.root, bands=BANDS)
    (found,) = search(archive)
    path = band_path(archive.root, name, "B08")
    data = path.read_bytes()
    path.unlink()
    if damage == "truncate":
        path.write_bytes(data[:-1])
    elif damage == "flip":
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif damage == "folder":
        path.mkdir()
    with pytest.raises(CorruptProduct, match=path.name):
        archive.fetch(found, found.files, tmp_path / "inbox")
    assert not [p for p in (tmp_path / "inbox").rglob("*B08*")]


def test_fetch_refuses_a_link_that_leads_out_of_the_archive(archive, tmp_path):
    name = make_product(archive.root, bands=BANDS)
    (found,) = search(archive)
    path, secret = band_path(archive.root, name, "B08"), tmp_path / "secret"
    path.rename(secret)
    path.symlink_to(secret)
    with pytest.raises(CorruptProduct, match=r"B08.jp2 leads out of the archive"):
        archive.fetch(found, found.files, tmp_path / "inbox")

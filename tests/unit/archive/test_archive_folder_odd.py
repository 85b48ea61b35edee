"""Folders as people's disks and hostile hands leave them: each odd file is ignored or refused by itself."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from helpers.factories import SENSED, band_path, make_plain, make_product, product_name, withdraw, write_entry
from seaice_ops.archive.product import Product
from seaice_ops.archive.providers.folder import FolderArchive, _reading
from seaice_ops.errors import BadTransfer, CorruptProduct, TransientError

EVER = (datetime(1900, 1, 1, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC))
BANDS = {
    band: np.full((8, 8) if band != "B11" else (4, 4), 2000, np.uint16) for band in ("B02", "B03", "B04", "B08", "B11")
}
RGB = np.full((4, 5, 3), 90, np.uint8)
GOOD = product_name(platform="S2A")


@pytest.fixture
def archive(tmp_path: Path) -> FolderArchive:
    """An archive with one good product, GOOD, which must be found whatever lies beside it."""
    folder = tmp_path / "archive"
    folder.mkdir()
    make_product(folder, bands=BANDS, platform="S2A")
    return FolderArchive(folder, frozenset({"01CCV"}))


def beside_good(archive: FolderArchive) -> list[Product]:
    """What a search finds besides the good product."""
    found = archive.search(["01CCV"], "sensed", *EVER)
    assert [p.problem for p in found if p.id == GOOD] == [None]
    return [p for p in found if p.id != GOOD]


def bare(archive: FolderArchive) -> str:
    return make_product(archive.root, bands=BANDS, entry=False)


# ---- as people's disks have them


def test_files_that_systems_add_are_ignored(archive, tmp_path):
    name = bare(archive)
    safe = archive.root / f"{name}.SAFE"
    for path in [safe, *safe.rglob("*")]:
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7")
        path.with_name(".DS_Store").write_bytes(b"x")
        path.with_name("Icon\r").write_bytes(b"x")
    (archive.root / f"._{GOOD}.json").write_bytes(b"\0\5\x16\7")
    b02 = band_path(archive.root, name, "B02")
    shutil.copy(b02, b02.with_name(f"Copy of {b02.name}"))
    shutil.copy(b02, b02.with_name(f"{b02.stem} (1).jp2"))
    b02.with_name(f"{b02.name}.aux.xml").write_text("<PAMDataset/>")
    (found,) = beside_good(archive)
    assert (found.id, found.problem) == (name, None)
    assert len(archive.fetch(found, found.files, tmp_path / "inbox")) == 7


def test_an_entry_may_list_files_that_systems_add(archive):
    name = bare(archive)
    for path in (archive.root / f"{name}.SAFE").rglob("*.jp2"):
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7")
    write_entry(archive.root, name, SENSED)
    (found,) = beside_good(archive)
    assert found.problem is None and not any("._" in file.path for file in found.files)


@pytest.mark.parametrize("form", ["{}.safe", "{}", "{}.zip", "{}.SAFE.zip", "{}.ZIP"])
@pytest.mark.parametrize("entry", [False, True])
def test_products_in_other_forms_are_taken(archive, tmp_path, form, entry):
    name = make_product(archive.root, bands=BANDS, entry=entry)
    safe, path = archive.root / f"{name}.SAFE", archive.root / form.format(name)
    data = band_path(archive.root, name, "B08").read_bytes()
    if path.suffix.lower() == ".zip":
        shutil.make_archive(str(tmp_path / "made"), "zip", archive.root, safe.name)
        (tmp_path / "made.zip").rename(path)
        shutil.rmtree(safe)
    else:
        safe.rename(path)
    (found,) = beside_good(archive)
    assert (found.id, found.problem, found.sensed_at) == (name, None, SENSED)
    paths = archive.fetch(found, found.files, tmp_path / "inbox")
    assert len(paths) == 7 and next(p for p in paths if p.name.endswith("_B08.jp2")).read_bytes() == data


def test_of_a_folder_and_its_zip_the_folder_is_taken(archive, tmp_path):
    name = bare(archive)
    shutil.make_archive(str(archive.root / name), "zip", archive.root, f"{name}.SAFE")
    (found,) = beside_good(archive)
    assert found.href == f"{name}.SAFE"


@pytest.mark.parametrize(
    ("name", "words"), [("holiday.zip", "not a Sentinel-2 product name"), (f"{product_name()}.zip", "be unpacked")]
)
def test_a_zip_that_is_no_product_is_named(archive, name, words):
    (archive.root / name).write_bytes(b"PK\3\4 and then nothing")
    (found,) = beside_good(archive)
    assert words in found.problem


def test_other_folders_and_files_are_none_of_ours(archive):
    for name in ("truth", ".work"):
        (archive.root / name).mkdir()
    (archive.root / "README.txt").write_text("")
    assert beside_good(archive) == []


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_json_as_windows_tools_write_it(archive, encoding):
    make_plain(archive.root, "ross", RGB)
    for path in archive.root.glob("*.json"):
        path.write_text(path.read_text(), encoding=encoding)
    (found,) = beside_good(archive)
    assert (found.id, found.problem) == ("ross", None)


def test_json_in_latin_1_is_refused_with_what_to_do(archive):
    make_plain(archive.root, "ross", RGB)
    path = archive.root / "ross.json"
    path.write_text(path.read_text().replace("}", ', "Ørsted": 1}'), encoding="latin-1")
    (found,) = beside_good(archive)
    assert "ross.json is not UTF-8 text" in found.problem and "save it as UTF-8" in found.problem


def test_checksums_in_capitals(archive, tmp_path):
    make_plain(archive.root, "ross", RGB)
    image = archive.root / "ross.png"
    make_plain(archive.root, "ross", RGB, sha256=hashlib.sha256(image.read_bytes()).hexdigest().upper())
    path = archive.root / f"{GOOD}.json"
    entry = json.loads(path.read_text())
    for file in entry["files"].values():
        file["md5"] = file["md5"].upper()
    path.write_text(json.dumps(entry))
    for found in archive.search(["01CCV"], "sensed", *EVER):
        assert archive.fetch(found, found.files, tmp_path / "inbox" / found.id)
    image.write_bytes(b"other")
    (found,) = beside_good(archive)
    with pytest.raises(CorruptProduct, match=r"published: .*ross\.png"):
        archive.fetch(found, found.files, tmp_path / "again")


# ---- as hostile hands leave them


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00Z"])
def test_times_that_no_scene_has_are_refused(archive, moment):
    make_plain(archive.root, "ross", RGB, sensed=moment)
    name = bare(archive)
    entry = {"kind": "product", "name": name, "published": moment, "files": {}}
    (archive.root / f"{name}.json").write_text(json.dumps(entry))
    (archive.root / f"{GOOD}.withdrawn.json").write_text(json.dumps({"cause": "c", "at": moment}))
    problems = {p.id: p.problem for p in beside_good(archive)}
    assert "sensed: must lie between the years 1900 and 2999" in problems["ross"]
    assert "published: must lie between" in problems[name]
    assert archive.withdrawn(None, None) == []
    assert "at: must lie between" in problems[f"{GOOD}.withdrawn"]


def test_a_name_with_a_time_that_no_scene_has(archive):
    (archive.root / f"{product_name().replace('_2026', '_0000', 1)}.SAFE").mkdir()
    (archive.root / f"{product_name().replace('_2026', '_0001', 1)}.SAFE").mkdir()
    assert all("is not a time" in p.problem for p in beside_good(archive))


@pytest.mark.parametrize(
    ("transform", "words"),
    [
        ([float("nan"), 0, 0, 0, -10, 0], "transform"),
        ([10, 0, float("inf"), 0, -10, 0], "not on the Earth"),
        ([10, 0, 1e12, 0, -10, 0], "not on the Earth"),
        ([1e300, 0, 0, 0, -1e300, 0], "pixels of 1e+300"),
        ([1e-5, 0, 0, 0, -1e-5, 0], "pixels of 1e-05"),
        ([10, 0, 0, 0, -1e-5, 0], "pixels of 10 x 1e-05"),
    ],
)
def test_grids_that_no_scene_has_are_refused(archive, transform, words):
    make_plain(archive.root, "ross", RGB, transform=transform)
    (found,) = beside_good(archive)
    assert "transform" in found.problem and words in found.problem


def test_a_reference_system_too_long_for_the_ledger(archive):
    make_plain(archive.root, "ross", RGB, crs="EPSG:32701" + " " * 3000)
    make_plain(archive.root, "long", RGB, crs="EPSG:32701" + "0" * 3000)
    problems = {p.id: p.problem for p in beside_good(archive)}
    assert problems["ross"] is None and "crs: has more than 2048 letters" in problems["long"]


def test_names_that_are_no_text_are_refused_in_plain_words(archive):
    root = os.fsencode(archive.root)
    for name in (b"bad\xff.json", b"\x1b[31mred\nERROR forged\x07.json", b"bad\xfe.SAFE.zip"):
        with open(root + b"/" + name, "w") as file:  # noqa: PTH123
            file.write("{}")
    found = beside_good(archive)
    assert sorted(p.id for p in found) == [r"\x1b[31mred ERROR forged\x07", r"bad\udcfe.SAFE", r"bad\udcff"]
    for product in found:
        assert all(text.isprintable() for text in (product.id, product.href, product.problem))


def search_in_a_process(archive: FolderArchive) -> None:
    """`beside_good` with a time limit: a pipe would be waited for, a device has no end."""
    code = (
        "import sys; from pathlib import Path; from datetime import UTC, datetime\n"
        "from seaice_ops.archive.providers.folder import FolderArchive\n"
        "a = FolderArchive(Path(sys.argv[1]), frozenset({'01CCV'}))\n"
        "found = a.search(['01CCV'], 'sensed', datetime(1900, 1, 1, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC))\n"
        "print(*(p.id for p in found))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, archive.root], timeout=30, capture_output=True, text=True)
    assert done.stdout.split() == [GOOD], done.stderr


@pytest.mark.parametrize("name", ["x.json", f"{product_name()}.SAFE", "x.withdrawn.json", "x.zip"])
def test_pipes_and_devices_are_no_entries(archive, name):
    os.mkfifo(archive.root / name)
    (archive.root / f"zero-{name}").symlink_to("/dev/zero")
    search_in_a_process(archive)


def test_a_pipe_in_a_band_s_place_is_refused(archive, tmp_path):
    (found,) = (p for p in archive.search(["01CCV"], "sensed", *EVER))
    path = band_path(archive.root, GOOD, "B08")
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(CorruptProduct, match="is not a file"):
        archive.fetch(found, found.files, tmp_path / "inbox")


def test_links_that_lead_out_or_nowhere_are_refused(archive, tmp_path):
    make_plain(tmp_path, "outside", RGB)
    for name in ("outside.json", "outside.png"):
        (archive.root / name).symlink_to(tmp_path / name)
    (archive.root / "nowhere.json").symlink_to("nothing")
    (archive.root / "circle.json").symlink_to("circle.json")
    name = product_name()
    (archive.root / f"{name}.SAFE").symlink_to(tmp_path)
    problems = {p.id: p.problem for p in beside_good(archive)}
    assert {key for key, words in problems.items() if "leads out of the archive" in words} == {"outside", name}
    assert set(problems) == {"outside", "nowhere", "circle", name}


def test_an_image_that_is_a_link_out_of_the_archive_is_refused(archive, tmp_path):
    make_plain(archive.root, "ross", RGB)
    image = archive.root / "ross.png"
    image.rename(tmp_path / "ross.png")
    image.symlink_to(tmp_path / "ross.png")
    (found,) = beside_good(archive)
    assert "ross.png leads out of the archive" in found.problem


def test_a_link_within_the_archive_is_followed(archive):
    name = bare(archive)
    (archive.root / f"{name}.SAFE").rename(archive.root / "kept")
    (archive.root / f"{name}.SAFE").symlink_to("kept")
    (found,) = beside_good(archive)
    assert found.problem is None


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 30)


@pytest.mark.parametrize(
    ("plant", "words"),
    [
        (lambda path: path.mkdir(), "cannot be read: Is a directory"),
        (lambda path: path.write_text("[" * 200_000), "recursion limit"),
        (lambda path: path.write_text('{"kind": "scene"}' + " " * 100), "image is missing"),
        (huge, "has more than 16 MiB"),
    ],
)
def test_json_that_is_none_of_ours(archive, plant: Callable[[Path], object], words):
    plant(archive.root / "odd.json")
    (found,) = beside_good(archive)
    assert words in found.problem


def test_the_words_of_a_withdrawal_are_made_plain(archive):
    withdraw(archive.root, GOOD, SENSED, cause="a\0b\x1b[31m\nERROR forged")
    (found,) = archive.withdrawn(None, None)
    assert found.cause == r"a\x00b\x1b[31m ERROR forged"


@pytest.mark.parametrize(
    ("number", "error"),
    [(errno.EACCES, BadTransfer), (errno.ENOENT, CorruptProduct), (errno.EIO, TransientError)],
)
def test_a_file_that_cannot_be_read_is_a_matter_of_its_scene_or_of_the_machine(number, error):
    with pytest.raises(error) as caught, _reading(Path("x")):
        raise OSError(number, os.strerror(number))
    assert type(caught.value) is error

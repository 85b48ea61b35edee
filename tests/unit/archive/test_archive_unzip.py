"""A product's zip: what a scene needs comes out of it, and nothing gets out of its folder."""

from __future__ import annotations

import hashlib
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seaice_ops.archive.product import ProductFile
from seaice_ops.archive.providers.entry import entry
from seaice_ops.archive.providers.odata import files
from seaice_ops.archive.transport.unzip import unzip
from seaice_ops.errors import CorruptProduct

NAME = "S2B_MSIL1C_20260201T201529_N0511_R028_T01CCV_20260201T214500"
NEEDED = files(NAME, "12345", "x_S20260201T201530_N05.11")
PRODUCT = entry(NAME, "id", NEEDED, datetime(2026, 2, 1, tzinfo=UTC))


def content(path: str) -> bytes:
    return path.encode() * 50


def make_zip(path: Path, change=lambda members: None, extra=(), mode: int = 0o100644) -> Path:
    """A zip of the product, its members changed by `change` (names to bytes), then `extra` (name, bytes) added."""
    members = {f"{NAME}.SAFE/{file.path}": content(file.path) for file in NEEDED}
    members[f"{NAME}.SAFE/manifest.safe"] = b"<x/>"
    change(members)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr(f"{NAME}.SAFE/", b"")
        for name, data in members.items():
            target.writestr(name, data)
        for name, data in extra:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            target.writestr(info, data)
    return path


def test_the_needed_files_come_out(tmp_path) -> None:
    paths = unzip(make_zip(tmp_path / "p.zip"), PRODUCT, PRODUCT.files, tmp_path / "inbox")
    assert [path.relative_to(tmp_path / "inbox").as_posix() for path in paths] == [f.path for f in PRODUCT.files]
    assert all(path.read_bytes() == content(file.path) for path, file in zip(paths, PRODUCT.files, strict=True))
    assert len([path for path in (tmp_path / "inbox").rglob("*") if path.is_file()]) == 7


def test_a_granule_called_otherwise_is_found(tmp_path) -> None:
    """A hub without nodes does not tell the datastrip: the search has called the folder after the product."""
    told = files(NAME, "12345", "_S20260201T201529")
    paths = unzip(make_zip(tmp_path / "p.zip"), PRODUCT, told, tmp_path / "inbox")
    assert [path.relative_to(tmp_path / "inbox").as_posix() for path in paths] == [file.path for file in told]


@pytest.mark.parametrize(
    "name",
    ["../out.txt", f"{NAME}.SAFE/../../out.txt", "/tmp/seaice-out.txt", "a\\..\\out.txt", f"{NAME}.SAFE/x\0.jp2"],
)
def test_names_that_lead_out_refuse_the_whole_zip(tmp_path, name) -> None:
    archive = make_zip(tmp_path / "p.zip", extra=[(name, b"out")])
    if "\0" in name:  # the library cuts such names when it writes them
        placeholder = f"{NAME}.SAFE/x".encode()
        archive.write_bytes(archive.read_bytes().replace(placeholder, placeholder[:-1] + b"\0"))
    with pytest.raises(CorruptProduct, match="refused"):
        unzip(archive, PRODUCT, PRODUCT.files, tmp_path / "inbox")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["p.zip"]


def test_a_link_refuses_the_whole_zip(tmp_path) -> None:
    archive = make_zip(tmp_path / "p.zip", extra=[("link", b"/etc")], mode=0o120777)
    with pytest.raises(CorruptProduct, match="link"):
        unzip(archive, PRODUCT, PRODUCT.files, tmp_path / "inbox")
    assert not (tmp_path / "inbox").exists()


def test_a_name_twice_is_refused(tmp_path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        archive = make_zip(tmp_path / "p.zip", extra=[(f"{NAME}.SAFE/{NEEDED[0].path}", b"other")])
    with pytest.raises(CorruptProduct, match="twice"):
        unzip(archive, PRODUCT, PRODUCT.files, tmp_path / "inbox")


def test_a_missing_band_is_told(tmp_path) -> None:
    archive = make_zip(tmp_path / "p.zip", lambda members: members.pop(f"{NAME}.SAFE/{NEEDED[-1].path}"))
    with pytest.raises(CorruptProduct, match="B11"):
        unzip(archive, PRODUCT, PRODUCT.files, tmp_path / "inbox")


def test_a_wrong_checksum_is_told(tmp_path) -> None:
    wrong = [ProductFile(NEEDED[0].path, None, f"md5:{hashlib.md5(b'other').hexdigest()}")]
    with pytest.raises(CorruptProduct, match="md5"):
        unzip(make_zip(tmp_path / "p.zip"), PRODUCT, wrong, tmp_path / "inbox")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_no_hub_packs_is_refused(tmp_path, method) -> None:
    path = tmp_path / "p.zip"
    with zipfile.ZipFile(path, "w", method) as target:
        for file in NEEDED:
            target.writestr(f"{NAME}.SAFE/{file.path}", content(file.path))
    with pytest.raises(CorruptProduct, match="packed by method"):
        unzip(path, PRODUCT, PRODUCT.files, tmp_path / "inbox")


def test_a_name_that_is_no_text_is_refused(tmp_path) -> None:
    path = make_zip(tmp_path / "p.zip", extra=[("caf\u00e9", b"")])
    path.write_bytes(path.read_bytes().replace("\u00e9".encode(), b"\xff\xff"))
    with pytest.raises(CorruptProduct, match="cannot be unpacked"):
        unzip(path, PRODUCT, PRODUCT.files, tmp_path / "inbox")


@settings(deadline=None)
@given(st.data())
def test_a_damaged_zip_gives_right_bytes_or_an_error(tmp_path_factory, data) -> None:
    folder = tmp_path_factory.mktemp("zip")
    archive = make_zip(folder / "p.zip")
    whole = archive.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    damaged = whole[:at] if data.draw(st.booleans()) else whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]
    archive.write_bytes(damaged)
    try:
        paths = unzip(archive, PRODUCT, PRODUCT.files, folder / "inbox")
    except CorruptProduct:
        return
    assert all(path.read_bytes() == content(file.path) for path, file in zip(paths, PRODUCT.files, strict=True))

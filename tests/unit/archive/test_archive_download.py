"""One file over HTTP: however often and wherever it is cut, it is whole, right and of one version in the end."""

from __future__ import annotations

import hashlib
import io
import re
import tempfile
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_archive_http import wire_to

from seaice_ops.archive.product import ProductFile
from seaice_ops.archive.transport.download import download
from seaice_ops.archive.transport.partial import Partial, partial
from seaice_ops.errors import CorruptProduct, TransientError

URL = "https://h.org/file"
DATA = bytes(range(256)) * 8


class Server:
    """Serves `versions` of a file, one after the other, with ranges; each answer ends after the next of `cuts`."""

    def __init__(self, versions=(DATA,), cuts=(), tags=True, ranges=True) -> None:
        self.versions, self.cuts = list(versions), list(cuts)
        self.tags, self.ranges = tags, ranges
        self.sent, self.asked = 0, []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        data = self.versions.pop(0) if len(self.versions) > 1 else self.versions[0]
        tag = f'"{hashlib.md5(data).hexdigest()}"'
        headers = {"ETag": tag} if self.tags else {}
        match = re.fullmatch(r"bytes=(\d+)-", request.headers.get("range", ""))
        self.asked.append(match and int(match[1]))
        condition = request.headers.get("if-range")
        if self.ranges and match and condition in (None, tag):
            start = int(match[1])
            if start >= len(data):
                return httpx.Response(416, headers={"Content-Range": f"bytes */{len(data)}"})
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            return self._answer(206, data[start:], headers)
        return self._answer(200, data, headers)

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> httpx.Response:
        cut = self.cuts.pop(0) if self.cuts else None

        def stream():
            part = body if cut is None else body[:cut]
            self.sent += len(part)
            yield part
            if cut is not None and cut < len(body):
                raise httpx.ReadError("the connection was reset")

        return httpx.Response(status, content=stream(), headers={**headers, "Content-Length": str(len(body))})


def promised(data: bytes = DATA) -> ProductFile:
    return ProductFile("file", len(data), f"md5:{hashlib.md5(data).hexdigest()}")


def fetch(server, folder: Path, file: ProductFile, attempts: int = 50) -> Path:
    return download(wire_to([server] * 200, backoff_s=0, attempts=attempts), URL, file, folder / "file")


@settings(deadline=None, max_examples=60)
@given(
    cuts=st.lists(st.integers(0, len(DATA) + 9), max_size=12),
    tags=st.booleans(),
    ranges=st.booleans(),
    known=st.sampled_from([promised(), ProductFile("file", len(DATA)), ProductFile("file")]),
)
def test_any_cuts_give_the_whole_file(cuts, tags, ranges, known) -> None:
    server = Server(cuts=cuts, tags=tags, ranges=ranges)
    with tempfile.TemporaryDirectory() as folder:
        assert fetch(server, Path(folder), known).read_bytes() == DATA
        assert [path.name for path in Path(folder).iterdir()] == ["file"]
    if ranges and (tags or known.checksum):
        assert server.sent == len(DATA)  # nothing came twice


@settings(deadline=None, max_examples=60)
@given(cuts=st.lists(st.integers(1, 400), min_size=1, max_size=5), kills=st.integers(1, 3))
def test_a_later_call_goes_on_where_an_earlier_one_stood(cuts, kills) -> None:
    server = Server(cuts=cuts)
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(kills):
            try:
                fetch(server, Path(folder), promised(), attempts=1)
            except TransientError:
                continue
        assert fetch(server, Path(folder), promised()).read_bytes() == DATA
    assert server.sent == len(DATA)


@settings(deadline=None)
@given(cut=st.integers(1, 900), other=st.binary(min_size=1, max_size=1500))
def test_versions_are_never_spliced(cut, other) -> None:
    """The file changes at the server between two tries; nothing but its validator tells."""
    server = Server(versions=[DATA, other], cuts=[cut])
    with tempfile.TemporaryDirectory() as folder:
        assert fetch(server, Path(folder), ProductFile("file")).read_bytes() == other


def test_a_range_of_another_version_is_not_taken(tmp_path) -> None:
    """A server that ignores If-Range."""
    other = DATA[::-1]

    def answer(request: httpx.Request) -> httpx.Response:
        if "range" in request.headers and len(asked) == 1:
            asked.append("range")
            start = int(request.headers["range"][6:-1])
            told = {"ETag": '"other"', "Content-Range": f"bytes {start}-{len(other) - 1}/{len(other)}"}
            return httpx.Response(206, content=other[start:], headers=told)
        asked.append("whole")
        return server(request)

    asked: list[str] = []
    server = Server(versions=[DATA, other], cuts=[100])
    assert fetch(answer, tmp_path, ProductFile("file", len(DATA))).read_bytes() == other
    assert asked == ["whole", "range", "whole"]


def test_bytes_that_are_wrong_are_asked_for_once_more(tmp_path) -> None:
    wrong = DATA[:-1] + b"!"
    assert fetch(Server(versions=[wrong, DATA]), tmp_path, promised()).read_bytes() == DATA


def test_bytes_that_stay_wrong_make_the_product_corrupt(tmp_path) -> None:
    server = Server(versions=[DATA[:-1] + b"!"])
    with pytest.raises(CorruptProduct, match="md5"):
        fetch(server, tmp_path, promised())
    assert server.asked == [None, None] and not list(tmp_path.iterdir())


def test_more_than_was_published_is_not_written_for_ever(tmp_path) -> None:
    server = Server(versions=[DATA * 2])
    with pytest.raises(CorruptProduct, match="bytes"):
        fetch(server, tmp_path, promised())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("status", [404, 410])
def test_a_file_that_is_gone_is_the_products_fault(tmp_path, status) -> None:
    with pytest.raises(CorruptProduct, match="not in the archive"):
        fetch(lambda _: httpx.Response(status), tmp_path, promised())


def test_a_product_on_tape_is_waited_for(tmp_path) -> None:
    with pytest.raises(TransientError, match="tapes"):
        fetch(lambda _: httpx.Response(202), tmp_path, promised())


def test_a_partial_file_larger_than_the_file_is_begun_again(tmp_path) -> None:
    with partial(tmp_path / "file") as so_far:
        so_far.restart('"old"')
        so_far.append(b"x" * 5000)
    assert fetch(Server(), tmp_path, promised()).read_bytes() == DATA


def test_bytes_of_an_unknown_version_are_begun_again(tmp_path) -> None:
    """As a process killed between making the partial file and writing its version leaves them."""
    (tmp_path / "file.partial").write_bytes(b"x" * 100)
    server = Server()
    assert fetch(server, tmp_path, promised()).read_bytes() == DATA and server.asked == [None]


def test_a_file_is_written_by_one_at_a_time(tmp_path) -> None:
    with partial(tmp_path / "file"), pytest.raises(TransientError, match="another process"):
        fetch(Server(), tmp_path, promised())
    assert fetch(Server(), tmp_path, promised()).read_bytes() == DATA


def test_a_file_that_another_process_has_just_finished_is_not_fetched_again(tmp_path) -> None:
    (tmp_path / "file").write_bytes(DATA)
    server = Server()
    assert fetch(server, tmp_path, promised()).read_bytes() == DATA and not server.asked


def test_a_disk_that_takes_less_than_it_is_given_loses_nothing(tmp_path) -> None:
    class Narrow(io.BytesIO):
        name = str(tmp_path / "file.partial")

        def write(self, data) -> int:
            return super().write(bytes(data[:3]))

    stream = Narrow()
    Partial(tmp_path / "file", stream).append(DATA)
    assert stream.getvalue() == DATA


def test_a_version_that_cannot_be_asked_for_is_none(tmp_path) -> None:
    tag = [(b"etag", '"\u00e9"'.encode("latin-1"))]
    answers = [
        httpx.Response(200, content=iter([DATA[:9]]), headers=[*tag, (b"content-length", b"99")]),
        httpx.Response(200, content=iter([DATA]), headers=tag),
    ]
    path = download(wire_to(answers), URL, ProductFile("file", len(DATA)), tmp_path / "file")
    assert path.read_bytes() == DATA

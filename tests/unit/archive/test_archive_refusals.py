"""A refusal of one file is a matter of its scene; a refusal of the keys is a matter for people."""

from __future__ import annotations

import httpx
import pytest
from test_archive_http import wire_to
from test_archive_mirror import END, START, Mirror, archive_of

from seaice_ops.archive.product import ProductFile
from seaice_ops.archive.transport.download import download
from seaice_ops.archive.transport.http import Refused
from seaice_ops.errors import BadTransfer, ConfigError

URL = "https://s3.example.org/bucket/key"


def refusal(code: str) -> httpx.Response:
    body = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>No.</Message></Error>' if code else "<Error/>"
    return httpx.Response(403, content=iter([body.encode()]))


@pytest.mark.parametrize("code", ["", "AccessDenied"])
def test_a_file_that_is_refused_is_left_to_its_scene(tmp_path, code) -> None:
    with pytest.raises(BadTransfer, match=r"bucket/key answers 403.*it does not exist, or"):
        download(wire_to([lambda _: refusal(code)] * 2), URL, ProductFile("key"), tmp_path / "key")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "answer",
    [
        refusal("InvalidAccessKeyId"),
        refusal("SignatureDoesNotMatch"),
        refusal("ExpiredToken"),
        refusal("RequestTimeTooSkewed"),
        httpx.Response(401),
        httpx.Response(400),
    ],
)
def test_keys_that_are_refused_end_the_run(tmp_path, answer) -> None:
    with pytest.raises(Refused, match="answers 4") as caught:
        download(wire_to([answer]), URL, ProductFile("key"), tmp_path / "key")
    assert not caught.value.of_one_file and isinstance(caught.value, ConfigError)


@pytest.mark.parametrize("status", [403, 404, 410])
@pytest.mark.parametrize("gone", ["the item", "a band", "the granule's metadata"])
def test_what_a_mirror_has_no_more_is_a_matter_of_its_scene(tmp_path, status, gone) -> None:
    mirror = Mirror(tmp_path / "m")
    ends = {"the item": "/items/x", "a band": "B08.jp2", "the granule's metadata": "metadata.xml"}[gone]

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith(ends):
            return httpx.Response(status)
        return mirror(request)

    archive = archive_of(answer, tmp_path)
    (found,) = archive.search(["01CCV"], "sensed", START, END)
    with pytest.raises(BadTransfer, match=f"{ends} (answers {status}|is not in the archive)"):
        archive.fetch(found, found.files, tmp_path / "inbox")


def test_a_bucket_whose_readers_pay_needs_keys(tmp_path) -> None:
    """Without keys every file would be refused, one by one."""
    mirror = Mirror(tmp_path / "m")
    for asset in mirror.item["assets"].values():
        asset["href"] = f"s3://bucket/{asset['href']}"
    archive = archive_of(mirror, tmp_path, s3_url="https://s3.org", requester_pays=True)
    (found,) = archive.search(["01CCV"], "sensed", START, END)
    with pytest.raises(ConfigError, match="S3 keys"):
        archive.fetch(found, found.files, tmp_path / "inbox")


def test_a_refused_tile_info_ends_no_search(tmp_path) -> None:
    mirror = Mirror(tmp_path / "m")
    for key in ("s2:product_uri", "s2:datatake_id"):
        del mirror.item["properties"][key]
    mirror.item["assets"]["tileinfo_metadata"] = {"href": "https://m.org/tileInfo.json"}

    def answer(request: httpx.Request) -> httpx.Response:
        return refusal("AccessDenied") if request.url.path == "/tileInfo.json" else mirror(request)

    (found,) = archive_of(answer, tmp_path).search(["01CCV"], "sensed", START, END)
    assert "does not hold its product's name" in found.problem

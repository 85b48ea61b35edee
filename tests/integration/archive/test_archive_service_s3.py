"""Fetching from real S3 servers, one of which checks keys; wrong keys are a clear matter for people, and unseen."""

from __future__ import annotations

import logging
import traceback

import boto3
import pytest
from botocore.config import Config

from helpers import servers
from helpers.cdse_service import Catalogue, faults, service
from helpers.cdse_service.runs import find, ingest, rough_product, states
from helpers.cdse_service.settings import keys, settings_of
from seaice_ops.archive import fetch
from seaice_ops.archive.fetch import FetchRequest
from seaice_ops.errors import ConfigError, TransientError
from seaice_ops.ledger.stores import initialise
from seaice_ops.storage.store import open_store

WRONG = "AKIAWRONGKEY", "a-secret-that-opens-nothing"


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    """A catalogue with one product, whose files are to come from elsewhere."""
    folder = tmp_path_factory.mktemp("archive")
    rough_product(folder)
    with service() as space:
        space.catalogue = Catalogue()
        space.catalogue.publish_folder(folder)
        space.faults.add("s3.get", faults.status(500), times=10**6)
        yield space


@pytest.fixture(scope="module", params=["moto", "nanio"])
def endpoint(request, space):
    """An S3 server with the product in its bucket eodata."""
    start = servers.s3() if request.param == "moto" else servers.guarded_s3(space.access_key, space.secret_key)
    with start as endpoint:
        client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            aws_access_key_id=space.access_key,
            aws_secret_access_key=space.secret_key,
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}),
        )
        client.create_bucket(Bucket="eodata")
        (product,) = space.catalogue.visible()
        for path in product.files:
            client.put_object(Bucket="eodata", Key=f"{product.prefix}/{path}", Body=product.read(path))
        yield endpoint


@pytest.fixture
def settings(space, endpoint, tmp_path, monkeypatch):
    for name, value in keys(space).items():
        monkeypatch.setenv(name, value)
    settings = settings_of(space, tmp_path / "home")
    cdse = settings.archive.cdse.model_copy(update={"s3_url": endpoint, "s3_region": "us-east-1"})
    settings = settings.model_copy(update={"archive": settings.archive.model_copy(update={"cdse": cdse})})
    initialise(settings)
    return settings


def test_a_scene_comes_from_a_real_s3_server(space, settings):
    ingest(settings)
    assert states(settings) == {space.catalogue.visible()[0].name: "ready"}


def test_a_transfer_goes_on_at_a_real_s3_server(space, endpoint, settings):
    """Begun at one server and cut there, gone on at the other: their ETags are equal, so the bytes are."""
    (product,) = space.catalogue.visible()
    cut_here = settings_of(space, settings.home, http={"attempts": 1})
    space.faults.clear()
    space.faults.add("s3.get", faults.cut(at=40_000), times=99, match=".jp2")
    ids = tuple(find(settings).items)
    with pytest.raises(TransientError):
        fetch.run(cut_here, FetchRequest(ids))
    parts = [path for path in settings.inbox(product.name).rglob("*.jp2*") if path.stat().st_size == 40_000]
    assert parts
    ingest(settings)
    assert states(settings) == {product.name: "ready"}


@pytest.fixture(scope="module")
def guarded(space):
    with servers.guarded_s3(space.access_key, space.secret_key) as endpoint:
        yield endpoint


@pytest.mark.parametrize("wrong", ["secret", "both"])
def test_wrong_keys_of_the_archive_are_told_and_not_shown(space, guarded, settings, monkeypatch, caplog, wrong):
    caplog.set_level(logging.DEBUG)
    cdse = settings.archive.cdse.model_copy(update={"s3_url": guarded})
    settings = settings.model_copy(update={"archive": settings.archive.model_copy(update={"cdse": cdse})})
    monkeypatch.setenv("SEAICE_ARCHIVE_S3_SECRET_KEY", WRONG[1])
    if wrong == "both":
        monkeypatch.setenv("SEAICE_ARCHIVE_S3_ACCESS_KEY", WRONG[0])
    found = find(settings)
    with pytest.raises(ConfigError, match=r"403.*credentials") as caught:
        fetch.run(settings, FetchRequest(tuple(found.items)))
    told = "".join(traceback.format_exception(caught.value)) + caplog.text
    told += (settings.home / "ledger.sqlite").read_bytes().decode("latin-1")
    assert not [secret for secret in (*WRONG, space.secret_key) if secret in told]


def test_wrong_keys_of_the_store_are_told_and_not_shown(guarded, monkeypatch):
    for name, value in {**servers.s3_environment(guarded), "AWS_SECRET_ACCESS_KEY": WRONG[1]}.items():
        monkeypatch.setenv(name, value)
    store = open_store("s3://eodata/objects")
    with pytest.raises(ConfigError) as caught:
        store.put("a/b.txt", b"content")
    assert WRONG[1] not in "".join(traceback.format_exception(caught.value))

"""Archives that mean harm: nothing leaves its folder, no entity is resolved, one bad product spoils no other."""

from __future__ import annotations

import re
import shutil
import time
from datetime import timedelta
from pathlib import Path

import pytest

from helpers.cdse_service import Catalogue, faults, folder_product, service, with_files
from helpers.cdse_service.hostile import entity_bomb, external_entity, in_utf16, zip_with
from helpers.cdse_service.runs import bring, ingest, rough_product, scenes, states
from helpers.cdse_service.settings import account, keys, settings_of
from helpers.factories import SENSED
from seaice_ops.ledger.stores import initialise

TREASURE = "the-content-of-a-file-that-is-nobodys-business"


@pytest.fixture(scope="module")
def server():
    with service() as space:
        yield space


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive")
    rough_product(folder)
    rough_product(folder, seed=1, sensed=SENSED + timedelta(days=1))
    return folder


@pytest.fixture
def space(server, archive, monkeypatch):
    """The service with one good product; `space.target` is another one, not yet published."""
    server.catalogue, server.target = Catalogue(), None
    server.faults.clear()
    target, good = sorted(archive.glob("*.SAFE"))
    server.target = folder_product(target, SENSED + timedelta(hours=2))
    server.good = server.catalogue.publish(folder_product(good, SENSED + timedelta(hours=3)))
    for key, value in {**keys(server), **account(server)}.items():
        monkeypatch.setenv(key, value)
    return server


@pytest.fixture(scope="module")
def ledger(server, tmp_path_factory):
    settings = settings_of(server, tmp_path_factory.mktemp("ledger"))
    initialise(settings)
    return settings.home / "ledger.sqlite"


@pytest.fixture
def client(server, ledger, tmp_path):
    """client(kind) -> settings of a new home, deep below `tmp_path`."""

    def make(kind="cdse"):
        home = tmp_path / "a" / "b" / "home"
        home.mkdir(parents=True)
        shutil.copy(ledger, home)
        settings = settings_of(server, home, kind=kind)
        initialise(settings)
        return settings

    return make


def outside(tmp_path: Path, home: Path) -> set[Path]:
    return {path for path in tmp_path.rglob("*") if not path.is_relative_to(home) and not home.is_relative_to(path)}


@pytest.mark.parametrize("document", ["MTD_TL.xml", "MTD_MSIL1C.xml"])
@pytest.mark.parametrize("attack", ["external", "bomb", "bomb in UTF-16"])
def test_entities_are_refused(space, client, tmp_path, document, attack):
    secret = tmp_path / "treasure.txt"
    secret.write_text(TREASURE)
    plain = space.target.read(next(path for path in space.target.files if path.endswith(document)))
    evil = external_entity(plain, secret) if attack == "external" else entity_bomb(plain)
    evil = in_utf16(evil) if attack.endswith("UTF-16") else evil
    name = space.catalogue.publish(with_files(space.target, {document: evil}))
    settings = client()
    began = time.monotonic()
    ingest(settings)
    assert time.monotonic() - began < 30
    assert states(settings) == {name: "failed", space.good: "ready"}
    reason = scenes(settings)[name].reason
    assert document in reason and re.search("entit|DTD|DOCTYPE", reason), reason
    assert TREASURE not in (settings.home / "ledger.sqlite").read_bytes().decode("latin-1")


@pytest.mark.parametrize(
    "path",
    [
        "GRANULE/../IMG_DATA/x_B02.jp2",
        "../../../../../../escaped_B02.jp2",
        "GRANULE/g/IMG_DATA/..\\..\\x_B02.jp2",
        "/etc/x_B02.jp2",
        "GRANULE//IMG_DATA/../../../x_B02.jp2",
    ],
)
def test_an_item_that_points_out_of_its_product_is_refused(space, client, tmp_path, path):
    name = space.catalogue.publish(space.target)

    def change(item):
        if item["id"] == name:
            item["assets"]["B02"]["href"] = f"s3://eodata/{space.target.prefix}/{path}"

    space.faults.add("stac.search", faults.changed_items(change), times=9)
    settings = client()
    before = outside(tmp_path, settings.home)
    bring(settings)
    assert states(settings) == {name: "failed", space.good: "fetched"}
    assert outside(tmp_path, settings.home) == before


@pytest.mark.parametrize("bad", ["../../escaped", "/tmp/escaped", "S2B_MSIL1C_../../x", "", "a\x00b", "x" * 5000])
def test_names_that_are_none_are_refused(space, client, tmp_path, bad):
    space.catalogue.publish(space.target)

    def change(item):
        if item["id"] == space.target.name:
            item["id"] = bad

    space.faults.add("stac.search", faults.changed_items(change), times=9)
    settings = client()
    before = outside(tmp_path, settings.home)
    bring(settings)
    found = states(settings)
    assert found.pop(space.good) == "fetched"
    assert set(found.values()) <= {"failed"} and outside(tmp_path, settings.home) == before


def test_a_hub_is_read_by_nodes_and_by_zip(space, client):
    space.catalogue.publish(space.target)
    by_nodes = client("dhus")
    ingest(by_nodes)
    assert set(states(by_nodes).values()) == {"ready"} and not space.log.of("dhus.zip")
    space.faults.add("dhus.file", faults.status(404), times=999)
    shutil.rmtree(by_nodes.home.parent)
    by_zip = client("dhus")
    space.faults.add("dhus.zip", faults.cut(at=99_000))
    space.log.clear()
    ingest(by_zip)
    assert set(states(by_zip).values()) == {"ready"}
    assert [entry.status for entry in space.log.of("dhus.zip")][:2] == [200, 206]


MEMBERS = {
    "up": ("../../../../escaped_B02.jp2", ""),
    "absolute": ("/tmp/seaice-escaped_B02.jp2", ""),
    "up within": ("{name}.SAFE/../../escaped.txt", ""),
    "link": ("{name}.SAFE/HTML", "/etc"),
}


@pytest.mark.parametrize("member", MEMBERS)
def test_a_zip_that_leads_out_of_itself_is_refused_whole(space, client, tmp_path, member):
    name, link = MEMBERS[member]
    space.target.cache["zip"] = zip_with(space.target, name.format(name=space.target.name), link)
    space.catalogue.publish(space.target)
    space.faults.add("dhus.file", faults.status(404), times=999)
    settings = client("dhus")
    before = outside(tmp_path, settings.home)
    bring(settings)
    assert states(settings) == {space.target.name: "failed", space.good: "fetched"}
    assert "refused" in scenes(settings)[space.target.name].reason
    assert outside(tmp_path, settings.home) == before and not Path("/tmp/seaice-escaped_B02.jp2").exists()
    assert not list(settings.inbox(space.target.name).rglob("*.jp2"))


def test_a_zip_that_is_none_is_refused(space, client):
    space.target.cache["zip"] = b"PK\x03\x04 and then nothing"
    space.catalogue.publish(space.target)
    space.faults.add("dhus.file", faults.status(404), times=999)
    settings = client("dhus")
    bring(settings)
    assert states(settings) == {space.target.name: "failed", space.good: "fetched"}


@pytest.mark.parametrize("attack", ["path", "bomb"])
def test_a_hostile_manifest_is_refused(space, client, tmp_path, attack):
    plain = space.target.read("manifest.safe")
    evil = plain.replace(b'href="./GRANULE', b'href="./../../../../GRANULE') if attack == "path" else entity_bomb(plain)
    product = with_files(space.target, {"manifest.safe": evil})
    space.catalogue.publish(product)
    settings = client("dhus")
    before = outside(tmp_path, settings.home)
    bring(settings)
    assert states(settings) == {product.name: "failed", space.good: "fetched"}
    assert outside(tmp_path, settings.home) == before


@pytest.mark.parametrize(
    "fault",
    [faults.status(503), faults.truncated_json, faults.not_json, faults.cut(at=50)],
    ids=["503", "truncated", "not json", "cut"],
)
def test_a_hub_that_stumbles_is_asked_again(space, client, fault):
    space.catalogue.publish(space.target)
    space.faults.add("dhus.search", fault)
    settings = client("dhus")
    bring(settings)
    assert set(states(settings).values()) == {"fetched"} and len(states(settings)) == 2

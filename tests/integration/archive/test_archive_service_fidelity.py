"""The service of the tests is what it stands for: its answers are built like recorded ones, real clients can use it."""

from __future__ import annotations

import hashlib
import json
import re
import socket
import time
from datetime import UTC, datetime, timedelta

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from obstore.store import S3Store
from pystac_client import Client
from sentinelsat import SentinelAPI

from helpers.cdse_service import faults, service, tiny_product
from helpers.cdse_service.shapes import paths

MOMENT = datetime(2026, 2, 1, 20, 15, 29, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def filled():
    with service() as space:
        for number in range(25):
            space.catalogue.publish(tiny_product(MOMENT + number * DAY, tile="33XWJ"))
        space.catalogue.publish(tiny_product(MOMENT, tile="60CWS"))
        yield space


@pytest.fixture
def space(filled):
    filled.faults.clear()
    filled.log.clear()
    filled.catalogue.now = datetime(9999, 1, 1, tzinfo=UTC)
    return filled


def recorded(outside_data, name):
    return json.loads((outside_data / "copernicus_answers" / name).read_text())


def token(space) -> dict:
    form = {"grant_type": "password", "client_id": "cdse-public", "username": space.user, "password": space.password}
    return httpx.post(space.token_url, data=form).json()


def bearer(space) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(space)['access_token']}"}


def s3(space, secret=None):
    return boto3.client(
        "s3",
        endpoint_url=space.s3,
        aws_access_key_id=space.access_key,
        aws_secret_access_key=secret or space.secret_key,
        region_name="default",
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )


def test_odata_answers_are_built_like_recorded_ones(space, outside_data):
    theirs = recorded(outside_data, "eodag/cop_dataspace_search.json")
    query = "$filter=Collection/Name eq 'SENTINEL-2' and contains(Name,'T33XWJ')&$orderby=ContentDate/Start asc&$top=2"
    ours = httpx.get(f"{space.odata}/Products?{query}&$expand=Attributes&$expand=Assets").json()
    assert paths(ours) == paths(theirs)
    assert [a["Name"] for a in ours["value"][0]["Attributes"]] == [a["Name"] for a in theirs["value"][0]["Attributes"]]
    page = recorded(outside_data, "cdsetool/odata_page_1.json")
    ours = httpx.get(f"{space.odata}/Products?{query}&$count=true&$expand=Attributes").json()
    assert list(ours) == list(page)
    last = recorded(outside_data, "cdsetool/odata_page_5.json")
    assert list(httpx.get(f"{space.odata}/Products?$top=1000&$expand=Attributes").json()) == list(last)


def test_odata_next_links_have_the_recorded_form(space, outside_data):
    theirs = recorded(outside_data, "cdsetool/odata_page_2.json")["@odata.nextLink"]
    url = httpx.URL(theirs)
    ours = httpx.get(f"{space.odata}/Products?{url.query.decode().replace('SENTINEL-1', 'SENTINEL-2')}").json()
    assert ours["value"] == [] and "@odata.nextLink" not in ours  # nothing was sensed in 2014
    query = "$filter=ContentDate/Start gt 2026-01-01T00:00:00.000Z&$top=10&$skip=10&$count=true&$expand=Attributes"
    link = httpx.get(f"{space.odata}/Products?{query}").json()["@odata.nextLink"]
    expected = "%24filter=ContentDate%2FStart+gt+2026-01-01T00%3A00%3A00.000Z&%24top=10&%24skip=20&%24expand=Attributes"
    assert link == f"{space.odata}/Products?{expected}"
    assert [p["Name"][11:15] for p in httpx.get(link).json()["value"]] == ["2026"] * 6


def test_odata_filters_select(space):
    def names(text: str, **more: str) -> list[str]:
        answer = httpx.get(f"{space.odata}/Products", params={"$filter": text, "$top": "1000", **more})
        assert answer.status_code == 200, answer.text
        return [product["Name"] for product in answer.json()["value"]]

    def attribute(kind: str, name: str, value: str) -> str:
        return f"Attributes/OData.CSC.{kind}/any(a:a/Name eq '{name}' and a/OData.CSC.{kind}/Value {value})"

    tile = attribute("StringAttribute", "tileId", "eq '60CWS'")
    assert len(names(tile)) == 1
    assert len(names(f"not ({tile}) and contains(Name,'T33XWJ')")) == 25
    assert len(names(f"{tile} or Name eq '{names('')[3]}'")) == 2
    assert len(names(attribute("DoubleAttribute", "cloudCover", "le 20"))) == 0
    assert len(names(attribute("IntegerAttribute", "relativeOrbitNumber", "eq 28"))) == 26
    start = "ContentDate/Start ge 2026-02-03T00:00:00.000Z and ContentDate/Start lt 2026-02-05T00:00:00.000Z"
    assert len(names(start)) == 2
    assert len(names("PublicationDate ge 2026-02-25T22:15:29Z")) == 1
    square = "POLYGON ((15 79, 16 79, 16 80.5, 15 80.5, 15 79))"
    assert len(names(f"OData.CSC.Intersects(area=geography'SRID=4326;{square}')")) == 25
    newest = names("", **{"$orderby": "PublicationDate desc"})
    assert newest[0] == max(newest) and newest[-1] != newest[0]
    assert httpx.get(f"{space.odata}/Products?$filter=Nonsense eq 3").status_code == 400
    for wrong in ("$skip=10001", "$top=1001"):
        assert httpx.get(f"{space.odata}/Products?{wrong}").status_code == 422


def test_stac_answers_are_built_like_recorded_ones(space, outside_data):
    folder = "xcube_stac_cdse"
    root = httpx.get(f"{space.stac}/").json()
    assert list(root) == list(recorded(outside_data, f"{folder}/stac_v1_root.json"))
    empty = httpx.post(f"{space.stac}/search", json={"ids": ["none"]})
    assert paths(empty.json()) == paths(recorded(outside_data, f"{folder}/stac_v1_search_empty.json"))
    assert empty.headers["content-type"] == "application/geo+json"
    theirs = recorded(outside_data, f"{folder}/stac_v1_item_S2B_T32TNT_20200705.json")
    found = httpx.post(f"{space.stac}/search", json={"collections": ["sentinel-2-l1c"], "limit": 1}).json()
    assert set(found) == set(recorded(outside_data, f"{folder}/stac_v1_search_sentinel-2-l2a_4items.json"))
    ours = found["features"][0]
    only_level_2 = {"statistics", "eo:snow_cover"}
    assert set(theirs["properties"]) - set(ours["properties"]) == only_level_2
    theirs["properties"] = {k: v for k, v in theirs["properties"].items() if k not in only_level_2}
    assert paths(by_kind(ours)) == paths(by_kind(theirs))
    collection = recorded(outside_data, f"{folder}/stac_v1_collection_sentinel-2-l1c.json")
    assert set(ours["assets"]) == set(collection["item_assets"])
    for name, asset in collection["item_assets"].items():
        assert ours["assets"][name]["title"] == asset["title"] or name in ("thumbnail",)
        assert ours["assets"][name].get("proj:shape") == asset.get("proj:shape")
    mine = httpx.get(f"{space.stac}/collections/sentinel-2-l1c").json()
    assert set(mine) <= set(collection) and paths(mine["extent"]) == paths(collection["extent"])


def by_kind(item: dict) -> dict:
    """An item whose assets are one of each kind (images, metadata and the rest), all fields of the kind together."""
    kinds: dict[str, list] = {}
    for name, asset in item["assets"].items():
        if name[:3] in ("AOT", "SCL", "WVP"):
            continue  # Level 2 alone has these
        kind = "image" if asset["type"] == "image/jp2" else "metadata" if asset["type"] == "application/xml" else name
        kinds.setdefault(kind, []).append({k: v for k, v in asset.items() if k != "description"})  # one in 43 has it
    return {**item, "assets": kinds}


def test_stac_checksums_are_what_recorded_ones_are(space, outside_data):
    """MTD_TL.xml was recorded together with its item: the prefix says MD5 (d5 01), the digest is SHA3-256."""
    folder = outside_data / "copernicus_answers" / "xcube_stac_cdse"
    data = (folder / "eodata_MTD_TL_S2A_20200301.xml").read_bytes()
    theirs = json.loads((folder / "stac_v1_item_S2A_20200301.json").read_text())["assets"]
    assert theirs["granule_metadata"]["file:checksum"] == "d50120" + hashlib.sha3_256(data).hexdigest()
    product = space.catalogue.visible()[0]
    found = httpx.post(f"{space.stac}/search", json={"ids": [product.name]}).json()
    ours = found["features"][0]["assets"]
    path = f"GRANULE/{product.granule}/MTD_TL.xml"
    assert ours["granule_metadata"]["file:checksum"] == "d50120" + hashlib.sha3_256(product.read(path)).hexdigest()
    prefixes = {name: asset["file:checksum"][:6] for name, asset in ours.items()}
    assert prefixes["safe_manifest"] == theirs["safe_manifest"]["file:checksum"][:6] == "d50110"
    assert prefixes["B02"][:4] == theirs["B02_10m"]["file:checksum"][:4] == "1620"
    form = re.sub(r"\(.*?\)", "()", ours["granule_metadata"]["alternate"]["https"]["href"].split("/odata/")[1])
    recorded_form = re.sub(
        r"\(.*?\)", "()", theirs["granule_metadata"]["alternate"]["https"]["href"].split("/odata/")[1]
    )
    assert form == recorded_form


def test_pystac_client_searches_and_pages(space):
    client = Client.open(space.stac)
    tile = {"op": "=", "args": [{"property": "grid:code"}, "MGRS-33XWJ"]}
    since = {"op": ">=", "args": [{"property": "published"}, {"timestamp": "2026-02-05T00:00:00Z"}]}
    posted = client.search(collections=["sentinel-2-l1c"], filter={"op": "and", "args": [tile, since]}, limit=7)
    ids = [item.id for item in posted.items()]
    assert len(ids) == len(set(ids)) == 21
    text = "\"grid:code\" = 'MGRS-33XWJ' AND published >= TIMESTAMP('2026-02-05T00:00:00Z')"
    asked = client.search(method="GET", collections=["sentinel-2-l1c"], filter=text, sortby="+datetime", limit=5)
    assert [item.id for item in asked.items()] == sorted(ids)
    assert len(space.log.of("stac.search")) == 3 + 5
    both = client.search(collections=["sentinel-2-l1c"], bbox=[170, -80, -170, -60], datetime="2026-02-01/2026-02-02")
    assert [item.id[39:44] for item in both.items()] == ["60CWS"]  # west of 180 degrees, found by a box across it
    chosen = client.search(ids=ids[:1], fields={"include": ["properties.published"], "exclude": ["links"]})
    (item,) = chosen.items_as_dicts()
    assert list(item["properties"]) == ["published"] and "assets" not in item


def test_tokens_live_and_die(space):
    space.identity.end_sessions()
    first = token(space)
    assert first["expires_in"] == 600 and first["token_type"] == "Bearer"
    product = space.catalogue.visible()[0]
    url = f"{space.odata}/Products({product.id})/Nodes({product.name}.SAFE)/Nodes(MTD_MSIL1C.xml)/$value"
    header = {"Authorization": f"Bearer {first['access_token']}"}
    assert httpx.get(url).status_code == 401
    assert httpx.get(url, headers=header).content == product.read("MTD_MSIL1C.xml")
    space.identity.end_access()
    assert httpx.get(url, headers=header).status_code == 401
    form = {"grant_type": "refresh_token", "client_id": "cdse-public", "refresh_token": first["refresh_token"]}
    again = httpx.post(space.token_url, data=form)
    assert again.status_code == 200 and space.identity.sessions == 1
    assert httpx.post(space.token_url, data=form).status_code == 400  # that refresh token was used up
    space.identity.max_sessions = 1
    assert httpx.post(space.token_url, data={**form, "grant_type": "password"}).status_code == 401
    with_password = {**form, "grant_type": "password", "username": space.user, "password": space.password}
    assert httpx.post(space.token_url, data=with_password).status_code == 429
    space.identity.max_sessions = 100


def test_files_come_whole_in_ranges_and_as_a_zip(space):
    product = space.catalogue.visible()[0]
    header, url = bearer(space), f"{space.odata}/Products({product.id})"
    tree = httpx.get(f"{url}/Nodes").json()["result"]
    assert [node["Name"] for node in tree] == [f"{product.name}.SAFE"]
    below = httpx.get(tree[0]["Nodes"]["uri"]).json()["result"]
    assert {node["Name"] for node in below} >= {"GRANULE", "MTD_MSIL1C.xml", "manifest.safe"}
    whole = httpx.get(f"{url}/$value", headers=header).content
    assert whole == product.archive
    part = httpx.get(f"{url}/$value", headers={**header, "Range": "bytes=10-19"})
    assert part.status_code == 206 and part.content == whole[10:20]
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole)}"
    assert httpx.get(f"{url}/$value", headers={**header, "Range": "bytes=999999-"}).status_code == 416


def test_s3_clients_read_with_right_keys_alone(space):
    product = space.catalogue.visible()[0]
    key, expected = f"{product.prefix}/MTD_MSIL1C.xml", product.read("MTD_MSIL1C.xml")
    client = s3(space)
    listed = client.list_objects_v2(Bucket="eodata", Prefix=f"{product.prefix}/", MaxKeys=5)
    assert listed["KeyCount"] == 5 and listed["IsTruncated"]
    pages = client.get_paginator("list_objects_v2").paginate(Bucket="eodata", Prefix=f"{product.prefix}/")
    assert sum(page["KeyCount"] for page in pages) == len(product.files)
    folders = client.list_objects_v2(Bucket="eodata", Prefix=f"{product.prefix}/", Delimiter="/")
    assert [p["Prefix"].split("/")[-2] for p in folders["CommonPrefixes"]] == ["DATASTRIP", "GRANULE"]
    assert client.head_object(Bucket="eodata", Key=key)["ContentLength"] == len(expected)
    assert client.get_object(Bucket="eodata", Key=key, Range="bytes=3-9")["Body"].read() == expected[3:10]
    options = {"region": "default", "virtual_hosted_style_request": False, "client_options": {"allow_http": True}}
    store = S3Store(
        "eodata", endpoint=space.s3, access_key_id=space.access_key, secret_access_key=space.secret_key, **options
    )
    assert bytes(store.get(key).bytes()) == expected
    for bad in (
        s3(space, "wrong"),
        boto3.client(
            "s3", endpoint_url=space.s3, aws_access_key_id="x", aws_secret_access_key="y", region_name="default"
        ),
    ):
        with pytest.raises(ClientError) as caught:
            bad.get_object(Bucket="eodata", Key=key)
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_sentinelsat_talks_to_the_hub(space, tmp_path):
    hub = SentinelAPI(space.user, space.password, space.dhus, show_progressbars=False)
    found = hub.query(filename="S2?_MSIL1C_*_T33XWJ_*", ingestiondate=(MOMENT + DAY, MOMENT + 6 * DAY))
    assert len(found) == 5
    hub.page_size = 2
    assert list(hub.query(filename="S2?_MSIL1C_*_T33XWJ_*", ingestiondate=(MOMENT + DAY, MOMENT + 6 * DAY))) == list(
        found
    )
    (one,) = hub.query(raw="(tileid:60CWS OR tileid:60CWT)")
    info = hub.download(one, tmp_path, nodefilter=lambda node: node["node_path"].endswith("_B02.jp2"))
    assert [path for path in info["nodes"] if path.endswith(".jp2")]
    assert hub.download(one, tmp_path)["size"] == len(next(p for p in space.catalogue.visible() if p.id == one).archive)
    with pytest.raises(Exception, match="Invalid user name or password"):
        SentinelAPI(space.user, "wrong", space.dhus).query(raw="tileid:60CWS")


def test_time_passes_in_the_catalogue(space):
    one = space.catalogue.visible()[0].name
    better = space.catalogue.reprocess(one, "0512", MOMENT + 50 * DAY)
    twin = space.catalogue.second_station(better, MOMENT + 60 * DAY)
    space.catalogue.withdraw(twin, MOMENT + 70 * DAY, "Obsolete product")
    truths = []
    for day in (49, 50, 60, 70):
        space.catalogue.now = MOMENT + day * DAY
        truths.append(next(parts for parts in space.catalogue.truth().values() if {one, better} & set(parts)))
    assert truths == [(one,), (better,), (twin, better), (better,)]
    deleted = httpx.get(f"{space.odata}/DeletedProducts?$filter=DeletionDate ge 2026-01-01T00:00:00Z").json()["value"]
    assert [(row["Name"], row["DeletionCause"]) for row in deleted] == [(f"{twin}.SAFE", "Obsolete product")]
    space.catalogue.withdraw(better, MOMENT)


def test_faults_strike_as_told(space):
    product = space.catalogue.visible()[0]
    url = f"{space.odata}/Products({product.id})/$value"
    header, size = bearer(space), len(product.archive)

    def get(**headers: str) -> httpx.Response:
        return httpx.get(url, headers={**header, **headers}, timeout=3)

    space.faults.add("odata", faults.status(429, retry_after="date"), match="$value", skip=1)
    assert [get().status_code for _ in range(3)] == [200, 429, 200]
    space.faults.add("odata.zip", faults.cut(at=1000))
    with pytest.raises(httpx.RemoteProtocolError):
        get()
    assert space.log.of("odata.zip")[-1].bytes == 1000
    space.faults.add("odata.zip", faults.corrupt)
    assert get().content != product.archive
    space.faults.add("odata.zip", faults.ignore_range)
    assert get(Range="bytes=5-").status_code == 200
    space.faults.add("odata.zip", faults.wrong_length(7))
    with pytest.raises(httpx.RemoteProtocolError):
        get()
    space.faults.add("odata.zip", faults.then(faults.cut(at=10), space.identity.end_access))
    with pytest.raises(httpx.RemoteProtocolError):
        get()
    assert get().status_code == 401
    header = bearer(space)
    space.faults.add("odata.zip", faults.drip(size // 4, 0.05))
    began = time.monotonic()
    assert get().content == product.archive and time.monotonic() - began > 0.1
    assert space.faults.waiting == 0


def test_pages_go_wrong_as_told(space):
    search = {"collections": ["sentinel-2-l1c"], "limit": 5}

    def post() -> dict:
        return httpx.post(f"{space.stac}/search", json=search).json()

    good = post()
    space.faults.add("stac.search", faults.empty_page)
    empty = post()
    assert empty["features"] == [] and empty["links"] == good["links"]
    space.faults.add("stac.search", faults.repeated_page)
    assert post()["links"][-1]["body"] == search
    space.faults.add("stac.search", faults.without_asset("B08"))
    assert all("B08" not in item["assets"] for item in post()["features"])
    assert post() == good  # the catalogue itself is as it was
    space.faults.add("stac.search", faults.truncated_json)
    with pytest.raises(json.JSONDecodeError):
        post()


def test_the_log_counts_what_is_open_at_once(space):
    connections = [socket.create_connection(httpx.URL(space.url).netloc.decode().split(":")) for _ in range(6)]
    deadline = time.monotonic() + 5
    while space.log.most_connections < 6 and time.monotonic() < deadline:
        time.sleep(0.01)
    for connection in connections:
        connection.close()
    assert space.log.most_connections >= 6 and not space.log.of()

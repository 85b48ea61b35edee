"""Products out of the catalogues' answers: the recorded ones, and what could be wrong in others."""

from __future__ import annotations

import copy
import hashlib
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_archive_http import Counting

from seaice_ops.archive.product import Product
from seaice_ops.archive.providers import cdse_stac, odata
from seaice_ops.archive.providers.entry import entry
from seaice_ops.archive.providers.stac_search import items, products, tile_codes, tile_told
from seaice_ops.archive.times import inside, iso, parse_time
from seaice_ops.archive.transport.checksum import multihash, named
from seaice_ops.archive.transport.http import Wire, open_wire
from seaice_ops.archive.transport.manifest import read_manifest
from seaice_ops.errors import ArchiveUnavailable, CorruptProduct
from seaice_ops.settings import CdseSettings, HttpSettings

START, END = datetime(2020, 8, 1, tzinfo=UTC), datetime(2020, 9, 1, tzinfo=UTC)
NAME = "S2A_MSIL1C_20200808T010311_N0500_R045_T54PXA_20230413T212505"
FOLDER = f"s3://eodata/Sentinel-2/MSI/L1C_N0500/2020/08/08/{NAME}.SAFE"
GRANULE = "GRANULE/L1C_T54PXA_A026783_20200808T010314"


@pytest.fixture
def answers(outside_data: Path) -> Path:
    return outside_data / "copernicus_answers"


def wire_for(answer) -> Wire:
    patience = HttpSettings(backoff_s=0, attempts=3)
    return open_wire(patience, Counting(), httpx.MockTransport(answer))


def l1c_item(**changes: Any) -> dict[str, Any]:
    """A Level-1C item in the form of the recorded collection and of the recorded Level-2A items."""
    paths = {
        "product_metadata": "MTD_MSIL1C.xml",
        "granule_metadata": f"{GRANULE}/MTD_TL.xml",
        **{b: f"{GRANULE}/IMG_DATA/T54PXA_20200808T010311_{b}.jp2" for b in ("B02", "B03", "B04", "B08", "B11", "B01")},
    }
    assets = {
        key: {"href": f"{FOLDER}/{path}", "file:size": 7, "file:checksum": "1620" + "ab" * 32}
        for key, path in paths.items()
    }
    properties = {"published": "2023-08-23T09:26:23.105134Z", "grid:code": "MGRS-54PXA"}
    return {"id": NAME, "properties": properties, "assets": assets, **changes}


def test_recorded_items_of_the_copernicus_data_space(answers) -> None:
    """They are Level-2A, which is not ingested; all else is read from them."""
    found = json.loads((answers / "xcube_stac_cdse/stac_v1_search_sentinel-2-l2a_4items.json").read_text())
    products = [cdse_stac.product(item) for item in found["features"]]
    assert [p.id for p in products] == [item["id"] for item in found["features"]]
    assert {p.tile for p in products} == {"32TNT", "32TMT"} and {p.baseline for p in products} == {"05.00"}
    assert all("Level-2A" in p.problem for p in products)
    assert products[0].published_at == datetime(2023, 9, 12, 4, 40, 36, 585003, tzinfo=UTC)
    assert products[0].href.endswith(f"{products[0].id}.SAFE") and products[0].href.startswith("s3://eodata/")


def test_the_checksum_of_the_recorded_metadata(answers) -> None:
    """Marked as MD5 and 32 bytes long, it is the SHA3-256 of the file."""
    item = json.loads((answers / "xcube_stac_cdse/stac_v1_item_S2A_20200301.json").read_text())
    given = item["assets"]["granule_metadata"]["file:checksum"]
    data = (answers / "xcube_stac_cdse/eodata_MTD_TL_S2A_20200301.xml").read_bytes()
    assert given.startswith("d50120") and multihash(given) == f"sha3_256:{hashlib.sha3_256(data).hexdigest()}"
    assert item["assets"]["granule_metadata"]["file:size"] == len(data)


def test_every_recorded_checksum_is_understood(answers) -> None:
    item = json.loads((answers / "xcube_stac_cdse/stac_v1_item_S2A_20200301.json").read_text())
    kinds = {multihash(a["file:checksum"]).partition(":")[0] for a in item["assets"].values() if "file:checksum" in a}
    assert kinds == {"md5", "sha3_256"}


@given(st.one_of(st.none(), st.integers(), st.text(max_size=80), st.binary(max_size=40).map(bytes.hex)))
def test_any_checksum_is_understood_or_ignored(text) -> None:
    found = multihash(text)
    assert found is None or re.fullmatch(r"(md5|sha1|sha256|sha3_256|blake3):[0-9a-f]+", found)


@given(
    st.sampled_from([("MD5", "md5"), ("SHA3-256", "sha3_256"), ("blake3", "blake3")]),
    st.binary(min_size=0, max_size=40),
)
def test_named_checksums_have_their_length(names, digest) -> None:
    right = 16 if names[0] == "MD5" else 32
    assert named(names[0], digest.hex().upper()) == (f"{names[1]}:{digest.hex()}" if len(digest) == right else None)


def test_a_level_1c_item() -> None:
    product = cdse_stac.product(l1c_item())
    assert product.problem is None and product.identity == "S2A_20200808T010311_T54PXA_R045"
    assert product.href == FOLDER and product.datastrip == "20200808T010314"
    assert [file.path.rpartition("/")[2] for file in product.files][:2] == ["MTD_MSIL1C.xml", "MTD_TL.xml"]
    assert len(product.files) == 7 and all(
        f.size == 7 and f.checksum.startswith("sha3_256:abab") for f in product.files
    )


@pytest.mark.parametrize("key", ["B08", "granule_metadata", "product_metadata"])
def test_an_item_without_a_needed_asset_is_a_problem(key) -> None:
    item = l1c_item()
    del item["assets"][key]
    product = cdse_stac.product(item)
    assert product.tile == "54PXA" and "exactly one is needed" in product.problem and not product.files


@pytest.mark.parametrize(
    "change",
    [
        lambda item: item.update(properties=None),
        lambda item: item.update(assets=None),
        lambda item: item["properties"].update(published=None),
        lambda item: item["properties"].update(published="yesterday"),
        lambda item: item["assets"].update(B08=None),
        lambda item: item["assets"]["B08"].update(href=None),
        lambda item: item["assets"]["B08"].update(href=f"{FOLDER}/../../B08.jp2"),
        lambda item: item["assets"]["B08"].update({"href": "https://evil.org/B08.jp2"}),
        lambda item: item["assets"]["B08"].update({"file:size": "big", "file:checksum": {}}),
        lambda item: item["assets"]["B08"].update({"storage:refs": "\ud808\udf5f", "file:size": -1}),
    ],
)
def test_no_item_breaks_the_search(change) -> None:
    item = l1c_item()
    change(item)
    product = cdse_stac.product(item)
    assert product.id == NAME and product.tile == "54PXA"
    assert all(".." not in file.path for file in product.files)


@pytest.mark.parametrize(
    "change", [lambda item: item.update(assets=["x"]), lambda item: item["assets"].update(B08={"href": f"{FOLDER}/\0"})]
)
def test_an_item_built_otherwise_ends_no_search(change) -> None:
    odd = l1c_item()
    change(odd)
    bad, good = products([odd, l1c_item()], cdse_stac.product)
    assert bad.problem and bad.tile == "54PXA" and good.problem is None
    assert inside([bad], ["54PXA"], "sensed", START, END) == [bad]


def test_words_are_fit_for_the_ledger() -> None:
    far = entry(NAME, "s3://eodata/" + "x" * 1024, [], None)
    none = entry("a\0\ud800", "\0", [], None)
    assert "cannot be kept as an address" in far.problem and (far.href, none.id, none.href) == (
        "",
        r"a\x00\ud800",
        r"\x00",
    )
    assert none.problem.isprintable()


@pytest.mark.parametrize(
    ("code", "tile"), [("MGRS-1CCV", "01CCV"), ("MGRS-01CCV", "01CCV"), ("MGRS-60CWS", "60CWS"), (None, "")]
)
def test_a_tile_with_and_without_its_zero(code, tile) -> None:
    assert tile_told({"properties": {"grid:code": code}}) == tile
    assert not code or code in tile_codes("grid:code", tile)


def test_an_old_name_is_told_as_a_problem_of_its_tile() -> None:
    """Products of before December 2016 hold many tiles and are called otherwise."""
    old = "S2A_OPER_PRD_MSIL1C_PDMC_20160318T145513_R022_V20160318T094716_20160318T094716"
    product = cdse_stac.product(l1c_item(id=old))
    assert product.tile == "54PXA" and "not a Sentinel-2 product name" in product.problem
    assert inside([product], ["54PXA"], "sensed", START, END) == [product]


def test_recorded_odata_entries(answers) -> None:
    page = (answers / "eodag/cop_dataspace_search.json").read_bytes()
    wire = wire_for(lambda request: httpx.Response(200, content=page.replace(b"@odata.nextLink", b"next")))
    found = odata.search(wire, CdseSettings(), ["54PXA", "55PBR"], "sensed", START, END)
    assert next(p.id for p in found) == NAME and len(found) == 2
    first = found[0]
    assert first.problem is None and first.href == FOLDER and first.datastrip == "20200808T010314"
    assert first.published_at == datetime(2023, 8, 23, 9, 26, 23, 105134, tzinfo=UTC)
    assert {f.path for f in first.files} == {f.path for f in cdse_stac.product(l1c_item()).files}


@pytest.mark.parametrize("name", ["S2_MSI_L1C"])
def test_file_names_follow_from_a_products_attributes(answers, name) -> None:
    """The recorded manifest of a product lists exactly the files that its attributes would have told."""
    text = (answers / f"eodag/manifest.safe.{name}").read_bytes()
    listed = read_manifest(text, name)
    derived = odata.files(
        "S2B_MSIL1C_20210319T045331_N0209_R090_T43FDA_20210319T063939",
        "29974",
        "S2B_OPER_MSI_L1C_DS_VGS1_20210319T063939_S20210319T045327_N02.09",
    )
    # The recorded granule's orbit and strip, whatever the product was called.
    assert derived and {file.path for file in derived} <= set(listed)
    assert all(listed[file.path].size and listed[file.path].checksum.startswith("md5:") for file in derived)


@pytest.mark.parametrize(
    "folder", ["20200717T221941_R029_T01LAC_20200717T234135", "20210908T042701_N0301_R133_T46RER_20210908T070248"]
)
def test_real_products_manifests(outside_data, folder) -> None:
    safe = outside_data / "s2_metadata" / f"S2A_MSIL1C_{folder}.SAFE"
    listed = read_manifest((safe / "manifest.safe").read_bytes(), "manifest.safe")
    granule = next(safe.glob("GRANULE/*")).name
    _, _tile, orbit, strip = granule.split("_")
    derived = odata.files(safe.name, orbit[1:], f"_S{strip}")
    assert {file.path for file in derived} <= set(listed) and all(listed[f.path].checksum for f in derived)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"<html>",
        b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>',
        b"\xff\xfe",
        b'<?xml version="1.0" encoding="none"?><x/>',
    ],
)
def test_a_manifest_that_is_none(text) -> None:
    with pytest.raises(CorruptProduct, match="no manifest"):
        read_manifest(text, "manifest.safe")


MOMENTS = st.datetimes(datetime(2015, 1, 1), datetime(2100, 1, 1)).map(lambda t: t.replace(tzinfo=UTC))


@given(MOMENTS, st.integers(0, 9), st.sampled_from(["Z", "+00:00", ""]))
def test_times_with_any_number_of_decimals(moment, digits, zone) -> None:
    fraction = f".{moment.microsecond:06d}000"[: digits + 1] if digits else ""
    whole = moment.replace(microsecond=int(f"{fraction[1:]:0<6}"[:6]) if digits else 0)
    assert parse_time(f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}{zone}") == whole


@given(st.one_of(st.text(max_size=30), st.none(), st.integers(), st.dictionaries(st.text(), st.text())))
def test_any_other_time_is_refused_by_name(text) -> None:
    try:
        assert parse_time(text).tzinfo is not None
    except CorruptProduct as error:
        assert "is not a time" in str(error)


@given(st.lists(MOMENTS, min_size=2, max_size=2))
def test_times_sort_as_text(moments) -> None:
    assert (moments[0] < moments[1]) == (iso(moments[0]) < iso(moments[1]))


@given(st.lists(st.integers(0, 200), min_size=1, max_size=20), st.integers(1, 199))
def test_intervals_that_touch_share_no_product_and_lose_none(seconds, cut) -> None:
    def at(number: int) -> datetime:
        return START + timedelta(seconds=number)

    products = [
        Product(f"p{i}", "product", "S2A", "54PXA", at(s), 1, "", at(s), at(s), "") for i, s in enumerate(seconds)
    ]
    parts = [inside(products, ["54PXA"], "sensed", *edges) for edges in ((at(0), at(cut)), (at(cut), at(201)))]
    assert sorted(p.id for part in parts for p in part) == sorted(p.id for p in products)


class Catalogue:
    """An OData catalogue with entries of given times, in pages of at most `most`; `faults` edit an answer by number."""

    def __init__(self, seconds: list[int], most: int, faults: dict[int, Any] | None = None) -> None:
        self.entries = [
            {
                "Id": f"id-{i:04d}",
                "Name": f"S2A_MSIL1C_20200808T010311_N0500_R045_T54PXA_20230413T21{i // 60:02d}{i % 60:02d}.SAFE",
                "S3Path": f"/eodata/x/{i}.SAFE",
                "PublicationDate": iso(START + timedelta(seconds=s)),
                "Attributes": [
                    {"Name": "orbitNumber", "Value": 26783},
                    {"Name": "datastripId", "Value": "x_S20200808T010314_N05.00"},
                ],
            }
            for i, s in enumerate(sorted(seconds))
        ]
        self.most, self.faults, self.asked = most, faults or {}, 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        query = dict(request.url.params)
        low, high = re.findall(r"PublicationDate (?:ge|lt) (\S+)", query["$filter"])
        found = [e for e in self.entries if low <= e["PublicationDate"] < high]
        assert int(query["$skip"]) <= 10_000 and int(query["$top"]) <= 1000
        page = found[int(query["$skip"]) :][: self.most]
        answer: dict[str, Any] = {"value": page}
        if int(query["$skip"]) + len(page) < len(found):
            answer["@odata.nextLink"] = "more"
        self.asked += 1
        if self.asked in self.faults:
            self.faults[self.asked](answer)
        return httpx.Response(200, json=answer)


def found_in(catalogue: Catalogue) -> set[str]:
    found = odata.search(wire_for(catalogue), CdseSettings(), ["54PXA"], "published", START, END)
    return {product.id for product in found}


@settings(deadline=None)
@given(st.lists(st.integers(0, 30), max_size=40), st.integers(1, 9), st.integers(0, 12))
def test_time_slices_find_everything_whatever_the_pages(seconds, most, empty_at) -> None:
    catalogue = Catalogue(seconds, most, {empty_at: lambda answer: answer.update(value=[])})
    assert found_in(catalogue) == {entry["Name"].removesuffix(".SAFE") for entry in catalogue.entries}
    assert catalogue.asked <= 2 * len(seconds) + 4


@settings(deadline=None)
@given(st.lists(st.integers(0, 300), min_size=10, max_size=40, unique=True), st.integers(2, 9))
def test_an_earlier_page_again_loses_nothing(seconds, most) -> None:
    catalogue = Catalogue(seconds, most)
    first = catalogue.entries[:most]
    catalogue.faults = {3: lambda answer: answer.update(value=first)}
    assert len(found_in(catalogue)) == len(seconds)


@pytest.mark.parametrize("text", [b"<html>", b"[]", b"{}", b'{"value": 3}', b'{"value": [{"Id": 3}]}'])
def test_an_answer_that_is_no_odata(text) -> None:
    with pytest.raises(ArchiveUnavailable, match="no OData"):
        found_in(lambda request: httpx.Response(200, content=text))


def test_withdrawn_products_are_those_that_are_gone() -> None:
    """A name deleted as a duplicate is still offered under another id: nothing was withdrawn."""
    names = [f"S2A_MSIL1C_20200808T010311_N0500_R045_T54PXA_2023041{i}T212505" for i in range(3)]
    deleted = [
        {
            "Id": f"old-{i}",
            "Name": f"{n}.SAFE",
            "DeletionDate": iso(START + timedelta(days=i)),
            "DeletionCause": ("Duplicated", "Duplicated", 2)[i],
            "Attributes": None,
        }
        for i, n in enumerate(names)
    ]
    deleted.append({**deleted[0], "Id": "l2a", "Name": names[0].replace("L1C", "L2A") + ".SAFE"})

    def answer(request: httpx.Request) -> httpx.Response:
        wanted = request.url.params["$filter"]
        if request.url.path.endswith("/DeletedProducts"):
            return httpx.Response(200, json={"value": deleted})
        return httpx.Response(
            200, json={"value": [{"Id": "new", "Name": f"{names[1]}.SAFE"}] if names[1] in wanted else []}
        )

    found = odata.withdrawn(wire_for(answer), CdseSettings(), ["54PXA"], START, END)
    assert [(w.id, w.cause) for w in found] == [(names[0], "Duplicated"), (names[2], "2")]


def test_addresses_of_files() -> None:
    """Made here: the recorded https addresses of metadata hold an empty Nodes() and lead nowhere."""
    path = f"{GRANULE}/MTD_TL.xml"
    start = "https://d.org/odata/v1/Products"
    assert odata.file_address("https://d.org/odata/v1", "77d2", NAME, path) == (
        f"{start}(77d2)/Nodes({NAME}.SAFE)/Nodes(GRANULE)/Nodes({GRANULE[8:]})/Nodes(MTD_TL.xml)/$value"
    )
    assert odata.file_address("https://d.org/odata/v1/", "u", NAME, "a b", mark="'") == (
        f"{start}('u')/Nodes('{NAME}.SAFE')/Nodes('a%20b')/$value"
    )


def test_the_recorded_root_and_empty_search(answers) -> None:
    root = (answers / "xcube_stac_cdse/stac_v1_root.json").read_bytes()
    empty = (answers / "xcube_stac_cdse/stac_v1_search_empty.json").read_bytes()
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, content=empty if request.url.path.endswith("/search") else root)

    url = CdseSettings().stac_url
    found, sure = items(wire_for(answer), url, tile_property="grid:code", tiles=["MGRS-01CCV"], collections=["c"])
    assert (found, sure) == ([], False)
    assert [request.method for request in asked] == ["GET", "POST", "POST"]  # an empty page is asked for twice
    body = json.loads(asked[-1].content)
    assert body["filter"]["args"][0] == {"op": "in", "args": [{"property": "grid:code"}, ["MGRS-01CCV"]]}


def pages(root: dict[str, Any], answers: list[dict[str, Any]]):
    """A STAC whose search gives `answers` by their number, and the last one for ever."""
    root = copy.deepcopy(root)

    def answer(request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/search"):
            return httpx.Response(200, json=root)
        token = json.loads(request.content).get("token", 0)
        page = answers[min(token, len(answers) - 1)]
        body = {**json.loads(request.content), "token": token + 1}
        link = {"rel": "next", "href": str(request.url), "method": "POST", "body": body}
        links = [link] if page.get("more", token + 1 < len(answers)) else []
        features = [{"id": id_} for id_ in page["ids"]]
        matched = {"numberMatched": page["matched"]} if "matched" in page else {}
        return httpx.Response(200, json={"type": "FeatureCollection", "features": features, "links": links, **matched})

    return answer


@pytest.mark.parametrize(
    ("answers_", "expected"),
    [
        ([{"ids": "ab"}, {"ids": "cd"}], "abcd"),
        ([{"ids": "ab"}, {"ids": "ab"}, {"ids": "bc"}], "abc"),
        ([{"ids": "ab"}, {"ids": ""}, {"ids": "c"}], "abc"),
        ([{"ids": "ab", "matched": 2}], "ab"),
        ([{"ids": "ab", "matched": 3}], "ab"),
        ([{"ids": "ab"}, {"ids": "ab", "more": True}], None),
        ([{"ids": "ab"}, {"ids": "", "more": True}], None),
    ],
)
def test_pages_that_are_empty_repeated_or_endless(answers, answers_, expected) -> None:
    root = json.loads((answers / "xcube_stac_cdse/stac_v1_root.json").read_text())
    wire = wire_for(pages(root, answers_))
    if expected is None:
        with pytest.raises(ArchiveUnavailable):
            items(wire, CdseSettings().stac_url, tile_property="grid:code", tiles=["x"], collections=["c"])
        return
    found, _ = items(wire, CdseSettings().stac_url, tile_property="grid:code", tiles=["x"], collections=["c"])
    assert "".join(sorted(item["id"] for item in found)) == expected


def test_a_count_is_an_estimate_and_the_pages_decide(answers, caplog) -> None:
    """pgSTAC counts by the planner's estimate above a threshold; the caller is told that there is a doubt."""
    root = json.loads((answers / "xcube_stac_cdse/stac_v1_root.json").read_text())
    for matched, sure in ((1, True), (2, True), (10_000, False)):
        caplog.clear()
        wire = wire_for(pages(root, [{"ids": "ab", "matched": matched}]))
        found = items(wire, CdseSettings().stac_url, tile_property="grid:code", tiles=["x"], collections=["c"])
        assert ([item["id"] for item in found[0]], found[1]) == (["a", "b"], sure)
        assert ("its pages are believed" in caplog.text) is not sure


#: Links by which a catalogue tells where it is searched, some of them broken.
BROKEN: list[Any] = [3, [3], [{"rel": "search"}], [{"rel": "search", "href": 3}]]


@pytest.mark.parametrize("answer", [{}, [], 3, None, "x", {"error": "maintenance"}, {"type": "Collection"}, *BROKEN])
@pytest.mark.parametrize("place", ["root", "search"])
def test_json_that_is_no_catalogue_is_an_outage_that_says_so(answers, answer, place) -> None:
    root = json.loads((answers / "xcube_stac_cdse/stac_v1_root.json").read_text())
    wrong = {**root, "links": answer} if answer in BROKEN else answer

    def service(request: httpx.Request) -> httpx.Response:
        is_search = request.url.path.endswith("/search")
        return httpx.Response(200, json=wrong if is_search is (place == "search") else root)

    with pytest.raises(ArchiveUnavailable, match=r"answers (no )?JSON"):
        items(wire_for(service), CdseSettings().stac_url, tile_property="x", tiles=["x"], collections=["c"])


@pytest.mark.parametrize("features", [3, [3], [{}], [None], {"a": 1}])
def test_a_page_whose_items_are_none_is_an_outage(answers, features) -> None:
    root = json.loads((answers / "xcube_stac_cdse/stac_v1_root.json").read_text())

    def service(request: httpx.Request) -> httpx.Response:
        page = {"type": "FeatureCollection", "features": features, "links": []}
        return httpx.Response(200, json=page if request.url.path.endswith("/search") else root)

    with pytest.raises(ArchiveUnavailable, match="answers JSON that is no"):
        items(wire_for(service), CdseSettings().stac_url, tile_property="x", tiles=["x"], collections=["c"])

"""Mirrors: the recorded items of two of them, and scenes decoded from mirrors that changed the numbers on the way."""

from __future__ import annotations

import copy
import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest
from test_archive_http import wire_to

from helpers.factories import SENSED, make_product, numbers
from helpers.servers import settings_for
from seaice_ops.archive.product import needed_files
from seaice_ops.archive.providers import mirror_item
from seaice_ops.archive.providers.mirror import MirrorArchive, completed, product
from seaice_ops.archive.transport.credentials import Credentials
from seaice_ops.errors import ConfigError, CorruptProduct
from seaice_ops.pixels.radiometry import UNOBSERVED
from seaice_ops.pixels.sidecar import MIRROR
from seaice_ops.scenes.sentinel2.metadata import read_tile
from seaice_ops.scenes.sentinel2.product import open_product
from seaice_ops.sensors.sentinel2 import BANDS
from seaice_ops.settings import StacSettings

EARTH_SEARCH = StacSettings(url="https://earth-search.aws.element84.com/v1")
START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def recorded(outside_data: Path) -> dict[str, Any]:
    """Earth Search's Level-1C item: the original JPEG 2000 in another layout."""
    answer = json.loads((outside_data / "copernicus_answers/eodag/earth_search_search.json").read_text())
    return dict(answer["features"][0])


def test_recorded_item_of_earth_search(recorded) -> None:
    found = product(recorded, completed(EARTH_SEARCH))
    assert found.id == "S2B_MSIL1C_20240206T131259_N0510_R081_T27VWK_20240206T133903" and found.problem is None
    # Not the item's own time, 13:14:11, which is its granule's.
    assert found.identity == "S2B_20240206T131259_T27VWK_R081" and found.datastrip == "20240206T131359"
    assert found.published_at == datetime(2024, 2, 6, 15, 2, 12, 605000, tzinfo=UTC)
    assert found.href.endswith("/collections/sentinel-2-l1c/items/S2B_27VWK_20240206_0_L1C")
    told = mirror_item.sidecar(recorded, {})
    assert told.offsets == dict.fromkeys(BANDS, -1000.0) and told.quantification == 10000
    assert told.grid.crs == "EPSG:32627" and told.grid.width == 10980 and told.grid.transform[2] == 499980
    assert told.sun_zenith == pytest.approx(78.395832)


def test_the_same_product_has_the_same_name_where_the_item_does_not_tell_it(recorded) -> None:
    bare = copy.deepcopy(recorded)
    del bare["properties"]["s2:product_uri"]
    assert mirror_item.full_name(mirror_item.name(bare)) == product(recorded, EARTH_SEARCH).id


def test_recorded_level_2a_items_of_the_copernicus_data_space(outside_data) -> None:
    answer = outside_data / "copernicus_answers/xcube_stac_cdse/stac_v1_search_sentinel-2-l2a_4items.json"
    for item in json.loads(answer.read_text())["features"]:
        found = product(item, StacSettings(url="https://stac.dataspace.copernicus.eu/v1", collection="sentinel-2-l2a"))
        assert found.problem is None and found.id == item["id"]
        assert all(file.size and file.checksum.startswith("sha3_256:") for file in found.files if file.path != MIRROR)
        assert mirror_item.sidecar(item, {}).offsets == dict.fromkeys(BANDS, -1000.0)


def test_recorded_item_of_the_aws_layout_is_named_by_its_tile_info(outside_data, tmp_path) -> None:
    """The Ross Ice Shelf at 80 S: the item tells neither its product's name nor its sensing start."""
    folder = outside_data / "s2_metadata/S2A_T60CWS_20240109T203651_L2A"
    item = json.loads((folder / "expected_output.json").read_text())
    info = (folder / "tileInfo.json").read_bytes()

    def mirror(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("tileInfo.json"):
            return httpx.Response(200, content=info)
        page = {"type": "FeatureCollection", "features": [item], "links": []}
        return httpx.Response(200, json=page if request.url.path.endswith("/search") else ROOT)

    archive = archive_of(mirror, tmp_path, collection="sentinel-2-l2a")
    start = datetime(2024, 1, 9, tzinfo=UTC)
    (found,) = archive.search(["60CWS"], "sensed", start, start + timedelta(days=1))
    assert found.problem is None and found.identity == "S2A_20240109T184751_T60CWS_R041"
    assert found.id == "S2A_MSIL2A_20240109T184751_N0510_R041_T60CWS_20240109T203651"
    assert found.datastrip == "20240109T184746" and "_A044654_" in found.files[1].path


@pytest.mark.parametrize(
    ("name", "identity", "offset"),
    [
        ("S2A_MSIL1C_20200717T221941_R029_T01LAC_20200717T234135", "S2A_20200717T221941_T01LAC_R029", 0),
        ("S2A_MSIL1C_20210908T042701_N0301_R133_T46RER_20210908T070248", "S2A_20210908T042701_T46RER_R133", 0),
        ("S2A_MSIL2A_20230625T234621_N0509_R073_T01WCS_20230626T022157", "S2A_20230625T234621_T01WCS_R073", -1000),
        ("S2B_MSIL2A_20220413T150759_N0400_R025_T33XWJ_20220414T082126", "S2B_20220413T150759_T33XWJ_R025", -1000),
    ],
)
def test_items_made_from_real_products(outside_data, name, identity, offset) -> None:
    """By a public tool, from the metadata beside them: the granule's own file says the same grid and sun."""
    folder = outside_data / f"s2_metadata/{name}.SAFE"
    item = json.loads((folder / "expected_output.json").read_text())
    found, told = product(item, EARTH_SEARCH), mirror_item.sidecar(item, {})
    assert found.problem is None and found.identity == identity and set(told.offsets.values()) == {offset}
    (path,) = folder.glob("GRANULE/*/MTD_TL.xml")
    tile = read_tile(path)
    assert told.grid.transform == tile.grids[10].transform and told.grid.crs == tile.grids[10].crs
    assert told.sun_zenith == pytest.approx(tile.sun_zenith) and found.files[1].path == str(path.relative_to(folder))


@pytest.mark.parametrize(
    ("baseline", "changes", "offset"),
    [
        ("05.10", {"asset": -0.1}, -1000),
        ("05.10", {"asset": -0.1, "applied": True}, 0),
        ("05.10", {"asset": -0.1, "applied": False}, -1000),
        ("05.10", {"asset": 0}, 0),
        ("05.10", {"asset": None}, -1000),  # the Planetary Computer gives none and changes nothing
        ("04.00", {"asset": None}, -1000),
        ("03.01", {"asset": None}, 0),
        ("03.01", {"asset": -0.1}, 0),  # a number of that time never had an offset
        ("02.09", {"asset": -0.1, "applied": False}, 0),
    ],
)
def test_offsets_that_the_numbers_still_need(recorded, baseline, changes, offset) -> None:
    item = copy.deepcopy(recorded)
    name = f"S2B_MSIL1C_20240206T131259_N{baseline.replace('.', '')}_R081_T27VWK_20240206T133903.SAFE"
    item["properties"]["s2:product_uri"] = name
    if "applied" in changes:
        item["properties"]["earthsearch:boa_offset_applied"] = changes["applied"]
    for asset in item["assets"].values():
        for band in asset.get("raster:bands", []):
            band.pop("offset")
            if changes["asset"] is not None:
                band["offset"] = changes["asset"]
    assert set(mirror_item.sidecar(item, {}).offsets.values()) == {offset}


def test_an_unknown_baseline_is_a_problem(recorded) -> None:
    item = copy.deepcopy(recorded)
    item["properties"]["s2:product_uri"] = "S2B_MSIL1C_20240206T131259_R081_T27VWK_20240206T133903.SAFE"
    assert product(item, EARTH_SEARCH).baseline == "05.10"  # told by a property
    for key in ("s2:processing_baseline", "s2:datatake_id"):
        del item["properties"][key]
    assert "offsets are unknown" in product(item, EARTH_SEARCH).problem


@pytest.mark.parametrize("key", ["blue", "nir", "swir16"])
def test_a_missing_band_is_a_problem_that_names_the_setting(recorded, key) -> None:
    item = copy.deepcopy(recorded)
    item["assets"]["elsewhere"] = item["assets"].pop(key)
    assert "archive.stac.assets" in product(item, EARTH_SEARCH).problem
    names = {{"blue": "B02", "nir": "B08", "swir16": "B11"}[key]: "elsewhere"}
    assert product(item, EARTH_SEARCH.model_copy(update={"assets": names})).problem is None


@pytest.mark.parametrize(
    "properties",
    [
        {"grid:code": "MGRS-1CCV"},
        {"grid:code": "MGRS-01CCV"},
        {"s2:mgrs_tile": "01CCV"},
        {"mgrs:utm_zone": 1, "mgrs:latitude_band": "C", "mgrs:grid_square": "CV"},
    ],
)
def test_tiles_by_any_name(properties) -> None:
    assert mirror_item.tile_of(properties) == "01CCV"


@pytest.mark.parametrize(
    ("platform", "orbit", "relative"), [("S2A", 26783, 45), ("S2A", 24500, 50), ("S2B", 36143, 81)]
)
def test_relative_orbits_follow_from_absolute_ones(platform, orbit, relative) -> None:
    """Those of the recorded products."""
    properties = {"s2:datatake_id": f"G{platform}_20200101T000000_{orbit:06d}_N05.00"}
    assert mirror_item._relative_orbit({}, properties, platform) == relative


def test_far_south_and_antimeridian_granules(outside_data) -> None:
    """The layout of the AWS buckets: metadata.xml is MTD_TL.xml."""
    south = read_tile(outside_data / "s2_metadata/S2A_T60CWS_20240109T203651_L2A/metadata.xml")
    assert (south.tile, south.grids[10].crs) == ("60CWS", "EPSG:32760") and 66.5 < south.sun_zenith < 66.6
    assert south.grids[10].transform == (10, 0, 499980, 0, -10, 1200040)
    folder = "S2A_MSIL1C_20200717T221941_R029_T01LAC_20200717T234135.SAFE"
    (path,) = (outside_data / "s2_metadata" / folder).glob("GRANULE/*/MTD_TL.xml")
    assert read_tile(path).tile == "01LAC" and read_tile(path).grids[10].transform[2] == 99960


class Mirror:
    """A mirror over HTTP of one product made for the test."""

    def __init__(self, folder: Path, **item: Any) -> None:
        self.name = make_product(folder, bands=item.pop("bands", None), offset=-1000)
        self.safe = folder / f"{self.name}.SAFE"
        self.asked: list[str] = []
        names = {"B02": "blue", "B03": "green", "B04": "red", "B08": "nir", "B11": "swir16"}
        raster = [{"scale": 0.0001, "offset": -0.1}]
        self.item = {
            "id": "S2B_01CCV_20260201_0_L1C",
            "links": [{"rel": "self", "href": "https://m.org/v1/collections/c/items/x"}],
            "assets": {names[band]: {"href": f"./files/{band}.jp2", "raster:bands": raster} for band in names}
            | {"granule_metadata": {"href": "https://m.org/files/metadata.xml"}},
            "properties": {
                "s2:product_uri": f"{self.name}.SAFE",
                "grid:code": "MGRS-1CCV",
                "created": "2026-02-02T00:00:00Z",
                "datetime": "2026-02-01T20:17:00Z",
                "s2:datatake_id": "GS2B_20260201T201529_012345_N05.11",
                "s2:datastrip_id": "S2B_OPER_MSI_L1C_DS_2BPS_20260201T214500_S20260201T201529_N05.11",
                **item.pop("properties", {}),
            },
            **item,
        }

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.asked.append(f"{path} {request.headers.get('authorization', '')}".strip())
        if path.startswith("/sign"):
            return httpx.Response(200, json={"href": f"{request.url.params['href']}?sig=SECRET"})
        if path == "/v1":
            return httpx.Response(200, json=ROOT)
        if path == "/v1/search":
            return httpx.Response(200, json={"type": "FeatureCollection", "features": [self.item], "links": []})
        if path.startswith("/v1/collections/c/items/files/") or path.startswith("/files/"):
            pattern = "GRANULE/*/MTD_TL.xml" if path.endswith("xml") else f"GRANULE/*/IMG_DATA/*_{path[-7:]}"
            return httpx.Response(200, content=iter([next(self.safe.glob(pattern)).read_bytes()]))
        return httpx.Response(200, json=self.item)


ROOT = {
    "type": "Catalog",
    "id": "m",
    "description": "a mirror",
    "stac_version": "1.0.0",
    "conformsTo": ["https://api.stacspec.org/v1.0.0/item-search", "https://api.stacspec.org/v1.0.0/item-search#query"],
    "links": [{"rel": "search", "href": "https://m.org/v1/search", "method": "POST"}],
}


def archive_of(mirror: Mirror, home: Path, **stac: Any) -> MirrorArchive:
    settings = settings_for(home, archive={"kind": "stac", "stac": {"url": "https://m.org/v1", **stac}})
    return MirrorArchive(settings.archive, wire_to([mirror] * 99), Credentials())


def scene_of(found: Any) -> Any:
    return SimpleNamespace(platform=found.platform, tile=found.tile, sensed_at=found.sensed_at, id=found.id)


def decoded(archive: MirrorArchive, inbox: Path) -> tuple[Any, np.ndarray]:
    (found,) = archive.search(["01CCV"], "sensed", START, END)
    assert found.problem is None
    archive.fetch(found, found.files, inbox)
    source = open_product(scene_of(found), inbox)
    return source, np.concatenate([strip for _, strip in source.strips()], axis=1)


@pytest.mark.parametrize("applied", [False, True])
def test_a_scene_from_a_mirror_is_the_scene_of_its_archive(tmp_path, applied) -> None:
    """Also where the mirror has taken the offset off the numbers and still says that there is one."""
    original = Mirror(tmp_path / "original")
    found = SimpleNamespace(platform="S2B", tile="01CCV", sensed_at=SENSED, id=original.name)
    truth = np.concatenate([strip for _, strip in open_product(found, original.safe).strips()], axis=1)
    bands = {band: values.astype(np.int64) for band, values in numbers().items()}
    if applied:
        bands = {band: np.where(v == 0, 0, np.clip(v - 1000, 1, None)) for band, v in bands.items()}
    mirror = Mirror(
        tmp_path / "mirror",
        bands={band: values.astype(np.uint16) for band, values in bands.items()},
        properties={"earthsearch:boa_offset_applied": True} if applied else {},
    )
    source, scene = decoded(archive_of(mirror, tmp_path), tmp_path / "inbox")
    assert source.sun_zenith == 62.5 and source.grid.crs == "EPSG:32701"
    assert ((scene == UNOBSERVED) == (truth == UNOBSERVED)).all()
    # A mirror that takes the offset off cannot keep what lies below or at the very top.
    same = (truth > 0) & (truth < 32_767) & (scene < 32_767) if applied else np.ones_like(truth, bool)
    assert same.mean() > 0.6 and (scene[same] == truth[same]).all()


def test_without_granule_metadata_the_item_tells_grid_and_sun(tmp_path) -> None:
    mirror = Mirror(
        tmp_path / "m", properties={"view:sun_elevation": 20.0, "view:sun_azimuth": 71.0, "proj:epsg": 32701}
    )
    del mirror.item["assets"]["granule_metadata"]
    mirror.item["assets"]["red"] |= {"proj:transform": [10, 0, 300000, 0, -10, 2000020], "proj:shape": [64, 64]}
    source, scene = decoded(archive_of(mirror, tmp_path), tmp_path / "inbox")
    assert source.sun_zenith == 70 and scene.shape == (5, 64, 64) and (scene != UNOBSERVED).any()
    del mirror.item["properties"]["view:sun_elevation"]
    (found,) = archive_of(mirror, tmp_path).search(["01CCV"], "sensed", START, END)
    assert "sun angle" in found.problem


def test_files_lie_where_the_product_itself_has_them(tmp_path) -> None:
    mirror = Mirror(tmp_path / "m")
    (found,) = archive_of(mirror, tmp_path).search(["01CCV"], "sensed", START, END)
    theirs = {str(path.relative_to(mirror.safe)) for path in mirror.safe.rglob("*") if path.is_file()}
    assert {file.path for file in found.files} - {MIRROR} == theirs - {"MTD_MSIL1C.xml"}
    with pytest.raises(CorruptProduct):  # not the product's own files: it is told apart from those
        needed_files(found.id, found.files)


def test_without_a_time_of_publication_everything_since_late_days_is_found(tmp_path) -> None:
    archive = archive_of(Mirror(tmp_path / "m"), tmp_path, late_days=3)
    for days, count in ((1, 1), (2.9, 1), (3.1, 0)):
        moment = SENSED + timedelta(days=days)
        assert len(archive.search(["01CCV"], "published", moment, moment + timedelta(hours=1))) == count
    told = archive_of(Mirror(tmp_path / "n"), tmp_path, published="created")
    assert len(told.search(["01CCV"], "published", SENSED, SENSED + timedelta(days=1))) == 1
    assert not told.search(["01CCV"], "published", SENSED, SENSED + timedelta(hours=1))


def test_addresses_are_signed_where_the_mirror_wants_that(tmp_path, caplog) -> None:
    mirror = Mirror(tmp_path / "m")
    caplog.set_level(logging.DEBUG)
    archive = archive_of(mirror, tmp_path, sign_url="https://m.org/sign")
    decoded(archive, tmp_path / "inbox")
    assert sum(path.startswith("/sign") for path in mirror.asked) == 6
    assert "SECRET" not in caplog.text and "SECRET" not in (tmp_path / "inbox" / MIRROR).read_text()


def test_an_item_built_otherwise_ends_no_search(tmp_path) -> None:
    mirror = Mirror(tmp_path / "m")
    mirror.item["assets"]["red"] |= {"proj:transform": [10, 0], "proj:shape": [8, 8], "proj:epsg": 32701}
    (found,) = archive_of(mirror, tmp_path).search(["01CCV"], "sensed", START, END)
    assert "no STAC item" in found.problem and found.tile == "01CCV"


def test_the_sidecar_has_the_same_bytes_every_time(tmp_path) -> None:
    mirror = Mirror(tmp_path / "m")
    texts = []
    for name in ("one", "two"):
        decoded(archive_of(mirror, tmp_path), tmp_path / name)
        texts.append((tmp_path / name / MIRROR).read_bytes())
    assert texts[0] == texts[1]


def test_another_product_under_the_items_address_is_refused(tmp_path) -> None:
    mirror = Mirror(tmp_path / "m")
    archive = archive_of(mirror, tmp_path)
    (found,) = archive.search(["01CCV"], "sensed", START, END)
    mirror.item["properties"]["s2:product_uri"] = mirror.name.replace("N0511", "N0512") + ".SAFE"
    with pytest.raises(CorruptProduct, match="another product"):
        archive.fetch(found, found.files, tmp_path / "inbox")


def test_no_address_says_what_to_set(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"archive\.stac\.url"):
        archive_of(Mirror(tmp_path / "m"), tmp_path, url="").search(["01CCV"], "sensed", START, END)


def one_item_by_time(mirror: Mirror) -> Any:
    """`mirror` as a service that filters by the item's own time."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/search"):
            low, high = json.loads(request.content)["datetime"].split("/")
            own = mirror.item["properties"]["datetime"]
            found = [mirror.item] if low[:19] <= own[:19] <= high[:19] else []
            return httpx.Response(200, json={"type": "FeatureCollection", "features": found, "links": []})
        return mirror(request)

    return answer


@pytest.mark.parametrize("minutes", [0, 4, 31, 40, 99])
def test_a_granule_after_midnight_is_found_on_the_day_of_its_datatake_alone(tmp_path, minutes) -> None:
    mirror = Mirror(tmp_path / "m")
    name = mirror.name.replace(f"{SENSED:%Y%m%dT%H%M%S}", "20260201T235900", 1)
    own = datetime(2026, 2, 1, 23, 59, tzinfo=UTC) + timedelta(minutes=minutes)
    mirror.item["properties"] |= {"s2:product_uri": f"{name}.SAFE", "datetime": f"{own:%Y-%m-%dT%H:%M:%SZ}"}
    archive = archive_of(one_item_by_time(mirror), tmp_path)
    days = [datetime(2026, 1, 31, tzinfo=UTC) + timedelta(days=day) for day in range(4)]
    found = [archive.search(["01CCV"], "sensed", day, day + timedelta(days=1)) for day in days]
    assert [[p.id for p in some] for some in found] == [[], [name], [], []]

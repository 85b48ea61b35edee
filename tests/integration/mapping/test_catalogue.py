"""The catalogue of maps: readers walk and search it; an update touches what it must, and ends as a rebuild does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow.parquet as pq
import pystac
import pytest
import sqlalchemy
from pystac.validation.stac_validator import JsonSchemaSTACValidator
from typer.testing import CliRunner

from helpers import servers
from helpers.mapped import all_maps, day
from seaice_ops.cli import app, stages
from seaice_ops.cli import catalogue as commands
from seaice_ops.errors import ConfigError
from seaice_ops.geo.grid import Grid
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.stores import initialise
from seaice_ops.ledger.tables import Map
from seaice_ops.mapping.catalogue.documents import around
from seaice_ops.mapping.catalogue.find import find
from seaice_ops.mapping.catalogue.stage import CatalogueRequest, run
from seaice_ops.mapping.product import withdrawal
from seaice_ops.mapping.product.item import MapInputs, item
from seaice_ops.settings import Settings
from seaice_ops.storage import keys
from seaice_ops.storage.store import ObjectStore, open_store

GRIDS = {
    "01CCV": Grid("EPSG:32701", (10.0, 0.0, 399_960.0, 0.0, -10.0, 1_600_020.0), 10_980, 10_980),  # at 180 degrees
    "33CVP": Grid("EPSG:32733", (10.0, 0.0, 300_000.0, 0.0, -10.0, 2_200_020.0), 10_980, 10_980),
}
FILES = {f"{name}.tif": ("ab" * 32, 9) for name in ("class", "class_stable", "n_valid", "age", "conf")}
FIGURES = {"shares": {"open_water": 0.5, "thin_ice": 0.5, "thick_ice": None}, "observed_km2": 3.5, "valid_share": 0.9}


def made(settings: Settings, number: float, revision: int = 1, tile: str = "01CCV") -> Map:
    """A published map of one scene: its item in the store, then its row; no pixels."""
    before = [row for row in all_maps(settings) if (row.tile, row.window_end) == (tile, day(number))]
    source, scene = "labels:colour-1", f"S2B_{day(number):%Y%m%d}_{tile}"
    common = {"tile": tile, "window_start": day(number), "window_end": day(number), "scene_ids": (scene,)}
    inputs = MapInputs(
        **common, n=3, contents=("c",), checksums=("d",), source=source, method="m", revision=revision,
        supersedes=before[-1].id if before else None, complete_at=day(number), grid=GRIDS[tile],
    )  # fmt: skip
    folder = keys.map_folder(tile, day(number), inputs.map_id)
    open_store(settings.store).create(keys.map_item(folder), item(inputs, FIGURES, FILES))
    row = Map(
        **{**common, "scene_ids": [scene]}, id=inputs.map_id, revision=revision, source=source, scene_contents=["c"],
        supersedes=inputs.supersedes, folder=folder, statistics={}, created_at=day(number),
    )  # fmt: skip
    with open_ledger(settings).begin() as session:
        session.add(row)
    return row


def withdrawn(settings: Settings, last: Map) -> Map:
    gone = withdrawal.Withdrawal(last, last.revision + 1, "its scene was withdrawn")
    row = withdrawal.write(open_store(settings.store), gone)
    with open_ledger(settings).begin() as session:
        session.add(row)
    return row


def catalogue(settings: Settings) -> dict[str, bytes]:
    store = open_store(settings.store)
    return {key: store.get(key) for key in store.list("catalogue")}


def update(settings: Settings) -> set[str]:
    """Run the stage; the keys that it wrote or deleted."""
    before = catalogue(settings)
    assert not run(settings, CatalogueRequest()).failed
    return {key for key, _ in before.items() ^ catalogue(settings).items()}


@pytest.fixture
def two_tiles(settings: Settings) -> Settings:
    """Settings with a region for each of two tiles; one map of each, a second revision of one, one withdrawn."""
    regions = {"ross": {"title": "Ross Sea", "tiles": ["01CCV"]}, "weddell": {"title": "Weddell", "tiles": ["33CVP"]}}
    settings = Settings.model_validate({"home": settings.home, "regions": regions})
    return filled(settings)


def filled(settings: Settings) -> Settings:
    for number, tile in ((0, "01CCV"), (1, "01CCV"), (30, "01CCV"), (2, "33CVP")):
        made(settings, number, tile=tile)
    made(settings, 0, revision=2)
    withdrawn(settings, next(row for row in all_maps(settings) if row.window_end == day(30)))
    return settings


def test_pystac_walks_it_from_the_root_and_every_document_is_valid(two_tiles: Settings) -> None:
    assert run(two_tiles, CatalogueRequest()).done["catalogued"] == 6
    folder = Path(two_tiles.store) / "catalogue"
    root = pystac.Catalog.from_file(str(folder / "catalog.json"))
    schema = json.loads((folder / "seaice-v1.json").read_text())
    items = {each.id: each for each in root.get_items(recursive=True)}
    assert set(items) == {row.id for row in all_maps(two_tiles)}
    kinds = {"Feature": "ITEM", "Catalog": "CATALOG", "Collection": "COLLECTION"}
    for key, data in catalogue(two_tiles).items():
        if key.endswith("parquet") or key.endswith("seaice-v1.json"):
            continue
        value: dict[str, Any] = json.loads(data)
        kind = pystac.STACObjectType[kinds[value["type"]]]
        JsonSchemaSTACValidator().validate({**value, "stac_extensions": []}, kind, value["stac_version"], [])
        if kind is pystac.STACObjectType.ITEM:
            jsonschema.validate(value, schema)
            assert {"collection", "root", "parent", "self", "latest-version"} <= {
                link["rel"] for link in value["links"]
            }
        for link in value["links"]:
            if not link["href"].startswith("https:") and link["rel"] != "derived_from":
                assert (Path(two_tiles.store) / key).parent.joinpath(link["href"]).resolve().is_file(), (key, link)
    wrong = json.loads(json.dumps(next(iter(items.values())).to_dict()))
    wrong["properties"]["seaice:revision"] = "2"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, schema)
    collection = next(iter(items.values())).get_collection()
    assert collection and collection.license == "other" and collection.providers


def test_revisions_tell_which_is_the_newest(two_tiles: Settings) -> None:
    run(two_tiles, CatalogueRequest())
    first, second, alone, last, gone, _ = all_maps(two_tiles)
    docs = {Path(key).stem: json.loads(data) for key, data in catalogue(two_tiles).items() if "_r" in key}

    def links(row: Map) -> dict[str, str]:
        return {each["rel"]: Path(each["href"]).stem for each in docs[row.id]["links"] if "version" in each["rel"]}

    assert links(first) == {"latest-version": second.id, "successor-version": second.id}
    assert links(second) == {"latest-version": second.id, "predecessor-version": first.id}
    assert links(alone) == {"latest-version": alone.id} and links(last)["successor-version"] == gone.id
    told = [docs[row.id]["properties"].get("deprecated", False) for row in (first, second, alone, last, gone)]
    assert told == [True, False, False, True, True]
    assert docs[alone.id]["properties"]["seaice:attribution"] == "contains modified Copernicus Sentinel data 2026"
    pointer = json.loads(open_store(two_tiles.store).get("catalogue/sea-ice-maps-ross/01CCV/latest.json"))
    assert [Path(link["href"]).stem for link in pointer["links"] if link["rel"] == "item"] == [alone.id]


def test_maps_are_found_by_place_and_time_across_the_antimeridian(two_tiles: Settings) -> None:
    store = open_store(two_tiles.store)
    with pytest.raises(ConfigError, match="no catalogue yet"):
        find(store)
    run(two_tiles, CatalogueRequest())
    _, second, alone, _, _, inland = all_maps(two_tiles)
    west, _, east, _ = json.loads(store.get(f"{second.folder}/item.json"))["bbox"]
    assert west > east, "the tile lies across 180 degrees"
    for box in ((179.0, -80.0, -179.0, -70.0), (-179.99, -76.0, -179.9, -75.0), (179.9, -76.0, 179.99, -75.0)):
        assert [each["id"] for each in find(store, box)] == [second.id, alone.id], box
    assert [each["id"] for each in find(store, (0.0, -90.0, 40.0, 0.0))] == [inland.id]
    assert not find(store, (-10.0, -90.0, 0.0, -60.0)) and len(find(store)) == 3
    assert [each["id"] for each in find(store, None, day(1), day(2))] == [alone.id]
    assert [each["id"] for each in find(store, latest=True)] == [alone.id, inland.id]
    (newest,) = find(store, (179.0, -80.0, -179.0, -70.0), latest=True)
    assert newest["files"]["class"] == f"{alone.folder}/class.tif"
    part = Path(two_tiles.store) / "catalogue/sea-ice-maps-ross/01CCV/2026-02/items.parquet"
    schema = pq.read_schema(part)
    assert b"stac-geoparquet" in schema.metadata and json.loads(schema.metadata[b"geo"])["primary_column"] == "geometry"


def test_an_update_writes_what_the_map_touches_and_ends_as_a_rebuild_does(two_tiles: Settings) -> None:
    update(two_tiles)
    assert not update(two_tiles) and run(two_tiles, CatalogueRequest()).nothing_new
    late = made(two_tiles, 0, revision=3)
    folder = "catalogue/sea-ice-maps-ross/01CCV"
    month = {f"{folder}/2026-02/{name}" for name in ("catalog.json", "items.parquet")}
    revisions = {f"{folder}/2026-02/{row.id}.json" for row in all_maps(two_tiles) if row.window_end == day(0)}
    assert update(two_tiles) == month | revisions and f"{folder}/2026-02/{late.id}.json" in revisions
    made(two_tiles, 60)
    update(two_tiles)
    grown = catalogue(two_tiles)
    store = open_store(two_tiles.store)
    for key in grown:
        store.delete(key)
    store.put("catalogue/left/behind.json", b"{}")
    run(two_tiles, CatalogueRequest(anew=True))
    assert catalogue(two_tiles) == grown
    assert run(two_tiles, CatalogueRequest(anew=True)).done["documents"] == 0


def test_a_tile_that_changes_its_region_moves(two_tiles: Settings) -> None:
    update(two_tiles)
    regions = {"weddell": {"title": "Weddell", "tiles": ["33CVP", "01CCV"]}}
    other = Settings.model_validate({"home": two_tiles.home, "regions": regions})
    update(other)
    moved = catalogue(other)
    assert not [key for key in moved if "/sea-ice-maps-ross/01CCV/" in key]
    run(other, CatalogueRequest(anew=True))
    assert {key: data for key, data in moved.items() if "-ross/" not in key} == catalogue(other)


def test_an_item_that_is_damaged_fails_alone(two_tiles: Settings) -> None:
    row = all_maps(two_tiles)[-1]
    store, key = open_store(two_tiles.store), keys.map_item(row.folder)
    good = store.get(key)
    store.put(key, b"{")
    summary = run(two_tiles, CatalogueRequest())
    assert list(summary.failed) == ["33CVP 2026-02"] and summary.done["catalogued"] == 5
    store.put(key, good)
    assert run(two_tiles, CatalogueRequest()).items == [row.id]


class Killed(BaseException):
    """Nothing catches it, as nothing catches a kill."""


def test_a_kill_between_any_two_writes_leaves_a_whole_catalogue_and_the_same_end(
    two_tiles: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    update(two_tiles)
    store, before = open_store(two_tiles.store), catalogue(two_tiles)
    new = {made(two_tiles, 0, revision=3).id, made(two_tiles, 90).id}
    update(two_tiles)
    after, writes = catalogue(two_tiles), 0
    put = ObjectStore.put

    def back() -> None:
        for key in catalogue(two_tiles):
            store.delete(key)
        for key, data in before.items():
            put(store, key, data)
        with open_ledger(two_tiles).begin() as session:
            session.execute(sqlalchemy.update(Map).where(Map.id.in_(new)).values(catalogued=None))

    while True:
        back()
        writes, left = writes + 1, iter(range(writes))

        def counted(self: ObjectStore, key: str, data: bytes, left: Iterator[int] = left) -> str:
            if next(left, None) is None:
                raise Killed
            return put(self, key, data)

        with monkeypatch.context() as patched:
            patched.setattr(ObjectStore, "put", counted)
            try:
                run(two_tiles, CatalogueRequest())
                break
            except Killed:
                pass
        seen = {row.id for row in all_maps(two_tiles)} & walked(two_tiles)
        assert seen >= {row.id for row in all_maps(two_tiles)} - new, "a reader lost a map"
        assert {each["id"] for each in find(store)} <= seen | new
        update(two_tiles)
        assert catalogue(two_tiles) == after, f"killed at write {writes}"
    assert writes >= 9 and catalogue(two_tiles) == after


def walked(settings: Settings) -> set[str]:
    """The ids of all items that a reader comes to from the root, who opens every link downwards."""
    root = Path(settings.store) / "catalogue/catalog.json"
    waiting, found = [root], set()
    while waiting:
        path = waiting.pop()
        value = json.loads(path.read_bytes())
        found |= {value["id"]} if value["type"] == "Feature" else set()
        down = [link["href"] for link in value["links"] if link["rel"] in ("child", "item", "latest")]
        waiting += [path.parent / href for href in down]
    return found


def test_the_command_line_finds_and_publishes_into_it(two_tiles: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (stages, commands):
        monkeypatch.setattr(module, "load_settings", lambda: two_tiles)

    def said(*words: str) -> str:
        answer = CliRunner().invoke(app, words)
        assert answer.exit_code == 0, answer.output
        return answer.output

    assert "catalogue build" in CliRunner().invoke(app, ["catalogue", "find"]).output
    said("catalogue", "build")
    found = json.loads(said("catalogue", "find", "--bbox", "179,-80,-179,-70", "--to", "2026-02-02", "--json"))
    assert [each["revision"] for each in found] == [2] and found[0]["tile"] == "01CCV"
    assert "no map is there" in said("catalogue", "find", "--from", "2027-01-01")
    assert CliRunner().invoke(app, ["catalogue", "find", "--bbox", "1,2,3"]).exit_code == 2
    said("map")  # the ledger knows no scenes: all maps are withdrawn
    assert len(all_maps(two_tiles)) == 9 and all(row.catalogued for row in all_maps(two_tiles))
    assert json.loads(said("catalogue", "find", "--json")) == []


def test_s3_and_postgresql_hold_the_same_bytes(
    two_tiles: Settings, s3_url: str, postgres: Callable[[], str], tmp_path: Path
) -> None:
    run(two_tiles, CatalogueRequest())
    there = servers.settings_for(tmp_path / "there", store=s3_url, ledger=postgres())
    there = there.model_copy(update={"regions": two_tiles.regions})
    initialise(there)
    filled(there)
    run(there, CatalogueRequest())
    assert catalogue(there) == catalogue(two_tiles)


def test_the_box_around_boxes_is_the_narrowest() -> None:
    assert around([[170.0, -80.0, 175.0, -79.0], [-178.0, -81.0, -177.0, -70.0]]) == [170.0, -81.0, -177.0, -70.0]
    assert around([[179.0, 0.0, -179.0, 1.0]]) == [179.0, 0.0, -179.0, 1.0]
    assert around([[-180.0, -90.0, 180.0, -60.0], [1.0, -70.0, 2.0, -69.0]])[::2] == [-180.0, 180.0]
    assert around([[0.0, 0.0, 10.0, 1.0], [2.0, 0.0, 3.0, 1.0]])[::2] == [0.0, 10.0]

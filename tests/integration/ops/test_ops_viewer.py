"""The map viewer: its pictures against a slow oracle, what it refuses, and a person's way through it in a browser."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from datetime import date, timedelta

import numpy as np
import pytest
import uvicorn
from fastapi import Depends, FastAPI, HTTPException
from fastapi.testclient import TestClient
from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from helpers.ledger_rows import FIRST, a_label, a_map, a_model, a_scene
from helpers.servers import free_port
from seaice_ops.classes.legend import COLOURS
from seaice_ops.geo.grid import Grid
from seaice_ops.geo.projections import from_globe, to_globe
from seaice_ops.geo.tiles import tile_of
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.stores import initialise
from seaice_ops.ledger.tables import Base, Map, Scene
from seaice_ops.mapping.window.strips import LAYERS as published
from seaice_ops.ops.pages.app import create
from seaice_ops.ops.viewer.picture import LAYERS as viewed
from seaice_ops.ops.viewer.picture import palette
from seaice_ops.ops.viewer.polar import HALF, box_of
from seaice_ops.settings import Settings
from seaice_ops.storage.rasters import cog_bytes
from seaice_ops.storage.store import ObjectStore, open_store

PLANE, EDGE = 3031, 200
LATEST = (FIRST + timedelta(days=3)).date()
BANDS = ["B02", "B03", "B04", "B08", "B11"]


def grid_of(tile: str, east: int = 0) -> Grid:
    """A small grid in `tile`, `east` metres from its upper left corner."""
    whole = tile_of(tile)
    return Grid(f"EPSG:{whole.epsg}", (10.0, 0.0, float(whole.ulx + east), 0.0, -10.0, float(whole.uly)), EDGE, EDGE)


def classes(seed: int) -> np.ndarray:
    """(rows, columns) u8: blocks of the three classes and a corner that was not seen."""
    codes = np.kron(np.random.default_rng(seed).integers(1, 4, (10, 10)), np.ones((20, 20))).astype(np.uint8)
    codes[:40, :40] = 255
    return codes


def put_map(store: ObjectStore, row: Map, grid: Grid, codes: np.ndarray) -> Map:
    layers = {"class": codes, "class_stable": codes * 0, "age": np.where(codes == 255, 255, 2).astype(np.uint8)}
    layers |= {"conf": np.where(codes == 255, 255, 87).astype(np.uint8), "n_valid": (codes != 255).astype(np.uint8)}
    for name, values in layers.items():
        nodata = None if name == "n_valid" else 255
        store.put(f"{row.folder}/{name}.tif", cog_bytes([values], grid, nodata=nodata, names=(name,)))
    return row


def put_scene(store: ObjectStore, row: Scene, grid: Grid) -> Scene:
    row.key, row.bands = f"scenes/{row.id}.tif", BANDS
    row.crs, row.transform, row.width, row.height = grid.crs, list(grid.transform), EDGE, EDGE
    values = np.full((5, EDGE, EDGE), 1000, np.int16)
    values[:, :, : EDGE // 2] = 9000
    row.sha256 = store.put(row.key, cog_bytes(values, grid, nodata=-32768, names=BANDS))
    return row


@pytest.fixture
def shown(stored: Settings) -> Settings:
    """A tile with maps of three days, the second in two revisions; its neighbour's newer map overlaps the last."""
    settings = stored.model_copy(
        update={"regions": {"test": stored.regions["test"].model_copy(update={"tiles": ("01CCV", "01CDV")})}}
    )
    initialise(settings)
    store, here, beside = open_store(settings.store), grid_of("01CCV", 98_800), grid_of("01CDV")
    scenes = {day: put_scene(store, a_scene(day), here) for day in (1, 2, 3)}
    rows: list[Base] = [a_model(), *scenes.values()]
    for day, revision in ((1, 1), (2, 1), (2, 2), (3, 1)):
        row = a_map(day, revision=revision)
        row.scene_ids = [scenes[day].id]
        rows.append(put_map(store, row, here, classes(10 * day + revision)))
    neighbour = a_map(3, "01CDV")
    neighbour.window_end += timedelta(minutes=5)
    rows.append(put_map(store, neighbour, beside, classes(99)))
    method = settings.labels.method
    label = a_label(scenes[3], settings.label_version(method), method)
    label.key = "labels/three.tif"
    store.put(label.key, cog_bytes([classes(5)], here, nodata=255))
    with open_ledger(settings).begin() as session:
        session.add_all(rows)
        session.flush()
        session.add(label)
    return settings


@pytest.fixture
def client(shown: Settings) -> Iterator[TestClient]:
    with TestClient(create(lambda: shown, guards=[])) as client:
        yield client


def middle(grid: Grid) -> tuple[float, float]:
    west, south, east, north = box_of(grid, PLANE)
    return (west + east) / 2, (south + north) / 2


def address(x: float, y: float, zoom: int = 12) -> str:
    size = 2 * HALF / 2**zoom
    return f"{zoom}/{int((x + HALF) / size)}/{int((HALF - y) / size)}"


def picture(client: TestClient, day: date, layer: str, at: str) -> np.ndarray:
    answer = client.get(f"/map/test/{day}/{layer}/{at}.png")
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGBA"))


def oracle(at: str, layers: list[tuple[Grid, np.ndarray]]) -> np.ndarray:
    """The codes that a picture shows, pixel by pixel; 255 where none was seen."""
    zoom, column, row = (int(part) for part in at.split("/"))
    size = 2 * HALF / 2**zoom / 256
    steps = (np.arange(256) + 0.5) * size
    xs, ys = np.meshgrid(column * 256 * size - HALF + steps, HALF - row * 256 * size - steps)
    codes = np.full((256, 256), 255, np.uint8)
    for grid, values in reversed(layers):
        east, north = from_globe(grid.crs).transform(*to_globe(PLANE).transform(xs, ys))
        columns = np.floor((east - grid.transform[2]) / 10).astype(int)
        rows = np.floor((grid.transform[5] - north) / 10).astype(int)
        inside = (columns >= 0) & (rows >= 0) & (columns < EDGE) & (rows < EDGE)
        new = np.full_like(codes, 255)
        new[inside] = values[rows[inside], columns[inside]]
        codes = np.where(new != 255, new, codes)
    return codes


def same(image: np.ndarray, codes: np.ndarray) -> float:
    """Share of pixels with the colour of their code; a pixel whose place rounds otherwise may differ."""
    return float((image == palette("class")[codes]).all(axis=2).mean())


def test_a_picture_shows_each_tiles_newest_map_and_the_newer_of_two_that_overlap(client: TestClient) -> None:
    here, beside = grid_of("01CCV", 98_800), grid_of("01CDV")
    for at in (address(*middle(here)), address(*middle(beside))):
        wanted = oracle(at, [(beside, classes(99)), (here, classes(31))])
        assert (wanted != 255).any() and same(picture(client, LATEST, "class", at), wanted) > 0.995
    at = address(*middle(here))
    for later in (1, 14):
        assert np.array_equal(
            picture(client, LATEST + timedelta(days=later), "class", at), picture(client, LATEST, "class", at)
        )


def test_of_a_days_map_the_newest_revision_is_shown_and_nothing_too_old(client: TestClient) -> None:
    here = grid_of("01CCV", 98_800)
    at = address(*middle(here))
    shown = picture(client, LATEST - timedelta(days=1), "class", at)
    assert same(shown, oracle(at, [(here, classes(22))])) > 0.995
    assert not picture(client, LATEST - timedelta(days=3), "class", at).any(), "before the first map"
    assert not picture(client, LATEST + timedelta(days=16), "class", at).any(), "no map is shown for ever"


def test_a_withdrawn_map_is_not_shown(client: TestClient, shown: Settings) -> None:
    with open_ledger(shown).begin() as session:
        row = session.get_one(Map, a_map(3).id)
        row.statistics = {"withdrawn": "Corrupted"}
    here, beside = grid_of("01CCV", 98_800), grid_of("01CDV")
    at = address(*middle(here))
    wanted = oracle(at, [(beside, classes(99)), (here, classes(22))])
    assert same(picture(client, LATEST, "class", at), wanted) > 0.995


def test_every_layer_and_the_true_colour_are_pictures(client: TestClient) -> None:
    assert set(viewed) == set(published)
    at = address(*middle(grid_of("01CCV", 98_800)))
    for layer in ("class_stable", "age", "conf", "n_valid", "true_colour"):
        image = picture(client, LATEST - timedelta(days=1), layer, at)
        assert image[..., 3].any(), layer
    colours = {tuple(each) for each in image[image[..., 3] > 0][:, :3]}
    assert len(colours) == 2, "snow and water of the scene"
    assert picture(client, LATEST, "class", "0/0/0").shape == (256, 256, 4)


def test_a_lost_raster_leaves_the_other_maps_in_the_picture(client: TestClient, shown: Settings) -> None:
    open_store(shown.store).delete(f"{a_map(3, '01CDV').folder}/class.tif")
    here = grid_of("01CCV", 98_800)
    at = address(*middle(here))
    assert same(picture(client, LATEST, "class", at), oracle(at, [(here, classes(31))])) > 0.995


def test_the_history_of_a_pixel_is_what_maps_and_labels_hold_there(client: TestClient) -> None:
    here = grid_of("01CCV", 98_800)
    x, y = middle(here)
    found = client.get(f"/map/test/{LATEST}/pixel.json?x={x}&y={y}").json()
    east, north = from_globe(here.crs).transform(found["longitude"], found["latitude"])
    row, column = int((here.transform[5] - north) / 10), int((east - here.transform[2]) / 10)
    of_tile = [each for each in found["maps"] if each["tile"] == "01CCV"]
    assert [each["class"] for each in of_tile] == [int(classes(seed)[row, column]) for seed in (11, 22, 31)]
    assert {(each["age"], each["conf"]) for each in of_tile} == {(2, 87)}
    assert [each["at"] for each in of_tile] == sorted(each["at"] for each in of_tile)
    [label] = found["labels"]
    assert label["class"] == int(classes(5)[row, column]) and label["scene"] == a_scene(3).id
    nowhere = client.get(f"/map/test/{LATEST}/pixel.json?x=0&y=0").json()
    assert nowhere["maps"] == nowhere["labels"] == []


def test_the_index_names_days_tiles_and_colours(client: TestClient) -> None:
    index = client.get("/map/test/index.json").json()
    assert [each["maps"] for each in index["days"]] == [1, 1, 2] and index["epsg"] == PLANE
    assert index["tiles"]["01CCV"] == pytest.approx(box_of(grid_of("01CCV", 98_800), PLANE))
    assert index["classes"]["1"]["colour"] == "#{:02x}{:02x}{:02x}".format(*COLOURS[1])


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("nowhere/index.json", 404),
        ("..%2f..%2fsecret/index.json", 404),
        (f"test/{LATEST}/secret/3/0/0.png", 404),
        (f"test/{LATEST}/..%2fclass/3/0/0.png", 404),
        (f"test/{LATEST}/class/13/0/0.png", 422),
        (f"test/{LATEST}/class/3/8/0.png", 404),
        (f"test/{LATEST}/class/3/-1/0.png", 422),
        ("test/yesterday/class/3/0/0.png", 422),
        ("test/9999-12-31/class/3/0/0.png", 422),
        ("test/0001-01-01/class/3/0/0.png", 422),
        (f"test/{LATEST}/pixel.json?x=nan&y=0", 422),
        (f"test/{LATEST}/pixel.json?x=1e9&y=0", 422),
        ("static/..%2froutes.py", 404),
        ("static/routes.py", 404),
    ],
)
def test_other_addresses_are_refused(client: TestClient, path: str, status: int) -> None:
    assert client.get(f"/map/{path}").status_code == status


def test_every_address_is_guarded(shown: Settings) -> None:
    def refuse() -> None:
        raise HTTPException(401, "Not authenticated")

    with TestClient(create(lambda: shown, guards=[Depends(refuse)])) as client:
        for path in ("", "/static/viewer.js", "/test/index.json", f"/test/{LATEST}/class/0/0/0.png"):
            assert client.get(f"/map{path}").status_code == 401, path


@pytest.fixture
def page(shown: Settings) -> Iterator[Page]:
    """The viewer in a browser, as Airflow mounts it. A script that the page's own policy blocks fails the test."""
    app = FastAPI()
    app.mount("/seaice", create(lambda: shown, guards=[]))
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"]
    problems: list[str] = []
    try:
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=quiet)
            page = browser.new_page(viewport={"width": 1300, "height": 800})
            page.on("pageerror", lambda error: problems.append(str(error)))
            page.on("console", lambda said: problems.append(said.text) if "Policy" in said.text else None)
            page.goto(f"http://127.0.0.1:{port}/seaice/map")
            page.wait_for_load_state("networkidle")
            yield page
            browser.close()
    finally:
        server.should_exit = True
        thread.join()
    assert not problems


def test_a_person_plays_the_timeline_compares_days_and_asks_a_pixel(page: Page) -> None:
    expect(page.locator("#shown")).to_have_text(f"{LATEST}: tiles with a new map: 2")
    page.select_option("#tile", "01CCV")
    page.locator("#map").click()
    expect(page.locator("#history table tbody tr")).not_to_have_count(0)
    expect(page.locator("#history svg")).to_have_attribute("role", "img")
    page.click("#play")
    expect(page.locator("#shown")).to_contain_text(str(LATEST - timedelta(days=2)))
    page.click("#play")
    expect(page.locator("#play")).to_have_text("Play")
    page.check("#compare")
    page.select_option("#before", str(LATEST - timedelta(days=2)))
    expect(page.locator(".leaflet-earlier-pane img").first).to_be_attached()


def test_a_views_address_opens_the_same_view_and_enter_asks_the_middle(page: Page) -> None:
    page.select_option("#tile", "01CDV")
    page.select_option("#layer", "conf")
    page.locator("#day").focus()
    page.keyboard.press("ArrowLeft")
    link = page.evaluate("document.getElementById('link').href")
    said = page.locator("#shown").text_content()
    page.goto("about:blank")
    page.goto(link)
    page.wait_for_load_state("networkidle")
    expect(page.locator("#shown")).to_have_text(said or "")
    expect(page.locator("#layer")).to_have_value("conf")
    page.locator("#map").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#history")).to_contain_text("No map holds this pixel up to this day.")
    named = "els => els.every(each => each.labels?.length || each.textContent.trim())"
    assert page.locator("input, select, button").evaluate_all(named), "a control without a label"

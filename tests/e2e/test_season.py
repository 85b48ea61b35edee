"""A small season through Airflow's real scheduler, by the command that a stranger types; then what it left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import psutil
import pystac
import pytest
import rasterio
from rio_cogeo import cog_validate
from sqlalchemy import select

from helpers.mapped import from_nothing
from seaice_ops.airflow import console, rest
from seaice_ops.backfill import drive
from seaice_ops.ledger.operations import newest_maps, ready_scenes
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Map, Run, Scene, SceneState
from seaice_ops.mapping.due.source import evidence, source
from seaice_ops.mapping.due.tile_state import Rules
from seaice_ops.mapping.evidence import from_labels
from seaice_ops.mapping.window.strips import LAYERS
from seaice_ops.pixels.imagery import read_bands
from seaice_ops.settings import Settings
from seaice_ops.simulate import stage as simulate
from seaice_ops.storage.rasters import read_raster
from seaice_ops.storage.store import open_store

ROOT = Path(__file__).parents[2]
CONFIG = Path(__file__).with_name("season.yaml")
SEASON = simulate.SimulateRequest(size=256, acquisitions=8)
DEMO = [sys.executable, "-m", "seaice_ops.demo", "--config", str(CONFIG), "--size", "256", "--acquisitions", "8"]
# A dozen scenes of 256 pixels teach a model how the loop turns, not much of ice.
DEMO += ["--advance", "2", "--margin", "0.15"]


def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "SEAICE_HOME": str(home), "SEAICE_CONFIG": str(CONFIG), "OMP_NUM_THREADS": "1"}


def shelf(settings: Settings, tile: str) -> np.ndarray:
    """Where the simulated tile is no sea."""
    with rasterio.open(settings.home / f"archive/truth/{tile}.land.tif") as dataset:
        return np.asarray(dataset.read(1) != 0)


def listening(served: console.Console) -> set[str]:
    """The addresses on which the console's processes listen."""
    ours = {process.pid for process in psutil.Process(served.pid).children(recursive=True)}
    found = [c for c in psutil.net_connections("inet") if c.status == psutil.CONN_LISTEN and c.pid in ours]
    return {f"http://{c.laddr.ip}:{c.laddr.port}" for c in found}


def left_behind(home: Path) -> list[str]:
    """Command lines of processes that work on this home."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get("SEAICE_HOME") == str(home):
                found.append(" ".join(process.cmdline()))
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose demo was killed in the middle of its backfill, and then run again to its end."""
    home = tmp_path_factory.mktemp("season") / "home"
    first = subprocess.Popen(DEMO, cwd=ROOT, env=environment(home), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        wait_for_a_scene(home, first)
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
    deadline = time.monotonic() + 60
    while left_behind(home) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert left_behind(home) == []
    run_demo(home)
    return home


def wait_for_a_scene(home: Path, demo: subprocess.Popen) -> None:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        assert demo.poll() is None, demo.stdout.read().decode()
        if list((home / "objects" / "scenes").rglob("*.tif")):
            return
        time.sleep(0.3)
    raise AssertionError("no scene after 300 s")


def run_demo(home: Path) -> str:
    done = subprocess.run(DEMO, cwd=ROOT, env=environment(home), capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stdout + done.stderr
    assert left_behind(home) == []
    return done.stdout


@pytest.fixture(scope="module")
def settings(home: Path) -> Iterator[Settings]:
    patch = pytest.MonkeyPatch()
    patch.setenv("SEAICE_HOME", str(home))
    yield Settings.load(CONFIG)
    patch.undo()


def test_every_acquisition_is_there_once_at_its_best_version(settings: Settings) -> None:
    planned = simulate.plan(SEASON.resolved(settings))
    wanted = {p.id for p in planned if p.kind not in ("older", "truncated")}
    with open_ledger(settings).begin() as session:
        assert {scene.id for scene in ready_scenes(session)} == wanted
        states = {row.id: (row.state, row.reason) for row in session.scalars(select(Scene))}
    for product in planned:
        if product.kind == "older":
            assert states[product.id][0] == SceneState.SUPERSEDED
        if product.kind == "truncated":
            assert states[product.id][0] == SceneState.FAILED
            assert ".jp2" in states[product.id][1]


def test_one_map_an_acquisition_and_the_window_shifts_by_one(settings: Settings) -> None:
    for tile in settings.tiles:
        with open_ledger(settings).begin() as session:
            scenes = [scene.id for scene in ready_scenes(session, [tile])]
            maps = list(newest_maps(session, tile).values())
        n = settings.mapping.window
        assert [row.scene_ids for row in maps] == [scenes[max(0, i - n + 1) : i + 1] for i in range(len(scenes))]
        for before, after in zip(maps[n - 1 :], maps[n:], strict=False):
            assert len(set(before.scene_ids) - set(after.scene_ids)) == 1
            assert len(set(after.scene_ids) - set(before.scene_ids)) == 1


def test_maps_equal_a_rebuild_from_nothing(settings: Settings) -> None:
    store = open_store(settings.store)
    with open_ledger(settings).begin() as session:
        row = list(newest_maps(session, settings.tiles[0]).values())[-1]
        scenes = {scene.id: scene for scene in ready_scenes(session, [row.tile])}
        labels = Rules.of(settings).labels
        told = evidence(session, row.tile, source(session, labels), labels)
    rasters = [read_raster(store, told[scene_id].key)[0] for scene_id in row.scene_ids]
    series = [from_labels(*bands[:2]) if row.source.startswith("labels:") else bands for bands in rasters]
    times = [scenes[scene_id].sensed_at for scene_id in row.scene_ids]
    rebuilt = from_nothing(series, times, row.window_end, shelf(settings, row.tile))
    for layer, name in zip(rebuilt, LAYERS, strict=True):
        assert np.array_equal(layer, read_raster(store, f"{row.folder}/{name}.tif")[0][0]), name


def test_maps_are_valid_and_no_data_is_never_a_class(settings: Settings) -> None:
    store = open_store(settings.store)
    with open_ledger(settings).begin() as session:
        rows = list(session.scalars(select(Map)))
        scenes = {scene.id: scene for scene in session.scalars(select(Scene))}  # early revisions hold superseded ones
    assert all(row.catalogued for row in rows), "the task that publishes lists the maps in the catalogue"
    for row in rows:
        item = pystac.Item.from_dict(json.loads(store.get(f"{row.folder}/item.json")))
        assert datetime.fromisoformat(str(item.properties["end_datetime"])) == row.window_end
        for name in LAYERS:
            path = store.gdal_path(f"{row.folder}/{name}.tif")
            assert cog_validate(path, strict=True, quiet=True)[0]
            with rasterio.open(path) as dataset:
                scene = scenes[row.scene_ids[-1]]
                assert dataset.crs.to_string() == scene.crs
                assert list(dataset.transform)[:6] == scene.transform
        seen = np.zeros((256, 256), bool)
        for scene_id in row.scene_ids:
            seen |= read_bands(store, scenes[scene_id], ("B04", "B03", "B02"))[1]
        classes = read_raster(store, f"{row.folder}/class.tif")[0][0]
        land = shelf(settings, row.tile)
        assert land.any() and ((classes == 254) == land).all() and (classes[~(seen | land)] == 255).all()


def interrupt_a_season(settings: Settings) -> None:
    """Ask for two days by the form and end the console in the middle of their backfill."""
    sensed = sorted(p.sensed.date() for p in simulate.plan(SEASON.resolved(settings)))
    form = {"region": "ross_sea", "start": str(sensed[0]), "end": str(sensed[0] + timedelta(days=1)), "dry_run": False}
    with console.served(settings, CONFIG) as served, rest.connect(served) as client:
        deadline = time.monotonic() + 300
        while "seaice_backfill_season" not in rest.known_dags(client):
            assert time.monotonic() < deadline
            time.sleep(1)
        body = {"logical_date": None, "conf": {**form, "redo": "everything"}}
        rest.ask(client, "POST", "/dags/seaice_backfill_season/dagRuns", json=body)
        while not (drive.active_backfill(client) and rest.active_runs(client)):
            assert time.monotonic() < deadline
            time.sleep(0.5)


def test_a_second_demo_runs_everything_and_finds_nothing_new(settings: Settings, home: Path) -> None:
    interrupt_a_season(settings)
    before = set(open_store(settings.store).list())
    with open_ledger(settings).begin() as session:
        last = max(session.scalars(select(Run.id)))
    run_demo(home)
    with open_ledger(settings).begin() as session:
        runs = [(row.stage, row.summary["done"], row.summary["failed"]) for row in session.scalars(
            select(Run).where(Run.id > last))]  # fmt: skip
    assert {stage for stage, _, _ in runs} >= {"search", "train.snapshot"}
    assert [run for run in runs if any(run[1].values()) or run[2]] == []
    assert set(open_store(settings.store).list()) == before


def test_the_console_shows_the_runs_and_its_page_needs_a_login(settings: Settings, home: Path) -> None:
    with console.served(settings, CONFIG) as served:
        assert httpx.get(f"{served.url}/seaice/").status_code in (401, 403)
        login = {"username": served.user, "password": served.password}
        token = httpx.post(f"{served.url}/auth/token", json=login).json()["access_token"]
        with httpx.Client(base_url=served.url, headers={"Authorization": f"Bearer {token}"}) as client:
            page = client.get("/seaice/")
            assert page.status_code == 200
            for tile in settings.tiles:
                assert tile in page.text
            source = page.text.split("<img")[1].split('src="')[1].split('"')[0]
            picture = client.get(str(httpx.URL(f"{served.url}/seaice/").join(source)))
            assert picture.status_code == 200 and picture.content.startswith(b"\x89PNG")
            assert client.get("/api/v2/importErrors").json()["total_entries"] == 0
            assert listening(served) == {served.url}
            plugins = {plugin["name"] for plugin in client.get("/api/v2/plugins").json()["plugins"]}
    assert any("seaice" in name for name in plugins)
    assert left_behind(home) == []

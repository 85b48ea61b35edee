"""The sea-ice pages: what they show, to whom, and what they refuse."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from fastapi import Depends, FastAPI, HTTPException
from fastapi.testclient import TestClient

from helpers.ledger_rows import FIRST, a_map, a_model, a_run, a_scene, a_score, an_alias
from helpers.servers import settings_for
from seaice_ops.ledger.operations import now
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.stores import initialise
from seaice_ops.ledger.tables import Base, SceneState
from seaice_ops.ops.pages.app import create
from seaice_ops.settings import Settings
from seaice_ops.storage.rasters import png_bytes
from seaice_ops.storage.store import open_store

PLUGINS = Path(__file__).parents[3] / "plugins"
PNG = png_bytes(np.full((8, 8, 4), 200, np.uint8))


def keep(settings: Settings, *rows: Base) -> None:
    for row in rows:
        with open_ledger(settings).begin() as session:
            session.add(row)


@pytest.fixture
def shown(stored: Settings) -> Settings:
    """A season with one mapped tile, its picture in the store (folder or S3), and one tile without a map."""
    initialise(stored)
    newest = a_map(3, revision=2)
    failed = a_scene(4, state=SceneState.FAILED, reason="B04.jp2 is <b>truncated</b>", updated_at=now())
    keep(stored, a_model(), an_alias("champion"), a_score("unet/0123abcd", "truth", 0.912), a_map(2), newest, failed)
    keep(
        stored, a_scene(3), a_scene(1, "60CWS"), a_run("map", 1, done={"maps": 2}), a_run("train", 2, error="rank & 1")
    )
    open_store(stored.store).put(f"{newest.folder}/quicklook.png", PNG)
    return stored


@pytest.fixture
def client(shown: Settings) -> Iterator[TestClient]:
    with TestClient(create(lambda: shown, guards=[])) as client:
        yield client


class Outline(HTMLParser):
    """The tags of a page with their attributes, its text, and whether every tag is closed."""

    VOID = frozenset({"meta", "img", "link", "br", "hr", "input"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += " ".join(data.split()) + " "


def test_the_page_lists_tiles_with_their_newest_maps(client: TestClient) -> None:
    answer = client.get("/")
    assert answer.status_code == 200 and answer.headers["content-type"] == "text/html; charset=utf-8"
    page = Outline(answer.text)
    assert page.open == [], "a tag is not closed"
    newest = a_map(3, revision=2)
    of_tile = ("01CCV", "2026-02-02", "2026-02-04", "3 scenes", "12.5 km²", "30.2 km²", "62.1 km²", "1 failed")
    for words in (*of_tile, newest.id, "revision 2", "unet/0123abcd", "champion", "0.912", "map: 2 maps", "60CWS"):
        assert words in page.text, words
    assert a_map(2).id not in page.text
    classes = [attributes["class"] for tag, attributes in page.tags if "swatch" in (attributes.get("class") or "")]
    legend, of_maps = classes[:4], classes[4:]
    assert legend[-1] == "swatch land_or_shelf" and of_maps == legend[:3], "land is coloured, and is no class's area"
    [image] = [attributes for tag, attributes in page.tags if tag == "img"]
    assert image["alt"] == "Newest map of tile 01CCV" and image["src"] == f"maps/{newest.id}/quicklook.png"
    assert client.get(f"/{image['src']}").content == PNG
    assert "no map yet" in page.text and re.search(r"\d+ d old", page.text)
    assert "Late: 60CWS: it has no map yet" in page.text


def test_now_lists_every_tile_with_its_reason(shown: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    at = FIRST + timedelta(days=5)
    monkeypatch.setattr("seaice_ops.ops.pages.now.now", lambda: at)
    monkeypatch.setattr("seaice_ops.ops.account.late.now", lambda: at)
    with open_ledger(shown).begin() as session:
        session.add(a_scene(4, tile="60CWS", state=SceneState.FAILED, reason="<script>alert(1)</script>"))
    with TestClient(create(lambda: shown, guards=[])) as client:
        answer = client.get("/now")
    assert answer.status_code == 200 and "default-src 'none'" in answer.headers["content-security-policy"]
    page = Outline(answer.text)
    assert page.open == [] and not [tag for tag, _ in page.tags if tag == "script"]
    assert "01CCV" in page.text and "60CWS" in page.text and "<script>alert(1)</script>" in page.text
    strips = [attributes["aria-label"] for tag, attributes in page.tags if attributes.get("class") == "strip"]
    assert len(strips) == len(shown.tiles) and all(strips)


def test_a_tile_without_a_new_acquisition_says_so(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seaice_ops.ops.overview.collect.now", lambda: FIRST + timedelta(days=286))
    text = Outline(client.get("/").text).text
    assert "no acquisition since 2026-02-05 (282 days)" in text and "no acquisition since 2026-02-02" in text


def test_a_heading_of_a_table_is_never_broken(client: TestClient) -> None:
    rules = dict(re.findall(r"^([^{}\n]+) \{([^}]*)\}", client.get("/").text, re.MULTILINE))
    assert "nowrap" in rules["th, td"] and "white-space" not in rules["th"]


def test_what_came_from_outside_is_escaped(client: TestClient) -> None:
    text = client.get("/").text
    assert "B04.jp2 is &lt;b&gt;truncated&lt;/b&gt;" in text and "<b>truncated" not in text and "rank &amp; 1" in text


def test_nothing_is_loaded_from_elsewhere_and_nothing_runs(client: TestClient) -> None:
    answer = client.get("/")
    page = Outline(answer.text)
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object", "form"}
    links = [
        value or "" for _, attributes in page.tags for name, value in attributes.items() if name in ("src", "href")
    ]
    assert links and not [link for link in links if "//" in link or link.startswith("/")]
    assert "url(" not in answer.text and "@import" not in answer.text and "prefers-color-scheme: dark" in answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "style-src 'sha256-" in policy


def test_a_withdrawn_map_shows_its_cause_and_no_picture(shown: Settings, client: TestClient) -> None:
    gone = a_map(3, revision=3, scenes=0)
    gone.statistics = {"withdrawn": "its only acquisition was withdrawn: Corrupted"}
    keep(shown, gone)
    page = Outline(client.get("/").text)
    assert gone.id in page.text and "its only acquisition was withdrawn: Corrupted" in page.text
    assert not any("quicklook" in str(attrs) for _, attrs in page.tags)


def test_the_picture_is_a_png_that_may_be_kept(client: TestClient) -> None:
    answer = client.get(f"/maps/{a_map(3, revision=2).id}/quicklook.png")
    assert answer.content == PNG and answer.headers["content-type"] == "image/png"
    assert "immutable" in answer.headers["cache-control"] and "private" in answer.headers["cache-control"]


@pytest.mark.parametrize(
    ("map_id", "status"),
    [
        ("01CCV_20260101T000000_r1_00000000", 404),
        ("..%2f..%2fledger.sqlite", 404),
        ("%2e%2e", 422),
        (".hidden", 422),
        ("a%00b", 422),
        ("x" * 129, 422),
        ("a%20b", 422),
        ("a'--", 422),
    ],
)
def test_other_names_are_no_maps(client: TestClient, map_id: str, status: int) -> None:
    assert client.get(f"/maps/{map_id}/quicklook.png").status_code == status


def test_a_map_whose_picture_is_gone_is_not_found(client: TestClient) -> None:
    assert client.get(f"/maps/{a_map(2).id}/quicklook.png").status_code == 404


def test_a_picture_is_found_only_through_the_ledger(client: TestClient, shown: Settings) -> None:
    open_store(shown.store).put("maps/loose/quicklook.png", PNG)
    assert client.get("/maps/loose/quicklook.png").status_code == 404


def test_without_a_ledger_the_page_says_what_to_do(tmp_path: Path) -> None:
    with TestClient(create(lambda: settings_for(tmp_path / "<home>"), guards=[])) as client:
        answer = client.get("/")
        assert answer.status_code == 503 and "run `seaice init`" in answer.text and "<home>" not in answer.text
        assert Outline(answer.text).open == []
        assert client.get("/maps/x/quicklook.png").status_code == 503


def test_every_route_is_guarded(shown: Settings) -> None:
    def refuse() -> None:
        raise HTTPException(401, "Not authenticated")

    with TestClient(create(lambda: shown, guards=[Depends(refuse)])) as client:
        for path in ("/", f"/maps/{a_map(3, revision=2).id}/quicklook.png", "/maps/none/quicklook.png"):
            assert client.get(path).status_code == 401, path
        for path in ("/docs", "/openapi.json", "/redoc"):
            assert client.get(path).status_code == 404, path


def test_an_old_map_shows_its_age_in_days_and_a_young_one_in_hours(settings: Settings) -> None:
    keep(settings, a_model(), a_map(1), a_map(1, "60CWS"))
    with open_ledger(settings).begin() as session:
        for row in session.query(type(a_map(1))):
            row.window_end = now() - timedelta(hours=5 if row.tile == "01CCV" else 80, minutes=1)
    with TestClient(create(lambda: settings, guards=[])) as client:
        text = Outline(client.get("/").text).text
    assert "5 h old" in text and "3 d old" in text


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    monkeypatch.syspath_prepend(str(PLUGINS))
    import seaice_pages

    seaice_pages.application.cache_clear()
    yield seaice_pages
    seaice_pages.application.cache_clear()


def test_in_airflow_the_pages_need_a_login(plugin, shown: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Settings, "load", classmethod(lambda cls: shown))
    [mount] = plugin.SeaIcePages.fastapi_apps
    [view] = plugin.SeaIcePages.external_views
    assert view["href"] == f"{mount['url_prefix']}/" and view["destination"] == "nav"
    airflow = FastAPI()
    airflow.mount(mount["url_prefix"], mount["app"])
    with TestClient(airflow) as client:
        for path in ("/seaice/", f"/seaice/maps/{a_map(3, revision=2).id}/quicklook.png"):
            assert client.get(path).status_code == 401
    from airflow.api_fastapi.core_api.security import get_user

    class Manager:
        def __init__(self, allowed: bool) -> None:
            self.allowed = allowed

        def is_authorized_view(self, *, access_view, user) -> bool:
            return self.allowed and access_view.name == "PLUGINS" and user == "someone"

    plugin.application().dependency_overrides[get_user] = lambda: "someone"
    for allowed, status in ((False, 403), (True, 200)):
        monkeypatch.setattr(
            "airflow.api_fastapi.core_api.security.get_auth_manager", lambda allowed=allowed: Manager(allowed)
        )
        with TestClient(airflow) as client:
            assert client.get("/seaice/").status_code == status


def test_importing_the_plugin_is_light() -> None:
    code = (
        "import sys, time, airflow.sdk; start = time.perf_counter(); import seaice_pages; "
        "print(time.perf_counter() - start, *[m for m in "
        "('fastapi', 'rasterio', 'torch', 'cv2', 'pyspark', 'obstore', 'jinja2.environment') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=PLUGINS, capture_output=True, text=True, check=True)
    before = subprocess.run(
        [sys.executable, "-c", code.replace("import seaice_pages; ", "")], cwd=PLUGINS, capture_output=True, text=True
    )
    assert answer.stdout.split()[1:] == before.stdout.split()[1:], "the plugin adds heavy imports to airflow.sdk's"

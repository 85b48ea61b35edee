"""The report of an account in the store and in the console: the same in all forms, behind the guards, nothing runs."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import pytest
from fastapi import Depends, HTTPException
from fastapi.testclient import TestClient

from helpers.account_season import DAY, HOUR, Catalogue, Season
from seaice_ops.archive import listed
from seaice_ops.ledger.operations import now
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.stores import initialise
from seaice_ops.ledger.tables import SceneEvent, SceneState
from seaice_ops.ops.account import stage
from seaice_ops.ops.account.stage import AccountRequest
from seaice_ops.ops.pages.app import create
from seaice_ops.settings import Settings
from seaice_ops.storage.store import open_store

EVIL = "B04.jp2 is <script>alert(1)</script> | [x](javascript:1) \x1b[2J"


@pytest.fixture
def kept(stored: Settings, monkeypatch: pytest.MonkeyPatch) -> tuple[Settings, str, str]:
    """Settings with an account in the store (folder or S3), its folder, and the product that failed."""
    initialise(stored)
    season, sensed = Season(stored), now() - 3 * DAY
    bad = season.scene("01CCV", sensed, SceneState.FAILED, before=SceneState.DISCOVERED, attempts=3, reason=EVIL)
    season.product("01CCV", sensed)
    season.product("60CWS", sensed, published_at=now() - HOUR)
    with open_ledger(stored).begin() as session:
        session.add(bad)
        session.flush()
        session.add_all([row for row in season.rows if isinstance(row, SceneEvent)])
    monkeypatch.setattr(stage, "open_archive", lambda settings: Catalogue(season.offered))
    [folder] = stage.run(stored, AccountRequest(), caller="seaice_account.account daily")[0].items
    assert stage.run(stored, AccountRequest(sensed.date(), sensed.date()), caller="cli")[0].items != [folder]
    return stored, folder, bad.id


def test_every_form_tells_the_same(kept: tuple[Settings, str, str]) -> None:
    settings, folder, bad = kept
    store = open_store(settings.store)
    data = json.loads(store.get(f"{folder}/account.json"))
    assert data["total"]["reasons"] == {"not yet published": 1, "failed: file": 1} and data["archive"] == "asked"
    products = data["ingest"]["products"]
    assert bad in products and json.loads(store.get(f"{folder}/ingest.json")) == {"products": products}
    assert list(listed.read_list(store.get(f"{folder}/ingest.txt").decode())) == products
    for form in ("account.md", "account.html"):
        text = store.get(f"{folder}/{form}").decode()
        assert bad in text and "failed: file" in text and "\x1b" not in text
    assert "<script" not in store.get(f"{folder}/account.html").decode()
    assert not re.search(r"(?<!\\)\]\(javascript", store.get(f"{folder}/account.md").decode())


def test_the_console_shows_the_daily_account_and_refuses_the_rest(kept: tuple[Settings, str, str]) -> None:
    settings, folder, bad = kept
    client = TestClient(create(lambda: settings, guards=[]))
    assert "account" in client.get("/").text
    page = client.get("/account")
    assert page.status_code == 200 and str(page.url).endswith(f"/{folder}/account.html") and bad in page.text
    policy = page.headers["content-security-policy"]
    style = re.search(r"<style>(.*?)</style>", page.text, re.DOTALL)
    assert style and base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode() in policy
    assert "default-src 'none'" in policy and "script" not in policy
    for form in re.findall(r'href="([^"]+)"', page.text):
        assert client.get(f"/{folder}/{form}").status_code == 200
    for wrong in ("store.json", "account.exe", "..%2F..%2Fstore.json", "item.json"):
        assert client.get(f"/{folder}/{wrong}").status_code in (404, 422)
    assert client.get("/account/_all/2020-01-01/2020-01-01_2020-01-02/account.json").status_code == 404

    def refuse() -> None:
        raise HTTPException(401)

    shut = TestClient(create(lambda: settings, guards=[Depends(refuse)]))
    assert {shut.get(path).status_code for path in ("/account", f"/{folder}/account.json")} == {401}

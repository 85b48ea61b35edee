"""A list of products is ingested whatever became of them before, by the command line as by a DAG."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from helpers.factories import SENSED, make_product, product_name
from seaice_ops.archive import fetch, listed, search
from seaice_ops.cli import app
from seaice_ops.errors import ConfigError
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Scene, SceneState
from seaice_ops.scenes import decode
from seaice_ops.settings import Settings

BANDS = {b: np.full((8, 8) if b != "B11" else (4, 4), 2000, np.uint16) for b in ("B02", "B03", "B04", "B08", "B11")}
DAY = timedelta(days=1)


@pytest.fixture
def three(settings: Settings) -> list[str]:
    """Three products of three days: the first was never searched for, the second failed, the third is ready."""
    settings.archive_path.mkdir(parents=True)
    names = [make_product(settings.archive_path, bands=BANDS, sensed=SENSED + n * DAY) for n in range(3)]
    request = search.SearchRequest("sensed", SENSED + DAY, SENSED + 3 * DAY)
    items = search.run(settings, request).items
    metadata = settings.archive_path / f"{names[1]}.SAFE" / "MTD_MSIL1C.xml"
    right = metadata.read_bytes()
    metadata.write_bytes(right[:-1] + b" ")  # not what was published
    fetch.run(settings, fetch.FetchRequest(tuple(items)))
    metadata.write_bytes(right)
    decode.run(settings, decode.DecodeRequest(tuple(items)))
    assert states(settings) == {names[1]: "failed", names[2]: "ready"}
    return names


def states(settings: Settings) -> dict[str, str]:
    with open_ledger(settings).begin() as session:
        return {scene.id: scene.state.value for scene in session.scalars(select(Scene))}


def test_unknown_failed_and_lost_products_are_taken_up_and_others_left(settings: Settings, three: list[str]) -> None:
    with open_ledger(settings).begin() as session:
        key = session.get_one(Scene, three[2]).key
    found = listed.run(settings, listed.ListedRequest(tuple(three)))
    assert found.items == three[:2] and found.unchanged["scenes"] == 1
    (Path(settings.store) / str(key)).write_bytes(b"II*")
    assert listed.run(settings, listed.ListedRequest((three[2],))).items == [three[2]]
    assert set(states(settings).values()) == {SceneState.DISCOVERED.value}


def test_a_merger_that_failed_with_a_part_is_made_again(settings: Settings) -> None:
    settings.archive_path.mkdir(parents=True)
    first = make_product(settings.archive_path, bands=BANDS)
    second = make_product(
        settings.archive_path,
        bands=BANDS,
        datastrip=SENSED + timedelta(minutes=1),
        generated=SENSED + timedelta(hours=3),
    )
    metadata = settings.archive_path / f"{first}.SAFE" / "MTD_MSIL1C.xml"
    right = metadata.read_bytes()
    metadata.write_bytes(right[:-1] + b" ")
    for _ in range(2):
        items = search.run(settings, search.SearchRequest("sensed", SENSED, SENSED + DAY)).items
        fetch.run(settings, fetch.FetchRequest(tuple(items)))
        decode.run(settings, decode.DecodeRequest(tuple(items)))
    [merged] = states(settings).keys() - {first, second}
    assert states(settings) == {first: "failed", second: "ready", merged: "failed"}
    metadata.write_bytes(right)
    assert search.run(settings, search.SearchRequest("sensed", SENSED, SENSED + DAY)).items == []
    items = listed.run(settings, listed.ListedRequest((first,))).items
    assert items == [merged]
    fetch.run(settings, fetch.FetchRequest(tuple(items)))
    decode.run(settings, decode.DecodeRequest(tuple(items)))
    assert states(settings) == {first: "superseded", second: "superseded", merged: "ready"}


def test_what_cannot_be_ingested_is_told_with_its_reason(settings: Settings, three: list[str]) -> None:
    gone, foreign = product_name(SENSED + 9 * DAY), product_name(SENSED, tile="59CMV")
    found = listed.run(settings, listed.ListedRequest(("no\x1bsense", gone, foreign)))
    assert found.items == [] and found.skipped == {gone: "the archive does not offer it"}
    assert "neither the name" in found.failed["no\\x1bsense"] and "no configured region" in found.failed[foreign]
    with pytest.raises(ConfigError, match="names no product"):
        listed.ListedRequest(listed.read_list("# nothing\n\n"))


def test_the_command_line_takes_the_list_as_it_is(
    settings: Settings, three: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "seaice.yaml"
    config.write_text(json.dumps({"regions": {"test": {"title": "Test", "tiles": list(settings.tiles)}}}))
    monkeypatch.setenv("SEAICE_CONFIG", str(config))
    monkeypatch.setenv("SEAICE_HOME", str(settings.home))
    file = tmp_path / "ingest.txt"
    file.write_text("# missing\n" + "".join(f"{name}.SAFE\n" for name in three))
    done = CliRunner().invoke(app, ["ingest", "--list", str(file), "--json"])
    assert done.exit_code == 0 and json.loads(done.stdout)["done"]["ready"] == 2
    assert set(states(settings).values()) == {"ready"}
    assert CliRunner().invoke(app, ["ingest", "--list", str(file), "--from", "2026-02-01"]).exit_code == 2
    refused = CliRunner().invoke(app, ["ingest", "--list", str(tmp_path / "none")])
    assert refused.exit_code == 1 and "cannot be read" in refused.stderr

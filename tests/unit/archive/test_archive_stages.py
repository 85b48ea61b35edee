"""Search and fetch as stages: the ledger after each run, and repeated runs that report nothing new."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import select

from helpers.factories import SENSED, band_path, make_plain, make_product, write_entry
from seaice_ops.archive import fetch, search
from seaice_ops.archive.fetch import FetchRequest
from seaice_ops.archive.search import SearchRequest
from seaice_ops.errors import ConfigError
from seaice_ops.ledger.operations import now
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Scene, SceneState
from seaice_ops.settings import Settings

EVER = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
BANDS = {
    band: np.full((8, 8) if band != "B11" else (4, 4), 2000, np.uint16) for band in ("B02", "B03", "B04", "B08", "B11")
}


@pytest.fixture
def archive(settings):
    settings.archive_path.mkdir(parents=True)
    return settings.archive_path


def look(settings, by="sensed", start=EVER[0], end=EVER[1], tiles=None):
    return search.run(settings, SearchRequest(by, start, end, tiles))


def get(settings, *ids):
    return fetch.run(settings, FetchRequest(ids))


def scenes(settings) -> dict[str, Scene]:
    with open_ledger(settings).begin() as session:
        return {scene.id: scene for scene in session.scalars(select(Scene))}


def states(settings):
    return {id_: scene.state.value for id_, scene in scenes(settings).items()}


def set_state(settings, scene_id, state, **values):
    with open_ledger(settings).begin() as session:
        scene = session.get(Scene, scene_id)
        scene.state = state
        for name, value in values.items():
            setattr(scene, name, value)


# ---- search


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"by": "cloud"}, "by 'published' or 'sensed'"),
        ({"start": datetime(2026, 1, 1)}, "no time zone"),
        ({"end": EVER[0]}, "is empty"),
    ],
)
def test_wrong_request(fields, words):
    with pytest.raises(ConfigError, match=words):
        SearchRequest(**{"by": "sensed", "start": EVER[0], "end": EVER[1], **fields})


def test_request_for_an_unknown_tile(settings, archive):
    with pytest.raises(ConfigError, match="33XWJ"):
        look(settings, tiles=("33XWJ",))


def test_missing_archive_is_a_configuration_error_kept_in_the_ledger(settings):
    with pytest.raises(ConfigError, match="cannot list the archive folder"):
        look(settings)


def test_empty_archive_is_an_empty_summary(settings, archive):
    summary = look(settings)
    assert summary.nothing_new
    assert (summary.items, summary.failed, summary.skipped) == ([], {}, {})


def test_new_scene_is_recorded_with_everything_its_name_says(settings, archive):
    name = make_product(archive, bands=BANDS)
    summary = look(settings)
    assert (summary.items, dict(summary.done)) == ([name], {"scenes": 1})
    scene = scenes(settings)[name]
    assert scene.state is SceneState.DISCOVERED
    assert (scene.identity, scene.tile, scene.platform, scene.relative_orbit, scene.baseline, scene.href) == (
        "S2B_20260201T201529_T01CCV_R028",
        "01CCV",
        "S2B",
        28,
        "05.11",
        f"{name}.SAFE",
    )
    assert (scene.sensed_at, scene.published_at) == (SENSED, SENSED + timedelta(hours=2))


def test_repeated_search_reports_nothing_new_but_still_what_to_fetch(settings, archive):
    name = make_product(archive, bands=BANDS)
    look(settings)
    again = look(settings)
    assert again.nothing_new
    assert (again.items, again.unchanged["scenes"]) == ([name], 1)
    set_state(settings, name, SceneState.READY)
    assert look(settings).items == []


def test_abandoned_scenes_of_the_same_tiles_are_offered_whatever_the_interval(settings, archive):
    name = make_product(archive, bands=BANDS)
    make_product(archive, bands=BANDS, tile="60CWS")
    look(settings)
    later = (SENSED + timedelta(days=30), SENSED + timedelta(days=31))
    for state in (SceneState.DISCOVERED, SceneState.FETCHED):
        set_state(settings, name, state)
        for hours, offered in ((0, []), (2, [name])):  # at first the run that found it is at work on it
            with open_ledger(settings).begin() as session:
                scene = session.get_one(Scene, name)
                scene.updated_at, scene.claimed_by = now() - timedelta(hours=hours), "another run"
            assert look(settings, "sensed", *later, ("01CCV",)).items == offered


def test_duplicate_in_an_older_baseline(settings, archive):
    new = make_product(archive, bands=BANDS, baseline="0511")
    old = make_product(archive, bands=BANDS, baseline="0301", offset=None)
    summary = look(settings)
    assert (summary.items, dict(summary.done)) == ([new], {"scenes": 1, "superseded": 1})
    assert scenes(settings)[old].superseded_by == new


def test_newer_version_is_offered_while_the_old_one_stays_ready(settings, archive):
    old = make_product(archive, bands=BANDS, baseline="0301")
    look(settings)
    set_state(settings, old, SceneState.READY)
    new = make_product(archive, bands=BANDS, baseline="0511")
    assert look(settings).items == [new]
    assert states(settings) == {old: "ready", new: "discovered"}


def test_published_and_sensed_searches_converge(settings, archive):
    late = make_product(archive, bands=BANDS, published=SENSED + timedelta(days=5))
    day = timedelta(days=1)
    assert look(settings, "published", SENSED, SENSED + day).items == []
    assert look(settings, "published", SENSED + 5 * day, SENSED + 6 * day).items == [late]
    assert look(settings, "sensed", SENSED, SENSED + day).nothing_new


def test_unknown_tile_fails_once_with_its_reason_and_is_taken_once_configured(settings, archive):
    name = make_product(archive, bands=BANDS, tile="33XWJ")
    good = make_product(archive, bands=BANDS)
    summary = look(settings)
    assert summary.items == [good]
    assert f"{name}.SAFE: tile 33XWJ is in no configured region" in summary.failed[name]
    assert (scenes(settings)[name].state, scenes(settings)[name].reason) == (SceneState.FAILED, summary.failed[name])
    assert look(settings).nothing_new
    wider = Settings.model_validate(
        {**settings.model_dump(), "regions": {"all": {"title": "All", "tiles": ["01CCV", "33XWJ", "60CWS"]}}}
    )
    summary = look(wider)
    assert (set(summary.items), dict(summary.done)) == ({name, good}, {"retried": 1})


def test_unreadable_entry_fails_once_and_recovers_when_it_is_repaired(settings, archive):
    name = make_product(archive, bands=BANDS)
    (archive / f"{name}.json").write_text("{")
    assert "the file is not JSON" in look(settings).failed[name]
    assert look(settings).nothing_new
    write_entry(archive, name, SENSED)
    assert look(settings).items == [name]
    assert scenes(settings)[name].identity == "S2B_20260201T201529_T01CCV_R028"


# ---- fetch


def test_fetched_scene_has_its_files_and_its_state(settings, archive):
    name = make_product(archive, bands=BANDS)
    look(settings)
    summary = get(settings, name)
    assert dict(summary.done) == {"scenes": 1}
    files = [path for path in settings.inbox(name).rglob("*") if path.is_file()]
    assert len(files) == 7
    assert summary.bytes_in == sum(path.stat().st_size for path in files)
    assert states(settings) == {name: "fetched"}
    again = get(settings, name)
    assert again.nothing_new
    assert again.bytes_in == 0


def test_fetch_resumes_with_what_is_missing_or_wrong(settings, archive):
    name = make_product(archive, bands=BANDS)
    look(settings)
    get(settings, name)
    inbox = settings.inbox(name)
    kept, wrong, gone = (next(inbox.rglob(f"*_{band}.jp2")) for band in ("B02", "B03", "B04"))
    before = kept.stat().st_mtime_ns
    wrong.write_bytes(b"half")
    size = gone.stat().st_size
    gone.unlink()
    summary = get(settings, name)
    assert summary.bytes_in == size + wrong.stat().st_size
    assert kept.stat().st_mtime_ns == before
    assert gone.exists()


def test_wrong_checksum_fails_one_scene_and_leaves_the_others(settings, archive):
    bad = make_product(archive, bands=BANDS)
    good = make_product(archive, bands=BANDS, sensed=SENSED + timedelta(days=1))
    path = band_path(archive, bad, "B11")
    data = path.read_bytes()
    path.write_bytes(data[:-1] + b"!")
    look(settings)
    summary = get(settings, bad, good)
    assert dict(summary.done) == {"scenes": 1}
    assert str(path) in summary.failed[bad] and "was published" in summary.failed[bad]
    rows = scenes(settings)
    assert (rows[bad].state, rows[bad].reason, rows[bad].attempts) == (SceneState.FAILED, summary.failed[bad], 1)
    assert rows[good].state is SceneState.FETCHED
    assert look(settings).items == [good]
    assert "failed before" in get(settings, bad).skipped[bad]


def test_repaired_product_is_taken_up_again(settings, archive):
    name = make_product(archive, bands=BANDS)
    path = band_path(archive, name, "B11")
    path.write_bytes(path.read_bytes()[:-1])
    look(settings)
    get(settings, name)
    assert look(settings).items == []
    write_entry(archive, name, SENSED)  # the file as it is is now what was published
    assert look(settings).items == [name]
    assert dict(get(settings, name).done) == {"scenes": 1}
    assert scenes(settings)[name].attempts == 0


def test_plain_scene_is_fetched_with_its_sidecar(settings, archive):
    make_plain(archive, "ross", np.full((4, 5, 3), 90, np.uint8))
    get(settings, *look(settings).items)
    assert sorted(path.name for path in settings.inbox("ross").iterdir()) == ["ross.json", "ross.png"]


def test_unknown_scene_is_a_configuration_error(settings, archive):
    with pytest.raises(ConfigError, match="knows no scene nobody"):
        get(settings, "nobody")


def test_inbox_that_cannot_be_written_is_a_configuration_error_that_names_it(settings, archive):
    name = make_product(archive, bands=BANDS)
    look(settings)
    settings.work.write_text("a file where the folder should be")
    with pytest.raises(ConfigError, match=rf"cannot write .*{settings.work}.*set SEAICE_HOME"):
        get(settings, name)
    assert states(settings) == {name: "discovered"}
    settings.work.unlink()
    assert dict(get(settings, name).done) == {"scenes": 1}


def test_what_needs_no_fetching_is_left_alone(settings, archive):
    name = make_product(archive, bands=BANDS)
    look(settings)
    set_state(settings, name, SceneState.READY)
    assert get(settings, name).nothing_new
    assert not settings.inbox(name).exists()

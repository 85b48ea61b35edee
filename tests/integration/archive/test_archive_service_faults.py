"""Every fault that the Copernicus services may show, through the real stages: the right outcome, and nothing twice."""

from __future__ import annotations

import shutil
import time
from datetime import timedelta

import pytest

from helpers.cdse_service import Catalogue, faults, service, tiny_product
from helpers.cdse_service.runs import bring, find, ingest, rough_product, scenes, states
from helpers.cdse_service.settings import account, keys, settings_of
from helpers.factories import SENSED
from seaice_ops.archive import fetch
from seaice_ops.archive.fetch import FetchRequest
from seaice_ops.errors import ArchiveUnavailable, ConfigError, QuotaExceeded, TransientError
from seaice_ops.ledger.stores import initialise

DAY = timedelta(days=1)
NEEDED = ("MTD_MSIL1C.xml", "MTD_TL.xml", "_B02.jp2", "_B03.jp2", "_B04.jp2", "_B08.jp2", "_B11.jp2")
#: The route of a file, and who fetches by it.
ROUTES = {"s3.get": keys, "odata.file": account}


@pytest.fixture(scope="module")
def server():
    with service() as space:
        yield space


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive")
    rough_product(folder)
    return folder


@pytest.fixture
def space(server, monkeypatch):
    """The service without products and faults, and nobody's credentials."""
    server.catalogue = Catalogue()
    server.faults.clear()
    server.identity.end_sessions()
    server.identity.max_sessions = 100
    server.log.clear()
    for name in ("USERNAME", "PASSWORD", "S3_ACCESS_KEY", "S3_SECRET_KEY"):
        monkeypatch.delenv(f"SEAICE_ARCHIVE_{name}", raising=False)
    return server


@pytest.fixture(params=ROUTES)
def route(request, space, archive, monkeypatch):
    """The route by which the one product in the archive is fetched, with the credentials for it."""
    (name,) = space.catalogue.publish_folder(archive)
    space.name = name
    enter(ROUTES[request.param](space), monkeypatch)
    return request.param


def enter(environment, monkeypatch):
    for key, value in environment.items():
        monkeypatch.setenv(key, value)


@pytest.fixture(scope="module")
def ledger(server, tmp_path_factory):
    """An empty ledger; making one takes longer than a test."""
    settings = settings_of(server, tmp_path_factory.mktemp("ledger"))
    initialise(settings)
    return settings.home / "ledger.sqlite"


@pytest.fixture
def client(server, ledger, tmp_path):
    """client(pages_of=..., **patience) -> settings of a new home with an empty ledger."""

    def make(pages_of=100, **http):
        home = tmp_path / "home"
        home.mkdir()
        shutil.copy(ledger, home)
        settings = settings_of(server, home, http=http, page=pages_of)
        initialise(settings)
        return settings

    return make


def size_of(space, ending):
    (product,) = space.catalogue.visible()
    return next(product.size(path) for path in product.files if path.endswith(ending))


def is_whole(space, settings) -> bool:
    """Whether the one product was fetched, every byte of it right, and nothing else is in its inbox."""
    (product,) = space.catalogue.visible()
    inbox = settings.inbox(product.name)
    found = {p.relative_to(inbox).as_posix(): p.read_bytes() for p in inbox.rglob("*") if p.is_file()}
    needed = [path for path in product.files if path.endswith(NEEDED) and not path.startswith("DATASTRIP")]
    return states(settings) == {product.name: "fetched"} and found == {path: product.read(path) for path in needed}


ONCE = {
    "cut at once": faults.cut(at=0),
    "status 500": faults.status(500),
    "status 502": faults.status(502),
    "status 503": faults.status(503, retry_after=0),
    "status 429": faults.status(429),
    "one byte wrong": faults.corrupt,
    "short": faults.short(by=9),
    "length too large": faults.wrong_length(by=100),
    "length too small": faults.wrong_length(by=-100),
    "a page instead": faults.not_json,
}


@pytest.mark.parametrize("fault", ONCE.values(), ids=ONCE)
def test_a_file_that_goes_wrong_once_is_right_in_the_end(space, route, client, fault):
    space.faults.add(route, fault, match="_B04.jp2")
    settings = client()
    bring(settings)
    assert is_whole(space, settings)
    assert space.faults.struck == 1 and len(space.log.of(route, "_B04.jp2")) <= 3


def test_a_scene_is_ready_by_either_route(space, route, client):
    settings = client()
    ingest(settings)
    (scene,) = scenes(settings).values()
    assert scene.state == "ready" and scene.width == 256
    assert not list(settings.inbox(space.name).rglob("*"))


def test_a_cut_transfer_goes_on_where_it_stood(space, route, client):
    for cut in (40_000, 20_000, 1):
        space.faults.add(route, faults.cut(at=cut), match="_B08.jp2")
    settings = client()
    bring(settings)
    asked = space.log.of(route, "_B08.jp2")
    assert [entry.status for entry in asked] == [200, 206, 206, 206]
    assert space.log.bytes_sent(route, "_B08.jp2") == size_of(space, "_B08.jp2")
    assert is_whole(space, settings)


def test_a_server_without_ranges_starts_the_file_again(space, route, client):
    space.faults.add(route, faults.cut(at=40_000), match="_B08.jp2")
    space.faults.add(route, faults.ignore_range, match="_B08.jp2")
    settings = client()
    bring(settings)
    assert [entry.status for entry in space.log.of(route, "_B08.jp2")] == [200, 200]
    assert is_whole(space, settings)


@pytest.mark.parametrize("form", [1, "date"])
def test_retry_after_is_obeyed(space, route, client, form):
    space.faults.add(route, faults.status(429, retry_after=form), match="_B03.jp2")
    settings = client()
    bring(settings)
    first, second = space.log.of(route, "_B03.jp2")
    assert second.began - first.ended >= 0.9
    assert states(settings) == {space.name: "fetched"}


def test_a_long_retry_after_ends_the_task_and_says_when(space, route, client):
    space.faults.add(route, faults.status(429, retry_after=3600), times=99, match="_B03.jp2")
    settings = client()
    found = find(settings)
    with pytest.raises(QuotaExceeded, match="3600 s") as caught:
        fetch.run(settings, FetchRequest(tuple(found.items)))
    assert caught.value.again is not None
    assert len(space.log.of(route, "_B03.jp2")) == 1
    assert states(settings) == {space.name: "discovered"}  # nothing is wrong with the scene


def test_a_wrong_checksum_that_stays_sets_the_scene_aside(space, route, client):
    space.faults.add(route, faults.corrupt, times=99, match="_B02.jp2")
    settings = client()
    for tries in range(1, fetch.TRIES + 1):
        summaries = bring(settings)
        (scene,) = scenes(settings).values()
        assert (scene.state, scene.attempts) == ("failed" if tries == fetch.TRIES else "discovered", tries)
        assert summaries[1].failed == {space.name: scene.reason}
        assert "_B02.jp2" in scene.reason and "sha3_256 is" in scene.reason
        assert len(space.log.of(route, "_B02.jp2")) == 2 * tries  # once more, not for ever
    assert not bring(settings)[0].items
    assert not list(settings.inbox(space.name).rglob("*_B02.jp2"))


@pytest.mark.parametrize("fault", [faults.corrupt, faults.status(404)])
def test_a_file_that_is_wrong_or_missing_for_a_whole_run_is_had_by_the_next(space, route, client, fault):
    space.faults.add(route, fault, times=2, match="_B02.jp2")
    settings = client()
    assert space.name in bring(settings)[1].failed
    assert states(settings) == {space.name: "discovered"}
    bring(settings)
    assert is_whole(space, settings)


def test_a_file_shorter_than_published_sets_its_scene_aside_and_no_other(space, route, client):
    other = space.catalogue.publish(tiny_product(SENSED + DAY))
    space.faults.add(route, faults.short(by=10_000), times=99, match=f"{SENSED:%Y%m%dT%H%M%S}_B08.jp2")
    settings = client()
    for _ in range(fetch.TRIES):
        bring(settings)
    assert states(settings) == {space.name: "failed", other: "fetched"}
    assert "were published" in scenes(settings)[space.name].reason


def test_a_web_page_in_the_place_of_files_is_no_fault_of_theirs(space, route, client):
    space.faults.add(route, faults.not_json, times=99)
    settings = client()
    with pytest.raises(ArchiveUnavailable, match="web page"):
        bring(settings)
    space.faults.clear()
    bring(settings)
    assert is_whole(space, settings)


def test_an_outage_is_left_alone_until_it_may_be_over(space, client, many):
    settings = client(attempts=1)
    outage = settings.archive.outage.model_copy(update={"failures": 2, "first_wait_s": 1.0})
    settings = settings.model_copy(update={"archive": settings.archive.model_copy(update={"outage": outage})})
    space.faults.add("*", faults.status(503), times=999)
    for _ in range(2):
        with pytest.raises(ArchiveUnavailable, match="503"):
            find(settings)
    asked = len(space.log.of())
    with pytest.raises(ArchiveUnavailable) as caught:
        find(settings)
    assert len(space.log.of()) == asked and caught.value.again is not None
    space.faults.clear()
    time.sleep(1.1)
    find(settings)
    assert set(states(settings)) == many


def test_a_slow_drip_is_left_and_taken_up_again(space, route, client):
    space.faults.add(route, faults.drip(piece=300, pause=0.1), match="_B11.jp2")
    settings = client(window_s=0.5)
    bring(settings)
    dripping, *_, second = space.log.of(route, "_B11.jp2")
    assert dripping.bytes < size_of(space, "_B11.jp2") / 4
    assert second.status == 206 and is_whole(space, settings)


def test_a_server_that_hangs_is_asked_again(space, route, client):
    space.faults.add(route, faults.hang(30), match="_B11.jp2")
    settings = client(timeout_s=1.0)
    bring(settings)
    assert is_whole(space, settings)
    assert len(space.log.of(route, "_B11.jp2")) >= 2


def test_a_service_that_is_down_is_one_error_and_the_next_run_goes_on(space, route, client):
    settings = client()
    found = find(settings)
    space.faults.add(route, faults.cut(at=60_000), match="_B08.jp2")
    space.faults.add(route, faults.status(503), times=99, match="_B08.jp2")
    with pytest.raises(ArchiveUnavailable, match="503"):
        fetch.run(settings, FetchRequest(tuple(found.items)))
    assert len(space.log.of(route, "_B08.jp2")) == 4  # settings: four tries
    space.faults.clear()
    space.log.clear()
    bring(settings)
    assert is_whole(space, settings)
    (last,) = space.log.of(route, ".jp2")  # the other files had come
    assert last.status == 206 and last.bytes == size_of(space, "_B08.jp2") - 60_000


def test_a_token_that_ends_in_mid_transfer_is_renewed(space, archive, client, monkeypatch):
    space.catalogue.publish_folder(archive)
    enter(account(space), monkeypatch)
    ends = faults.then(faults.cut(at=50_000), space.identity.end_access)
    space.faults.add("odata.file", ends, match="_B08.jp2")
    settings = client()
    bring(settings)
    assert is_whole(space, settings)
    grants = [entry.request.form["grant_type"] for entry in space.log.of("token")]
    assert grants == ["password", "refresh_token"] and space.identity.sessions == 1
    delivered = [entry for entry in space.log.of("odata.file", "_B08.jp2") if entry.status in (200, 206)]
    assert sum(entry.bytes for entry in delivered) == size_of(space, "_B08.jp2")


def test_a_session_that_was_ended_is_begun_again(space, archive, client, monkeypatch):
    space.catalogue.publish_folder(archive)
    enter(account(space), monkeypatch)
    space.faults.add("odata.file", faults.then(faults.cut(at=9), space.identity.end_sessions), match="_B08.jp2")
    settings = client()
    bring(settings)
    grants = [entry.request.form["grant_type"] for entry in space.log.of("token")]
    assert grants == ["password", "refresh_token", "password"] and is_whole(space, settings)


def test_too_many_sessions_are_waited_for(space, archive, client, monkeypatch):
    space.catalogue.publish_folder(archive)
    enter(account(space), monkeypatch)
    space.identity.max_sessions = 0
    settings = client()
    found = find(settings)
    with pytest.raises(QuotaExceeded, match="429"):
        fetch.run(settings, FetchRequest(tuple(found.items)))
    assert len(space.log.of("token")) == 4
    space.identity.max_sessions = 100
    assert fetch.run(settings, FetchRequest(tuple(found.items))).done["scenes"] == 1


@pytest.mark.parametrize("who", [keys, account])
def test_wrong_credentials_are_a_matter_for_people(space, archive, client, monkeypatch, who):
    space.catalogue.publish_folder(archive)
    enter({name: f"wrong-{value[:4]}" for name, value in who(space).items()}, monkeypatch)
    settings = client()
    found = find(settings)
    with pytest.raises(ConfigError, match=r"credentials|does not accept") as caught:
        fetch.run(settings, FetchRequest(tuple(found.items)))
    assert "wrong-" not in str(caught.value)
    assert states(settings) == {found.items[0]: "discovered"}
    assert len(space.log.of("token")) + len(space.log.of("s3.get")) <= 7  # no hammering


@pytest.fixture
def many(space):
    """Thirty tiny products of one tile."""
    for number in range(30):
        space.catalogue.publish(tiny_product(SENSED + number * DAY))
    return {product.name for product in space.catalogue.visible()}


PAGES = {
    "500": faults.status(500),
    "429": faults.status(429, retry_after=0),
    "truncated": faults.truncated_json,
    "not json": faults.not_json,
    "empty page": faults.empty_page,
    "repeated page": faults.repeated_page,
    "cut": faults.cut(at=100),
    "hang": faults.hang(30),
}


@pytest.mark.parametrize(
    ("fault", "times"), [(name, times) for name in PAGES for times in (1, 99) if (name, times) != ("429", 99)]
)
def test_a_search_finds_everything_whatever_its_pages_do(space, client, many, fault, times):
    """A fault that passes, and one that stays: then OData is asked instead."""
    space.faults.add("stac.search", PAGES[fault], times=times)
    settings = client(pages_of=7, timeout_s=0.5)
    summary = find(settings)
    assert set(states(settings)) == many and len(summary.items) == 30
    assert space.faults.struck >= 1
    assert len(space.log.of("stac.search")) < 30


@pytest.mark.parametrize("skip", [1, 3])
def test_pages_that_go_wrong_later_lose_nothing(space, many, client, skip):
    settings = client(pages_of=7)
    space.faults.add("stac.search", faults.empty_page, skip=skip)
    space.faults.add("stac.search", faults.repeated_page, skip=skip + 1)
    find(settings)
    assert set(states(settings)) == many


@pytest.mark.parametrize(
    "fault",
    [faults.status(503), faults.truncated_json, faults.empty_page, faults.repeated_page, faults.cut(at=100)],
    ids=["503", "truncated", "empty page", "repeated page", "cut"],
)
def test_the_second_catalogue_bears_the_same(space, many, client, fault):
    space.faults.add("stac", faults.status(503), times=999)
    space.faults.add("odata.search", fault)
    settings = client()
    find(settings)
    assert set(states(settings)) == many


def test_both_catalogues_down_is_one_transient_error(space, many, client):
    space.faults.add("*", faults.status(503), times=999)
    settings = client()
    with pytest.raises(TransientError, match="503"):
        find(settings)
    assert states(settings) == {}


def test_an_item_without_a_needed_asset_waits_for_it(space, archive, client, monkeypatch):
    (name,) = space.catalogue.publish_folder(archive)
    enter(keys(space), monkeypatch)
    space.faults.add("stac.search", faults.without_asset("B08"), times=99)
    settings = client()
    found = find(settings)
    assert not found.items and "_B08.jp2" in found.failed[name]
    space.faults.clear()
    bring(settings)
    assert states(settings) == {name: "fetched"}


def test_credentials_do_not_follow_a_redirection_to_strangers(space, route, client):
    with service() as stranger:
        elsewhere = f"{stranger.url.replace('127.0.0.1', 'localhost')}/v1"
        space.faults.add(route, faults.redirect(elsewhere), times=99, match="_B08.jp2")
        settings = client()
        bring(settings)
        met = stranger.log.of()
        assert met and not any("authorization" in entry.request.headers for entry in met)
    assert states(settings) == {space.name: "discovered"}


def test_never_more_connections_than_allowed(archive, tmp_path, monkeypatch):
    with service() as space:
        space.catalogue.publish_folder(archive)
        enter(keys(space), monkeypatch)
        space.faults.add("s3.get", faults.drip(piece=20_000, pause=0.02), times=99)
        settings = settings_of(space, tmp_path, http={"min_bytes_s": 0.0})
        initialise(settings)
        fetch.run(settings, FetchRequest(tuple(find(settings).items)))
        assert 2 <= space.log.most_at_once("s3.get") <= 4
        assert space.log.most_connections <= 5  # four transfers, and the search's own, idle by then

"""Searches against a real STAC API on PostgreSQL: the same products as a search of the plain catalogue finds."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from helpers.cdse_service import Catalogue, faults, service, tiny_product
from helpers.cdse_service.runs import states
from helpers.cdse_service.settings import QUICK, settings_of
from helpers.cdse_service.stac_item import collection, item
from helpers.stac_server import stac_api
from seaice_ops.archive import search
from seaice_ops.archive.product import By
from seaice_ops.archive.search import SearchRequest
from seaice_ops.archive.source import open_archive
from seaice_ops.ledger.stores import initialise
from seaice_ops.settings import ArchiveSettings

BASE = datetime(2026, 1, 20, 20, 15, 29, tzinfo=UTC)
TILES = ["01CCV", "60CWS", "01WCS", "33XWJ"]
HOURS = st.integers(-24, 40 * 24)


@pytest.fixture(scope="module")
def products():
    """One a day over four tiles, published hours or weeks later; some reprocessed, one from two ground stations."""
    catalogue = Catalogue()
    for number in range(40):
        sensed = BASE + timedelta(hours=23 * number, minutes=37 * number)
        late = timedelta(hours=2 if number % 7 else 240)
        name = catalogue.publish(tiny_product(sensed, TILES[number % 4], published=sensed + late))
        if number % 5 == 0:
            catalogue.reprocess(name, "0512", sensed + timedelta(days=20))
        if number == 8:
            catalogue.second_station(name, sensed + timedelta(days=1))
    return catalogue.visible()


@pytest.fixture(scope="module")
def server(products):
    """The address of a STAC API that holds the items of `products`."""
    with stac_api() as (url, load):
        load(collection("http://cdse/v1"), [item("http://cdse/v1", product) for product in products])
        yield url


@pytest.fixture(scope="module")
def settings(server, tmp_path_factory):
    """Settings that search this API; a page holds 7 items. Without it there is nobody else to ask."""
    with service() as space:
        space.faults.add("*", faults.status(503), times=10**6)
        settings = settings_of(space, tmp_path_factory.mktemp("home"), page=7)
        cdse = settings.archive.cdse.model_copy(update={"stac_url": server})
        region = settings.regions["test"].model_copy(update={"tiles": tuple(TILES)})
        archive = settings.archive.model_copy(update={"cdse": cdse})
        settings = settings.model_copy(update={"archive": archive, "regions": {"test": region}})
        initialise(settings)
        yield settings


def expected(products, tiles, by: By, start, end) -> set[str]:
    times = {product.name: product.published if by == "published" else product.sensed_at for product in products}
    return {p.name for p in products if p.tile in tiles and start <= times[p.name] < end}


@given(
    tiles=st.lists(st.sampled_from(TILES), min_size=1, unique=True),
    by=st.sampled_from(["published", "sensed"]),
    first=HOURS,
    length=st.integers(1, 30 * 24),
)
@profile(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_search_finds_what_a_plain_look_finds(settings, products, tiles, by, first, length):
    start = BASE + timedelta(hours=first)
    end = start + timedelta(hours=length)
    found = open_archive(settings).search(tiles, by, start, end)
    assert [product.id for product in found] == [p.id for p in sorted(found, key=lambda p: (p.sensed_at, p.id))]
    assert {product.id for product in found} == expected(products, tiles, by, start, end)
    assert not [product.problem for product in found if product.problem]


def test_what_is_found_is_what_was_published(settings, products):
    found = {p.id: p for p in open_archive(settings).search(TILES, "sensed", BASE, BASE + timedelta(days=90))}
    assert set(found) == {product.name for product in products}
    for product in products:
        seen = found[product.name]
        assert (seen.tile, seen.sensed_at, seen.published_at) == (product.tile, product.sensed_at, product.published)
        assert seen.datastrip == product.datastrip and seen.href == f"s3://eodata/{product.prefix}"
        for file in seen.files:
            algorithm, _, digest = file.checksum.partition(":")
            assert (algorithm, file.size) == ("sha3_256", product.size(file.path))
            assert digest == product.digest(file.path, "SHA3-256")


@pytest.mark.parametrize("by", ["published", "sensed"])
def test_the_general_stac_archive_finds_the_same(settings, server, products, by):
    stac = {"url": server, "published": "published", "page": 7}
    archive = ArchiveSettings.model_validate({"kind": "stac", "stac": stac, "http": QUICK})
    elsewhere = settings.model_copy(update={"archive": archive})
    start, end = BASE + timedelta(days=3), BASE + timedelta(days=30)
    found = open_archive(elsewhere).search(TILES, by, start, end)
    assert {product.id for product in found} == expected(products, TILES, by, start, end)
    assert not [product.problem for product in found if product.problem]


def test_the_search_stage_takes_the_best_of_each(settings, products):
    search.run(settings, SearchRequest("sensed", BASE, BASE + timedelta(days=90)))
    catalogue = Catalogue()
    for product in products:
        catalogue.publish(product)
    truth = catalogue.truth()
    best = {id_ for id_, state in states(settings).items() if state == "discovered"}
    assert {id_.partition("_with_")[0] for id_ in best} == {parts[0] for parts in truth.values()}
    assert sum("_with_" in id_ for id_ in best) == sum(len(parts) > 1 for parts in truth.values()) == 1
    shutil.rmtree(settings.home)

"""A season at the local Copernicus service, with faults at random: in the end the ledger holds the archive's truth."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from helpers.cdse_service import faults, folder_product, service
from helpers.cdse_service.products import complete
from helpers.cdse_service.runs import objects, rough_product, scenes
from helpers.cdse_service.settings import account, keys, settings_of
from seaice_ops.archive import fetch, search
from seaice_ops.archive.fetch import FetchRequest
from seaice_ops.archive.search import SearchRequest
from seaice_ops.errors import TransientError
from seaice_ops.ledger.stores import initialise
from seaice_ops.ops.account import stage as account_stage
from seaice_ops.ops.account.reasons import Reason
from seaice_ops.ops.account.stage import AccountRequest
from seaice_ops.scenes import decode
from seaice_ops.scenes.decode import DecodeRequest

DAY, HOUR = timedelta(days=1), timedelta(hours=1)

#: What may go wrong on any day, where, and how often in a row.
TROUBLE = [
    ("stac.search", faults.status(503), 2),
    ("stac.search", faults.truncated_json, 9),
    ("stac.search", faults.empty_page, 1),
    ("stac.search", faults.repeated_page, 1),
    ("odata", faults.status(502), 3),
    ("odata.deleted", faults.truncated_json, 1),
    ("token", faults.status(500), 2),
    ("token", faults.status(429, retry_after=0), 9),
    ("file", faults.cut(at=30_000), 4),
    ("file", faults.corrupt, 2),
    ("file", faults.short(by=100), 1),
    ("file", faults.ignore_range, 3),
    ("file", faults.status(429), 2),
    ("file", faults.not_json, 2),
    ("*", faults.status(503), 40),
    ("*", faults.cut(at=5), 15),
]


@pytest.fixture(scope="module")
def end():
    """The end of the season: the present, because the ledger dates its own rows by it."""
    return datetime.now(UTC).replace(microsecond=0)


@pytest.fixture(scope="module")
def history(end, tmp_path_factory):
    """(products, withdrawals): reprocessed, received twice, late, withdrawn and replaced ones among plain ones."""
    folder = tmp_path_factory.mktemp("archive")

    def made(days: float, seed: int, station: int = 0, **fields):
        sensed = end - timedelta(days=10 - seed)
        name = rough_product(folder, seed=seed, sensed=sensed, tile="01CCV" if seed % 2 else "60CWS", **fields)
        product = folder_product(folder / f"{name}.SAFE", end - timedelta(days=days))
        if not station:
            return product
        old, new = product.granule, f"{product.granule[:-15]}{sensed + timedelta(seconds=40):%Y%m%dT%H%M%S}"
        files = {path.replace(old, new): content for path, content in product.files.items() if content != b"filler"}
        files.pop("manifest.safe")
        return complete(product.name, files, product.published)

    def again(seed: int, hours: int) -> dict[str, datetime]:
        return {"generated": end - timedelta(days=10 - seed) + timedelta(hours=hours)}

    products = [made(9 - seed, seed) for seed in range(5)]
    products += [made(4, 1, baseline="0512", **again(1, 40))]
    products += [made(3, 2, station=1, **again(2, 50))]
    products += [made(3.5, 3, baseline="0512", **again(3, 30))]
    products += [replace(made(9, 5), published=end - 30 * HOUR)]
    return products, [(products[7], end - 2 * HOUR), (products[4], end - 3 * HOUR)]


@pytest.mark.parametrize(("seed", "who"), [(1, keys), (2, account)])
def test_the_ledger_ends_at_the_archives_truth(history, end, tmp_path, monkeypatch, seed, who):
    chance = random.Random(seed)
    route = "s3.get" if who is keys else "odata.file"
    with service() as space:
        for key, value in who(space).items():
            monkeypatch.setenv(key, value)
        for product in history[0]:
            space.catalogue.publish(product)
        for product, moment in history[1]:
            space.catalogue.withdraw(product.name, moment)
        outage = {"first_wait_s": 0.001, "longest_wait_s": 0.001}
        settings = settings_of(space, tmp_path / "home", outage=outage)
        initialise(settings)
        pending: set[str] = set()
        struck = 0
        for day in range(9, 0, -1):
            space.faults.clear()
            for where, fault, times in chance.sample(TROUBLE, 4):
                space.faults.add(where.replace("file", route), fault, times, skip=chance.randrange(4))
            space.catalogue.now = end - day * DAY
            one_day(settings, space.catalogue.now, pending)
            struck += space.faults.struck
        space.faults.clear()
        space.catalogue.now = end
        one_day(settings, end, pending)
        one_day(settings, end, pending)
        assert best(settings) == set(space.catalogue.truth().values())
        assert len(objects(settings)) == sum(scene.key is not None for scene in scenes(settings).values())
        gone = {product.name for product, _ in history[1]}
        assert gone == {id_ for id_, scene in scenes(settings).items() if scene.state == "withdrawn"}
        assert_accounted(settings, len(space.catalogue.truth()))
        assert space.log.most_at_once(route) <= 4
        assert space.identity.sessions <= 1 and struck > 10


def assert_accounted(settings, acquisitions: int) -> None:
    """Reprocessed, merged, late and withdrawn: the account agrees with the search about each, after all the faults."""
    report = account_stage.run(settings, AccountRequest())[1]
    assert report.archive == "asked" and report.unexplained == []
    steps = report.table()[1].steps
    assert steps["expected"] == steps["held"] == acquisitions
    reasons = report.table()[1].reasons
    assert set(reasons) == {Reason.LABELS, Reason.WITHDRAWN} and reasons[Reason.LABELS] == acquisitions


def one_day(settings, until, pending: set[str]) -> None:
    """A scheduled run as Airflow makes it: tasks that fail for now leave their scenes to the next."""
    try:
        pending |= set(search.run(settings, SearchRequest("published", until - DAY, until, catch_up=True)).items)
    except TransientError:
        return
    for id_ in sorted(pending):
        try:
            fetch.run(settings, FetchRequest((id_,)))
            decode.run(settings, DecodeRequest((id_,)))
        except TransientError:
            continue
        pending.discard(id_)


def best(settings) -> set[tuple[str, ...]]:
    """Names of the parts of every ready scene."""
    ready = [scene for scene in scenes(settings).values() if scene.state == "ready"]
    return {tuple((scene.details or {}).get("parts") or [scene.id]) for scene in ready}

"""Decoding uses the cores there are: the same bytes on one and on many, the same errors, no thread left behind."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pytest

from helpers.factories import make_product, numbers
from seaice_ops.archive import fetch, search
from seaice_ops.errors import CorruptProduct
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Scene
from seaice_ops.scenes.sentinel2 import product as sentinel2
from seaice_ops.scenes.source import Source
from seaice_ops.settings import Settings

SIZE = 200
EVER = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


@pytest.fixture(params=[1, 2, 5, 64])
def cores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """So many cores, and strips so short that there are four, the last one of 8 rows."""
    monkeypatch.setattr(sentinel2.os, "sched_getaffinity", lambda _: set(range(request.param)))
    monkeypatch.setattr(sentinel2, "STRIP", 64)
    return request.param


@pytest.fixture
def opened(settings: Settings) -> Callable[[], Source]:
    """A fetched product, opened."""
    name = make_product(settings.archive_path, bands=numbers(SIZE), entry=False)
    fetched = tuple(search.run(settings, search.SearchRequest("sensed", *EVER)).items)
    fetch.run(settings, fetch.FetchRequest(fetched))
    with open_ledger(settings).begin() as session:
        scene = session.get_one(Scene, name)
    return lambda: sentinel2.open_product(scene, settings.inbox(name))


def test_the_number_of_cores_changes_no_pixel(cores: int, opened: Callable[[], Source]) -> None:
    bands = numbers(SIZE)
    strips = list(opened().strips())
    assert [row for row, _ in strips] == [0, 64, 128, 192]
    whole = np.concatenate([strip for _, strip in strips], axis=1)
    for values, stored in zip(whole, bands.values(), strict=True):
        wide = np.kron(stored, np.ones((SIZE // len(stored),) * 2)).astype(int)
        np.testing.assert_array_equal(values, np.where(wide == 0, -32768, np.clip(wide - 1000, -32767, 32767)))


def test_a_damaged_band_is_named_and_every_thread_ends(
    cores: int, opened: Callable[[], Source], settings: Settings
) -> None:
    source, before = opened(), threading.active_count()
    path = next(settings.inbox("").rglob("*_B08.jp2"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(CorruptProduct, match=r"_B08\.jp2 cannot be decoded"):
        list(source.strips())
    assert threading.active_count() == before


def test_strips_given_up_half_way_end_every_thread(cores: int, opened: Callable[[], Source]) -> None:
    before = threading.active_count()
    strips = opened().strips()
    next(strips)
    strips.close()
    assert threading.active_count() == before

"""A search for products that a person names, to be ingested whatever became of them before.

The list of the account is such a list (`ops.account`). A product that failed is tried again. A ready scene whose object
is missing or has another size is fetched again. Everything else is decided as in any search.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from seaice_ops.archive.plan import Plan
from seaice_ops.archive.product import Product, parse_name
from seaice_ops.archive.record import record
from seaice_ops.archive.search import hand_on, report
from seaice_ops.archive.source import open_archive
from seaice_ops.errors import ConfigError, CorruptProduct, plain
from seaice_ops.ledger.runs import StageRun, recorded
from seaice_ops.ledger.scenes import chunks, fetch_scene_again, forgive_scenes
from seaice_ops.ledger.session import Ledger
from seaice_ops.ledger.tables import Scene, SceneState
from seaice_ops.settings import Settings
from seaice_ops.storage.store import ObjectStore
from seaice_ops.summary import Summary

log = logging.getLogger(__name__)

_SECOND = timedelta(seconds=1)

Place = tuple[datetime, str]
"""When and over which tile a product was sensed."""


@dataclass(frozen=True)
class ListedRequest:
    """The products to ingest, by name (without .SAFE). Raises `ConfigError` where there is none."""

    products: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.products:
            raise ConfigError("the list names no product")


def read_list(text: str) -> tuple[str, ...]:
    """The products of a list: one a line, in order, each once; empty lines and those that begin with # are left out."""
    lines = (line.strip().removesuffix(".SAFE") for line in text.splitlines())
    return tuple(dict.fromkeys(line for line in lines if line and not line.startswith("#")))


def run(settings: Settings, request: ListedRequest, *, caller: str = "") -> Summary:
    """Look each product up in the archive; `Summary.items` are the ids of the scenes to fetch now, as of any search.

    Where another version of its acquisition is the best one, that one is meant. What is no product of a followed tile
    is `failed`, what the archive does not offer is `skipped`, each with its reason. Raises `TransientError` where the
    archive does not answer; what was found before that stays recorded.
    """
    with recorded(settings, "search", caller) as stage:
        archive, inbox, planned = open_archive(settings), settings.inbox(""), Plan()
        places = _places(stage, request.products, settings.tiles)
        for sensed, tiles in sorted(_together(places.values()).items()):
            found = archive.search(sorted(tiles), "sensed", sensed, sensed + _SECOND)
            meant = {id_: place for id_, place in places.items() if place[0] == sensed}
            found, lost = _of_the_same(found, meant, stage.summary), _lost(stage.ledger, stage.store, meant)
            with stage.ledger.alone() as session:
                for scene in session.scalars(select(Scene).where(Scene.id.in_(lost))):
                    fetch_scene_again(session, scene, lost[scene.id], caller=stage.caller)
                forgive_scenes(session, _failed(session, sensed, {tile for _, tile in meant.values()}))
                decided = record(session, inbox, found, caller=stage.caller)
            report(stage.summary, planned, decided, found)
        stage.summary.items = hand_on(stage.ledger, planned.ingest)
        return stage.summary


def _places(stage: StageRun, products: Collection[str], tiles: Collection[str]) -> dict[str, Place]:
    """Sensing times of the products, by name or ledger; products without one are noted as failed."""
    known: dict[str, Place] = {}
    with stage.ledger.begin() as session:
        for some in chunks(list(products)):
            rows = session.execute(select(Scene.id, Scene.sensed_at, Scene.tile).where(Scene.id.in_(some)))
            known |= {id_: (sensed, tile) for id_, sensed, tile in rows}
    found = {}
    for id_ in products:
        place = known.get(id_) or _by_name(id_)
        if place is None:
            stage.summary.failed[plain(id_)] = "it is neither the name of a product nor a scene of the ledger"
        elif place[1] not in tiles:
            stage.summary.failed[plain(id_)] = f"its tile {plain(place[1])} is in no configured region"
        else:
            found[id_] = place
    return found


def _by_name(id_: str) -> Place | None:
    try:
        name = parse_name(id_.partition("_with_")[0])  # of a merged scene: the newest part's
    except CorruptProduct:
        return None
    return name.sensed_at, name.tile


def _together(places: Iterable[Place]) -> Mapping[datetime, set[str]]:
    """The tiles by sensing time: one question for each."""
    found: defaultdict[datetime, set[str]] = defaultdict(set)
    for sensed, tile in places:
        found[sensed].add(tile)
    return found


def _of_the_same(found: list[Product], meant: Mapping[str, Place], summary: Summary) -> list[Product]:
    """Those of `found` that are of the acquisitions meant; what is not offered is noted as skipped."""
    offered = {(product.sensed_at, product.tile) for product in found}
    summary.skipped |= {id_: "the archive does not offer it" for id_, place in meant.items() if place not in offered}
    return [product for product in found if (product.sensed_at, product.tile) in meant.values()]


def _failed(session: Session, sensed: datetime, tiles: Collection[str]) -> list[str]:
    """The ids of the failed versions of these acquisitions: a merged scene fails with a part of it."""
    failed = select(Scene.id).where(Scene.sensed_at == sensed, Scene.state == SceneState.FAILED)
    return list(session.scalars(failed.where(Scene.tile.in_(tiles))))


def _lost(ledger: Ledger, store: ObjectStore, meant: Collection[str]) -> dict[str, str]:
    """Faults of the objects of ready scenes, by id."""
    with ledger.begin() as session:
        query = select(Scene).where(Scene.id.in_(meant), Scene.state == SceneState.READY)
        ready = [scene for scene in session.scalars(query) if scene.key]
    sizes = {scene.id: store.size(scene.key or "") for scene in ready}
    return {
        scene.id: f"its object {scene.key} {'is missing' if sizes[scene.id] is None else 'has another size'}"
        for scene in ready
        if sizes[scene.id] is None or scene.bytes not in (None, sizes[scene.id])
    }

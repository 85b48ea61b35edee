"""Looks for the objects that the ledger names in lists of the store, and compares a sample with what was written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from seaice_ops.ledger.scenes import chunks
from seaice_ops.ledger.session import Ledger
from seaice_ops.ledger.tables import LabelSet, Map, Scene, SceneState
from seaice_ops.mapping.product.release import FILES
from seaice_ops.ops.account.facts import Acquisition, Part
from seaice_ops.ops.account.report import Checked, Damage
from seaice_ops.ops.account.rows import NewestMap, Span
from seaice_ops.ops.account.sample import compare, due_maps
from seaice_ops.storage import keys
from seaice_ops.storage.store import ObjectStore
from seaice_ops.versions import MAPS

#: Lists asked for at the same time: each waits for the store.
AT_ONCE = 8


@dataclass(frozen=True)
class Named:
    """What the ledger names of one acquisition that is held."""

    identity: str
    scene: str | None
    """The key of its pixels."""
    bytes: int | None
    """The size of that object."""
    labels: str | None
    """The key of its labels in force."""
    map: NewestMap | None
    """The map that ends with it."""

    def wanted(self) -> Iterator[Wanted]:
        """Its objects. Of a map that an older method made only the item is known, which names the others."""
        if self.scene:
            yield Wanted(self.scene, self.identity, "scene", self.bytes)
        if self.labels:
            yield Wanted(self.labels, self.identity, "labels")
        if self.map:
            files = FILES if (self.map.method or "").startswith(MAPS) else ()
            for key in (keys.map_item(self.map.folder), *(f"{self.map.folder}/{name}" for name in files)):
                yield Wanted(key, self.identity, "map")


@dataclass(frozen=True)
class Wanted:
    """An object that the ledger names: its size where the ledger keeps it, and what it belongs to."""

    key: str
    identity: str
    part: Part
    bytes: int | None = None


@dataclass(frozen=True)
class Lost:
    """An object of an acquisition that is not what was written."""

    damage: Damage
    part: Part


def looked_for(
    store: ObjectStore, ledger: Ledger, named: Iterable[Named], span: Span
) -> tuple[dict[str, Lost], Checked]:
    """What is missing or has another size, by identity, and what was looked at.

    `named` was read from the ledger before: an object is there before the row that names it.
    """
    wanted = [each for acquisition in named for each in acquisition.wanted()]
    shelves = {_shelf(each.key) for each in wanted} | _map_shelves(span)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        there = {key: size for sizes in pool.map(store.sizes, sorted(shelves)) for key, size in sizes.items()}
    wrong = [(each, words) for each in wanted if (words := _wrong(each, there.get(each.key)))]
    with ledger.begin() as session:
        wrong = _still_named(session, wrong)
        unknown = _unknown(session, span, there)
    found: dict[str, Lost] = {}
    for each, words in wrong:
        found.setdefault(each.identity, Lost(Damage(each.key, words), each.part))
    damaged = tuple(Damage(each.key, words) for each, words in wrong)
    return found, Checked(listed=len(wanted), damaged=damaged, unknown=unknown)


def compared(store: ObjectStore, ledger: Ledger, tiles: Sequence[str], at: datetime) -> tuple[int, list[Damage]]:
    """How many objects of today's sample were compared, and those that are not what was written."""
    with ledger.begin() as session:
        due = due_maps(session, tiles, at.date())
    results = [result for folder, sha256 in due for result in compare(store, folder, sha256)]
    return len(results), [Damage(key, words) for key, words in results if words]


def with_losses(found: Iterable[Acquisition], lost: Mapping[str, Lost], sampled: Iterable[Damage]) -> list[Acquisition]:
    """`found`, where objects are lost with the words for it; a sampled object belongs to the map of its folder."""
    by_map = {each.key.rpartition("/")[0].rpartition("/")[2]: each for each in sampled}
    result = []
    for each in found:
        loss = lost.get(each.identity)
        if loss is None and each.made.map_id in by_map:
            loss = Lost(by_map[each.made.map_id], "map")
        if loss:
            words = f"{loss.damage.key}: {loss.damage.what}"
            each = replace(each, made=replace(each.made, lost=words, lost_part=loss.part))
        result.append(each)
    return result


def _shelf(key: str) -> str:
    """The folder of the store that is listed to find `key`: of a map's files the month, of others their own."""
    parts = key.split("/")
    return "/".join(parts[:4] if parts[0] == "maps" else parts[:-1])


def _map_shelves(span: Span) -> set[str]:
    months, day = set(), span.start
    while day < span.end:
        months.add(f"{day:%Y/%m}")
        day += timedelta(days=1)
    return {f"{keys.maps(tile)}/{month}" for tile in span.tiles for month in months}


def _wrong(each: Wanted, size: int | None) -> str:
    if size is None:
        return "it is missing"
    if each.bytes not in (None, size):
        return f"it has {size} bytes in place of {each.bytes}"
    return "it is empty" if size == 0 else ""


def _still_named(session: Session, wrong: list[tuple[Wanted, str]]) -> list[tuple[Wanted, str]]:
    """Those that the ledger still names so: another run may have made an object anew since."""
    named: dict[str, int | None] = {}
    for some in chunks([each.key for each, _ in wrong if each.part != "map"]):
        scenes = select(Scene.key, Scene.bytes).where(Scene.key.in_(some), Scene.state == SceneState.READY)
        named |= {key: size for key, size in session.execute(scenes) if key}
        named |= dict.fromkeys(session.scalars(select(LabelSet.key).where(LabelSet.key.in_(some))))
    return [
        (each, words)
        for each, words in wrong
        if each.part == "map" or (each.key in named and named[each.key] in (None, each.bytes))
    ]


def _unknown(session: Session, span: Span, there: Iterable[str]) -> tuple[str, ...]:
    """The maps in the store, by id, whose item is there and whose row is not."""
    items: defaultdict[str, set[str]] = defaultdict(set)
    for key in there:
        if key.startswith("maps/") and key.endswith("/item.json"):
            items[key.split("/")[1]].add(key.split("/")[-2])
    found: set[str] = set().union(*items.values())
    for some in chunks(sorted(items)):
        month = timedelta(days=31)  # a list is of whole months
        near = (Map.window_end >= span.start - month, Map.window_end < span.end + month)
        found -= set(session.scalars(select(Map.id).where(Map.tile.in_(some), *near)))
    return tuple(sorted(found))

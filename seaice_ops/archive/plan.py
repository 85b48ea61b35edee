"""What to do about what an archive holds: pure decisions from the products found and the ledger's rows.

Of each acquisition the best version is wanted (highest baseline, then newest generation). While a better one is being
ingested the ready one stays ready; what is older than the best is superseded at once; a best one that failed gives
way to the next older one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from seaice_ops.archive.product import Product
from seaice_ops.ledger.operations import scene_rank
from seaice_ops.ledger.tables import Scene, SceneState


@dataclass(frozen=True)
class Decision:
    """The state that a version of an acquisition is to have; `new` where the ledger has no row of it."""

    id: str
    state: SceneState
    new: bool
    reason: str | None = None
    superseded_by: str | None = None


@dataclass
class Plan:
    """What changes in the ledger, and the ids that are to be fetched now, oldest sensing time first."""

    decisions: list[Decision] = field(default_factory=list)
    ingest: list[str] = field(default_factory=list)


def plan(found: Iterable[Product], known: Iterable[Scene]) -> Plan:
    """Decide about every acquisition among `found` (products) and `known` (all ledger rows of those acquisitions).

    Planning again after the decisions were applied decides nothing and answers the same `ingest`.
    """
    products, rows = {p.id: p for p in found}, {r.id: r for r in known}
    versions: defaultdict[str, list[str]] = defaultdict(list)
    for id_ in sorted(products.keys() | rows.keys()):
        versions[_current(products.get(id_), rows.get(id_)).identity].append(id_)
    result, order = Plan(), {}
    for identity in sorted(versions):
        best = _decide(versions[identity], products, rows, result.decisions)
        if best is not None:
            order[best] = _current(products.get(best), rows.get(best)).sensed_at
    result.ingest = sorted(order, key=lambda id_: (order[id_], id_))
    return result


def files_json(product: Product) -> list[dict[str, Any]]:
    """The files a scene needs as the ledger keeps them, in `Scene.details["files"]`."""
    return [{"path": file.path, "size": file.size, "checksum": file.checksum} for file in product.files]


def _decide(
    ids: list[str], products: Mapping[str, Product], rows: Mapping[str, Scene], decisions: list[Decision]
) -> str | None:
    """Append the decisions about one acquisition's versions; the id to ingest, or None."""

    def rank(id_: str) -> tuple[Any, ...]:
        version = _current(products.get(id_), rows.get(id_))
        return scene_rank(version.baseline, version.generated_at, version.id)

    usable = {id_ for id_ in ids if _usable(products.get(id_), rows.get(id_))}
    best = max(usable, key=rank, default=None)
    for id_ in ids:
        row, product = rows.get(id_), products.get(id_)
        if id_ not in usable:
            _refuse(product, row, decisions)
        elif id_ != best:
            if row is None or row.state not in (SceneState.SUPERSEDED, SceneState.READY):
                decisions.append(Decision(id_, SceneState.SUPERSEDED, row is None, superseded_by=best))
        elif row is None or row.state in (SceneState.FAILED, SceneState.SUPERSEDED) or _changed(product, row):
            decisions.append(Decision(id_, SceneState.DISCOVERED, row is None))
    row = rows.get(best or "")
    return None if row is not None and row.state is SceneState.READY else best


def _current(product: Product | None, row: Scene | None) -> Product | Scene:
    """What is known of a version: what the archive says now, unless that cannot be used."""
    current = row if product is None or (product.problem and row is not None) else product
    assert current is not None
    return current


def _usable(product: Product | None, row: Scene | None) -> bool:
    """Whether a version may be ingested, or is ready."""
    if row is not None and row.state is SceneState.READY:
        return True
    if product is not None and product.problem:
        return False
    if row is None or row.state not in (SceneState.FAILED, SceneState.WITHDRAWN):
        return True
    # A scene that failed is tried again once what the archive holds of it has changed, or once nothing is wrong with
    # it any more (no attempt was made: it failed at the search, because its tile was not configured, for example).
    return row.state is SceneState.FAILED and product is not None and (row.attempts == 0 or _differs(product, row))


def _changed(product: Product | None, row: Scene) -> bool:
    """Whether a version that is still to be ingested has other files now than when it was found."""
    waiting = row.state in (SceneState.DISCOVERED, SceneState.FETCHED)
    return waiting and product is not None and _differs(product, row)


def _differs(product: Product, row: Scene) -> bool:
    return files_json(product) != (row.details or {}).get("files")


def _refuse(product: Product | None, row: Scene | None, decisions: list[Decision]) -> None:
    if product is None or not product.problem:
        return
    untried = row is not None and row.state is SceneState.FAILED and row.attempts == 0 and row.reason != product.problem
    if row is None or untried or row.state in (SceneState.DISCOVERED, SceneState.FETCHED):
        decisions.append(Decision(product.id, SceneState.FAILED, row is None, reason=product.problem))

"""The plan of a search: pure decisions from the products found and the ledger's rows.

The best version of each acquisition is wanted: the highest baseline, and in it the newest generation of each datastrip.
Several datastrips (two ground stations) are merged. While a better version is being ingested, the ready one stays
ready. All other versions are superseded at once. A best version that failed gives way to the next best. A withdrawn
product is not used, alone or merged, until the archive publishes it again.

The order in which the products became known does not matter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from seaice_ops.archive.merge import merged, parts_of
from seaice_ops.archive.product import Product, Withdrawn, from_row, same_files
from seaice_ops.ledger.tables import Scene, SceneState

_WAITING = (SceneState.DISCOVERED, SceneState.FETCHED)


@dataclass(frozen=True)
class Decision:
    """The state that one version of an acquisition is to have."""

    id: str
    """The scene's id."""
    state: SceneState
    """The new state."""
    new: bool
    """True where the ledger has no row of it yet."""
    reason: str | None = None
    """Why it failed or was withdrawn."""
    superseded_by: str | None = None
    """The id of the better version."""
    product: Product | None = None
    """The product that the row is to describe; None leaves the row's description as it is."""
    withdrawn_at: datetime | None = None
    """When the archive withdrew it."""


@dataclass
class Plan:
    """The decisions, and for each acquisition the scene to fetch now: (sensing time, id), or None."""

    decisions: list[Decision] = field(default_factory=list)
    best: dict[str, tuple[datetime, str] | None] = field(default_factory=dict)

    @property
    def ingest(self) -> list[str]:
        """The ids that are to be fetched now, oldest sensing time first."""
        return [id_ for _, id_ in sorted(filter(None, self.best.values()))]


def plan(found: Iterable[Product], known: Iterable[Scene], withdrawn: Iterable[Withdrawn] = ()) -> Plan:
    """Decide about every acquisition among `found` (products) and `known` (all ledger rows of those acquisitions).

    `withdrawn` are products that the archive offers no more. Planning again after the decisions were applied decides
    nothing and answers the same `ingest`.
    """
    products, rows, gone = {p.id: p for p in found}, {r.id: r for r in known}, {w.id: w for w in withdrawn}
    versions: defaultdict[str, list[_Version]] = defaultdict(list)
    for id_ in sorted(products.keys() | rows.keys()):
        version = _Version(products.get(id_), rows.get(id_), gone.get(id_))
        versions[version.identity].append(version)
    result = Plan()
    for identity in sorted(versions):
        best = _Acquisition(versions[identity]).decide(result.decisions)
        result.best[identity] = (best.sensed_at, best.id) if best else None
    return result


class _Version:
    """One version of an acquisition, as the archive and the ledger describe it."""

    def __init__(self, product: Product | None, row: Scene | None, gone: Withdrawn | None) -> None:
        self.product, self.row = product, row
        self.state = row.state if row is not None else None
        # The archive's description, unless that cannot be used.
        fresh = product is not None and (not product.problem or row is None)
        self.now = product if product is not None and fresh else from_row(_present(row))
        self.id = self.now.id
        self.identity = self.now.identity if fresh else _present(row).identity
        #: Offered again since means not withdrawn.
        self.gone = gone if gone and row is not None and product is None and gone.at > row.published_at else None

    @property
    def usable(self) -> bool:
        """True where the version is ready or may be ingested."""
        if self.gone or self.state is SceneState.READY:
            return not self.gone
        if self.product is not None and self.product.problem:
            return False
        if self.state is SceneState.WITHDRAWN:
            return self.product is not None and self.product.published_at > _withdrawn_at(_present(self.row))
        # A failed scene is tried again when its files in the archive have changed, or when it counts as never tried.
        again = self.untried or self.differs(self.now)
        return self.state is not SceneState.FAILED or (self.product is not None and again)

    @property
    def untried(self) -> bool:
        """True where it failed at the search (its tile was not configured, say), or is to be tried as if it had."""
        return self.row is not None and self.row.attempts == 0

    def differs(self, product: Product) -> bool:
        """True where `product` has another address or other files than the ledger's row.

        A size or checksum that one side does not know is no difference.
        """
        if self.row is None or self.row.href != product.href:
            return True
        return not same_files(product.files, from_row(self.row).files)


class _Acquisition:
    """All versions of one acquisition: products by id, and the mergers of them that the ledger knows."""

    def __init__(self, versions: Sequence[_Version]) -> None:
        self.singles = {v.id: v for v in versions if v.now.kind != "merged"}
        self.mergers = {v.id: v for v in versions if v.now.kind == "merged"}

    def decide(self, decisions: list[Decision]) -> Product | None:
        """Append the decisions about all versions; return the product to ingest, or None."""
        best = self._best()
        for version in [*self.singles.values(), *self.mergers.values()]:
            if best is None or version.id != best.id:
                decisions.extend(self._other(version, best))
        if best is None:
            return None
        known = (self.singles | self.mergers).get(best.id)
        if known is not None and known.state is SceneState.READY:
            return None
        if known is None or known.state not in _WAITING or known.differs(best):
            new = known is None or known.row is None
            decisions.append(Decision(best.id, SceneState.DISCOVERED, new, product=best))
        return best

    def _best(self) -> Product | None:
        """The best version that may be ingested or is ready."""
        usable = {id_: v for id_, v in self.singles.items() if v.usable}
        while parts := parts_of(v.now for v in usable.values()):
            if len(parts) == 1:
                return parts[0]
            whole = merged(parts)
            known = self.mergers.get(whole.id)
            if known is None or known.state is not SceneState.FAILED or known.untried or known.differs(whole):
                return whole
            # The merged scene failed: its parts are tried no more, unless one was ready before.
            tried = {part.id for part in parts if usable[part.id].state is not SceneState.READY}
            if not tried:
                return parts[0]
            usable = {id_: v for id_, v in usable.items() if id_ not in tried}
        return None

    def _other(self, version: _Version, best: Product | None) -> Iterator[Decision]:
        """The decision about a version that is not the best, if there is any."""
        if cause := self._cause(version):
            if version.state is not SceneState.WITHDRAWN:
                reason, at = cause
                yield Decision(version.id, SceneState.WITHDRAWN, new=False, reason=reason, withdrawn_at=at)
        elif version.product is not None and version.product.problem:
            yield from _refused(version.product, version.row)
        elif best is not None and self._gives_way(version, best):
            new, product = version.row is None, version.product
            yield Decision(version.id, SceneState.SUPERSEDED, new, superseded_by=best.id, product=product)

    def _cause(self, version: _Version) -> tuple[str, datetime] | None:
        """The reason and time of the withdrawal of a version or of a part of it; None where nothing was withdrawn."""
        if version.gone:
            return version.gone.cause, version.gone.at
        parts = [part for id_ in version.now.parts if (part := self.singles.get(id_))]
        for part in parts:
            if part.gone:
                return f"its part {part.id} was withdrawn: {part.gone.cause}", part.gone.at
        return None

    def _gives_way(self, version: _Version, best: Product) -> bool:
        """True where a version is to be marked as superseded by `best`."""
        row = version.row
        if version.state is SceneState.READY or not version.usable:
            return False
        marked = row is not None and row.state is SceneState.SUPERSEDED and row.superseded_by == best.id
        return not marked or version.differs(version.now)


def _refused(product: Product, row: Scene | None) -> Iterator[Decision]:
    """The decision about a product that is offered but cannot be used: it fails once for each reason."""
    news = row is not None and row.state is SceneState.FAILED and row.attempts == 0 and row.reason != product.problem
    if row is None or news or row.state in _WAITING:
        readable = product if row is None or product.tile else None
        yield Decision(product.id, SceneState.FAILED, row is None, reason=product.problem, product=readable)


def _present(row: Scene | None) -> Scene:
    assert row is not None
    return row


def _withdrawn_at(row: Scene) -> datetime:
    at = (row.details or {}).get("withdrawn_at")
    return datetime.fromisoformat(at) if at else datetime.max.replace(tzinfo=UTC)

"""The search stage: what the archive holds, planned against the ledger, becomes scene rows and a list to fetch."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from seaice_ops.archive.plan import Decision, Plan, files_json, plan
from seaice_ops.archive.product import By, Product
from seaice_ops.archive.source import open_archive
from seaice_ops.errors import ConfigError
from seaice_ops.ledger.operations import insert_new, now, recorded
from seaice_ops.ledger.session import begin
from seaice_ops.ledger.tables import Scene, SceneState
from seaice_ops.settings import Settings
from seaice_ops.summary import Summary

log = logging.getLogger(__name__)

#: A scene that nobody has moved on for so long is nobody's: younger ones are in the hands of the run that found them.
ABANDONED = timedelta(hours=1)

_UNFINISHED = (SceneState.DISCOVERED, SceneState.FETCHED, SceneState.FAILED)


@dataclass(frozen=True)
class SearchRequest:
    """Search by publication or sensing time in [start, end), both aware; `tiles` None means all that are configured.

    Raises `ConfigError` where the interval is none.
    """

    by: By
    start: datetime
    end: datetime
    tiles: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.by not in ("published", "sensed"):
            raise ConfigError(f"search by 'published' or 'sensed' time, not by {self.by!r}")
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ConfigError(f"the interval {self.start} to {self.end} has no time zone; give UTC times")
        if self.start >= self.end:
            raise ConfigError(f"the interval from {self.start} to {self.end} is empty")


def run(settings: Settings, request: SearchRequest) -> Summary:
    """Record what is new in the archive; `Summary.items` are the ids of the scenes to fetch now, oldest first.

    These are the best versions, not yet ready, of what the search found, and whatever an earlier run abandoned in
    the same tiles. Products that cannot be ingested are recorded as failed with their reason, once.
    """
    with recorded(settings, "search") as summary:
        tiles = _tiles(settings, request)
        found = open_archive(settings).search(tiles, request.by, request.start, request.end)
        with begin(settings) as session:
            known = _known(session, found, tiles)
            decided = plan(found, known)
            _apply(settings, session, decided, {p.id: p for p in found}, {r.id: r for r in known})
            summary.items = decided.ingest
        _report(summary, decided, found)
    return summary


def _tiles(settings: Settings, request: SearchRequest) -> tuple[str, ...]:
    tiles = settings.tiles if request.tiles is None else request.tiles
    unknown = sorted(set(tiles) - set(settings.tiles))
    if unknown:
        raise ConfigError(f"tiles {', '.join(unknown)} are in no configured region; add them to one")
    return tiles


def _known(session: Session, found: Iterable[Product], tiles: Iterable[str]) -> list[Scene]:
    """All rows of what was found and of its acquisitions, and of the acquisitions abandoned in `tiles`."""
    unfinished = select(Scene.identity).where(
        Scene.tile.in_(list(tiles)), Scene.state.in_(_UNFINISHED), Scene.updated_at < now() - ABANDONED
    )
    conditions: list[ColumnElement[bool]] = [Scene.identity.in_(unfinished)]
    for first in range(0, len(products := list(found)), 400):  # databases limit the parameters of a statement
        chunk = products[first : first + 400]
        ids, identities = [p.id for p in chunk], [p.identity for p in chunk]
        conditions.append(Scene.id.in_(ids) | Scene.identity.in_(identities))
    rows: dict[str, Scene] = {}
    for condition in conditions:
        # Locked (in one order) so that a decode that ends meanwhile waits for what is decided here.
        query = select(Scene).where(condition).order_by(Scene.id).with_for_update()
        rows |= {row.id: row for row in session.scalars(query)}
    return list(rows.values())


def _apply(
    settings: Settings, session: Session, decided: Plan, found: Mapping[str, Product], rows: Mapping[str, Scene]
) -> None:
    for decision in decided.decisions:
        if decision.new:
            insert_new(session, _row(found[decision.id], decision))
        else:
            _update(settings, rows[decision.id], decision, found.get(decision.id))


def _row(product: Product, decision: Decision) -> Scene:
    moment = now()
    return Scene(
        id=product.id,
        identity=product.identity,
        tile=product.tile,
        platform=product.platform,
        sensed_at=product.sensed_at,
        relative_orbit=product.relative_orbit,
        baseline=product.baseline,
        generated_at=product.generated_at,
        published_at=product.published_at,
        href=product.href,
        state=decision.state,
        reason=decision.reason and decision.reason[:2048],
        attempts=0,
        superseded_by=decision.superseded_by,
        details={"kind": product.kind, "files": files_json(product)},
        discovered_at=moment,
        updated_at=moment,
    )


def _update(settings: Settings, row: Scene, decision: Decision, product: Product | None) -> None:
    row.state, row.updated_at = decision.state, now()
    row.reason = decision.reason and decision.reason[:2048]
    row.superseded_by = decision.superseded_by
    if decision.state is SceneState.DISCOVERED:
        row.attempts = 0
        # Files fetched earlier may not be those that the archive holds now.
        shutil.rmtree(settings.inbox(row.id), ignore_errors=True)
    if product is not None:
        fresh = _row(product, decision)
        for name in ("identity", "tile", "platform", "sensed_at", "relative_orbit", "generated_at", "published_at"):
            setattr(row, name, getattr(fresh, name))
        row.href, row.details = fresh.href, fresh.details


def _report(summary: Summary, decided: Plan, found: list[Product]) -> None:
    for decision in decided.decisions:
        if decision.state is SceneState.FAILED:
            summary.failed[decision.id] = decision.reason or ""
            log.warning("%s: %s", decision.id, decision.reason)
        elif decision.state is SceneState.SUPERSEDED:
            summary.done["superseded"] += 1
        else:
            summary.done["scenes" if decision.new else "retried"] += 1
    summary.unchanged["scenes"] = len({p.id for p in found} - {d.id for d in decided.decisions})

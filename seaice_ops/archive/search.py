"""The search stage: what the archive holds, planned against the ledger, becomes scene rows and a list to fetch.

A scheduled search catches up: from each tile's watermark, up to which all that was published is in the ledger. The
watermark moves in the transaction that keeps what was found, so that whatever ends a run, the next one begins there.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select

from seaice_ops.archive.intervals import Part, parts, slices
from seaice_ops.archive.plan import Plan
from seaice_ops.archive.product import By, Product, Withdrawn
from seaice_ops.archive.record import chunks, record
from seaice_ops.archive.source import Archive, open_archive
from seaice_ops.errors import ConfigError
from seaice_ops.ledger.operations import now
from seaice_ops.ledger.runs import StageRun, recorded
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Scene, SceneState
from seaice_ops.ledger.watermarks import WITHDRAWN, advance_watermarks, watermarks
from seaice_ops.settings import Settings
from seaice_ops.summary import Summary

log = logging.getLogger(__name__)

_SECOND = timedelta(seconds=1)
#: Withdrawals are few: a longer interval of them is fewer questions, not more answers.
_WITHDRAWN_SLICE = timedelta(days=91)


@dataclass(frozen=True)
class SearchRequest:
    """Search by publication or sensing time in [start, end), both aware; `tiles` None means all that are configured.

    `catch_up` (of a scheduled search by publication): begin at each tile's watermark where that is before `start`, and
    `archive.overlap_hours` earlier; move the watermarks; and look for withdrawn products. Raises `ConfigError` where
    the interval is none.
    """

    by: By
    start: datetime
    end: datetime
    tiles: tuple[str, ...] | None = None
    catch_up: bool = False

    def __post_init__(self) -> None:
        if self.by not in ("published", "sensed"):
            raise ConfigError(f"search by 'published' or 'sensed' time, not by {self.by!r}")
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ConfigError(f"the interval {self.start} to {self.end} has no time zone; give UTC times")
        if self.start >= self.end:
            raise ConfigError(f"the interval from {self.start} to {self.end} is empty")
        if self.catch_up and self.by != "published":
            raise ConfigError("only a search by 'published' time can catch up")


def run(settings: Settings, request: SearchRequest, *, caller: str = "") -> Summary:
    """Record what is new in the archive; `Summary.items` are the ids of the scenes to fetch now, oldest first.

    These are the best versions, not yet ready, of what the search found, and whatever an earlier run abandoned in
    the same tiles. Products that cannot be ingested are recorded as failed with their reason, once. Raises
    `TransientError` where the archive does not answer: what was found before that is kept.
    """
    with recorded(settings, "search", caller) as stage:
        summary = stage.summary
        archive, planned, began = open_archive(settings), Plan(), now()
        for part in _parts(settings, request):
            found = archive.search(part.tiles, request.by, part.start, part.end)
            with open_ledger(settings).alone() as session:
                decided = record(settings, session, found, part.tiles, caller=stage.caller)
                if request.catch_up:
                    # Not beyond the run's beginning: what is published since then may not have been found.
                    advance_watermarks(session, settings.archive.kind, part.tiles, min(part.end, began))
            _report(summary, planned, decided, found)
        if request.catch_up:
            _find_withdrawn(settings, stage, archive, request.end, planned)
        summary.items = planned.ingest
    return summary


def _parts(settings: Settings, request: SearchRequest) -> list[Part]:
    tiles = settings.tiles if request.tiles is None else request.tiles
    unknown = sorted(set(tiles) - set(settings.tiles))
    if unknown:
        raise ConfigError(f"tiles {', '.join(unknown)} are in no configured region; add them to one")
    if not request.catch_up:
        return [Part(tuple(tiles), request.start, request.end)]
    with open_ledger(settings).begin() as session:
        marks = watermarks(session, settings.archive.kind, tiles)
    return parts(tiles, request.start, request.end, marks, _overlap(settings))


def _overlap(settings: Settings) -> timedelta:
    return timedelta(hours=settings.archive.overlap_hours)


def _find_withdrawn(settings: Settings, stage: StageRun, archive: Archive, end: datetime, planned: Plan) -> None:
    """Record what the archive has withdrawn since this was last looked for, or since the ledger's oldest product."""
    with open_ledger(settings).begin() as session:
        mark = watermarks(session, settings.archive.kind, [WITHDRAWN]).get(WITHDRAWN)
        # What has no platform is no product that could be withdrawn; its time may be 1970.
        first = mark or session.scalar(select(func.min(Scene.published_at)).where(Scene.platform != ""))
        began = now()
    if first is None:
        return
    for left, right in slices(first - _overlap(settings), end, _WITHDRAWN_SLICE):
        listed = archive.withdrawn(left, right)
        offered = _still_offered(settings, archive, listed)
        with open_ledger(settings).alone() as session:
            decided = record(settings, session, offered, withdrawn=listed, caller=stage.caller)
            advance_watermarks(session, settings.archive.kind, [WITHDRAWN], min(right, began))
        _report(stage.summary, planned, decided, offered)


def _still_offered(settings: Settings, archive: Archive, listed: list[Withdrawn]) -> list[Product]:
    """What the archive offers of the acquisitions of withdrawn products that the ledger holds.

    A product of which one copy of two was removed is in the list of the withdrawn and is still offered.
    """
    at = {product.id: product.at for product in listed}
    with open_ledger(settings).begin() as session:
        rows = [
            row
            for some in chunks(list(at))
            for row in session.scalars(select(Scene).where(Scene.id.in_(some), Scene.state != SceneState.WITHDRAWN))
            if at[row.id] > row.published_at
        ]
    acquisitions = sorted({(row.tile, row.sensed_at) for row in rows})
    offered = [
        product
        for tile, sensed in acquisitions
        for product in archive.search([tile], "sensed", sensed, sensed + _SECOND)
    ]
    return list({product.id: product for product in offered}.values())


def _report(summary: Summary, planned: Plan, decided: Plan, found: list[Product]) -> None:
    planned.best |= decided.best
    for decision in decided.decisions:
        if decision.state is SceneState.FAILED:
            summary.failed[decision.id] = decision.reason or ""
            log.warning("%s: %s", decision.id, decision.reason)
        elif decision.state is SceneState.WITHDRAWN:
            summary.done["withdrawn"] += 1
            log.warning("%s was withdrawn: %s", decision.id, decision.reason)
        elif decision.state is SceneState.SUPERSEDED:
            summary.done["superseded"] += 1
        else:
            summary.done["scenes" if decision.new else "retried"] += 1
    summary.unchanged["scenes"] += len({p.id for p in found} - {d.id for d in decided.decisions})

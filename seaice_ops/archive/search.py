"""The search stage: what the archive holds, planned against the ledger, becomes scene rows and a list to fetch.

A scheduled search catches up: from each tile's watermark, up to which all that was published is in the ledger. The
watermark moves in the transaction that keeps what was found, so that whatever ends a run, the next one begins there.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from seaice_ops.archive.intervals import earlier, parts, slices
from seaice_ops.archive.plan import Plan
from seaice_ops.archive.product import By, Product, Withdrawn
from seaice_ops.archive.record import record
from seaice_ops.archive.source import Archive, open_archive
from seaice_ops.errors import ConfigError
from seaice_ops.ledger.operations import now
from seaice_ops.ledger.runs import recorded
from seaice_ops.ledger.scenes import chunks, release_scenes
from seaice_ops.ledger.session import Ledger
from seaice_ops.ledger.tables import Scene, SceneState
from seaice_ops.ledger.watermarks import WITHDRAWN, advance_watermarks, trusted_watermarks
from seaice_ops.settings import Settings
from seaice_ops.summary import Summary

log = logging.getLogger(__name__)

#: Scenes that one search hands on at most. Airflow maps one task to each and refuses more than 1024
#: (`max_map_length`); the others wait for the next search.
MOST_SCENES = 1000

_SECOND = timedelta(seconds=1)
#: Withdrawals are few: a longer interval of them is fewer questions, not more answers.
_WITHDRAWN_SLICE = timedelta(days=91)
#: Launch of Sentinel-2A: nothing was withdrawn before.
_LAUNCH = datetime(2015, 6, 23, tzinfo=UTC)


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


@dataclass(frozen=True)
class Answer:
    """What the archive told in one interval."""

    found: Sequence[Product]
    """The products offered."""
    tiles: tuple[str, ...] = ()
    """The tiles searched: what an earlier run abandoned there is taken up."""
    withdrawn: Sequence[Withdrawn] = ()
    """The products withdrawn."""
    marks: tuple[str, ...] = ()
    """The watermarks that move to `until`, once all this is in the ledger."""
    until: datetime | None = None


def run(settings: Settings, request: SearchRequest, *, caller: str = "") -> Summary:
    """Record what is new in the archive; `Summary.items` are the ids of the scenes to fetch now, oldest first.

    These are the best versions, not yet ready, of what the search found, and whatever an earlier run abandoned in
    the same tiles: at most `MOST_SCENES`, the others are left to later runs. Products that cannot be ingested are
    recorded as failed with their reason, once. Raises `TransientError` where the archive does not answer: what was
    found before that is kept.
    """
    with recorded(settings, "search", caller) as stage:
        tiles, name, inbox = _tiles(request, settings.tiles), settings.archive.kind, settings.inbox("")
        overlap, archive = timedelta(hours=settings.archive.overlap_hours), open_archive(settings)
        planned, began = Plan(), now()
        for answer in _answers(stage.ledger, archive, name, request, tiles, overlap, began):
            with stage.ledger.alone() as session:
                decided = record(session, inbox, answer.found, answer.tiles, answer.withdrawn, caller=stage.caller)
                if answer.until:
                    advance_watermarks(session, name, answer.marks, answer.until)
            _report(stage.summary, planned, decided, answer.found)
        stage.summary.items = _hand_on(stage.ledger, planned.ingest)
        return stage.summary


def _tiles(request: SearchRequest, followed: Collection[str]) -> tuple[str, ...]:
    tiles = tuple(followed if request.tiles is None else request.tiles)
    unknown = sorted(set(tiles) - set(followed))
    if unknown:
        raise ConfigError(f"tiles {', '.join(unknown)} are in no configured region; add them to one")
    return tiles


def _answers(
    ledger: Ledger,
    archive: Archive,
    name: str,
    request: SearchRequest,
    tiles: tuple[str, ...],
    overlap: timedelta,
    began: datetime,
) -> Iterator[Answer]:
    """Ask the archive `name`, interval by interval; each answer is to be recorded before the next is asked for."""
    if not request.catch_up:
        yield Answer(archive.search(tiles, request.by, request.start, request.end), tiles)
        return
    with ledger.begin() as session:
        marks = trusted_watermarks(session, name, [*tiles, WITHDRAWN], began)
        oldest = _oldest_publication(session)
    for part in parts(tiles, request.start, request.end, marks, overlap):
        found = archive.search(part.tiles, request.by, part.start, part.end)
        oldest = min([oldest, *(product.published_at for product in found if product.platform)])
        # Not beyond the run's beginning: what is published since then may not have been found.
        yield Answer(found, part.tiles, marks=part.tiles, until=min(part.end, began))
    first = marks.get(WITHDRAWN, oldest)
    if first < request.end:
        yield from _withdrawals(ledger, archive, earlier(max(first, _LAUNCH), overlap), request.end, began)


def _oldest_publication(session: Session) -> datetime:
    """The publication of the ledger's oldest product; the end of time where there is none."""
    # What has no platform is no product that could be withdrawn; its time may be 1970.
    oldest = session.scalar(select(func.min(Scene.published_at)).where(Scene.platform != ""))
    return oldest or datetime.max.replace(tzinfo=UTC)


def _withdrawals(ledger: Ledger, archive: Archive, start: datetime, end: datetime, began: datetime) -> Iterator[Answer]:
    """What the archive has withdrawn since this was last looked for, or since the ledger's oldest product."""
    for left, right in slices(start, end, _WITHDRAWN_SLICE):
        listed = archive.withdrawn(left, right)
        offered = _still_offered(ledger, archive, listed)
        yield Answer(offered, withdrawn=listed, marks=(WITHDRAWN,), until=min(right, began))


def _still_offered(ledger: Ledger, archive: Archive, listed: Sequence[Withdrawn]) -> list[Product]:
    """What the archive offers of the acquisitions of withdrawn products that the ledger holds.

    A product of which one copy of two was removed is in the list of the withdrawn and is still offered.
    """
    if not listed:
        return []
    at = {product.id: product.at for product in listed}
    with ledger.begin() as session:
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


def _hand_on(ledger: Ledger, ids: Sequence[str]) -> list[str]:
    """The first `MOST_SCENES` of `ids`; the others are released, so that any next search takes them up."""
    taken, later = list(ids[:MOST_SCENES]), ids[MOST_SCENES:]
    if later:
        with ledger.begin() as session:
            release_scenes(session, later)
        log.warning(
            "%d scenes are to be fetched; this run takes the %d oldest, and later runs the rest", len(ids), len(taken)
        )
    return taken


def _report(summary: Summary, planned: Plan, decided: Plan, found: Sequence[Product]) -> None:
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

"""The search stage: find what is new in the archive, record it in the ledger, and list the scenes to fetch.

A scheduled search catches up. It begins at each tile's watermark: everything published before is in the ledger. The
watermark moves in the transaction that records what was found, so a run that is cut short loses nothing.
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
from seaice_ops.errors import ConfigError, plain
from seaice_ops.ledger.coverage import note_followed, note_sensed
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

    With `catch_up` a search by publication begins at each tile's watermark, or at `start` where that is earlier, less
    `archive.overlap_hours`. It moves the watermarks and also asks for withdrawn products. Raises `ConfigError` where
    the interval is empty or has no time zone.
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
    """The archive's answer to one question, to be recorded in one transaction."""

    found: Sequence[Product]
    """The products offered."""
    tiles: tuple[str, ...] = ()
    """The tiles searched. Scenes that an earlier run abandoned there are taken up."""
    withdrawn: Sequence[Withdrawn] = ()
    """The products withdrawn."""
    marks: tuple[str, ...] = ()
    """The watermarks that may move once this is in the ledger."""
    until: datetime | None = None
    """The publication time they move to."""
    since: datetime | None = None
    """From which publication time on the tiles were searched, up to where they were searched before."""


def run(settings: Settings, request: SearchRequest, *, caller: str = "") -> Summary:
    """Record what is new in the archive; `Summary.items` are the ids of the scenes to fetch now, oldest first.

    These are the best versions of the acquisitions found that are not ready yet, and scenes that an earlier run
    abandoned in the same tiles. There are at most `MOST_SCENES`; later runs take the others. A product that cannot be
    ingested is recorded as failed, once, with its reason. Raises `TransientError` where the archive does not answer;
    what was found before that stays recorded.
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
                if answer.since:
                    note_followed(session, name, answer.tiles, answer.since)
                elif request.by == "sensed":
                    note_sensed(session, name, answer.tiles, (request.start, request.end), began)
            report(stage.summary, planned, decided, answer.found)
        stage.summary.items = hand_on(stage.ledger, planned.ingest)
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
        yield Answer(found, part.tiles, marks=part.tiles, until=min(part.end, began), since=part.start)
    first = marks.get(WITHDRAWN, oldest)
    if first < request.end:
        yield from _withdrawals(ledger, archive, earlier(max(first, _LAUNCH), overlap), request.end, began)


def _oldest_publication(session: Session) -> datetime:
    """The publication of the ledger's oldest product; the end of time where there is none."""
    # What has no platform is no product that could be withdrawn; its time may be 1970.
    oldest = session.scalar(select(func.min(Scene.published_at)).where(Scene.platform != ""))
    return oldest or datetime.max.replace(tzinfo=UTC)


def _withdrawals(ledger: Ledger, archive: Archive, start: datetime, end: datetime, began: datetime) -> Iterator[Answer]:
    """Ask for the products withdrawn in [start, end), in a few long intervals."""
    for left, right in slices(start, end, _WITHDRAWN_SLICE):
        listed = archive.withdrawn(left, right)
        offered = _still_offered(ledger, archive, listed)
        yield Answer(offered, withdrawn=listed, marks=(WITHDRAWN,), until=min(right, began))


def _still_offered(ledger: Ledger, archive: Archive, listed: Sequence[Withdrawn]) -> list[Product]:
    """The products still offered of the acquisitions of which the ledger holds a withdrawn product.

    Where an archive removes one copy of two, the product is in its list of withdrawn products and is still offered.
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


def hand_on(ledger: Ledger, ids: Sequence[str]) -> list[str]:
    """The first `MOST_SCENES` of `ids`; the others are released, so that any next search takes them up."""
    taken, later = list(ids[:MOST_SCENES]), ids[MOST_SCENES:]
    if later:
        with ledger.begin() as session:
            release_scenes(session, later)
        log.warning(
            "%d scenes are to be fetched; this run takes the %d oldest, and later runs the rest", len(ids), len(taken)
        )
    return taken


def report(summary: Summary, planned: Plan, decided: Plan, found: Sequence[Product]) -> None:
    """Note in `summary` what was decided about what was `found`, and in `planned` what is to be fetched."""
    planned.best |= decided.best
    for decision in decided.decisions:
        if decision.state is SceneState.FAILED:
            summary.failed[decision.id] = decision.reason or ""
            log.warning("%s: %s", plain(decision.id), plain(decision.reason or ""))
        elif decision.state is SceneState.WITHDRAWN:
            summary.done["withdrawn"] += 1
            log.warning("%s was withdrawn: %s", plain(decision.id), plain(decision.reason or ""))
        elif decision.state is SceneState.SUPERSEDED:
            summary.done["superseded"] += 1
        else:
            summary.done["scenes" if decision.new else "retried"] += 1
    summary.unchanged["scenes"] += len({p.id for p in found} - {d.id for d in decided.decisions})

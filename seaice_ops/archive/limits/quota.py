"""Quotas of an archive's service: use is counted, kept within the quota, and shown.

Bytes and requests are kept in the ledger by the hour (`transfer_usage`). Workers of one home first add to a small file
(`pacing`), and whoever finds more than a batch there moves it to the ledger, so that a transfer costs few writes. A
worker killed at any moment loses nothing but, between taking a batch from the file and its row's commit, that batch.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from seaice_ops.archive.limits import pacing
from seaice_ops.errors import QuotaExceeded
from seaice_ops.ledger.operations import now
from seaice_ops.ledger.session import Ledger
from seaice_ops.ledger.tables import TransferUsage
from seaice_ops.settings import ArchiveSettings, QuotaSettings

HOUR, WINDOW = timedelta(hours=1), timedelta(days=30)

#: What is moved to the ledger at once: so many bytes, or whatever there is after so many seconds.
BATCH_BYTES, BATCH_SECONDS = 256 * 10**6, 30.0

#: Days of the present pace from which the day is foretold on which the quota is used up.
PACE_DAYS = 7

#: Left free for transfers under way, each of at most one whole product: bytes a connection, and a share of the quota.
PRODUCT_BYTES, RESERVE = 10**9, 0.01

Rows = Iterable[tuple[datetime, int]]


def used(rows: Rows, at: datetime) -> int:
    """Bytes of the 30 days before `at`, from (start of the UTC hour, bytes); an hour counts while any of it is in."""
    return sum(n for hour, n in rows if hour + HOUR > at - WINDOW)


def room_at(rows: Rows, at: datetime, need: int, limit: int) -> datetime | None:
    """From when on `need` more bytes fit into `limit` if nothing else is received: `at` or later; None for never."""
    if need > limit:
        return None
    counted = sorted((hour, n) for hour, n in rows if hour + HOUR > at - WINDOW)
    held = sum(n for _, n in counted)
    moment = at
    for hour, n in counted:
        if held + need <= limit:
            break
        held -= n
        moment = hour + HOUR + WINDOW
    return moment


def exhausted_at(rows: Rows, at: datetime, limit: int) -> datetime | None:
    """When the limit is reached, to the hour, at the pace of the last `PACE_DAYS` days; None if that never comes.

    Old hours leave the window while new bytes enter it; after 30 days the window holds new bytes alone.
    """
    counted = sorted((hour, n) for hour, n in rows if hour + HOUR > at - WINDOW)
    held, pace = sum(n for _, n in counted), _pace(counted, at)
    for ahead in range(int(WINDOW / HOUR) + 1):
        moment = at + ahead * HOUR
        while counted and counted[0][0] + HOUR <= moment - WINDOW:
            held -= counted.pop(0)[1]
        if held + pace * ahead >= limit:
            return moment
    return None


def _pace(rows: Rows, at: datetime) -> float:
    """Bytes an hour, over the last `PACE_DAYS` days or since the first hour in them, but at least over one day."""
    recent = [(hour, n) for hour, n in rows if hour > at - timedelta(days=PACE_DAYS)]
    span = max(timedelta(days=1), at - min((hour for hour, _ in recent), default=at))
    return sum(n for _, n in recent) / (span / HOUR)


@dataclass(frozen=True)
class Usage:
    """The use of an archive in the last 30 days."""

    archive: str
    """Kind of the archive, for example ``cdse``."""
    bytes: int
    limit: int
    """Bytes that the quota allows in 30 days."""
    requests: int
    exhausted_at: datetime | None
    """The time at which the quota is used up at this pace; None where it never is."""
    again: datetime | None
    """The time from which there is room again; None while there is room."""

    @property
    def share(self) -> float:
        """Bytes as a share of the limit."""
        return self.bytes / self.limit

    def sentence(self) -> str:
        """``cdse: 1.20 TB of 12.00 TB in 30 days (10.0 %), 9 requests; at this pace full on 2026-12-03``."""
        words = (
            f"{self.archive}: {size(self.bytes)} of {size(self.limit)} in 30 days ({100 * self.share:.1f} %), "
            f"{self.requests:,} requests"
        )
        if self.again:
            return f"{words}; used up, there is room again from {self.again:%Y-%m-%dT%H:%MZ}"
        return f"{words}; at this pace full on {self.exhausted_at:%Y-%m-%d}" if self.exhausted_at else words


def usage(ledger: Ledger, archive: ArchiveSettings, work: Path, at: datetime | None = None) -> Usage | None:
    """The use of the archive's quota, with what the workers that share `work` have not yet put into the ledger.

    None where there is no service to ask (a folder).
    """
    if archive.is_folder:
        return None
    moment = at or now()
    rows, requests = _rows(ledger, archive.kind, work, moment)
    return _usage(archive, rows, requests, moment)


def _usage(archive: ArchiveSettings, rows: list[tuple[datetime, int]], requests: int, at: datetime) -> Usage:
    limit = archive.quota.bytes_per_30_days
    room = room_at(rows, at, _reserve(archive.quota), limit)
    again = room if room and room > at else None
    return Usage(archive.kind, used(rows, at), limit, requests, exhausted_at(rows, at, limit), again)


def room_for(
    ledger: Ledger, archive: ArchiveSettings, work: Path, need: int, at: datetime | None = None
) -> datetime | None:
    """From when on `need` bytes may be received: `at` (now) or later; None where they exceed the quota itself.

    Without a service there is always room.
    """
    moment = at or now()
    if archive.is_folder:
        return moment
    rows, _ = _rows(ledger, archive.kind, work, moment)
    return room_at(rows, moment, need + _reserve(archive.quota), archive.quota.bytes_per_30_days)


def _reserve(quota: QuotaSettings) -> int:
    return min(quota.connections * PRODUCT_BYTES, int(quota.bytes_per_30_days * RESERVE)) or 1


def _rows(ledger: Ledger, archive: str, work: Path, at: datetime) -> tuple[list[tuple[datetime, int]], int]:
    """(start of the hour, bytes) of the last 30 days and their requests, the pending ones below `work` included."""
    query = select(TransferUsage.hour, TransferUsage.bytes, TransferUsage.requests)
    with ledger.begin() as session:
        found = session.execute(
            query.where(TransferUsage.archive == archive, TransferUsage.hour > at - WINDOW - HOUR)
        ).all()
    rows = [(hour, n) for hour, n, _ in found]
    pending = pacing.peek(_file(work, archive)).pending
    if pending:
        rows.append((datetime.fromtimestamp(pending.hour, UTC), pending.bytes))
    return rows, sum(requests for _, _, requests in found) + (pending.requests if pending else 0)


def _file(work: Path, archive: str) -> Path:
    return work / "quota" / f"{archive}.pace"


class Meter:
    """Counts what one worker asks of an archive and receives, and makes it wait or stop as the quotas say.

    Workers that share the folder `work` share one pace and the service's connections.
    """

    def __init__(self, ledger: Ledger, archive: ArchiveSettings, work: Path) -> None:
        self._ledger, self._archive, self._work = ledger, archive, work
        self._path = _file(work, archive.kind)
        self._checked = float("-inf")  # s of the monotonic clock

    def before_request(self) -> None:
        """Wait for the request's turn. Raises `QuotaExceeded`, saying when there is room again, where bytes ran out."""
        self._check_room()
        now = time.time()
        with pacing.locked(self._path) as (file, pace):
            start, due = pacing.reserve(pace.due, now, self._archive.quota.requests_per_minute)
            pacing.keep(file, replace(pace, due=due))
        self._count(0, 1)
        if start > now:
            time.sleep(start - now)

    def hold(self, seconds: float) -> None:
        """Let no worker of this home ask for so many seconds: the service has asked one of them to wait."""
        limit = self._archive.quota.requests_per_minute
        with pacing.locked(self._path) as (file, pace):
            pacing.keep(file, replace(pace, due=pacing.held(pace.due, time.time(), seconds, limit)))

    def received(self, n_bytes: int) -> None:
        """Count bytes that came; call it for each chunk, also of a transfer that then breaks off."""
        self._count(n_bytes, 0)

    @contextmanager
    def connection(self) -> Iterator[None]:
        """Hold one of the connections that the service allows, waiting for one to be free."""
        count = self._archive.quota.connections
        with pacing.one_of(self._path.parent, f"{self._archive.kind}.connection", count):
            yield

    def flush(self) -> None:
        """Move what this home's workers have counted to the ledger now; for the end of a piece of work."""
        self._move(everything=True)

    def _check_room(self) -> None:
        if time.monotonic() - self._checked < BATCH_SECONDS:
            return
        moment = now()
        rows, requests = _rows(self._ledger, self._archive.kind, self._work, moment)
        found = _usage(self._archive, rows, requests, moment)
        if found.again:
            raise QuotaExceeded(
                f"the quota of {found.sentence()}; raise archive.quota.bytes_per_30_days if the service allows more",
                again=found.again,
            )
        self._checked = time.monotonic()

    def _count(self, n_bytes: int, requests: int) -> None:
        now = time.time()
        with pacing.locked(self._path) as (file, pace):
            stale = pace.pending is not None and pace.pending.hour != now // 3600 * 3600
            if not stale:
                pacing.keep(file, replace(pace, pending=pacing.counted(pace.pending, n_bytes, requests, now)))
        if stale:  # what is pending belongs to an hour that is over
            self._move(everything=True)
            return self._count(n_bytes, requests)
        self._move(everything=False)

    def _move(self, *, everything: bool) -> None:
        with pacing.locked(self._path) as (file, pace):
            batch = pace.pending
            if batch is None or not (everything or _is_due(batch, time.time())):
                return
            pacing.keep(file, replace(pace, pending=None))
        try:
            hour = datetime.fromtimestamp(batch.hour, UTC)
            add_usage(self._ledger, self._archive.kind, hour, batch.bytes, batch.requests)
        except BaseException:
            self._put_back(batch)
            raise
        self._checked = float("-inf")

    def _put_back(self, batch: pacing.Pending) -> None:
        with pacing.locked(self._path) as (file, pace):
            base = pace.pending or replace(batch, bytes=0, requests=0)
            pacing.keep(file, replace(pace, pending=pacing.counted(base, batch.bytes, batch.requests, base.since)))


def _is_due(batch: pacing.Pending, now: float) -> bool:
    return batch.bytes >= BATCH_BYTES or not 0 <= now - batch.since < BATCH_SECONDS


def add_usage(ledger: Ledger, archive: str, hour: datetime, n_bytes: int, requests: int) -> None:
    """Add to the hour's row in one statement: writers at the same time lose nothing."""
    with ledger.begin() as session:
        dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
        row = dialect.insert(TransferUsage).values(archive=archive, hour=hour, bytes=n_bytes, requests=requests)
        more = {"bytes": TransferUsage.bytes + n_bytes, "requests": TransferUsage.requests + requests}
        session.execute(row.on_conflict_do_update(index_elements=["archive", "hour"], set_=more))


def size(n_bytes: float) -> str:
    """Bytes for people, in decimal units as quotas count: ``12.00 TB``, ``3.4 GB``, ``512 MB``."""
    for unit, scale, digits in (("TB", 1e12, 2), ("GB", 1e9, 1), ("MB", 1e6, 0)):
        if n_bytes >= scale:
            return f"{n_bytes / scale:.{digits}f} {unit}"
    return f"{n_bytes / 1e3:.0f} kB"

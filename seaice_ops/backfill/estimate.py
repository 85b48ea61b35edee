"""The cost of rebuilding some days, before anything is fetched: products, bytes, hours, and the pieces of the work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from typing import Any

from sqlalchemy import select

from seaice_ops.archive.limits.quota import size, usage
from seaice_ops.archive.source import open_archive
from seaice_ops.ledger.session import Ledger, open_ledger
from seaice_ops.ledger.tables import Run, Scene, SceneState
from seaice_ops.settings import Settings

#: Assumed of a scene until this ledger has measured it. Bytes: a recorded item of a whole tile over land lists 119,
#: 121, 118 and 134 MB for the bands of 10 m and 34 MB for B11. Seconds: to decode four bands of 10 m, at 15.5 s each,
#: and one of 20 m on one thread, and to transfer all at 20 MB/s.
DEFAULT_BYTES, DEFAULT_SECONDS = 526e6, 90.0

#: A scene's cost is the mean of so many of the newest runs of a stage.
MEASURED_RUNS = 2000

DAY = timedelta(days=1)

#: The largest share of the 30 days' quota that one piece of work takes.
PIECE = 0.1


@dataclass(frozen=True)
class Estimate:
    """What the archive holds of a region in some days, and what fetching the rest takes."""

    region: str
    first: str
    """The first day, ISO."""
    last: str
    """The last day, included."""
    found: int
    """Acquisitions in the archive's catalogue."""
    products: dict[str, int]
    """How many of them are not ready scenes yet, by ISO day."""
    scene_bytes: float
    """Bytes to fetch of one scene."""
    scene_seconds: float
    """Seconds to fetch and decode one scene."""
    measured: bool
    """Whether these two were measured here, or are assumed."""
    lanes: int
    """How many scenes are fetched at once."""
    quota: str
    """What is left of the archive's quota, in words; empty without one."""

    @property
    def missing(self) -> int:
        """Products that are to be fetched."""
        return sum(self.products.values())

    @property
    def bytes(self) -> int:
        """Bytes that are to be fetched."""
        return int(self.missing * self.scene_bytes)

    @property
    def hours(self) -> float:
        """Hours of fetching and decoding, with as many scenes at once as connections are allowed."""
        return self.missing * self.scene_seconds / self.lanes / 3600

    def sentence(self) -> str:
        """For people, on one line."""
        n_days = (date.fromisoformat(self.last) - date.fromisoformat(self.first)).days + 1
        basis = "as measured here" if self.measured else "assumed, as nothing was measured here yet"
        each = f"{size(self.scene_bytes)} and {self.scene_seconds:.0f} s a scene, {basis}"
        text = (
            f"{self.region} {self.first} to {self.last}, {n_days} days: {self.missing} products to fetch of "
            f"{self.found} found, {size(self.bytes)}, about {self.hours:.1f} h ({self.lanes} at once, {each})"
        )
        return f"{text}; {self.quota}" if self.quota else text

    def to_dict(self) -> dict[str, Any]:
        """As JSON types, the derived figures included."""
        return {**asdict(self), "missing": self.missing, "bytes": self.bytes, "hours": round(self.hours, 2)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Estimate:
        """Read what `to_dict` wrote."""
        return cls(**{key: value for key, value in data.items() if key in cls.__dataclass_fields__})


def estimate(
    settings: Settings, region: str, first: date, last: date, progress: Callable[[date], None] = lambda day: None
) -> Estimate:
    """Ask the archive's catalogue, a month at a time, what was sensed over the region; nothing is fetched or written.

    Versions of one acquisition count once. Raises what the archive's search raises.
    """
    tiles, archive = settings.region(region).tiles, open_archive(settings)
    wanted: dict[str, date] = {}
    for start, end in months(first, last):
        for product in archive.search(tiles, "sensed", midnight(start), midnight(end + DAY)):
            if product.problem is None:
                wanted[product.identity] = product.sensed_at.astimezone(UTC).date()
        progress(end)
    ledger = open_ledger(settings)
    ready = _ready(ledger, tiles, first, last)
    missing = [day for identity, day in wanted.items() if identity not in ready]
    quota = usage(ledger, settings.archive, settings.work)
    scene_bytes, scene_seconds, measured = scene_cost(ledger)
    return Estimate(
        region,
        first.isoformat(),
        last.isoformat(),
        len(wanted),
        {day.isoformat(): n for day, n in sorted(Counter(missing).items())},
        scene_bytes,
        scene_seconds,
        measured,
        settings.archive.quota.connections,
        f"quota of {quota.sentence()}" if quota else "",
    )


def _ready(ledger: Ledger, tiles: tuple[str, ...], first: date, last: date) -> set[str]:
    query = select(Scene.identity).where(Scene.state == SceneState.READY, Scene.tile.in_(tiles))
    with ledger.begin() as session:
        return set(
            session.scalars(query.where(Scene.sensed_at >= midnight(first), Scene.sensed_at < midnight(last + DAY)))
        )


def scene_cost(ledger: Ledger) -> tuple[float, float, bool]:
    """Bytes to fetch, and seconds to fetch and decode, of one scene; True where the ledger has measured both."""
    totals: dict[str, list[float]] = {}
    for stage in ("fetch", "decode"):
        query = select(Run.seconds, Run.summary).where(Run.stage == stage, Run.error.is_(None))
        with ledger.begin() as session:
            runs = session.execute(query.order_by(Run.id.desc()).limit(MEASURED_RUNS)).all()
        done = [(s, summary.get("bytes_in", 0), n) for s, summary in runs if (n := summary["done"].get("scenes", 0))]
        scenes = sum(n for _, _, n in done)
        if not scenes:
            return DEFAULT_BYTES, DEFAULT_SECONDS, False
        totals[stage] = [sum(s for s, _, _ in done) / scenes, sum(b for _, b, _ in done) / scenes]
    return totals["fetch"][1], totals["fetch"][0] + totals["decode"][0], True


def months(first: date, last: date) -> Iterator[tuple[date, date]]:
    """The calendar months, cut at both ends, as (first, last) days."""
    while first <= last:
        month_end = (first.replace(day=1) + timedelta(days=31)).replace(day=1) - DAY
        yield first, min(month_end, last)
        first = month_end + DAY


def piece_end(found: Estimate, first: date, limit: int) -> date:
    """The last day of the piece of work that begins on `first`: within its month, and within a share of the quota."""
    month_end = next(months(first, date.fromisoformat(found.last)))[1]
    total, day = 0.0, first
    while True:
        total += found.products.get(day.isoformat(), 0) * found.scene_bytes
        if total > limit * PIECE and day > first:
            return day - DAY
        if day == month_end:
            return day
        day += DAY


def midnight(day: date) -> datetime:
    """The start of the day, UTC."""
    return datetime.combine(day, clock(), UTC)

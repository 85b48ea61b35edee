"""What the account knows of one acquisition, and of the circumstances in which it is judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Literal

from seaice_ops.ledger.tables import SceneState
from seaice_ops.ops.account.reasons import Reason

Part = Literal["scene", "labels", "map"]


@dataclass(frozen=True)
class Coverage:
    """What of one tile the searches that ended have covered."""

    until: datetime | None = None
    """The watermark: everything published from `since` until then is in the ledger."""
    since: datetime | None = None
    """From which publication time on the tile is followed; None where an older version kept no note of it."""
    spans: tuple[tuple[datetime, datetime, datetime], ...] = ()
    """Intervals of sensing time that backfills searched: start, end, and when they were searched."""
    known: tuple[datetime, datetime] | None = None
    """Sensing times of the tile's oldest and newest product in the ledger."""


@dataclass(frozen=True)
class Offer:
    """What the archive's catalogue offers of an acquisition: its best usable product, else any."""

    id: str
    published_at: datetime


@dataclass(frozen=True)
class Version:
    """One row of the ledger."""

    id: str
    state: SceneState
    since: datetime
    """When it came into this state."""
    touched: datetime
    """When a run last claimed or changed it."""
    reason: str | None = None
    before: SceneState | None = None
    """Of a failed one: its state before."""
    claimed_by: str | None = None


@dataclass(frozen=True)
class Made:
    """What was made of the ready version."""

    labelled: bool = False
    """It has labels in force, of its present pixels."""
    encoded: bool = False
    """It has probabilities (labels, where those make the maps), or a map was made without them."""
    mapped: bool = False
    """The newest map that ends with it holds its present pixels."""
    map_id: str | None = None
    obstacle: tuple[Reason, str] | None = None
    """Why its map cannot be made, where that is known."""
    lost: str = ""
    """What is wrong with an object of its pixels, labels or map; empty where nothing is."""
    lost_part: Part | None = None
    """What that object is of."""
    ready_to_map: datetime | None = None
    """Since when labels or probabilities are there."""


@dataclass(frozen=True)
class Acquisition:
    """One acquisition: what is offered, what the ledger holds, what was made."""

    identity: str
    tile: str
    sensed_at: datetime
    offered: Offer | None
    """None where the catalogue does not offer it (any more), or was not asked."""
    versions: tuple[Version, ...] = ()
    wanted: str | None = None
    """The version that `archive.plan` would have ingested now; None where there is nothing to ingest."""
    made: Made = Made()
    gone: str = ""
    """The archive's cause where it has withdrawn it and the ledger does not know yet."""

    @property
    def ready(self) -> Version | None:
        """The version that is held."""
        return next((version for version in self.versions if version.state is SceneState.READY), None)


@dataclass(frozen=True)
class Circumstances:
    """The moment at which the account is made, and what holds work up."""

    at: datetime
    grace: timedelta
    """How long any step may take (`mapping.late_after_hours`)."""
    overlap: timedelta = timedelta()
    """How far a search looks back before its watermark (`archive.overlap_hours`)."""
    asked: bool = True
    """Whether the archive was asked."""
    lists_withdrawals: bool = True
    """Whether the archive says what it withdraws."""
    outage: str = ""
    """The outage in words, while there is one."""
    quota: str = ""
    """The quota in words, while it is used up."""
    resumed: datetime | None = None
    """When the archive last held work up."""
    queue: timedelta = timedelta()
    """How much longer a scene may wait because others are before it; only while the queue moves."""
    model: str | None = None
    """The champion, where it makes the maps; None where the labels do."""
    errors: Mapping[str, str] = field(default_factory=dict)
    """The error with which the newest run of a stage ended, by stage."""


@dataclass(frozen=True)
class Line:
    """The account of one acquisition. `reason` is None exactly where everything was made of what is offered."""

    tile: str
    day: date
    """The UTC day of its sensing."""
    identity: str
    product: str
    """The product that is meant: the one to ingest, else the one held, else the one offered."""
    expected: bool
    held: bool
    labelled: bool
    encoded: bool
    mapped: bool
    published: bool
    reason: Reason | None = None
    words: str = ""
    """What exactly, for a person."""
    since: datetime | None = None
    """Since when it stands there."""
    ingest: bool = False
    """Whether ingesting `product` again may help."""

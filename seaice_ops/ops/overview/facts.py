"""The overview as frozen dataclasses. Times are UTC, areas km2, shares 0 to 1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from seaice_ops.archive.limits.breaker import State
from seaice_ops.archive.limits.quota import Usage
from seaice_ops.ops.inactive import Inactive
from seaice_ops.ops.notify import LateMap


@dataclass(frozen=True)
class Score:
    """One evaluation of a model or of labels. A figure that it lacks, or that is no number, is None."""

    against: str
    """`truth`, hand labels or auto-labels."""
    dataset: str
    at: datetime
    pixels: float | None
    accuracy: float | None
    majority: float | None
    """The accuracy of always answering the most frequent class."""
    macro_f1: float | None
    mean_iou: float | None


@dataclass(frozen=True)
class Labels:
    """The label sets of one method and version."""

    method: str
    version: str
    current: bool
    """True for the version that the settings in force make."""
    scenes: int
    seconds: float
    """Time that labelling took, all scenes together."""
    newest: datetime
    scores: tuple[Score, ...]


@dataclass(frozen=True)
class ModelState:
    """A model of the registry."""

    id: str
    aliases: tuple[str, ...]
    created_at: datetime
    scores: tuple[Score, ...]


@dataclass(frozen=True)
class NewestMap:
    """The last revision of a tile's last window."""

    id: str
    key: str
    """Key of its STAC item in the object store."""
    folder: str
    window_start: datetime
    window_end: datetime
    revision: int
    model: str
    scenes: int
    """Number of scenes in the window."""
    withdrawn: str | None
    """Why the map was withdrawn, or None."""
    age_hours: float
    """Hours since the window's end."""
    published_at: datetime
    statistics: Mapping[str, Any]

    @property
    def area_km2(self) -> Mapping[str, float]:
        """Area of each class by its slug; empty for a withdrawn map."""
        areas: Mapping[str, float] = self.statistics.get("area_km2", {})
        return areas


@dataclass(frozen=True)
class TileState:
    """The scenes and maps of one tile."""

    scenes: Mapping[str, int]
    """Number of scenes by state; states without scenes are left out."""
    newest_ready: datetime | None
    """Sensing time of the newest ready scene."""
    windows: int
    """Number of windows that have a map."""
    revisions: int
    """Number of maps, all revisions counted."""
    newest_map: NewestMap | None
    inactive: Inactive | None
    """Set while nothing was acquired for a week although the sun is up."""


@dataclass(frozen=True)
class ArchiveState:
    """The archive in force."""

    kind: str
    searched_until: datetime | None
    """Everything published until then is known of every tile; None where a tile was never searched."""
    quota: Usage | None
    """Use of the quota in the last 30 days; None for an archive without a service."""
    outage: State | None
    """The outage, while the archive does not answer."""


@dataclass(frozen=True)
class Problem:
    """A scene that was set aside, a run that ended with an error, or an item that failed inside a run."""

    at: datetime
    stage: str
    item: str | None
    tile: str | None
    reason: str | None


@dataclass(frozen=True)
class LastRun:
    """The newest run of one stage."""

    started_at: datetime
    seconds: float
    caller: str
    said: str
    """The run's Summary in one sentence."""
    error: str | None


@dataclass(frozen=True)
class Overview:
    """The state of everything, as `collect.overview` found it."""

    version: str
    at: datetime
    home: str
    store: str
    """Address of the object store, without a password."""
    scenes: Mapping[str, int]
    """Number of scenes by state, every state named."""
    tiles: Mapping[str, TileState]
    """By name: all tiles of the regions, and others of which something is known."""
    regions: Mapping[str, tuple[str, ...]]
    """Tiles of each region by its title."""
    labels: tuple[Labels, ...]
    models: tuple[ModelState, ...]
    """Newest first."""
    late: tuple[LateMap, ...]
    archive: ArchiveState
    problems: tuple[Problem, ...]
    """Newest first."""
    runs: Mapping[str, LastRun]
    """By stage, the longest ago first."""

    @property
    def inactive(self) -> dict[str, str]:
        """By tile: since when nothing was acquired although the sun is up."""
        return {name: tile.inactive.sentence(self.at) for name, tile in self.tiles.items() if tile.inactive}


def age(hours: float) -> str:
    """An age for people: hours up to two days, then days."""
    return f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} d"

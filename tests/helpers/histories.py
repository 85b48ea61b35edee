"""A small archive with a history, and the ledger that follows it: publications, withdrawals, outages, kills, backfills.

`World` plays events on a folder archive and the real stages; `truth` says, from the events alone, what must be ready.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from helpers.factories import band_path, make_product, product_name, withdraw
from seaice_ops.archive import fetch, search
from seaice_ops.archive.fetch import FetchRequest
from seaice_ops.archive.providers.folder import FolderArchive
from seaice_ops.archive.search import SearchRequest
from seaice_ops.errors import TransientError
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Scene
from seaice_ops.pixels.radiometry import UNOBSERVED
from seaice_ops.scenes import decode
from seaice_ops.scenes.decode import DecodeRequest
from seaice_ops.sensors.sentinel2 import BANDS
from seaice_ops.settings import Settings
from seaice_ops.storage.store import ObjectStore

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
BEGIN = datetime(2026, 2, 1, tzinfo=UTC)
SIZE = 16

#: Three acquisitions: (tile, sensing start). The second orbit crosses UTC midnight, its tile the antimeridian.
ACQUISITIONS = (
    ("01CCV", BEGIN + 20 * HOUR),
    ("01CCV", BEGIN + 5 * DAY - timedelta(seconds=9)),
    ("60CWS", BEGIN + 2 * DAY + 21 * HOUR),
)


class KilledError(BaseException):
    """Raised at a write to end a run, in place of a kill; nothing in the package catches it."""


@dataclass(frozen=True)
class Version:
    """A product: of which acquisition, received where, in which baseline, generated when, and whether it is damaged."""

    acquisition: int
    station: int
    baseline: str
    generation: int
    damaged: bool = False

    @property
    def id(self) -> str:
        tile, sensed = ACQUISITIONS[self.acquisition]
        return product_name(sensed=sensed, tile=tile, baseline=self.baseline, generated=self.generated)

    @property
    def generated(self) -> datetime:
        # No two stations generate in the same second.
        return ACQUISITIONS[self.acquisition][1] + (1 + self.generation) * HOUR + timedelta(minutes=self.station)

    def numbers(self) -> dict[str, np.ndarray]:
        """Digital numbers: a station holds ten of the sixteen rows; each version is bright in its own way."""
        value = 2000 + 1000 * self.generation + 300 * self.station + 50 * self.acquisition + int(self.baseline)
        bands = {band: np.full((SIZE // 2 if band == "B11" else SIZE,) * 2, value, np.uint16) for band in BANDS}
        for band, values in bands.items():
            rows = 3 if band == "B11" else 6
            if self.station == 0:
                values[-rows:] = 0
            else:
                values[:rows] = 0
        return bands


@dataclass
class World:
    """The archive's folder, the clock, what happened so far, and the faults of the run under way."""

    settings: Settings
    clock: datetime = BEGIN + 9 * HOUR
    published: dict[Version, datetime] = field(default_factory=dict)
    withdrawn: dict[Version, datetime] = field(default_factory=dict)
    answers_left: int | None = None
    writes_left: int | None = None
    runs: int = 0

    # ---- what happens in the archive

    def publish(self, version: Version, lag: int) -> None:
        """Publish, stamped `lag` hours ago (catalogues show products late); once more only after a withdrawal."""
        if version in self.published and version not in self._gone():
            return
        twins = [v for v in self.published if v.id == version.id and v != version]
        if twins:
            return
        stamp = max(self.clock - lag * HOUR, self.withdrawn.get(version, BEGIN) + HOUR)
        archive = self.settings.archive_path
        if version not in self.published:
            tile, sensed = ACQUISITIONS[version.acquisition]
            strip = sensed + timedelta(seconds=7 * version.station)
            make_product(
                archive, version.id, version.numbers(), tile=tile, sensed=sensed, datastrip=strip, published=stamp
            )
            if version.damaged:
                path = band_path(archive, version.id, "B08")
                path.write_bytes(path.read_bytes()[:-9])
        else:
            entry = archive / f"{version.id}.json"
            entry.write_text(entry.read_text().replace(self.published[version].isoformat(), stamp.isoformat()))
        self.published[version] = stamp

    def withdraw(self, number: int) -> None:
        """Withdraw one of the products that are offered."""
        offered = [v for v in self.published if v not in self._gone()]
        if offered:
            version = offered[number % len(offered)]
            self.withdrawn[version] = max(self.clock, self.published[version] + HOUR)
            withdraw(self.settings.archive_path, version.id, self.withdrawn[version])

    def wait(self, hours: int) -> None:
        self.clock += hours * HOUR

    def _gone(self) -> set[Version]:
        return {v for v, at in self.withdrawn.items() if at >= self.published[v]}

    # ---- runs

    def scheduled(self, answers: int | None = None, writes: int | None = None) -> int:
        """The daily run; its archive goes down after some answers, and it is killed after some writes, if given.

        Returns the number of scenes that it was to ingest.
        """
        return self._run(self._catch_up(), answers, writes)

    def backfill(self, first: int, days: int, answers: int | None = None, writes: int | None = None) -> int:
        start = BEGIN + first * DAY
        return self._run(SearchRequest("sensed", start, start + days * DAY), answers, writes)

    def together(self, turns: list[bool]) -> None:
        """A scheduled run and a backfill at the same time, whose steps alternate by `turns`."""
        both = [self._steps(self._catch_up()), self._steps(SearchRequest("sensed", BEGIN, BEGIN + 9 * DAY))]
        for turn in [*turns, *itertools.repeat(False, 99), *itertools.repeat(True, 99)]:
            with suppress(TransientError):
                next(both[turn], None)

    def _catch_up(self) -> SearchRequest:
        midnight = self.clock.replace(hour=0, minute=0, second=0)
        return SearchRequest("published", midnight - DAY, midnight, catch_up=True)

    def _run(self, request: SearchRequest, answers: int | None, writes: int | None) -> int:
        self.answers_left, self.writes_left = answers, writes
        counts = [0]
        with suppress(TransientError, KilledError):
            counts.extend(self._steps(request))
        self.answers_left = self.writes_left = None
        return counts[-1]

    def _steps(self, request: SearchRequest) -> Iterator[int]:
        """A run in steps between which another may run; yields how many scenes it is to ingest."""
        self.runs += 1
        caller = f"run {self.runs}"
        items = search.run(self.settings, request, caller=caller).items
        yield len(items)
        for scene_id in items:
            fetch.run(self.settings, FetchRequest((scene_id,)), caller=caller)
            yield len(items)
            decode.run(self.settings, DecodeRequest((scene_id,)), caller=caller)
            yield len(items)

    # ---- faults

    def answer(self) -> None:
        """The archive is asked: it answers, or it is down until the run ends."""
        if self.answers_left is not None:
            self.answers_left -= 1
            if self.answers_left < 0:
                raise TransientError("the archive does not answer")

    def wrote(self, *_: Any) -> None:
        """A write is complete: the run is killed now, or goes on."""
        if self.writes_left is not None:
            self.writes_left -= 1
            if self.writes_left < 0:
                self.writes_left = None
                raise KilledError


class Flaky:
    """The world's archive as the stages see it."""

    def __init__(self, world: World) -> None:
        self.world, self.folder = world, FolderArchive(world.settings.archive_path, frozenset(world.settings.tiles))

    def search(self, *args: Any) -> Any:
        self.world.answer()
        # The folder offers what is stamped for later too; a catalogue knows nothing of it.
        return [p for p in self.folder.search(*args) if p.published_at <= self.world.clock]

    def withdrawn(self, *args: Any) -> Any:
        self.world.answer()
        return [w for w in self.folder.withdrawn(*args) if w.at <= self.world.clock]

    def fetch(self, product: Any, files: Any, inbox: Path) -> Any:
        paths = []
        for file in files:
            self.world.answer()
            paths += self.folder.fetch(product, [file], inbox)
            self.world.wrote()
        return paths


@contextmanager
def playing(world: World) -> Iterator[World]:
    """Let the stages see the world's archive, clock and faults."""
    real = ObjectStore.put_file

    def put_file(self: ObjectStore, key: str, path: Path) -> str:
        answer = real(self, key, path)
        world.wrote()
        return answer

    with pytest.MonkeyPatch.context() as patch:
        for module in ("archive.search", "archive.fetch"):
            patch.setattr(f"seaice_ops.{module}.open_archive", lambda _: Flaky(world))
        modules = ("archive.search", "archive.record", *(f"ledger.{m}" for m in ("operations", "runs", "scenes")))
        for module in (*modules, "ledger.watermarks"):
            patch.setattr(f"seaice_ops.{module}.now", lambda: world.clock)
        patch.setattr(ObjectStore, "put_file", put_file)
        event.listen(Session, "after_commit", world.wrote)
        try:
            yield world
        finally:
            event.remove(Session, "after_commit", world.wrote)


# ---- what must be, from the history alone


def truth(world: World) -> dict[int, list[Version]]:
    """By acquisition, the undamaged products on offer that its scene is made of, newest first; by a plain loop."""
    parts: dict[int, list[Version]] = {}
    for number in range(len(ACQUISITIONS)):
        offered = [
            v
            for v, at in world.published.items()
            if v.acquisition == number and not v.damaged and not world.withdrawn.get(v, BEGIN) >= at
        ]
        highest = max((int(v.baseline) for v in offered), default=None)
        best = []
        for version in offered:
            rivals = [v for v in offered if (v.station, v.baseline) == (version.station, version.baseline)]
            if int(version.baseline) == highest and version.generation == max(v.generation for v in rivals):
                best.append(version)
        if best:
            parts[number] = sorted(best, key=lambda v: v.generated, reverse=True)
    return parts


def scene_id(parts: list[Version]) -> str:
    if len(parts) == 1:
        return parts[0].id
    return f"{parts[0].id}_with_" + "_".join(f"{part.generated:%Y%m%dT%H%M%S}" for part in parts[1:])


def pixels(parts: list[Version]) -> np.ndarray:
    """(5, rows, columns): each pixel of the newest part that has it."""
    out = np.full((5, SIZE, SIZE), UNOBSERVED)
    for row, column in itertools.product(range(SIZE), repeat=2):
        for part in parts:
            number = int(part.numbers()["B02"][row, column])
            if number:
                out[:, row, column] = number - 1000
                break
    return out


def rows(settings: Settings) -> dict[str, Scene]:
    with open_ledger(settings).begin() as session:
        return {scene.id: scene for scene in session.scalars(select(Scene))}


def fresh(template: Path, folder: Path) -> Settings:
    """Settings of a new home in `folder` whose ledger and store are copies of `template` and of the store beside it."""
    home = folder / "home"
    (home / "archive").mkdir(parents=True)
    shutil.copy(template, home / "ledger.sqlite")
    shutil.copytree(template.with_name("objects"), home / "objects")  # empty but for the marker that the ledger knows
    tiles = {"ross": {"title": "Ross Sea", "tiles": ["01CCV", "60CWS"]}}
    return Settings.model_validate({"home": home, "regions": tiles})

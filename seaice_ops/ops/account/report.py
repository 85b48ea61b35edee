"""The account of some days, as a report: its parts, its JSON and its list of products to ingest. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from seaice_ops.ops.account.facts import Line
from seaice_ops.ops.account.reasons import Reason
from seaice_ops.ops.account.table import STEPS, Cell, Table, tally


@dataclass(frozen=True)
class Damage:
    """An object of the store that is not what was written."""

    key: str
    what: str
    """Missing, or how its size or checksum differ."""


@dataclass(frozen=True)
class Checked:
    """What was looked at in the store."""

    listed: int = 0
    """Objects that must be there, and were looked for in the store's list."""
    sampled: int = 0
    """Objects of which size and checksum were compared."""
    damaged: tuple[Damage, ...] = ()
    unknown: tuple[str, ...] = ()
    """Published maps, by id, that the ledger does not know."""
    trouble: str = ""
    """Why the store could not be looked at; empty where it could."""


@dataclass(frozen=True)
class Report:
    """The account of `tiles` from `first` to `last` (days, both included)."""

    at: datetime
    region: str
    """Name of the region; empty for all."""
    first: date
    last: date
    archive: str
    """`asked`, or why it was not."""
    notices: tuple[str, ...]
    """What makes the account itself uncertain."""
    lines: tuple[Line, ...]
    objects: Checked

    @property
    def missing(self) -> list[Line]:
        """The lines with a reason, unexplained ones first, then the newest."""
        found = [line for line in self.lines if line.reason]
        found.sort(key=lambda line: (line.day, line.tile, line.identity), reverse=True)
        return sorted(found, key=lambda line: line.reason is not Reason.UNEXPLAINED)

    @property
    def unexplained(self) -> list[str]:
        """What alarms, one sentence each: unexplained acquisitions, and damaged objects of no acquisition shown."""
        found = [line for line in self.missing if line.reason is Reason.UNEXPLAINED]
        told = {_whole(line.words.partition(": ")[0]) for line in found}
        others = {_whole(each.key): each for each in reversed(self.objects.damaged) if _whole(each.key) not in told}
        lost = [f"{each.key}: {each.what}" for each in reversed(others.values())]
        return [f"{line.product}: {line.words}" for line in found] + lost

    @property
    def ingest(self) -> list[str]:
        """The products that ingesting may help, by sensing time: for `seaice ingest --list` and the run of a DAG."""
        wanted = [(line.day, line.product) for line in self.lines if line.ingest]
        return list(dict.fromkeys(product for _, product in sorted(wanted)))

    @property
    def again(self) -> list[str]:
        """The ids of the maps whose objects are lost: for `seaice map --again`."""
        folders = (each.key.rpartition("/")[0] for each in self.objects.damaged if each.key.startswith("maps/"))
        return list(dict.fromkeys(folder.rpartition("/")[2] for folder in folders))

    def table(self) -> tuple[Table, Cell]:
        """Counts by tile and day, and the totals."""
        return tally(self.lines)

    def sentence(self) -> str:
        """For people, on one line."""
        _, total = self.table()
        counts = ", ".join(f"{total.steps[step]} {step}" for step in STEPS)
        reasons = ", ".join(f"{n} {reason}" for reason, n in _ordered(total.reasons))
        where = f" of {self.region}" if self.region else ""
        return f"acquisitions{where} {self.first} to {self.last}: {counts}; {reasons or 'nothing is missing'}"


def _whole(key: str) -> str:
    """What an object is a part of: a map, else itself."""
    return key.rpartition("/")[0] if key.startswith("maps/") else key


def to_json(report: Report) -> dict[str, Any]:
    """The report as JSON types. Days on which nothing was expected or held are left out."""
    table, total = report.table()
    return {
        "at": report.at.isoformat(),
        "region": report.region,
        "from": report.first.isoformat(),
        "to": report.last.isoformat(),
        "archive": report.archive,
        "notices": list(report.notices),
        "total": _cell(total),
        "tiles": {tile: {day.isoformat(): _cell(cell) for day, cell in days.items()} for tile, days in table.items()},
        "missing": [_line(line) for line in report.missing],
        "objects": {**asdict(report.objects), "damaged": [asdict(each) for each in report.objects.damaged]},
        "unexplained": report.unexplained,
        "ingest": {"products": report.ingest},
        "again": {"maps": report.again},
    }


def _cell(cell: Cell) -> dict[str, Any]:
    counts: dict[str, Any] = {step: cell.steps[step] for step in STEPS}
    return {**counts, "reasons": {reason.value: n for reason, n in _ordered(cell.reasons)}}


def _ordered(reasons: Mapping[Reason, int]) -> Sequence[tuple[Reason, int]]:
    return [(reason, reasons[reason]) for reason in Reason if reasons.get(reason)]


def _line(line: Line) -> dict[str, Any]:
    return {
        **asdict(line),
        "day": line.day.isoformat(),
        "reason": line.reason.value if line.reason else None,
        "since": line.since.isoformat() if line.since else None,
    }

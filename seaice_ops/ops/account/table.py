"""The table of the account: counts by tile and day, and the reasons for what is missing. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

from seaice_ops.ops.account.facts import Line
from seaice_ops.ops.account.reasons import Reason

STEPS = ("expected", "held", "labelled", "encoded", "mapped", "published")


@dataclass
class Cell:
    """The acquisitions of one tile on one day, or of any other group: how many came how far, and why not further."""

    steps: Counter[str] = field(default_factory=Counter)
    reasons: Counter[Reason] = field(default_factory=Counter)

    def add(self, line: Line) -> None:
        """Count one acquisition."""
        self.steps.update(step for step in STEPS if getattr(line, step))
        if line.reason:
            self.reasons[line.reason] += 1


Table = dict[str, dict[date, Cell]]


def tally(lines: Iterable[Line]) -> tuple[Table, Cell]:
    """The table, by tile and day, and the totals."""
    table: defaultdict[str, defaultdict[date, Cell]] = defaultdict(lambda: defaultdict(Cell))
    total = Cell()
    for line in lines:
        table[line.tile][line.day].add(line)
        total.add(line)
    return {tile: dict(sorted(days.items())) for tile, days in sorted(table.items())}, total

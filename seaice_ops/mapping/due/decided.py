"""The changes that people approved, as maps are made with them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from seaice_ops.ledger.changes import APPROVED, changes_of
from seaice_ops.storage.rasters import Grid


@dataclass(frozen=True)
class Decision:
    """An approved change: from `at` on its pixels are of class `code`."""

    id: str
    at: datetime
    code: int
    box: tuple[int, int, int, int]
    """(first row, first column, rows, columns) of its pixels."""
    folder: str
    pixels_sha256: str

    @property
    def mark(self) -> str:
        """What a map keeps of it: its id, and a hash of all that the map's pixels depend on."""
        decisive = [self.at.isoformat(), self.code, self.box, self.pixels_sha256]
        return f"{self.id}:{hashlib.sha256(json.dumps(decisive).encode()).hexdigest()[:8]}"


def decided(session: Session, tile: str, grid: Grid | None) -> tuple[Decision, ...]:
    """The approved changes of `tile` on its present grid, oldest first."""
    rows = changes_of(session, [tile], [APPROVED]) if grid else []
    return tuple(
        Decision(
            row.id,
            row.at,
            row.decided_class or row.after_class,
            (row.top, row.left, row.height, row.width),
            row.folder,
            row.pixels_sha256,
        )
        for row in rows
        if grid and (row.crs, tuple(row.transform)) == (grid.crs, grid.transform)
    )


def until(decisions: Sequence[Decision], end: datetime) -> tuple[Decision, ...]:
    """Those that a map at `end` is made with: they are dated not later."""
    return tuple(each for each in decisions if each.at <= end)

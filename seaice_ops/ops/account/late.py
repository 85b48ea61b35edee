"""Why a tile is late, from the ledger alone: for pages, which ask no archive."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from seaice_ops.ledger.operations import now
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ops.account.collect import acquisitions, circumstances
from seaice_ops.ops.account.facts import Line
from seaice_ops.ops.account.rows import Span
from seaice_ops.ops.account.why import account_for
from seaice_ops.settings import Settings


def lines(settings: Settings, tiles: Sequence[str], start: datetime, end: datetime) -> list[Line]:
    """The lines of all acquisitions of `tiles` in the ledger that were sensed in [start, end), oldest first a tile.

    A line without a reason is a published map. Raises `TransientError` where the ledger does not answer.
    """
    ledger, at = open_ledger(settings), now()
    standing = circumstances(ledger, settings, at, asked=False)
    found = acquisitions(ledger, settings, Span(tuple(tiles), start, end), None, standing)
    judged = (account_for(each, found.coverage[each.tile], standing) for each in found.acquisitions)
    return [line for line in judged if line]


def why_late(settings: Settings, tiles: Sequence[str], days: float = 14) -> dict[str, Line]:
    """By tile: the newest acquisition of the last `days` that is no published map, with its one reason.

    Tiles whose acquisitions are all published are left out, as are those without any.
    """
    at = now()
    found = lines(settings, tiles, at - timedelta(days=days), at)
    return {line.tile: line for line in found if line.reason and not line.published}

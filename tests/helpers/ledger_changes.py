"""A dated change's row without any objects, and decisions that processes can make by name."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from helpers.ledger_rows import FIRST
from seaice_ops.ledger.changes import APPROVED, CONFIRMED, PROVISIONAL, REJECTED, decide, get_change, move_change
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Change
from seaice_ops.settings import Settings


def a_change(name: str = "c1", **values: Any) -> Change:
    at = FIRST + timedelta(days=10)
    return Change(
        **{
            "id": name,
            "tile": "01CCV",
            "state": PROVISIONAL,
            "before_class": 3,
            "after_class": 1,
            "at": at,
            "since": at - timedelta(days=1),
            "first_at": at,
            "last_at": at,
            "confidence": 90,
            "pixels": 600,
            "area_km2": 0.06,
            "crs": "EPSG:32701",
            "transform": [10.0, 0.0, 399960.0, 0.0, -10.0, 1600020.0],
            "top": 8,
            "left": 10,
            "height": 20,
            "width": 30,
            "box": [0.0, 0.0, 1.0, 1.0],
            "content": "0" * 24,
            "folder": "changes/01CCV/0",
            "pixels_sha256": "0" * 64,
            "scene_ids": ["a", "b"],
            "found_at": at,
            "updated_at": at,
            **values,
        }
    )


def decide_as(settings: Settings, name: str, who: str, approve: bool) -> str:
    """One reviewer's decision: ``won`` or the error's words."""
    try:
        with open_ledger(settings).begin() as session:
            row = get_change(session, name)
            decide(session, row, APPROVED if approve else REJECTED, who=who)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "won"


def confirm_as(settings: Settings, name: str, who: str) -> str:
    """The finder's move of the same change."""
    with open_ledger(settings).begin() as session:
        row = get_change(session, name)
        return "won" if row.state is PROVISIONAL and move_change(session, row, CONFIRMED, caller=who) else "late"

"""The door of housekeeping: tell what is out of place; delete the orphans only where that was asked for."""

from __future__ import annotations

from dataclasses import replace

from seaice_ops.errors import ConfigError
from seaice_ops.ledger.operations import now
from seaice_ops.ledger.runs import StageRun, recorded
from seaice_ops.ops.housekeeping.find import GRACE, Found, Orphan, find, held_by, is_named
from seaice_ops.settings import Settings
from seaice_ops.summary import Summary


def run(settings: Settings, delete: bool = False, caller: str = "") -> tuple[Summary, Found]:
    """Compare ledger and store, and return what differs; with `delete`, remove the orphans that can be made again.

    Each object is looked at again right before it goes. A run that is killed has deleted some; the next goes on.
    Raises `ConfigError` with `delete` where the store holds maps that the ledger does not know.
    """
    with recorded(settings, "housekeeping", caller) as stage:
        store = stage.store
        held = held_by(store)  # before the transaction, which keeps writers of SQLite waiting
        with stage.ledger.begin() as session:
            found = find(session, held, now())
        found = replace(found, missing=[key for key in found.missing if not store.exists(key)])
        stage.summary.unchanged["missing objects"] = len(found.missing)
        stage.summary.unchanged["orphans"] = len(found.orphans)
        if delete and found.unknown_maps:
            raise ConfigError(
                f"nothing was deleted: the store holds {len(found.unknown_maps)} maps that the ledger does not know, "
                f"the first {found.unknown_maps[0]}. Was the ledger restored from an earlier day? "
                "`seaice map` records them"
            )
        for orphan in found.orphans if delete else ():
            if orphan.goes:
                _remove(stage, orphan)
        return stage.summary, found


def _remove(stage: StageRun, orphan: Orphan) -> None:
    """Delete an orphan, unless it was named or written again since it was found."""
    with stage.ledger.begin() as session:
        if is_named(session, orphan.key):
            stage.summary.skipped[orphan.key] = "a row names it now, or its scene is about to be decoded"
            return
    written_at = stage.store.written_at(orphan.key)
    if written_at is None:
        return
    if written_at != orphan.written_at or now() - written_at <= GRACE:
        stage.summary.skipped[orphan.key] = "it was written again"
        return
    stage.store.delete(orphan.key)
    stage.summary.done["deleted objects"] += 1
    stage.summary.done["freed bytes"] += orphan.bytes

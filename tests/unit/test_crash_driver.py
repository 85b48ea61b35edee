"""The crash driver itself: it counts the writes, and it notices work that is lost, doubled or left behind."""

from __future__ import annotations

import pytest

from helpers.crash import crash_everywhere

OBJECT_THEN_ROW = """
from seaice_ops.ledger.operations import insert_new, now
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import ModelAlias, Model
from seaice_ops.storage.store import open_store

open_store(settings.store).put("a", b"1")
with open_ledger(settings).begin() as session:
    insert_new(session, Model(id="m/1", name="m", version="1", sha256="0", card={}, created_at=now()))
"""


def test_counts_object_and_row(settings):
    assert crash_everywhere(settings, OBJECT_THEN_ROW) == 2


def test_notices_a_file_left_behind(settings):
    snippet = """
    import os
    from pathlib import Path

    part = settings.home / "part"
    mark = settings.home / f"left-{os.getpid()}"
    mark.write_text("")
    part.write_text("x")
    os.replace(part, settings.home / "whole")
    mark.unlink()
    """
    with pytest.raises(AssertionError, match=r"after a kill at write 1[\s\S]*left-"):
        crash_everywhere(settings, snippet)


def test_notices_a_doubled_row(settings):
    snippet = """
    from seaice_ops.ledger.operations import now
    from seaice_ops.ledger.session import open_ledger
    from seaice_ops.ledger.tables import Model
    from seaice_ops.storage.store import open_store
    from uuid import uuid4

    with open_ledger(settings).begin() as session:
        session.add(Model(id=str(uuid4()), name="m", version="1", sha256="0", card={}, created_at=now()))
    open_store(settings.store).put("a", b"1")
    """
    with pytest.raises(AssertionError, match="ledger model"):
        crash_everywhere(settings, snippet)


def test_tells_why_the_undisturbed_run_failed(settings):
    with pytest.raises(AssertionError, match="no such luck"):
        crash_everywhere(settings, "raise RuntimeError('no such luck')")

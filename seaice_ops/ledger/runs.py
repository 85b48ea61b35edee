"""One run of one stage: what it works with, and its row in the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

import seaice_ops
from seaice_ops.errors import ExpectedSkip
from seaice_ops.geo.projections import require_projections
from seaice_ops.ledger.operations import now
from seaice_ops.ledger.session import Ledger, open_ledger
from seaice_ops.ledger.stores import known_store
from seaice_ops.ledger.tables import Run
from seaice_ops.settings import Settings
from seaice_ops.storage.store import ObjectStore
from seaice_ops.summary import Summary, timed


@dataclass(frozen=True)
class StageRun:
    """The tools of one run of a stage. The stage's entry hands its parts only those that they use."""

    ledger: Ledger
    """The ledger; each `begin` is one transaction."""
    store_url: str
    """URL of the object store; `store` opens it on first use."""
    work: Path
    """Folder for files in progress."""
    caller: str
    """Who started the run: a task of an Airflow run, `cli`, or empty. A scene is claimed in this name."""
    summary: Summary
    """Counts of what the run did; kept in the ledger when it ends."""

    @cached_property
    def store(self) -> ObjectStore:
        """The ledger's object store; raises `ConfigError` where it is not there, or another one is in its place."""
        return known_store(self.ledger, self.store_url)


@contextmanager
def recorded(settings: Settings, stage: str, caller: str = "") -> Iterator[StageRun]:
    """Open what a run of `stage` needs, time it, and keep its Summary as a `run` row, with the error if one ends it.

    An `ExpectedSkip` is no error: it is kept as what was skipped and why, and goes on to the caller. Raises
    `ConfigError` where projections cannot be looked up, before a scene could be blamed for it.
    """
    started = now()
    with timed(stage) as summary:
        run = StageRun(open_ledger(settings), settings.store, settings.work, caller, summary)
        try:
            require_projections()
            yield run
        except ExpectedSkip as reason:
            summary.skipped[stage] = str(reason)
            record(run, started, None)
            raise
        except BaseException as error:
            record(run, started, f"{type(error).__name__}: {error}")
            raise
    record(run, started, None)


def record(run: StageRun, started: datetime, problem: str | None) -> None:
    """Keep one run of one stage."""
    with run.ledger.begin() as session:
        session.add(
            Run(
                stage=run.summary.stage,
                caller=run.caller,
                version=seaice_ops.__version__,
                started_at=started,
                seconds=(now() - started).total_seconds(),
                summary=run.summary.to_dict(),
                error=problem,
            )
        )

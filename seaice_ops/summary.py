"""What a stage reports of one run: counts, bytes, seconds, and what was skipped and why."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from seaice_ops.errors import TransientError, sparing_data

log = logging.getLogger(__name__)


@dataclass
class Summary:
    """One run of one stage.

    `done` counts what is new because of this run (for example ``{"scenes": 12, "superseded": 3}``);
    `unchanged` counts what was already there; `skipped` and `failed` map an item to its reason.
    """

    stage: str
    done: Counter[str] = field(default_factory=Counter)
    unchanged: Counter[str] = field(default_factory=Counter)
    skipped: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    items: list[str] = field(default_factory=list)
    bytes_in: int = 0
    bytes_out: int = 0
    seconds: float = 0.0

    @property
    def nothing_new(self) -> bool:
        """True when the run changed nothing: the answer of every repeated run."""
        return not any(self.done.values()) and not self.failed

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, for the ledger, XCom and `--json`."""
        return {
            **asdict(self),
            "done": dict(self.done),
            "unchanged": dict(self.unchanged),
            "seconds": round(self.seconds, 3),
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Summary:
        """The inverse of `to_dict`."""
        return cls(**{**value, "done": Counter(value["done"]), "unchanged": Counter(value["unchanged"])})

    def sentence(self) -> str:
        """One line for a run note: ``ingest: 12 scenes, 3 superseded; 1 failed``."""
        parts = [counted(count, what) for what, count in self.done.items() if count] or ["nothing new"]
        tail = [f"{len(group)} {word}" for word, group in (("skipped", self.skipped), ("failed", self.failed)) if group]
        return f"{self.stage}: {'; '.join([', '.join(parts), *tail])}"


def counted(count: int, what: str) -> str:
    """``12 scenes``, ``1 scene``: `what` is the plural, or a word that has none."""
    if count != 1 or not what.endswith("s"):
        return f"{count} {what}"
    return f"{count} {what.removesuffix('ies')}y" if what.endswith("ies") else f"{count} {what.removesuffix('s')}"


@contextmanager
def timed(stage: str) -> Iterator[Summary]:
    """Yield a `Summary` whose `seconds` are filled in on leaving, also by an error."""
    summary, start = Summary(stage), time.perf_counter()
    try:
        yield summary
    finally:
        summary.seconds = time.perf_counter() - start


def each_alone(items: Iterable[str], work: Callable[[str], None], summary: Summary) -> None:
    """Call `work` with each item; one that must wait does not keep the others from their turn.

    It is skipped with its reason, and the first such `TransientError` is raised when all have had their turn.
    """
    first: TransientError | None = None
    for item in items:
        try:
            with sparing_data(item):
                work(item)
        except TransientError as error:
            summary.skipped[item] = f"waits: {error}"
            log.warning("%s waits: %s", item, error)
            first = first or error
    if first is not None:
        raise first

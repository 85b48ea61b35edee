"""What the demo shows while it works: each step, what it is at, and how long it took."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple

from rich.console import Console
from rich.markup import escape

from seaice_ops.errors import TransientError

# Where nobody watches (a log), lines are as wide as the final table needs.
term = Console(highlight=False, width=None if sys.stdout.isatty() else 190)

Tell = Callable[[str], None]

#: Seconds that a step may say the same while something works, and while nothing does.
BUSY, IDLE = 3600.0, 90.0
#: Seconds between two looks, between two lines of a log, and between two that say the same.
LOOK, LINE, SAME = 1.5, 15.0, 60.0


class Waiting(NamedTuple):
    """What a step waits for, in words, and how many seconds it may be the same."""

    words: str
    patience: float = BUSY


@contextmanager
def step(what: str) -> Iterator[Tell]:
    """Show a step while it runs and its seconds when it is done; yields what shows the words it is told."""
    start = time.monotonic()
    told, shown = start - SAME, ""

    def tell(words: str) -> None:
        nonlocal told, shown
        status.update(escape(f"{what}: {words}"))
        if not term.is_terminal and time.monotonic() - told >= (SAME if words == shown else LINE):
            told, shown = time.monotonic(), words
            say(f"  {words}")

    if not term.is_terminal:
        say(f"{what} ...")
    with term.status(escape(what)) as status:
        yield tell
    say(f"done: {what} ({time.monotonic() - start:.0f} s)")


def say(text: str) -> None:
    """One line with the time of day."""
    term.print(f"[dim]{datetime.now():%H:%M:%S}[/] {escape(text)}")


def watch(look: Callable[[], Waiting | None], tell: Tell) -> None:
    """Look until there is nothing to wait for, and tell each time what for.

    A look that fails for now is another thing to wait for. Raises `TransientError` when that is the same for too long.
    """
    since, last = time.monotonic(), ""
    while (waiting := _look(look)) is not None:
        if waiting.words != last:
            since, last = time.monotonic(), waiting.words
        if time.monotonic() - since > waiting.patience:
            raise TransientError(f"nothing has moved for {waiting.patience:.0f} s: {waiting.words}")
        tell(waiting.words)
        time.sleep(LOOK)


def _look(look: Callable[[], Waiting | None]) -> Waiting | None:
    try:
        return look()
    except TransientError as error:
        return Waiting(str(error))

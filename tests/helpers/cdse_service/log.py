"""The request log, from which tests read how polite a client was."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from helpers.cdse_service.answers import Request


@dataclass
class Entry:
    """One request: when it began and ended (monotonic seconds), and what was sent for it."""

    request: Request
    began: float
    route: str = ""
    status: int = 0
    bytes: int = 0
    ended: float = 0.0


@dataclass
class Log:
    """The requests so far; safe to read while the service runs."""

    _entries: list[Entry] = field(default_factory=list)
    _connections: int = 0
    most_connections: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, route: str = "", match: str = "") -> list[Entry]:
        """Requests of a route (``s3`` takes in ``s3.get``) whose path contains `match`, in order of arrival."""
        with self._lock:
            entries = list(self._entries)
        return [e for e in entries if _within(e.route, route) and match in e.request.path]

    def bytes_sent(self, route: str = "", match: str = "") -> int:
        return sum(entry.bytes for entry in self.of(route, match))

    def most_at_once(self, route: str = "") -> int:
        """The most requests of `route` that were being answered at the same moment."""
        moments = [(e.began, 1) for e in self.of(route)] + [(e.ended or time.monotonic(), -1) for e in self.of(route)]
        running = most = 0
        for _, change in sorted(moments):
            running += change
            most = max(most, running)
        return most

    def most_within(self, seconds: float, route: str = "") -> int:
        """The most requests of `route` that came within `seconds`."""
        began = sorted(entry.began for entry in self.of(route))
        return max((sum(first <= t < first + seconds for t in began) for first in began), default=0)

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()
            self.most_connections = self._connections

    def begin(self, request: Request) -> Entry:
        entry = Entry(request, time.monotonic())
        with self._lock:
            self._entries.append(entry)
        return entry

    def end(self, entry: Entry) -> None:
        entry.ended = time.monotonic()

    @contextmanager
    def connected(self) -> Iterator[None]:
        """One TCP connection, from its acceptance to its end."""
        with self._lock:
            self._connections += 1
            self.most_connections = max(self.most_connections, self._connections)
        try:
            yield
        finally:
            with self._lock:
                self._connections -= 1


def _within(route: str, wanted: str) -> bool:
    return not wanted or route == wanted or route.startswith(f"{wanted}.")

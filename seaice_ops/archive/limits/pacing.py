"""The pace of requests and the number of connections, kept by all workers that share a home through small locked files.

A lock of the kernel's on a file costs microseconds, where a row of the ledger would cost every request a transaction,
and it is gone with the process that held it: a killed worker blocks nobody. The files hold wall-clock times, so that
they mean the same on machines that share the folder; one written before the clock was set back is ignored.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from seaice_ops import files
from seaice_ops.errors import writing

#: A reservation so far ahead (s) was made before the clock was set back.
STALE = 600.0

_LAYOUT = struct.Struct("<ddqqd")


@dataclass(frozen=True)
class Pending:
    """Requests and bytes of this machine's workers in one UTC hour that are not yet in the ledger.

    `hour` is the hour's start, `since` the time of the oldest count (both s since 1970).
    """

    hour: float
    bytes: int
    requests: int
    since: float


@dataclass(frozen=True)
class Pace:
    """The time at which the next request is due at the even pace (s since 1970), and the `pending` counts."""

    due: float = 0.0
    pending: Pending | None = None


def reserve(due: float, now: float, per_minute: int) -> tuple[float, float]:
    """(when the next request may be sent, the new `due`), so that no 60 seconds see more than `per_minute`.

    Requests may come at once up to a tenth of the limit, then evenly (the generic cell rate algorithm).
    """
    burst, interval = _even(per_minute)
    start = max(due if due < now + STALE else now, now)
    return max(now, start - (burst - 1) * interval), start + interval


def held(due: float, now: float, seconds: float, per_minute: int) -> float:
    """`due` such that no request may be sent for `seconds` (at most half of `STALE`)."""
    burst, interval = _even(per_minute)
    until = now + min(seconds, STALE / 2) + (burst - 1) * interval
    return max(due if due < now + STALE else now, until)


def _even(per_minute: int) -> tuple[int, float]:
    """(requests that may come at once, seconds between the others)."""
    burst = max(1, per_minute // 10)
    return burst, 60.0 / (per_minute - burst + 1)


def counted(pending: Pending | None, n_bytes: int, requests: int, now: float) -> Pending:
    """`pending` of the present hour with some more."""
    if pending is None:
        return Pending(now // 3600 * 3600, n_bytes, requests, now)
    return Pending(pending.hour, pending.bytes + n_bytes, pending.requests + requests, pending.since)


@contextmanager
def locked(path: Path) -> Iterator[tuple[int, Pace]]:
    """The file's descriptor and content, while no other worker has it. Raises `ConfigError`, `TransientError`."""
    with files.locked(path) as descriptor:
        yield descriptor, _unpack(os.pread(descriptor, _LAYOUT.size, 0))


def keep(descriptor: int, pace: Pace) -> None:
    """Write `pace` in one piece: a reader after a kill sees the old or the new."""
    pending = pace.pending or Pending(0.0, 0, 0, 0.0)
    os.pwrite(descriptor, _LAYOUT.pack(pace.due, pending.hour, pending.bytes, pending.requests, pending.since), 0)


def peek(path: Path) -> Pace:
    """The file's content; an empty `Pace` where there is no file."""
    try:
        return _unpack(path.read_bytes()[: _LAYOUT.size])
    except FileNotFoundError:
        return Pace()


def _unpack(data: bytes) -> Pace:
    if len(data) != _LAYOUT.size:
        return Pace()
    due, hour, n_bytes, requests, since = _LAYOUT.unpack(data)
    return Pace(due, Pending(hour, n_bytes, requests, since) if hour else None)


@contextmanager
def one_of(folder: Path, name: str, count: int, poll: float = 0.05) -> Iterator[int]:
    """Hold one of `count` places (its number), waiting until one is free."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        while (place := _free_place(folder, name, count)) is None:
            time.sleep(poll)
    number, descriptor = place
    try:
        yield number
    finally:
        os.close(descriptor)


def _free_place(folder: Path, name: str, count: int) -> tuple[int, int] | None:
    """(number, descriptor that holds its lock) of the first free place, None where there is none."""
    for number in range(count):
        with suppress(BlockingIOError):
            return number, files.open_locked(folder / f"{name}.{number}", wait=False)
    return None

"""Ends a rank when the process that launched it has died, also by SIGKILL, of which no signal reaches the rank."""

from __future__ import annotations

import os
import threading
import time

import psutil

#: ``pid:create time`` of the launching process, in the environment of its ranks.
LAUNCHER = "SEAICE_LAUNCHER"

INTERVAL = 0.5


def identity(pid: int) -> str:
    """`pid` with its start, so that a reused number is not taken for the same process."""
    return f"{pid}:{psutil.Process(pid).create_time()!r}"


def alive(launcher: str) -> bool:
    """True while the process of that `identity` runs (a zombie does not)."""
    pid, _, created = launcher.partition(":")
    try:
        process = psutil.Process(int(pid))
        return process.create_time() == float(created) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def watch() -> None:
    """End this process, at once and without cleaning up, when its launcher is gone."""
    launcher = os.environ.get(LAUNCHER)
    if launcher:
        threading.Thread(target=_watch, args=(launcher,), name="watchdog", daemon=True).start()


def _watch(launcher: str) -> None:
    while alive(launcher):
        time.sleep(INTERVAL)
    os._exit(75)

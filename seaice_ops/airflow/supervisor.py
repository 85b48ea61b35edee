"""The process that owns Airflow's processes and everything they start, and ends all of them with itself.

It adopts orphans (sub-reaper), and it ends when the process that it serves is gone. The API starts first and the others
when it answers: tasks speak to it from their first moment.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

API = ["api-server"]
#: Logs are read from the folder that all processes share; Airflow's own log servers would listen on every interface.
BEHIND_API = (["scheduler", "--skip-serve-logs"], ["dag-processor"], ["triggerer", "--skip-serve-logs"])
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def end_with_parent(handler: int = signal.SIGTERM) -> None:
    """Ask the kernel to signal this process when its parent dies."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, handler, 0, 0, 0)


def supervise(serves: int, home: Path) -> int:
    """Run Airflow's components until told to stop, until one of them ends, or until process `serves` is gone."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    stopping: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, _: stopping.append(received))
    served_process = find(serves)
    logs = home / "logs"
    children = {API[0]: _component(API, logs)}
    waiting, code = list(BEHIND_API), 0
    while not stopping and (not serves or is_alive(served_process)):
        if waiting and _answers(os.environ["AIRFLOW__API__BASE_URL"]):
            children |= {command[0]: _component(command, logs) for command in waiting}
            waiting = []
        ended = [name for name, child in children.items() if child.poll() is not None]
        if ended:
            (logs / "console.log").write_text(f"ended by itself: {', '.join(ended)}\n")
            code = 1
            break
        _reap(set(child.pid for child in children.values()))
        time.sleep(0.5)
    end_descendants(psutil.Process())
    return code


def _component(command: list[str], logs: Path) -> subprocess.Popen[bytes]:
    """Start `airflow <command>` in a session of its own, with its output appended to a log of its name."""
    with (logs / f"{command[0]}.log").open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "airflow", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def _answers(url: str) -> bool:
    """True if the API server answers, whatever it says of the others."""
    try:
        with urllib.request.urlopen(f"{url}/api/v2/monitor/health", timeout=5) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (OSError, ValueError):
        return False


def end_descendants(process: psutil.Process, patience: float = 12.0) -> None:
    """Terminate, then kill, all below `process`, again until none is left (a dying parent may still start a child)."""
    deadline = time.monotonic() + patience
    while children := _living(process):
        for child in children:
            _quietly(child.terminate if time.monotonic() < deadline else child.kill)
        psutil.wait_procs(children, 1.0)


def _living(process: psutil.Process) -> list[psutil.Process]:
    try:
        found = process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return [child for child in found if is_alive(child)]


def is_alive(process: psutil.Process | None) -> bool:
    try:
        return process is not None and process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def find(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid) if pid else None
    except psutil.NoSuchProcess:
        return None


def _reap(keep: set[int]) -> None:
    """Collect adopted orphans that ended; Popen collects its own."""
    for child in psutil.Process().children():
        if child.pid not in keep and not is_alive(child):
            try:
                os.waitpid(child.pid, os.WNOHANG)
            except ChildProcessError:
                continue


def _quietly(action: Callable[[], Any]) -> None:
    try:
        action()
    except psutil.NoSuchProcess:
        return


if __name__ == "__main__":
    raise SystemExit(supervise(int(sys.argv[1]), Path(sys.argv[2])))

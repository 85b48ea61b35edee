"""Launching Horovod ranks on this machine, so that none of them outlives the process that asked for them."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import time
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

import seaice_ops
from seaice_ops.errors import TrainingFailed
from seaice_ops.training.ranks.watchdog import LAUNCHER, identity

log = logging.getLogger(__name__)

_WORKER = (sys.executable, "-m", "seaice_ops.training.ranks.horovod_worker")
_PREFIX = re.compile(r"^\[(\d+)\]<(stdout|stderr)>:")

#: Lines of each rank, and of horovodrun, that a failure quotes.
_LAST_WORDS = 8

#: Seconds that a rank may take to end when asked.
_GRACE = 3.0

_running: set[int] = set()


def launch(job: Path, ranks: int, worker: Sequence[str] = _WORKER) -> None:
    """Run the job (a file that `Job.write` made) on `ranks` processes of this machine; returns when all are done.

    The ranks' output goes to the log as it comes. One rank runs alone, several under horovodrun (Gloo, loopback
    network, an equal share of the cores each). Raises `TrainingFailed` with the ranks' last lines. Every rank ends with
    this call, also when this process is killed by SIGKILL.
    """
    command = [*worker, str(job)]
    last_words: defaultdict[str, deque[str]] = defaultdict(lambda: deque(maxlen=_LAST_WORDS))
    with _process([*_horovodrun(ranks), *command] if ranks > 1 else command, _environment(ranks)) as process:
        assert process.stdout is not None
        for line in process.stdout:
            speaker, words = _said(line.rstrip(), ranks)
            last_words[speaker].append(words)
            log.info("%s: %s", speaker, words)
        status = process.wait()
    if status:
        quoted = [f"{speaker}: {line}" for speaker, lines in sorted(last_words.items()) for line in lines]
        raise TrainingFailed("\n".join([f"training on {ranks} ranks ended with status {status}; last words:", *quoted]))


def end_ranks() -> None:
    """End all processes that `launch` runs in this process; for a signal handler or another thread."""
    for pid in tuple(_running):
        _end(pid)


def _said(line: str, ranks: int) -> tuple[str, str]:
    """(writer, text) of a line of output."""
    match = _PREFIX.match(line)
    if match:
        return f"rank {match[1]}", line[match.end() :]
    return ("rank 0" if ranks == 1 else "horovodrun"), line


def _horovodrun(ranks: int) -> list[str]:
    program = [sys.executable, "-m", "horovod.runner.launch", "--gloo", "--disable-cache", "--network-interfaces", "lo"]
    return [*program, "-np", str(ranks), "-H", f"localhost:{ranks}"]


def _environment(ranks: int) -> dict[str, str]:
    here = str(Path(seaice_ops.__file__).parent.parent)
    path = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH", "")]))
    threads = max(1, len(os.sched_getaffinity(0)) // ranks)
    return {
        **os.environ,
        "PYTHONPATH": path,
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": str(threads),
        LAUNCHER: identity(os.getpid()),
    }


@contextmanager
def _process(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """`command` as a session of its own, ended with all its descendants on leaving."""
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    _running.add(process.pid)
    try:
        yield process
    finally:
        if process.poll() is None:
            _end(process.pid)
        process.wait()
        _running.discard(process.pid)
        if process.stdout is not None:
            process.stdout.close()


def _end(pid: int) -> None:
    # horovodrun puts every rank into a session of its own: it is its family that has to end, not a process group.
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for member in family:
        with suppress(psutil.NoSuchProcess):
            member.terminate()
    deadline = time.monotonic() + _GRACE
    while not all(map(_over, family)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for member in family:
        with suppress(psutil.NoSuchProcess):
            member.kill()


def _over(member: psutil.Process) -> bool:
    """True if a process has ended.

    It is not reaped here: its exit status belongs to the thread that started it, which would read 0, a success.
    """
    try:
        return bool(member.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True

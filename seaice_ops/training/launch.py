"""Launching Horovod ranks on this machine, so that none of them outlives the process that asked for them."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

import seaice_ops
from seaice_ops.errors import TrainingFailed
from seaice_ops.training.watchdog import LAUNCHER, identity

log = logging.getLogger(__name__)

_WORKER = (sys.executable, "-m", "seaice_ops.training.horovod_worker")
_PREFIX = re.compile(r"^\[(\d+)\]<(stdout|stderr)>:")
_LAST_WORDS = 40

_running: set[int] = set()


def launch(job: Path, ranks: int, worker: Sequence[str] = _WORKER) -> None:
    """Run the job (a file that `Job.write` made) on `ranks` processes of this machine; returns when all are done.

    What the ranks write goes to the log as it comes. One rank runs by itself, more under horovodrun (Gloo, loopback
    network, cores shared out evenly). Raises `TrainingFailed` with the ranks' last words; on any way out of here,
    SIGKILL included, every rank ends.
    """
    command = [*worker, str(job)]
    last_words: deque[str] = deque(maxlen=_LAST_WORDS)
    with _process([*_horovodrun(ranks), *command] if ranks > 1 else command, _environment(ranks)) as process:
        assert process.stdout is not None
        for line in process.stdout:
            words = _PREFIX.sub(r"rank \1: ", line.rstrip())
            last_words.append(words)
            log.info("%s", words.removeprefix("rank 0: "))
        status = process.wait()
    if status:
        raise TrainingFailed(
            f"training on {ranks} ranks ended with status {status}; its last words:\n" + "\n".join(last_words)
        )


def end_ranks() -> None:
    """End whatever `launch` runs in this process; for a signal handler or another thread."""
    for pid in tuple(_running):
        _end(pid)


def _horovodrun(ranks: int) -> list[str]:
    program = [sys.executable, "-m", "horovod.runner.launch", "--gloo", "--network-interfaces", "lo"]
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
    for member in psutil.wait_procs(family, timeout=3)[1]:
        with suppress(psutil.NoSuchProcess):
            member.kill()

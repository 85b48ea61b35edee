"""A standalone Spark cluster on the loopback interface, of processes that end with the test."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import sys
import time
import venv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import numpy
import psutil
import pyspark

BIN = Path(pyspark.__file__).parent / "bin"
_SET_PARENT_DEATH_SIGNAL = 1
_LIBC = ctypes.CDLL(None)


def environment(**extra: str) -> dict[str, str]:
    """This environment for a Spark process: loopback only, and nothing of the checkout on PYTHONPATH."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "SPARK_HOME")}
    return kept | {"SPARK_LOCAL_IP": "127.0.0.1"} | extra


@contextmanager
def process(command: Sequence[str | Path], log: Path, env: Mapping[str, str], cwd: Path) -> Iterator[subprocess.Popen]:
    """A process in a group of its own, output in `log`; the group ends with the block, or when the test is killed."""
    with log.open("wb") as output:
        started = subprocess.Popen(
            [str(word) for word in command],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            cwd=cwd,
            start_new_session=True,
            preexec_fn=lambda: _LIBC.prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL),
        )
    try:
        yield started
    finally:
        with suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        started.wait()


@contextmanager
def standalone(folder: Path, workers: int = 2) -> Iterator[tuple[str, list[int]]]:
    """Yields the master's URL and the process ids of its workers, each of one core."""
    spark_class, env = BIN / "spark-class", environment()
    package = "org.apache.spark.deploy"
    with ExitStack() as stack:
        master = [spark_class, f"{package}.master.Master", "--host", "127.0.0.1", "--port", "0", "--webui-port", "0"]
        stack.enter_context(process(master, folder / "master.log", env, folder))
        url = wait_for(folder / "master.log", r"Starting Spark master at (spark://127\.0\.0\.1:\d+)")
        pids = []
        for number in range(workers):
            log, work = folder / f"worker-{number}.log", folder / f"work-{number}"
            options = ["--cores", "1", "--memory", "1g", "--host", "127.0.0.1", "--webui-port", "0", "--work-dir", work]
            worker = [spark_class, f"{package}.worker.Worker", *options, url]
            pids.append(stack.enter_context(process(worker, log, env, folder)).pid)
        for number in range(workers):
            wait_for(folder / f"worker-{number}.log", r"(Successfully registered with master)")
        yield url, pids


def wait_for(log: Path, pattern: str, seconds: float = 60) -> str:
    """The first group of `pattern` in the file, as soon as it is there."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = re.search(pattern, log.read_text())
        if found:
            return found[1]
        time.sleep(0.2)
    raise AssertionError(f"no {pattern!r} within {seconds} s:\n{log.read_text()}")


def executors(worker_pids: Sequence[int]) -> list[psutil.Process]:
    """The executors that these workers run now."""
    found = []
    for child in (child for pid in worker_pids for child in psutil.Process(pid).children(recursive=True)):
        with suppress(psutil.NoSuchProcess):  # it may be ending
            if "CoarseGrainedExecutorBackend" in " ".join(child.cmdline()):
                found.append(child)
    return found


def bare_interpreter(folder: Path) -> Path:
    """A Python with the installed packages but without this project, as on a machine that only runs executors."""
    venv.create(folder, with_pip=False, symlinks=True)
    installed = Path(numpy.__file__).parent.parent
    # The paths in a .pth file are not searched for further .pth files: editable installs stay out.
    site = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    (site / "packages.pth").write_text(f"{installed}\n")
    return folder / "bin" / "python"

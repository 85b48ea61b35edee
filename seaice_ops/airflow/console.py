"""The ops console on one machine: Airflow's processes over `SEAICE_HOME`, started, found and ended as one.

A supervisor owns Airflow's processes and everything they start. It adopts orphans (sub-reaper), so that ending it ends
them all, and it ends itself when the process that it serves is gone.
"""

from __future__ import annotations

import ctypes
import json
import os
import secrets
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from seaice_ops.errors import ConfigError, TransientError
from seaice_ops.settings import Settings, sqlite_url
from seaice_ops.shipped import shipped

COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


@dataclass(frozen=True)
class Console:
    """A running console: where it is, how to log in, and the process it ends with (0: none)."""

    url: str
    user: str
    password: str
    pid: int
    serves: int


def environment(settings: Settings, config: Path, port: int) -> dict[str, str]:
    """The environment of every Airflow process and of `airflow` commands on the same data."""
    home = settings.home / "airflow"
    secret = _secrets(settings)
    logs = _free_ports(2)
    env = {
        "SEAICE_HOME": str(settings.home),
        "SEAICE_CONFIG": str(config.absolute()),
        "SEAICE_ARCHIVE": str(settings.archive_path),
        "AIRFLOW_HOME": str(home),
        # Five seconds, the driver's default, are too few for several writers on a busy machine. Far more would be
        # worse: two requests of the API server can wait for each other until one gives up, and all wait with them.
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"{sqlite_url(home / 'airflow.db')}?timeout=20",
        "AIRFLOW__CORE__DAGS_FOLDER": str(shipped("dags")),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(shipped("plugins")),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__CORE__FERNET_KEY": secret["fernet"],
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__API__SECRET_KEY": secret["api"],
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API_AUTH__JWT_SECRET": secret["jwt"],
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(logs[0]),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(logs[1]),
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "60",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "60",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "120",
        "AIRFLOW_CONN_SPARK_DEFAULT": json.dumps(
            {
                "conn_type": "spark",
                "host": "local[2]",
                "extra": {"deploy-mode": "client", "spark-binary": "spark-submit"},
            }
        ),
        "SPARK_LOCAL_IP": "127.0.0.1",
        # Tasks run beside each other: one thread each, instead of threads that wait for each other.
        "OMP_NUM_THREADS": "1",
        "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}",
    }
    chosen = {key: value for key, value in os.environ.items() if key.startswith(("AIRFLOW_CONN_", "SEAICE_RETRY"))}
    return {**os.environ, **env, **chosen}


def airflow(env: dict[str, str], *arguments: str) -> str:
    """Run one `airflow` command to its end and give its output; raises `ConfigError` with its last words."""
    result = subprocess.run([sys.executable, "-m", "airflow", *arguments], env=env, capture_output=True, text=True)
    if result.returncode:
        words = (result.stderr or result.stdout).strip().splitlines()[-12:]
        raise ConfigError(f"`airflow {' '.join(arguments)}` failed:\n" + "\n".join(words))
    return result.stdout


def prepare(settings: Settings, env: dict[str, str]) -> None:
    """Create Airflow's database and the pools; safe to repeat."""
    home = settings.home / "airflow"
    home.mkdir(parents=True, exist_ok=True)
    (home / "logs").mkdir(exist_ok=True)
    passwords = home / "passwords.json"
    if not passwords.exists():
        _write_private(passwords, json.dumps({"admin": secrets.token_urlsafe(12)}))
    airflow(env, "db", "migrate")
    with closing(sqlite3.connect(home / "airflow.db", timeout=90)) as database:
        database.execute("PRAGMA journal_mode=WAL")  # readers and the writer then do not lock each other out
    airflow(env, "pools", "import", str(shipped("pools.json")))


def start(settings: Settings, config: Path, port: int = 0, *, detach: bool = False) -> Console:
    """Start Airflow over `settings.home`, wait until it is healthy, and say where it is.

    Not detached, it ends with the calling process, however that ends. Raises `ConfigError` when one runs already.
    """
    if found := _standing(settings):
        raise ConfigError(f"the console already runs at {found.url} (process {found.pid}); end it with `make down`")
    port = port or _free_ports(1)[0]
    env = environment(settings, config, port)
    prepare(settings, env)
    serves = 0 if detach else os.getpid()
    process = subprocess.Popen(
        [sys.executable, "-m", "seaice_ops.airflow.console", str(serves), str(settings.home / "airflow")],
        env=env,
        stdin=subprocess.DEVNULL,
        # Not ours: a console in the background would keep whoever reads our output waiting.
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    passwords = json.loads((settings.home / "airflow" / "passwords.json").read_text())
    console = Console(f"http://127.0.0.1:{port}", "admin", passwords["admin"], process.pid, serves)
    _write_private(
        _state_file(settings), json.dumps({**console.__dict__, "started": psutil.Process(process.pid).create_time()})
    )
    try:
        _wait_healthy(console, process)
    except BaseException:
        stop(settings)
        raise
    return console


def running(settings: Settings) -> Console | None:
    """The console over this home, if one runs."""
    try:
        state = json.loads(_state_file(settings).read_text())
        process = psutil.Process(state["pid"])
        alive = process.create_time() == state.pop("started") and _is_alive(process)
        return Console(**state) if alive else None
    except (OSError, ValueError, KeyError, TypeError, psutil.NoSuchProcess):
        return None


def _standing(settings: Settings, patience: float = 60.0) -> Console | None:
    """The console that runs and goes on running: one whose process was killed is ending, and is waited for."""
    deadline = time.monotonic() + patience
    while (found := running(settings)) and found.serves and not _is_alive(_find(found.serves)):
        if time.monotonic() > deadline:
            break
        time.sleep(0.5)
    return found


def stop(settings: Settings) -> bool:
    """End the console over this home and everything it started; False if none runs."""
    console = running(settings)
    if console:
        process = psutil.Process(console.pid)
        process.terminate()
        try:
            process.wait(40)
        except psutil.TimeoutExpired:
            _end_descendants(process)
            process.kill()
    _state_file(settings).unlink(missing_ok=True)
    return console is not None


@contextmanager
def served(settings: Settings, config: Path) -> Iterator[Console]:
    """A console for the length of a block."""
    console = start(settings, config)
    try:
        yield console
    finally:
        stop(settings)


def end_with_parent(handler: int = signal.SIGTERM) -> None:
    """Ask the kernel to signal this process when its parent dies."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, handler, 0, 0, 0)


def supervise(serves: int, home: Path) -> int:
    """Run Airflow's components until told to stop, until one of them ends, or until process `serves` is gone."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    stopping: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, _: stopping.append(received))
    served_process = _find(serves)
    logs = home / "logs"
    children = {}
    for name in COMPONENTS:
        with (logs / f"{name}.log").open("ab") as output:
            children[name] = subprocess.Popen(
                [sys.executable, "-m", "airflow", name],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
    code = 0
    while not stopping and (not serves or _is_alive(served_process)):
        ended = [name for name, child in children.items() if child.poll() is not None]
        if ended:
            (logs / "console.log").write_text(f"ended by itself: {', '.join(ended)}\n")
            code = 1
            break
        _reap(set(child.pid for child in children.values()))
        time.sleep(0.5)
    _end_descendants(psutil.Process())
    return code


def _end_descendants(process: psutil.Process, patience: float = 12.0) -> None:
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
    return [child for child in found if _is_alive(child)]


def _is_alive(process: psutil.Process | None) -> bool:
    try:
        return process is not None and process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _find(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid) if pid else None
    except psutil.NoSuchProcess:
        return None


def _reap(keep: set[int]) -> None:
    """Collect adopted orphans that ended; Popen collects its own."""
    for child in psutil.Process().children():
        if child.pid not in keep and not _is_alive(child):
            try:
                os.waitpid(child.pid, os.WNOHANG)
            except ChildProcessError:
                continue


def _quietly(action: Callable[[], Any]) -> None:
    try:
        action()
    except psutil.NoSuchProcess:
        return


def _wait_healthy(console: Console, process: subprocess.Popen[bytes], patience: float = 240.0) -> None:
    import httpx

    deadline, last = time.monotonic() + patience, "no answer yet"
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise TransientError("Airflow ended while it started; see airflow/logs/*.log below SEAICE_HOME")
        try:
            health = httpx.get(f"{console.url}/api/v2/monitor/health", timeout=5).json()
            last = ", ".join(f"{name} {part['status']}" for name, part in health.items() if isinstance(part, dict))
            if all(health[part]["status"] == "healthy" for part in ("metadatabase", "scheduler", "dag_processor")):
                return
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            pass
        time.sleep(1)
    raise TransientError(
        f"Airflow was not healthy after {patience:.0f} s ({last}); see airflow/logs/*.log in SEAICE_HOME"
    )


def _state_file(settings: Settings) -> Path:
    return settings.home / "airflow" / "console.json"


def _secrets(settings: Settings) -> dict[str, str]:
    """Keys of this home's Airflow, made once and readable by the owner only."""
    from cryptography.fernet import Fernet

    path = settings.home / "airflow" / "secrets.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        made = {"fernet": Fernet.generate_key().decode(), "api": secrets.token_hex(32), "jwt": secrets.token_hex(32)}
        _write_private(path, json.dumps(made))
    found: dict[str, str] = json.loads(path.read_text())
    return found


def _write_private(path: Path, text: str) -> None:
    part = path.with_suffix(".part")
    part.touch(mode=0o600)
    part.write_text(text)
    part.replace(path)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [item.getsockname()[1] for item in sockets]
    finally:
        for item in sockets:
            item.close()


if __name__ == "__main__":
    raise SystemExit(supervise(int(sys.argv[1]), Path(sys.argv[2])))

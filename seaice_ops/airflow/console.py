"""The ops console on one machine: Airflow's processes over `SEAICE_HOME`, started, found and ended as one.

`supervisor` owns the processes. This module starts it, finds it again, and ends it.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from seaice_ops import files
from seaice_ops.airflow.supervisor import end_descendants, find, is_alive
from seaice_ops.errors import ConfigError, TransientError
from seaice_ops.settings import Settings, sqlite_url
from seaice_ops.shipped import shipped

#: Hears in words what is being done.
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Console:
    """A running console."""

    url: str
    """The address of the API and the UI."""
    user: str
    password: str
    pid: int
    """The supervisor's process."""
    serves: int
    """The process with which it ends; 0 for a console in the background."""


def environment(settings: Settings, config: Path, port: int) -> dict[str, str]:
    """The environment of every Airflow process and of `airflow` commands on the same data."""
    home = settings.home / "airflow"
    secret = _secrets(settings)
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
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "60",
        # What a killed scheduler had queued is taken up after a minute, not after five.
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "30",
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


def prepare(settings: Settings, env: dict[str, str], tell: Tell = lambda step: None) -> None:
    """Create Airflow's database and the pools; safe to repeat."""
    tell("Airflow's database and pools")
    home = settings.home / "airflow"
    home.mkdir(parents=True, exist_ok=True)
    (home / "logs").mkdir(exist_ok=True)
    passwords = home / "passwords.json"
    if not passwords.exists():
        files.write(passwords, json.dumps({"admin": secrets.token_urlsafe(12)}).encode(), mode=0o600)
    airflow(env, "db", "migrate")
    with closing(sqlite3.connect(home / "airflow.db", timeout=90)) as database:
        database.execute("PRAGMA journal_mode=WAL")  # readers and the writer then do not lock each other out
    airflow(env, "pools", "import", str(shipped("pools.json")))


def start(
    settings: Settings,
    config: Path,
    port: int = 0,
    *,
    detach: bool = False,
    tell: Tell = lambda step: None,
) -> Console:
    """Start Airflow over `settings.home`, wait until it is healthy, and say where it is; `tell` hears each step.

    Not detached, it ends with the calling process, however that ends. Raises `ConfigError` when one runs already.
    """
    if found := _standing(settings):
        raise ConfigError(f"the console already runs at {found.url} (process {found.pid}); end it with `make down`")
    port = port or _free_port()
    env = environment(settings, config, port)
    prepare(settings, env, tell)
    serves = 0 if detach else os.getpid()
    process = subprocess.Popen(
        [sys.executable, "-m", "seaice_ops.airflow.supervisor", str(serves), str(settings.home / "airflow")],
        env=env,
        stdin=subprocess.DEVNULL,
        # Not ours: a console in the background would keep whoever reads our output waiting.
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    passwords = json.loads((settings.home / "airflow" / "passwords.json").read_text())
    console = Console(f"http://127.0.0.1:{port}", "admin", passwords["admin"], process.pid, serves)
    state = {**console.__dict__, "started": psutil.Process(process.pid).create_time()}
    files.write(_state_file(settings), json.dumps(state).encode(), mode=0o600)
    try:
        _wait_healthy(console, process, tell)
    except BaseException:
        stop(settings)
        raise
    return console


def running(settings: Settings) -> Console | None:
    """The console over this home, if one runs."""
    try:
        state = json.loads(_state_file(settings).read_text())
        process = psutil.Process(state["pid"])
        alive = process.create_time() == state.pop("started") and is_alive(process)
        return Console(**state) if alive else None
    except (OSError, ValueError, KeyError, TypeError, psutil.NoSuchProcess):
        return None


def _standing(settings: Settings, patience: float = 60.0) -> Console | None:
    """The console that runs, if one does. One whose process was killed is about to end and is waited for."""
    deadline = time.monotonic() + patience
    while (found := running(settings)) and found.serves and not is_alive(find(found.serves)):
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
            end_descendants(process)
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


def _wait_healthy(console: Console, process: subprocess.Popen[bytes], tell: Tell, patience: float = 600.0) -> None:
    import httpx

    deadline, last = time.monotonic() + patience, "the API does not answer yet"
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise TransientError("Airflow ended while it started; see airflow/logs/*.log below SEAICE_HOME")
        try:
            health = httpx.get(f"{console.url}/api/v2/monitor/health", timeout=5, trust_env=False).json()
            last = ", ".join(f"{name} {part['status']}" for name, part in health.items() if isinstance(part, dict))
            if all(health[part]["status"] == "healthy" for part in ("metadatabase", "scheduler", "dag_processor")):
                return
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            pass
        tell(last)
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
        made = {"fernet": Fernet.generate_key().decode(), "api": secrets.token_hex(32), "jwt": secrets.token_hex(32)}
        files.write(path, json.dumps(made).encode(), mode=0o600)
    found: dict[str, str] = json.loads(path.read_text())
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

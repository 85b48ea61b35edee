"""The supervisor: whatever it starts ends with it, and it ends with the process that it serves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from helpers.servers import free_port
from seaice_ops.airflow.console import Console, running
from seaice_ops.settings import Settings

ROOT = Path(__file__).parents[3]

# Stands in for `airflow`: the API server answers when there is a file `open`; the scheduler starts a grandchild in a
# session of its own; all then sleep.
FAKE_AIRFLOW = textwrap.dedent("""
    import http.server, os, pathlib, subprocess, sys, time
    mark, home = os.environ["MARK"], pathlib.Path(__file__).parent
    if sys.argv[1] == "api-server":
        while not (home / "open").exists():
            time.sleep(0.05)
        class Healthy(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()
        http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Healthy).serve_forever()
    if sys.argv[1] == "scheduler":
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", mark], start_new_session=True)
    (home / ("started " + " ".join(sys.argv[1:]))).touch()
    time.sleep(600)
""")


@pytest.fixture
def fake(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "airflow.py").write_text(FAKE_AIRFLOW)
    (tmp_path / "logs").mkdir()
    (tmp_path / "open").touch()
    port = str(free_port())
    here = {"PORT": port, "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}", "MARK": f"mark-{tmp_path}"}
    return {**os.environ, **here, "PYTHONPATH": f"{tmp_path}:{ROOT}"}


def marked(mark: str) -> list[psutil.Process]:
    return [p for p in psutil.process_iter(["cmdline"]) if mark in (p.info["cmdline"] or [])]


def eventually(condition, seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return False


def supervisor(env: dict[str, str], serves: int, tmp_path: Path) -> subprocess.Popen:
    code = (
        "import sys; from pathlib import Path; from seaice_ops.airflow.supervisor import supervise; "
        "sys.exit(supervise(int(sys.argv[1]), Path(sys.argv[2])))"
    )
    return subprocess.Popen([sys.executable, "-c", code, str(serves), str(tmp_path)], env=env)


def test_the_others_start_when_the_api_answers_and_serve_no_logs(fake: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "open").unlink()
    process = supervisor(fake, 0, tmp_path)
    assert not eventually(lambda: list(tmp_path.glob("started *")), 3)
    (tmp_path / "open").touch()
    wanted = {"started dag-processor", "started scheduler --skip-serve-logs", "started triggerer --skip-serve-logs"}
    assert eventually(lambda: {path.name for path in tmp_path.glob("started *")} == wanted)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


def test_terminating_it_ends_all_even_daemons(fake: dict[str, str], tmp_path: Path) -> None:
    process = supervisor(fake, 0, tmp_path)
    assert eventually(lambda: marked(fake["MARK"]))
    below = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert eventually(lambda: not any(p.is_running() and p.status() != "zombie" for p in below))
    assert not marked(fake["MARK"])


def test_it_ends_when_the_process_it_serves_is_killed(fake: dict[str, str], tmp_path: Path) -> None:
    served = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    process = supervisor(fake, served.pid, tmp_path)
    assert eventually(lambda: marked(fake["MARK"]))
    served.kill()
    served.wait()
    assert process.wait(30) == 0
    assert not marked(fake["MARK"])


def test_it_ends_all_when_one_component_ends(fake: dict[str, str], tmp_path: Path) -> None:
    process = supervisor(fake, 0, tmp_path)
    assert eventually(lambda: marked(fake["MARK"]))
    component = next(p for p in psutil.Process(process.pid).children() if "triggerer" in p.cmdline())
    component.kill()
    assert process.wait(30) == 1
    assert not marked(fake["MARK"])
    assert "triggerer" in (tmp_path / "logs" / "console.log").read_text()


def test_a_zombie_is_no_running_console(tmp_path: Path) -> None:
    settings = Settings.model_validate({"home": tmp_path, "regions": {"t": {"title": "T", "tiles": ["01CCV"]}}})
    (tmp_path / "airflow").mkdir()
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    started = psutil.Process(process.pid).create_time()
    state = {"url": "http://127.0.0.1:1", "user": "admin", "password": "x", "pid": process.pid, "serves": 0}
    (tmp_path / "airflow" / "console.json").write_text(json.dumps({**state, "started": started}))
    assert running(settings) == Console(**state)
    process.kill()
    assert eventually(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE)
    assert running(settings) is None
    process.wait()

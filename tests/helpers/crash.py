"""Kill a stage at every boundary between two writes, run it again, and compare with a run that nobody killed.

    from helpers.crash import crash_everywhere

    def test_labels_survive_a_kill(settings, add_scene):
        add_scene(...)                                           # the state to start from, in settings.home
        boundaries = crash_everywhere(
            settings,
            '''
            from seaice_ops.labels import stage
            from seaice_ops.labels.stage import LabelRequest

            stage.run(settings, LabelRequest())
            ''',
        )
        assert boundaries >= 2                                   # an object and a row at least

The snippet is the stage's call; it finds `settings` defined. For k = 1, 2, ... it runs in a process of its own on a
fresh copy of `settings.home`, is ended by SIGKILL right after its k-th write, and is run again undisturbed; the loop
ends with the k that no run reaches. After each pair of runs every file below home and every row of the ledger must
equal those of one undisturbed run: nothing lost, nothing doubled, nothing left lying about.

A write is: a store's put, put_file, create or delete; a committed transaction that changed something; a rename or
removal of a file below home. Processes that the snippet starts are not counted, and are ended with it.

Not compared: the `run` table, the columns in VOLATILE (times and durations), and what `ignore` names. Home must use
the default SQLite ledger and folder store; an archive outside home is shared by all runs, so it must only be read.

This file is also the driver: it imports what the snippet imports once and forks for every run, so a boundary costs
as much as the stage's own work, not the imports.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from fnmatch import fnmatch
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any

VOLATILE = frozenset({"at", "sensed", "discovered_at", "updated_at", "created_at", "seconds"})
LIMIT = 400


def crash_everywhere(
    settings: Any,
    snippet: str,
    *,
    again: str | None = None,
    ignore: Iterable[str] = (),
    volatile: Iterable[str] = VOLATILE,
    timeout: float = 600,
) -> int:
    """Number of boundaries at which `snippet` was killed and recovered; AssertionError names the first that differs.

    `again` is what is run after the kill (default: `snippet`). `ignore`: patterns of files below home, for example
    ``"work/*"``, whose content may differ. `settings.home` itself is left as it was.
    """
    with tempfile.TemporaryDirectory(prefix="seaice-crash-", dir=_memory()) as scratch:
        spec = {
            "settings": settings.model_dump(mode="json"),
            "snippet": textwrap.dedent(snippet),
            "again": textwrap.dedent(again or snippet),
            "scratch": scratch,
            "ignore": list(ignore),
            "volatile": sorted(volatile),
        }
        command = [sys.executable, __file__]
        driver = subprocess.run(
            command, input=json.dumps(spec), text=True, capture_output=True, timeout=timeout, check=False
        )
    assert driver.returncode == 0, f"{driver.stdout}\n{driver.stderr}"
    return int(driver.stdout.splitlines()[-1])


def _memory() -> Path | None:
    """A folder in memory, if there is a large one: SIGKILL does not lose the page cache, so no disk is waited for."""
    memory = Path("/dev/shm")
    return memory if memory.is_dir() and shutil.disk_usage(memory).free > 1 << 30 else None


def snapshot(home: Path, ignore: Iterable[str] = (), volatile: Iterable[str] = VOLATILE) -> dict[str, Any]:
    """Every file below `home` by its hash (the ledger left out) and every row of the ledger, comparable by ==."""
    files = {
        str(path.relative_to(home)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in home.rglob("*")
        if path.is_file() and not path.name.startswith("ledger.sqlite")
    }
    return {
        "files": {name: value for name, value in files.items() if not any(fnmatch(name, p) for p in ignore)},
        "ledger": _rows(home / "ledger.sqlite", frozenset(volatile)),
    }


def _rows(ledger: Path, volatile: frozenset[str]) -> dict[str, list[dict[str, Any]]]:
    connection = sqlite3.connect(ledger)
    connection.row_factory = sqlite3.Row
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    tables = [name for name in tables if name not in {"run", "sqlite_sequence", "alembic_version"}]
    rows = {table: [dict(row) for row in connection.execute(f"SELECT * FROM {table}")] for table in tables}
    connection.close()
    kept = {table: [{k: v for k, v in row.items() if k not in volatile} for row in rows[table]] for table in tables}
    return {table: sorted(kept[table], key=repr) for table in tables}


# ---- the driver, in its own process


def _drive(spec: dict[str, Any]) -> int:
    from seaice_ops.settings import Settings

    _preload(spec["snippet"], spec["again"])
    start, scratch = Path(spec["settings"]["home"]), Path(spec["scratch"])

    def home_of(name: str) -> Settings:
        home = scratch / name
        shutil.copytree(start, home)
        return Settings.model_validate({**spec["settings"], "home": home, "ledger": "", "store": ""})

    def result(settings: Settings) -> dict[str, Any]:
        found = snapshot(settings.home, spec["ignore"], spec["volatile"])
        return json.loads(json.dumps(found).replace(str(settings.home), "<home>"))

    whole = home_of("whole")
    _expect_success(_forked(spec["snippet"], whole, 0), "the undisturbed run")
    expected = result(whole)
    for k in range(1, LIMIT):
        killed = home_of(f"kill-{k}")
        status = _forked(spec["snippet"], killed, k)
        if status == 0:
            return k - 1
        assert status == -signal.SIGKILL, f"the run to be killed at write {k} ended by itself with {status}"
        _expect_success(_forked(spec["again"], killed, 0), f"the run after a kill at write {k}")
        found = result(killed)
        assert found == expected, f"after a kill at write {k}:\n{_difference(expected, found)}"
        shutil.rmtree(killed.home)
    raise AssertionError(f"more than {LIMIT} writes: use a smaller case")


def _preload(*snippets: str) -> None:
    for node in ast.walk(ast.parse("\n".join(snippets))):
        if isinstance(node, ast.ImportFrom):
            import_module(node.module or "")
        elif isinstance(node, ast.Import):
            for name in node.names:
                import_module(name.name)


def _expect_success(status: int, what: str) -> None:
    assert status == 0, f"{what} ended with {status}"


def _forked(snippet: str, settings: Any, kill_after: int) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        try:
            _count_writes(settings.home, kill_after)
            exec(compile(snippet, "<snippet>", "exec"), {"settings": settings, "__name__": "snippet"})
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    return status


def _always(*args: Any, **kwargs: Any) -> bool:
    return True


def _count_writes(home: Path, kill_after: int) -> None:
    from sqlalchemy import Engine, event
    from sqlalchemy.orm import Session

    from seaice_ops.storage.store import ObjectStore

    writes, changed = 0, False

    def tick() -> None:
        nonlocal writes
        writes += 1
        if writes == kill_after:
            os.kill(os.getpid(), signal.SIGKILL)

    def then_tick(function: Callable[..., Any], counts: Callable[..., bool] = _always) -> Callable[..., Any]:
        @wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            counted = counts(*args, **kwargs)
            answer = function(*args, **kwargs)
            if counted:
                tick()
            return answer

        return wrapped

    def below_home(path: Any, *args: Any, dir_fd: int | None = None, **kwargs: Any) -> bool:
        folder = Path(f"/proc/self/fd/{dir_fd}").readlink() if dir_fd is not None else Path.cwd()
        return (folder / os.fsdecode(path)).is_relative_to(home)

    def statement(conn: Any, cursor: Any, sql: str, *rest: Any) -> None:
        nonlocal changed
        changed = changed or sql.lstrip().upper().startswith(("INSERT", "UPDATE", "DELETE"))

    def committed(session: Session) -> None:
        nonlocal changed
        if changed:
            changed = False
            tick()

    for name in ("put", "put_file", "create", "delete"):
        if hasattr(ObjectStore, name):
            setattr(ObjectStore, name, then_tick(getattr(ObjectStore, name)))
    for name in ("replace", "rename", "unlink", "remove", "rmdir"):
        setattr(os, name, then_tick(getattr(os, name), below_home))
    event.listen(Engine, "before_cursor_execute", statement)
    event.listen(Session, "after_commit", committed)


def _difference(expected: dict[str, Any], found: dict[str, Any]) -> str:
    lines = []
    for part in ("files", "ledger"):
        for name in sorted(expected[part].keys() | found[part].keys()):
            left, right = expected[part].get(name), found[part].get(name)
            if left != right:
                lines.append(f"{part} {name}\n  undisturbed: {left}\n  killed:      {right}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(_drive(json.load(sys.stdin)))

"""Shared files: whole or not at all whatever ends the writer, private where they must be, and one holder of a lock."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.racing import race
from seaice_ops import files
from seaice_ops.errors import ConfigError


def test_a_file_appears_whole_and_alone(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "a.json"
    files.write(path, b"one")
    with files.replacing(path) as part:
        part.write_bytes(b"two")
        assert path.read_bytes() == b"one"
    assert path.read_bytes() == b"two" and list(path.parent.iterdir()) == [path]


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), files.replacing(path) as part:
        part.write_bytes(b"half")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_a_killed_writer_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    code = (
        "import os, signal, sys; from pathlib import Path; from seaice_ops import files\n"
        "with files.replacing(Path(sys.argv[1])) as part:\n"
        "    part.write_bytes(b'half'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)])
    assert done.returncode == -signal.SIGKILL and path.read_bytes() == b"old"


@pytest.mark.parametrize(("mode", "kept"), [(0o600, 0o600), (0o666, 0o644)])
def test_permissions(tmp_path: Path, mode: int, kept: int) -> None:
    before = os.umask(0o022)
    try:
        files.write(tmp_path / "a", b"", mode)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == kept


def add_one(path: str, times: int) -> None:
    for _ in range(times):
        with files.locked(Path(path)) as descriptor:
            count = int(os.pread(descriptor, 20, 0) or b"0")
            os.pwrite(descriptor, str(count + 1).encode(), 0)


def test_only_one_process_has_the_lock(tmp_path: Path) -> None:
    race(add_one, [(str(tmp_path / "count"), 200)] * 3)
    assert (tmp_path / "count").read_text() == "600"


def test_a_lock_that_is_taken_can_be_left(tmp_path: Path) -> None:
    for path in (tmp_path / "file", tmp_path):  # a folder has a lock, too
        held = files.open_locked(path)
        with pytest.raises(BlockingIOError):
            files.open_locked(path, wait=False)
        os.close(held)
        os.close(files.open_locked(path, wait=False))


def test_a_lock_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match="SEAICE_HOME"), files.locked(tmp_path / "file" / "lock"):
        pass

"""Scratch folders: gone after use, kept while in use, removed after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from seaice_ops.storage.scratch import scratch_folder

HOLD = """
import sys, time
from pathlib import Path
from seaice_ops.storage.scratch import scratch_folder
with scratch_folder(Path(sys.argv[1]), "map-") as folder:
    (folder / "file").write_text("x")
    print(folder, flush=True)
    time.sleep(600)
"""


def test_a_folder_in_use_stays_and_an_abandoned_one_goes(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        theirs = Path(other.stdout.readline().strip())
        with scratch_folder(tmp_path, "map-") as mine:
            assert mine.is_dir() and (theirs / "file").exists()
        assert not mine.exists()
        os.kill(other.pid, signal.SIGKILL)
        other.wait()
        assert theirs.exists()
        with scratch_folder(tmp_path, "else-"):
            assert theirs.exists()
        with scratch_folder(tmp_path, "map-"):
            assert not theirs.exists()
    assert list(tmp_path.iterdir()) == []


def test_many_at_once_do_not_take_each_others(tmp_path: Path) -> None:
    def use(number: int) -> bool:
        with scratch_folder(tmp_path, "map-") as folder:
            (folder / "file").write_text(str(number))
            return (folder / "file").read_text() == str(number)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(use, range(400)))
    assert list(tmp_path.iterdir()) == []

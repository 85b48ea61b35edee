"""Labelling speed: our labellers against the published pipeline, in one run on one machine, and which targets hold.

    make bench-labels [ARGS="--parts compute,tile,workload,spark --scenes 66 --json"]

compute: processor time on scenes of 2048 x 2048 and on a whole tile (10980 x 10980), in memory, on one thread.
tile: a whole tile read from its COG, labelled and written, each method in a process of its own: its peak of memory.
workload: the paper's 4,224 images of 256 x 256 (66 scenes of 2048 x 2048), read, labelled and written by one process
(a third of the scenes, scaled) and by two. spark: these scenes, and whole tiles, on Spark in one process and on a
standalone cluster, against plain processes; the fixed start-up is told apart. Exit status 1 where a target is missed; a
machine that does other work meanwhile misses those of wall time.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import labels_runs as runs
from rich.console import Console
from rich.table import Table

from seaice_ops.ledger.stores import initialise

PARTS = ("compute", "tile", "workload", "spark")
PAPER_SECONDS = 36.0  # 12 s load and 24 s reduce on 16 cores


def measure(parts: list[str], scenes: int, home: Path) -> dict[str, Any]:
    """The figures of each part."""
    found: dict[str, Any] = {}
    if "compute" in parts:
        found["compute"] = {
            "2048": runs.in_child(runs.compute, runs.SIZE, 2, 5),
            "10980": runs.in_child(runs.compute, runs.WHOLE_TILE, 1, 2),
        }
    if "tile" in parts:
        runs.in_child(runs.make_tile, home)
        found["tile"] = {method: runs.in_child(runs.tile, home, method) for method in runs.ALL_METHODS}
    if {"workload", "spark"} & set(parts):
        runs.in_child(runs.make_scenes, home)
    if "workload" in parts:
        found["workload"] = {method: workload(home, method, scenes) for method in runs.ALL_METHODS}
    if "spark" in parts:
        found["spark, 2048 px"] = runs.spark_runs(home, "iqrah2024", scenes)
        runs.in_child(runs.make_tile, home)
        found["spark, whole tiles"] = runs.spark_runs(home, "iqrah2024", 6, runs.WHOLE_TILE)
    return found


def workload(home: Path, method: str, scenes: int) -> dict[str, float]:
    """Seconds of the whole workload with one process and with two."""
    third = -(-scenes // 3)
    one, two = runs.processes(home, method, third, 1), runs.processes(home, method, scenes, 2)
    return {
        "1 process": one["seconds"] * scenes / third,
        "2 processes": two["seconds"],
        "processor seconds": two["processor_seconds"],
    }


def targets(found: dict[str, Any], scenes: int) -> list[tuple[str, float, str, bool]]:
    """(what, measured, wanted, met)."""
    rows: list[tuple[str, float, str, bool]] = []

    def at_least(what: str, value: float, wanted: float) -> None:
        rows.append((what, value, f">= {wanted:g}", value >= wanted))

    def at_most(what: str, value: float, wanted: float) -> None:
        rows.append((what, value, f"<= {wanted:g}", value <= wanted))

    for size, ms in found.get("compute", {}).items():
        at_least(f"{size} px, colour: times faster than published", ms["published colour"] / ms["colour"], 25)
        at_most(f"{size} px, colour: times a plain copy", ms["colour"] / ms["copy"], 10)
        both = ms["published filter and colour"] / ms["iqrah2024"]
        at_least(f"{size} px, iqrah2024: times faster than published", both, 3)
        at_most(f"{size} px, reflectance: times iqrah2024", ms["reflectance"] / ms["iqrah2024"], 2)
    for method, figures in found.get("tile", {}).items():
        at_most(f"whole tile, {method}: peak memory, GiB", figures["peak_gib"], 2)
    for method, seconds in found.get("workload", {}).items():
        of_all = seconds["2 processes"] * 66 / scenes
        at_most(f"4,224 images end to end, {method}, 2 processes: seconds", of_all, PAPER_SECONDS)
    for part in (part for part in found if part.startswith("spark")):
        seconds = {name: run["seconds"] for name, run in found[part].items()}
        at_least(f"{part}: two executors, times one", seconds["one executor"] / seconds["two executors"], 1.8)
        rows.append(("  two plain processes, times one", seconds["one plain"] / seconds["two plain"], "", True))
    return rows


def show(found: dict[str, Any], rows: list[tuple[str, float, str, bool]]) -> None:
    """Tables on standard error."""
    console = Console(stderr=True, width=110)
    for part, figures in found.items():
        table = Table(title=part, box=None, title_justify="left")
        columns = list(dict.fromkeys(name for values in figures.values() for name in values))
        for name in ("", *columns):
            table.add_column(name, justify="right" if name else "left")
        for name, values in figures.items():
            table.add_row(name, *(f"{values[column]:.2f}" if column in values else "" for column in columns))
        console.print(table)
    table = Table("target", "measured", "wanted", "", box=None)
    for what, value, wanted, met in rows:
        table.add_row(what, f"{value:.2f}", wanted, "[red]missed[/]" if not met else "met" if wanted else "")
    console.print(table)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(PARTS), help="which of " + ", ".join(PARTS))
    parser.add_argument("--scenes", type=int, default=66, help="of the workload; the paper's is 66")
    parser.add_argument("--json", action="store_true", help="JSON only, without the tables")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="seaice-bench-") as home:
        initialise(runs.settings_of(Path(home)))
        found = measure(options.parts.split(","), options.scenes, Path(home))
    rows = targets(found, options.scenes)
    if not options.json:
        show(found, rows)
    report = {
        "machine": {"cpus": os.cpu_count(), "load": round(os.getloadavg()[0], 1)},
        "scenes": options.scenes,
        **found,
        "targets": [{"what": w, "measured": round(v, 3), "wanted": t, "met": met} for w, v, t, met in rows],
    }
    sys.stdout.write(json.dumps(report) + "\n")
    return 0 if all(met for *_, met in rows) else 1


if __name__ == "__main__":
    sys.exit(main())

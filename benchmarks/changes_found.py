"""Accuracy of the dated changes of simulated seasons: precision, recall, F1 and date error.

    make changes-found [ARGS="--seeds 31-33 --size 384 --acquisitions 40 --json"]

Each season is simulated, ingested and labelled in a home of its own; `seaice changes find` finds its changes. The truth
is the surface as it was at each acquisition. A pixel truly changed at the acquisition that best parts one class from
another, where at least 95 % of the 12 acquisitions before it show the one, and of the 10 from it on the other (those
that did not see the pixel left out, at least 5 seen on each side).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from map_accuracy import labelled
from numpy.typing import NDArray
from rich.console import Console

from seaice_ops.classes.legend import CLASSES
from seaice_ops.ledger.changes import changes_of
from seaice_ops.ledger.session import open_ledger
from seaice_ops.mapping.change import stage
from seaice_ops.mapping.change.find import told
from seaice_ops.mapping.due.tile_state import Rules, tile_state
from seaice_ops.settings import Settings
from seaice_ops.storage import keys
from seaice_ops.storage.store import open_store
from seaice_ops.storage.verified import read_mask

BEFORE, AFTER, SEEN, SHARE = 12, 10, 5, 0.95


def true_changes(surface: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    """(rows, columns) u8 10 x class before + class after, 0 where nothing changed; int16 acquisition of the change.

    `surface` (acquisitions, rows, columns) u8 codes; any but 1, 2, 3 was not seen.
    """
    seen = np.isin(surface, CLASSES)
    best, kind = np.zeros(surface.shape[1:]), np.zeros(surface.shape[1:], np.uint8)
    at = np.zeros(surface.shape[1:], np.int16)
    for number in range(SEEN, len(surface) - SEEN):
        sides = slice(max(0, number - BEFORE), number), slice(number, number + AFTER)
        looked = [seen[side].sum(axis=0) for side in sides]
        enough = np.minimum(*looked) >= SEEN
        for a, b in permutations(CLASSES, 2):
            shares = [
                (surface[s] == c).sum(axis=0) / np.maximum(n, 1) for s, c, n in zip(sides, (a, b), looked, strict=True)
            ]
            better = enough & (np.minimum(*shares) > best)
            best[better], kind[better], at[better] = np.minimum(*shares)[better], 10 * a + b, number
    return np.where(best >= SHARE, kind, 0).astype(np.uint8), at


def judge(settings: Settings, tile: str) -> NDArray[np.float64]:
    """(4,) pixels found and right, found, true, and the sum of date errors (acquisitions) of those found and right."""
    ledger, store = open_ledger(settings), open_store(settings.store)
    state = tile_state(ledger, tile, Rules.of(settings))
    known, surface = told(state), []
    for number in known.numbers:
        with rasterio.open(settings.archive_path / "truth" / f"{state.scenes[number].id}.surface.tif") as dataset:
            surface.append(dataset.read(1))
    kind, at = true_changes(np.stack(surface))
    found, when = np.zeros_like(kind), np.zeros_like(at)
    with ledger.begin() as session:
        rows = changes_of(session, [tile])
    for row in rows:
        mask = read_mask(store, keys.change_pixels(row.folder), row.pixels_sha256)
        box = slice(row.top, row.top + row.height), slice(row.left, row.left + row.width)
        found[box][mask], when[box][mask] = 10 * row.before_class + row.after_class, known.times.index(row.at)
    right = (found == kind) & (kind > 0)
    error = np.abs(when.astype(float) - at)[right].sum()
    return np.array([right.sum(), (found > 0).sum(), (kind > 0).sum(), error], float)


def figures(counts: NDArray[np.float64]) -> dict[str, Any]:
    """Precision, recall, F1 and mean date error of `judge`'s counts; None where nothing was found or true."""
    right, found, true, error = counts
    return {
        "precision": round(right / found, 3) if found else None,
        "recall": round(right / true, 3) if true else None,
        "f1": round(2 * right / (found + true), 3) if found + true else None,
        "date_error_acquisitions": round(error / right, 2) if right else None,
        "true_pixels": int(true),
    }


def main() -> int:
    """Simulate, find and judge; 1 where less than half of the true changes, or of those found, are right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="31-33", help="first-last; seeds below 30 are for development")
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--acquisitions", type=int, default=40)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    first, _, last = options.seeds.partition("-")
    counts, said = {}, {}
    for seed in range(int(first), int(last or first) + 1):
        with tempfile.TemporaryDirectory(prefix="seaice-changes-") as home:
            settings = labelled(Path(home), seed, options.size, options.acquisitions)
            stage.run(settings, stage.FindRequest())
            counts[seed] = sum(judge(settings, tile) for tile in settings.tiles)
            said[str(seed)] = figures(counts[seed])
    said["all"] = figures(sum(counts.values()))  # type: ignore[arg-type]
    if options.json:
        print(json.dumps(said))
    else:
        for name, values in said.items():
            Console().print(f"seed {name}: " + ", ".join(f"{key} {value}" for key, value in values.items()))
    return int(min(said["all"]["precision"] or 0, said["all"]["recall"] or 0) < 0.5)


if __name__ == "__main__":
    raise SystemExit(main())

"""Accuracy of ice drift: vectors between pairs of simulated acquisitions beside the simulated motion.

    python benchmarks/drift.py [--seeds 400-411] [--size 2048] [--hours 1.7,12,24] [--json]

Each seed draws an ocean, two skies with clouds and two suns. Reported by hours between the images: pairs, vectors,
error in pixels of 10 m against the nearer of the two true motions (pack drifts, fast ice stands), share of vectors more
than 3 pixels off, and seconds a pair. Opaque cloud and land count as not seen. A pair whose ice
left the tile has no vectors.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from datetime import timedelta
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track as bar
from rich.table import Table

from seaice_ops.classes.legend import CLASSES
from seaice_ops.mapping.drift.stage import FASTEST
from seaice_ops.mapping.drift.track import Image, relief, track
from seaice_ops.simulate import ocean
from seaice_ops.simulate.clouds import sky
from seaice_ops.simulate.example import PIXEL_M, decoded
from seaice_ops.simulate.geometry import seen_from
from seaice_ops.simulate.noise import derive
from seaice_ops.simulate.season import SimulateRequest, season_of
from seaice_ops.simulate.sensor import observe
from seaice_ops.simulate.world import World

TILE, RED = "example", 2


def image(seed: int, size: int, days: float, rng: np.random.Generator) -> Image:
    """The relief of one simulated acquisition, `days` after the season's start."""
    season = season_of(SimulateRequest(size=size))
    sun, azimuth, number = float(rng.uniform(56, 78)), float(rng.uniform(20, 130)), int(rng.integers(1 << 30))
    geometry = seen_from(number, sun, azimuth)
    ground = ocean.surface(seed, TILE, size, season, season.begins + timedelta(days=days), World())
    seen = decoded(observe(number, ground, sky(number, ground.land.shape, geometry), geometry), sun)
    return relief(seen.reflectance[RED], seen.valid & np.isin(seen.truth, CLASSES))


def pair(seed: int, size: int, hours: float) -> tuple[np.ndarray, float]:
    """Errors, pixels, of the vectors of one pair, and the seconds that tracking took."""
    rng = np.random.default_rng(derive(seed, "drift", hours))
    start = float(rng.uniform(1, 10))
    days = start, start + hours / 24
    first, second = (image(seed, size, day, rng) for day in days)
    begins, ends = (ocean.drift(seed, TILE, day) for day in days)
    east, south = ((after - before) / PIXEL_M for before, after in zip(begins, ends, strict=True))
    started = time.perf_counter()
    found = track(first, second, FASTEST * hours * 3600 / PIXEL_M)
    took = time.perf_counter() - started
    moved = np.hypot(found.east - east, found.south - south)
    return np.minimum(moved, np.hypot(found.east, found.south)), took


def measured(seeds: range, size: int, hours: list[float], out: Console) -> list[dict[str, Any]]:
    """One row of figures for each number of hours."""
    errors: dict[float, list[np.ndarray]] = defaultdict(list)
    seconds: dict[float, list[float]] = defaultdict(list)
    for seed, apart in bar([(s, h) for h in hours for s in seeds], "pairs", console=out):
        error, took = pair(seed, size, apart)
        errors[apart].append(error)
        seconds[apart].append(took)
    rows = []
    for apart in hours:
        whole = np.concatenate(errors[apart])
        rows.append(
            {
                "hours": apart,
                "pairs": len(errors[apart]),
                "with vectors": sum(len(each) > 0 for each in errors[apart]),
                "vectors": len(whole),
                "median error": float(np.median(whole)) if len(whole) else None,
                "95 % below": float(np.percentile(whole, 95)) if len(whole) else None,
                "more than 3 px": float(np.mean(whole > 3)) if len(whole) else None,
                "seconds a pair": float(np.median(seconds[apart])),
            }
        )
    return rows


def main() -> int:
    """Print the figures; 1 where a median error is 2 pixels or more."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="400-411", help="first-last; seeds below 100 are for development")
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--hours", default="1.7,12,24")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    first, last = (int(part) for part in (chosen.seeds.split("-") * 2)[:2])
    out = Console(stderr=chosen.json)
    hours = [float(part) for part in chosen.hours.split(",")]
    rows = measured(range(first, last + 1), chosen.size, hours, out)
    if chosen.json:
        print(json.dumps(rows))
    else:
        table = Table(*rows[0], box=None)
        for row in rows:
            table.add_row(*("-" if value is None else f"{value:.3g}" for value in row.values()))
        out.print(table)
    return int(any(row["median error"] is not None and row["median error"] >= 2 for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())

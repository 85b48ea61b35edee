"""Labelling speed on 2048-px scenes: our labellers against a plain per-tile OpenCV pipeline of the published steps.

    .venv/bin/python benchmarks/labels.py [--scenes N] [--threads N] [--json]

The published pipeline splits a scene into 256-px tiles, turns each to HSV, takes three inRange masks, paints them and
merges the tiles. Every way labels the same scenes in the same run; figures are the best of the rounds, in
milliseconds a scene, so read the ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable

import cv2
import numpy as np

from seaice_ops.labels.colour import colour
from seaice_ops.labels.iqrah2024 import iqrah2024

SIZE, TILE, ROUNDS = 2048, 256, 5
COLOURS = {3: (255, 0, 0), 2: (0, 0, 255), 1: (0, 255, 0)}
LIMITS = {3: ((0, 0, 205), (185, 255, 255)), 2: ((0, 0, 31), (185, 255, 204)), 1: ((0, 0, 0), (185, 255, 30))}


def scene(seed: int) -> np.ndarray:
    """Smooth patches of open water, thin and thick ice with sensor noise, (2048, 2048, 3) u8."""
    random = np.random.default_rng(seed)
    levels = cv2.resize(random.random((128, 128), np.float32), (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    grey = np.select([levels < 0.15, levels < 0.35], [15, 60 + 300 * levels], 225 + 20 * levels)
    return np.clip(grey[..., None] + random.normal(0, 3, (SIZE, SIZE, 3)), 0, 255).astype(np.uint8)


def segmented(rgb: np.ndarray) -> np.ndarray:
    """The published colour segmentation of one tile, painted."""
    hsv = cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV)
    painted = np.zeros_like(rgb)
    for code, (low, high) in LIMITS.items():
        painted[cv2.inRange(hsv, np.array(low), np.array(high)) > 0] = COLOURS[code]
    return painted


def by_tiles(rgb: np.ndarray) -> np.ndarray:
    """The published way: split, segment each tile, merge."""
    tiles = [rgb[y : y + TILE, x : x + TILE].copy() for y in range(0, SIZE, TILE) for x in range(0, SIZE, TILE)]
    painted, across = [segmented(tile) for tile in tiles], SIZE // TILE
    return np.vstack([np.hstack(painted[row * across : (row + 1) * across]) for row in range(across)])


def filtered(rgb: np.ndarray) -> np.ndarray:
    """The published thin-cloud and shadow filter of a whole scene: 0, 155 and 255."""
    water = cv2.inRange(cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV), np.array(LIMITS[1][0]), np.array(LIMITS[1][1])) > 0
    painted = rgb.copy()
    painted[water] = (255, 255, 255)
    grey = cv2.cvtColor(painted, cv2.COLOR_RGB2GRAY)
    background = cv2.medianBlur(cv2.dilate(grey, np.ones((7, 7), np.uint8)), 155)
    difference = 255 - cv2.absdiff(grey, background)
    _, mask = cv2.threshold(difference, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    kept = cv2.normalize(cv2.bitwise_and(difference, mask), None, 0, 255, cv2.NORM_MINMAX, cv2.CV_8UC1)
    _, cut = cv2.threshold(kept, 235, 0, cv2.THRESH_TRUNC)
    stretched = cv2.normalize(cut, None, 0, 255, cv2.NORM_MINMAX, cv2.CV_8UC1)
    answer = np.full(stretched.shape, 255, np.uint8)
    answer[stretched <= 204] = 155
    answer[water] = 0
    return answer


def filtered_by_tiles(rgb: np.ndarray) -> np.ndarray:
    """The published whole: filter the scene, then segment what it shows tile by tile."""
    return by_tiles(cv2.merge([filtered(rgb)] * 3))


def codes_of(painted: np.ndarray) -> np.ndarray:
    """Class codes of a painted image."""
    codes = np.zeros(painted.shape[:2], np.uint8)
    for code, pure in COLOURS.items():
        codes[(painted == pure).all(axis=2)] = code
    return codes


def milliseconds(function: Callable[[np.ndarray], np.ndarray], scenes: list[np.ndarray]) -> float:
    """Milliseconds a scene."""
    start = time.perf_counter()
    for rgb in scenes:
        function(rgb)
    return (time.perf_counter() - start) / len(scenes) * 1e3


def measure(scenes: list[np.ndarray]) -> dict[str, float]:
    """Milliseconds a scene of each way, after checking that ours give the published labels."""
    valid = np.ones((SIZE, SIZE), bool)
    ours = {
        "colour": lambda rgb: colour(rgb, valid),
        "iqrah2024": lambda rgb: iqrah2024(rgb, valid, dilate=7, median=155),
    }
    published = {"published colour": by_tiles, "published filter and colour": filtered_by_tiles}
    for mine, theirs in zip(ours.values(), published.values(), strict=True):
        assert np.array_equal(mine(scenes[0]), codes_of(theirs(scenes[0])))
    ways = {"copy": np.ndarray.copy} | ours | published
    # Round by round, so that whatever else the machine does meets every way alike.
    rounds = [{name: milliseconds(function, scenes) for name, function in ways.items()} for _ in range(ROUNDS)]
    return {name: min(times[name] for times in rounds) for name in ways}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=4, help="the paper's workload is 66")
    parser.add_argument("--threads", type=int, default=1, help="OpenCV threads")
    parser.add_argument("--json", action="store_true", help="JSON only, without the table")
    options = parser.parse_args()
    cv2.setNumThreads(options.threads)
    best = measure([scene(seed) for seed in range(options.scenes)])
    ratios = {
        "colour: times faster than published": best["published colour"] / best["colour"],
        "colour: times a plain copy": best["colour"] / best["copy"],
        "iqrah2024: times faster than published": best["published filter and colour"] / best["iqrah2024"],
    }
    report = {
        "scenes": options.scenes,
        "size": SIZE,
        "threads": options.threads,
        "machine": {"cpus": os.cpu_count(), "load": round(os.getloadavg()[0], 1)},
        "milliseconds_per_scene": {name: round(value, 3) for name, value in best.items()},
        "ratios": {name: round(value, 2) for name, value in ratios.items()},
    }
    if not options.json:
        for name, value in [*best.items(), *ratios.items()]:
            print(f"{name:40} {value:10.2f}", file=sys.stderr)
    print(json.dumps(report))


if __name__ == "__main__":
    main()

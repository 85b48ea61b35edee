"""Cost of a map: shifting the window's sums against summing every window from nothing, and the current clock.

Both ways make the same maps of one season of a tile from stored probabilities, and the pixels are compared. Three costs
a window are timed: the sums alone (arrays in memory); all layers from the stored COGs by strips (the sums, then the
current clock over the window); and a whole published map (layers encoded, quick-look, item, ledger row). Memory is the
peak of the process.

    python benchmarks/mapping.py [--size 2048] [--window 15] [--acquisitions 45] [--json]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seaice_ops.ledger.operations import now
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.stores import initialise
from seaice_ops.ledger.tables import Evaluation, Model, ModelAlias, Probabilities, Scene, SceneState
from seaice_ops.mapping import publish
from seaice_ops.mapping.due.tile_state import Rules, TileState, tile_state
from seaice_ops.mapping.window.steady import steady
from seaice_ops.mapping.window.strips import kept_sums, map_strips
from seaice_ops.mapping.window.vote import PLANES, shift
from seaice_ops.sensors.sentinel2 import TRUE_COLOUR
from seaice_ops.settings import Settings
from seaice_ops.storage import keys
from seaice_ops.storage.rasters import Grid, cog_bytes
from seaice_ops.storage.store import ObjectStore, open_store

TILE, MODEL = "01CCV", "benchmark/0"
START = datetime(2026, 2, 1, 20, 15, 29, tzinfo=UTC)


def acquisition(size: int, seed: int) -> NDArray[np.uint8]:
    """Probabilities as a network gives them: smooth fields, mostly sure, a wedge not observed."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(size=(3, size // 16 + 1, size // 16 + 1)).repeat(16, 1).repeat(16, 2)[:, :size, :size]
    logits = np.exp(3 * coarse + 0.3 * rng.normal(size=(3, size, size)))
    values = np.rint(255 * logits / logits.sum(0)).astype(np.uint8)
    values[:, : size // 8 * (seed % 4)] = 0
    return values


def prepare(settings: Settings, size: int, acquisitions: int) -> list[NDArray[np.uint8]]:
    """A ledger and a store with one encoded season of one tile; its probabilities."""
    initialise(settings)
    store, series = open_store(settings.store), []
    grid = Grid("EPSG:32701", (10.0, 0.0, 399_960.0, 0.0, -10.0, 1_600_020.0), size, size)
    with open_ledger(settings).begin() as session:
        session.add(Model(id=MODEL, name="benchmark", version="0", sha256="", card={}, created_at=START))
        session.flush()
        session.add(ModelAlias(alias="champion", model_id=MODEL, updated_at=START))
        labels = f"labels:{settings.labels.method}-{settings.label_version(settings.labels.method)}"
        for subject, macro_f1 in ((MODEL, 0.9), (labels, 0.8)):  # so that the champion makes the maps
            scored = {"subject": subject, "dataset": "benchmark", "against": "truth", "created_at": START}
            session.add(Evaluation(**scored, metrics={"macro_f1": macro_f1}))
        for number in range(acquisitions):
            series.append(acquisition(size, number))
            add(session, store, grid, number, series[-1])
    return series


def add(session: Any, store: ObjectStore, grid: Grid, number: int, values: NDArray[np.uint8]) -> None:
    """One ready scene with its probabilities."""
    sensed, scene_id = START + timedelta(days=number), f"scene-{number:03d}"
    key, data = keys.probabilities(MODEL, TILE, scene_id), cog_bytes(values, grid, nodata=None)
    store.put(key, data)
    session.add(
        Scene(
            id=scene_id,
            identity=scene_id,
            tile=TILE,
            platform="S2B",
            sensed_at=sensed,
            relative_orbit=28,
            generated_at=sensed,
            published_at=sensed,
            href="benchmark",
            state=SceneState.READY,
            crs=grid.crs,
            transform=list(grid.transform),
            width=grid.width,
            height=grid.height,
            bands=list(TRUE_COLOUR),
            discovered_at=now(),
            updated_at=now(),
        )
    )
    session.flush()
    sha256 = hashlib.sha256(data).hexdigest()
    session.add(Probabilities(scene_id=scene_id, model_id=MODEL, key=key, sha256=sha256, seconds=0.0, created_at=now()))


def in_memory(tile: TileState, series: list[NDArray[np.uint8]], again: bool) -> tuple[float, str]:
    """Seconds a full window of sums in memory, and a hash of all maps; `again`: each from nothing."""
    state, old = np.zeros((PLANES, *series[0].shape[1:]), np.uint16), range(0)
    times, digest, spent = [scene.sensed_at for scene in tile.scenes], hashlib.sha256(), []
    for due in tile.due:
        start = time.perf_counter()
        shift(state, series.__getitem__, range(0) if again else old, due.window)
        kept = steady(state, times[due.window.stop - 1] - times[due.window.start])
        spent.append(time.perf_counter() - start)
        digest.update(kept)
        old = due.window
    return typical(tile, spent), digest.hexdigest()


def by_strips(settings: Settings, tile: TileState, again: bool) -> tuple[float, str]:
    """The same from the stored COGs."""
    store, old, digest, spent = open_store(settings.store), range(0), hashlib.sha256(), []
    with kept_sums(settings.home) as sums:
        for due in tile.due:
            start = time.perf_counter()
            strips = list(map_strips(store, tile, None, due, old, None if again else sums))
            spent.append(time.perf_counter() - start)
            digest.update(np.concatenate([layers for _, layers in strips], axis=1))
            old = range(0) if again else due.window
    return typical(tile, spent), digest.hexdigest()


def whole(settings: Settings, tile: TileState) -> float:
    """Seconds a map published, all of the season's in one run."""
    start = time.perf_counter()
    summary = publish.run(settings, publish.PublishRequest(tiles=(TILE,)))
    assert summary.done["maps"] == len(tile.due), summary
    return (time.perf_counter() - start) / len(tile.due)


def typical(tile: TileState, spent: list[float]) -> float:
    """The median over full windows that one before was shifted to."""
    longest = max(len(due.window) for due in tile.due)
    full = [seconds for seconds, due in zip(spent, tile.due, strict=True) if len(due.window) == longest]
    return float(np.median(full[1:]))


def compare(measure: Callable[[bool], tuple[float, str]]) -> dict[str, float]:
    """Seconds a window by shifting and from nothing; fails unless the pixels are the same."""
    shifted, shifted_pixels = measure(False)
    rebuilt, rebuilt_pixels = measure(True)
    assert shifted_pixels == rebuilt_pixels, "a shifted window differs from its rebuild"
    return {"shift_s": shifted, "rebuild_s": rebuilt, "ratio": rebuilt / shifted}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=2048, help="edge of the tile, pixels")
    parser.add_argument("--window", type=int, default=15)
    parser.add_argument("--acquisitions", type=int, default=45)
    parser.add_argument("--json", action="store_true", help="print JSON only")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.model_validate(
            {
                "home": Path(folder) / "home",
                "regions": {"benchmark": {"title": "Benchmark", "tiles": [TILE]}},
                "mapping": {"window": options.window},
            }
        )
        series = prepare(settings, options.size, options.acquisitions)
        tile = tile_state(open_ledger(settings), TILE, Rules.of(settings))
        result = {
            "size": options.size,
            "window": options.window,
            "acquisitions": options.acquisitions,
            "memory": compare(lambda again: in_memory(tile, series, again)),
            "strips": compare(lambda again: by_strips(settings, tile, again)),
            "published_s": whole(settings, tile),
            "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
    print(json.dumps(result, indent=2) if options.json else table(result))


def table(result: dict[str, Any]) -> str:
    """The figures as people read them."""
    lines = [f"{result['size']} px, n = {result['window']}, {result['acquisitions']} acquisitions; seconds a window"]
    for name, title in (("memory", "sums in memory"), ("strips", "sums from stored COGs")):
        row = result[name]
        lines.append(
            f"{title:24} shift {row['shift_s']:8.3f}   from nothing {row['rebuild_s']:8.3f}   x{row['ratio']:.1f}"
        )
    lines.append(f"{'published map':24}       {result['published_s']:8.3f}")
    lines.append(f"{'peak memory':24}       {result['peak_mib']:8.0f} MiB (with the benchmark's own series)")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

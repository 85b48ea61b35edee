"""Accuracy of maps on the truth of their newest acquisition, beside its labels, on simulated seasons.

    make map-accuracy [ARGS="--seeds 31-33 --size 512 --acquisitions 24 --json"]

Each season is simulated, ingested, labelled and mapped in a home of its own, without Airflow and without a model: the
labels make the maps. From the eighth acquisition of a tile on, macro-F1 on the surface as it was:

- where the labels name a class: the map's `class` and the labels themselves;
- wherever the surface was below the swath, opaque cloud included: the map's `class`, and the labels, whose abstentions
  count as missed;
- `class_stable` where it names a class, and the share of the sea that it covers;
- by the age of the deciding evidence; and how often a class said with 50 to 59, ... 90 to 100 % is right.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import yaml
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from seaice_ops.archive import fetch, search
from seaice_ops.classes.legend import CLASSES, NODATA
from seaice_ops.classes.metrics import confusion, outcomes, scores
from seaice_ops.labels import stage as labels
from seaice_ops.ledger.operations import newest_maps
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.stores import initialise
from seaice_ops.ledger.tables import LabelSet
from seaice_ops.mapping import publish
from seaice_ops.scenes import decode
from seaice_ops.settings import Settings
from seaice_ops.simulate import stage as simulate
from seaice_ops.storage.rasters import read_raster
from seaice_ops.storage.store import ObjectStore, open_store

Codes = NDArray[np.uint8]
CONFIG = Path(__file__).parents[1] / "config" / "demo.yaml"
FIRST = 7
AGES, SAID = ((0, 0), (1, 1), (2, 5), (6, 15)), (30, 40, 50, 60, 70, 80, 90)


def season(home: Path, seed: int, size: int, acquisitions: int) -> Settings:
    """A simulated season, labelled and mapped below `home`."""
    settings = labelled(home, seed, size, acquisitions)
    publish.run(settings, publish.PublishRequest())
    return settings


def labelled(home: Path, seed: int, size: int, acquisitions: int) -> Settings:
    """A simulated season below `home`, labelled."""
    settings = Settings.model_validate({**yaml.safe_load(CONFIG.read_text()), "home": str(home)})
    initialise(settings)
    request = simulate.SimulateRequest(seed=seed, size=size, acquisitions=acquisitions)
    simulate.run(settings, request)
    days = simulate.season_of(request.resolved(settings))
    whole = search.SearchRequest("sensed", days.begins.replace(month=1), days.begins.replace(month=12))
    found = tuple(search.run(settings, whole).items)
    fetch.run(settings, fetch.FetchRequest(found))
    decode.run(settings, decode.DecodeRequest(found))
    labels.run(settings, labels.LabelRequest())
    return settings


class Tally:
    """Sums of outcomes over maps."""

    def __init__(self) -> None:
        self.tables: dict[str, NDArray[np.int64]] = {}
        self.said = np.zeros((101, 2), np.int64)
        self.stable = np.zeros(2, np.int64)

    def add(self, name: str, table: NDArray[np.int64]) -> None:
        """Add (3, 3) or (4, 4) counts to the table `name`."""
        self.tables[name] = self.tables.get(name, np.zeros_like(table)) + table

    def count(self, surface: Codes, named: Codes, layers: dict[str, Codes]) -> None:
        """Count one map: (rows, columns) codes of the surface, the newest labels, and the map's layers."""
        seen = np.where(np.isin(named, CLASSES), surface, NODATA).astype(np.uint8)
        self.add("map, where labels see", confusion(seen, layers["class"]))
        self.add("labels, where they see", confusion(seen, named))
        self.add("map, everywhere", outcomes(surface, layers["class"]))
        self.add("labels, everywhere", outcomes(surface, named))
        self.add("class_stable", confusion(surface, layers["class_stable"]))
        for low, high in AGES:
            aged = (layers["age"] >= low) & (layers["age"] <= high)
            self.add(f"map, evidence of {low} to {high} days", outcomes(surface, layers["class"], aged))
        known = np.isin(surface, CLASSES) & np.isin(layers["class"], CLASSES)
        right = (surface == layers["class"])[known]
        self.said[:, 0] += np.bincount(layers["conf"][known], minlength=101)[:101]
        self.said[:, 1] += np.bincount(layers["conf"][known], right, minlength=101)[:101].astype(np.int64)
        self.stable += (int((np.isin(layers["class_stable"], CLASSES) & known).sum()), int(known.sum()))

    def figures(self) -> dict[str, Any]:
        """macro-F1 by table (abstentions count as missed), right by stated probability, the share that is stable."""
        reliability = {}
        for low in SAID:
            count, right = self.said[low : low + 10 + (low == 90)].sum(axis=0)
            reliability[f"{low}-{low + 9 + (low == 90)} %"] = round(right / count, 3) if count else None
        return {
            "macro_f1": {name: round(missed_f1(table), 4) for name, table in self.tables.items() if table.any()},
            "accuracy of class_stable": scores(self.tables["class_stable"])["accuracy"],
            "share that is stable": round(self.stable[0] / max(self.stable[1], 1), 3),
            "right by stated probability": reliability,
        }


def missed_f1(table: NDArray[np.int64]) -> float:
    """Macro-F1 of (3, 3) counts, or of (4, 4) outcomes where a pixel without a class is missed."""
    hit, truth, said = np.diag(table)[:3], table[:3].sum(axis=1), table[:3, :3].sum(axis=0)
    both = truth + said
    return float(np.mean(2 * hit[both > 0] / both[both > 0]))


def judge(settings: Settings, tally: Tally) -> None:
    """Count the maps of all tiles from the `FIRST` on."""
    store: ObjectStore = open_store(settings.store)
    with open_ledger(settings).begin() as session:
        rows = [row for tile in settings.tiles for row in list(newest_maps(session, tile).values())[FIRST:]]
        keys = {each.scene_id: each.key for each in session.query(LabelSet)}
    for row in rows:
        newest = row.scene_ids[-1]
        with rasterio.open(settings.archive_path / "truth" / f"{newest}.surface.tif") as dataset:
            surface = dataset.read(1)
        names = ("class", "class_stable", "age", "conf")
        layers = {name: read_raster(store, f"{row.folder}/{name}.tif")[0][0] for name in names}
        tally.count(surface, read_raster(store, keys[newest])[0][0], layers)


def show(found: dict[str, Any], out: Console) -> None:
    """Print the figures."""
    table = Table("on the newest truth", "macro-F1", box=None)
    for name, value in found["macro_f1"].items():
        table.add_row(name, f"{value:.3f}")
    out.print(table)
    right = found["accuracy of class_stable"] or 0
    out.print(f"class_stable: right on {right:.1%}, covers {found['share that is stable']:.1%}")
    told = ", ".join(f"{said}: {right}" for said, right in found["right by stated probability"].items())
    out.print(f"right where the map says {told}")


def main() -> int:
    """Simulate, map and judge; 1 where a map is less right than the labels of its newest acquisition."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="31-32", help="first-last; seeds below 30 are for development")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--acquisitions", type=int, default=24)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    first, _, last = options.seeds.partition("-")
    tally, out = Tally(), Console()
    for seed in track(range(int(first), int(last or first) + 1), "seasons", disable=options.json, console=out):
        with tempfile.TemporaryDirectory(prefix="seaice-maps-") as home:
            judge(season(Path(home), seed, options.size, options.acquisitions), tally)
    found = tally.figures()
    if options.json:
        print(json.dumps(found))
    else:
        show(found, out)
    scored = found["macro_f1"]
    return int(scored["map, where labels see"] < scored["labels, where they see"] - 0.001)


if __name__ == "__main__":
    raise SystemExit(main())

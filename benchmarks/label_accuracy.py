"""How right labels are on simulated acquisitions whose truth no labeller has seen, and which targets they meet.

    make label-accuracy [ARGS="--seeds 1000-1011 --size 1024 --json"]

Every method labels the same acquisitions, made in memory one after the other: any day of a season, any sky. Scores are
of the pixels that a method gives a class; what it leaves out is its abstention, and the methods are compared with each
other on the pixels that all of them label. `colour` and `iqrah2024` are given both the true colour of L1C products
(white at a reflectance of 0.3558) and one that snow does not saturate (0.9). Exit status 1 where a target of
`reflectance` is not met. The seeds by default are kept for this: develop with seeds below 100.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from seaice_ops.classes import metrics
from seaice_ops.labels.methods import label_pixels
from seaice_ops.labels.reflectance.label import reflectance
from seaice_ops.labels.reflectance.surfaces import BANDS
from seaice_ops.pixels import radiometry
from seaice_ops.quality.report import condition_table, share, side_by_side
from seaice_ops.quality.tables import Counts, figures, same_pixels
from seaice_ops.quality.targets import Target, targets
from seaice_ops.sensors import sentinel2
from seaice_ops.settings import LabelSettings
from seaice_ops.simulate.example import Example, acquisition

Codes = NDArray[np.uint8]
CEILINGS = (0.3558, 0.9)
OURS, RGB_ONLY = "reflectance", "reflectance, true colour only"


def true_colour(example: Example, ceiling: float) -> Codes:
    """(rows, columns, 3) u8, 0 where not observed."""
    red_green_blue = [sentinel2.BANDS.index(band) for band in sentinel2.TRUE_COLOUR]
    rgb = radiometry.true_colour(np.ascontiguousarray(example.reflectance[red_green_blue]), ceiling)
    rgb[~example.valid] = 0
    return rgb


def by_reflectance(example: Example) -> Codes:
    """All that `reflectance` uses: calibrated bands and the sun."""
    bands = np.ascontiguousarray(example.reflectance[[sentinel2.BANDS.index(band) for band in BANDS]])
    return reflectance(bands, example.sun_zenith).classes


def by_picture(method: str, ceiling: float) -> Callable[[Example], Codes]:
    """A method on true colour alone."""
    settings = LabelSettings()
    return lambda example: label_pixels(
        true_colour(example, ceiling),
        example.valid,
        example.pixel_m,
        method,
        settings,  # type: ignore[arg-type]
    )


def labellers() -> dict[str, Callable[[Example], Codes]]:
    """Everything that is compared, by name; ours first."""
    published = {f"{m}, white at {c:g}": by_picture(m, c) for m in ("iqrah2024", "colour") for c in CEILINGS}
    return {OURS: by_reflectance, RGB_ONLY: by_picture("reflectance", CEILINGS[1]), **published}


def count(examples: Iterator[Example]) -> tuple[dict[str, Counts], dict[str, Counts], list[Counts]]:
    """(256, 4, 4) outcomes of each labeller on all observed pixels, and on those that all of them give a class (without
    the variant for true colour, which would leave out more); and of OURS on each acquisition."""
    each_of_ours: list[Counts] = []
    ways = labellers()
    every = {name: np.zeros((256, 4, 4), np.int64) for name in ways}
    same = {name: np.zeros((256, 4, 4), np.int64) for name in ways if name != RGB_ONLY}
    for example in examples:
        labels = {name: way(example) for name, way in ways.items()}
        where = same_pixels([labels[name] for name in same], example.valid)
        for found, judged in ((every, example.valid), (same, where)):
            for name, counts in found.items():
                counts += metrics.by_condition(example.truth, labels[name], example.conditions, judged)
        each_of_ours.append(metrics.by_condition(example.truth, labels[OURS], example.conditions, example.valid))
    return every, same, each_of_ours


def intervals(acquisitions: list[Counts], draws: int = 200) -> dict[str, list[float]]:
    """5 and 95 % of the macro-F1 by condition, by bootstrap over acquisitions."""
    counts, rng = np.stack(acquisitions), np.random.default_rng(0)
    drawn: dict[str, list[float]] = {}
    for _ in range(draws):
        sample = figures(counts[rng.integers(0, len(counts), len(counts))].sum(axis=0))
        for condition, scores in sample.items():
            if scores["macro_f1"] is not None:
                drawn.setdefault(condition, []).append(scores["macro_f1"])
    return {condition: np.percentile(values, [5, 95]).round(3).tolist() for condition, values in drawn.items()}


def seeds_of(words: str) -> list[int]:
    """``1000-1011`` or ``3,5,8``."""
    found: list[int] = []
    for part in words.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def target_table(found: list[Target]) -> Table:
    table = Table(
        title="Targets of reflectance", title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0)
    )
    for head in ("", "target", "wanted", "is", "worst case"):
        table.add_column(head)
    for each in found:
        word = "[green]met[/]" if each.met else "[red]not met[/]"
        wanted = f"{each.relation} {each.wanted:.2f}"
        table.add_row(word, each.name, wanted, "-" if each.value is None else f"{each.value:.4f}", each.where)
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=seeds_of, default=seeds_of("1000-1011"), help="1000-1011 or 3,5,8")
    parser.add_argument("--size", type=int, default=1024, help="edge of an acquisition, pixels of 10 m")
    parser.add_argument("--json", action="store_true", help="JSON on standard output instead of tables")
    options = parser.parse_args()
    err = Console(stderr=True)
    made = (acquisition(seed, options.size) for seed in track(options.seeds, "labelling", console=err, transient=True))
    every, same, ours = count(made)
    between = intervals(ours)
    published = {name: counts for name, counts in same.items() if name.startswith("iqrah2024")}
    found = targets(every[OURS], same[OURS], published)
    if options.json:
        told = {
            "seeds": options.seeds,
            "size": options.size,
            "labels": {name: figures(counts) for name, counts in every.items()},
            "same_pixels": {name: figures(counts) for name, counts in same.items()},
            "intervals": between,
            "targets": [asdict(each) | {"met": each.met} for each in found],
        }
        json.dump(told, sys.stdout)
    else:
        out = Console()
        for name in (OURS, RGB_ONLY):
            out.print(condition_table(f"{name}, against truth", figures(every[name])), "")
        out.print(side_by_side("On the pixels that all of them label", {n: figures(c) for n, c in same.items()}), "")
        for condition, (low, high) in between.items():
            out.print(f"{OURS}, {condition}: mean F1 {low:.2f} to {high:.2f} (90 %, bootstrap over acquisitions)")
        for name, counts in every.items():
            wrongly = figures(counts)["all"]["named_no_class"]
            out.print(f"land or opaque cloud given a class by {name}: {share(wrongly)}")
        out.print("", target_table(found))
    return 0 if all(each.met for each in found) else 1


if __name__ == "__main__":
    sys.exit(main())

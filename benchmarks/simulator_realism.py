"""Is the simulated ocean a fair judge? Five checks; exits with 1 if one fails.

1. The published filter shows its known faults on it: thin ice wider than about 100 px is lost at the
   published kernel of 155 px, and labels fitted per crop contradict each other where crops overlap.
2. No two thresholds on one band, nor on V = max(red, green, blue), label it well: macro-F1 on truth stays below 0.9,
   with the best thresholds that an exhaustive search on the truth itself finds.
3. Its brightness histogram lies near the real Ross Sea scene's: after bringing each acquisition to that scene's scale
   (the sun, and with it snow at nadir, differs between them), the earth mover's distance of V is at most 35 of 255 grey
   levels and the total variation over 16 bins at most 0.25. (The scene holds less open water than a season that a model
   can learn from, and its water is darker than any seen through air, which is most of that distance.)

4. Cloud and snow are as far apart, and no farther, than they are in reality: the reflectance of opaque water cloud at
   1.61 um relative to red lies within 0.15 of that of real bright clouds (hand-made mask of a Sentinel-2 scene), deep
   ice cloud is darker there than deep water cloud, and no threshold on B11 tells cloud, thin or not, from clear ice
   and water without errors.
5. Every condition of `seaice_ops.classes.conditions` has its share of examples.

Beside them it prints the macro-F1 on truth of both labelling methods, at the default ceiling and at the one that
brings snow to the real scene's grey. With `--pictures` it draws spectra beside published values, distributions of cloud
and ice, and twelve examples beside the real scene.

    python benchmarks/simulator_realism.py [--size 1024] [--acquisitions 24] [--examples 24] [--pictures DIR] [--json]

Real data are found through SEAICE_TEST_DATA (default ../shared/data).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from seaice_ops.classes import conditions, legend, metrics
from seaice_ops.labels.published.colour import colour
from seaice_ops.labels.published.iqrah2024 import iqrah2024, kernel
from seaice_ops.sensors.sentinel2 import BANDS
from seaice_ops.settings import LabelSettings, SceneSettings
from seaice_ops.simulate.clouds import clear, overcast
from seaice_ops.simulate.example import Example, acquisition
from seaice_ops.simulate.geometry import Geometry
from seaice_ops.simulate.noise import smooth
from seaice_ops.simulate.ocean import uniform
from seaice_ops.simulate.product import render
from seaice_ops.simulate.season import OLDER, SimulateRequest, plan
from seaice_ops.simulate.sensor import Image, observe

TILES = ("01CCV", "60CWS")
WIDTHS = (40, 60, 80, 100, 150, 300)
KERNELS = {"dilate": 7, "median": 155}
BOUNDS = {"recall_60": 0.8, "recall_100": 0.4, "contradiction": 0.02, "single_band": 0.9, "distance": 35.0, "tv": 0.25,
          "swir": 0.15, "cloud_error": 0.02, "condition": 0.005}  # fmt: skip

#: Bins of reflectance, 0.005 wide, in which thresholds are searched.
BINS, STEP = 260, 0.005
SNOW_PERCENTILE = 90


def season(size: int, acquisitions: int, every: int = 1) -> Iterator[Image]:
    """Every k-th acquisition of the demo's season, rendered."""
    request = SimulateRequest(tiles=TILES, size=size, acquisitions=acquisitions)
    products = [product for product in plan(request) if product.kind != OLDER]
    yield from (render(request, product) for product in products[::every])


def true_colour(image: Image, ceiling: float) -> NDArray[np.uint8]:
    """(rows, columns, 3) u8, 255 at reflectance `ceiling`, 0 where not observed."""
    rgb = np.clip(np.rint(image.reflectance[[2, 1, 0]] * (255 / ceiling)), 0, 255)
    return np.ascontiguousarray(np.where(image.valid, rgb, 0).astype(np.uint8).transpose(1, 2, 0))


def strip(width: int, size: int = 512) -> Image:
    """A straight strip of grey ice `width` pixels wide through snow, in clear air, the sun at 62 degrees."""
    place = (0.0, 0.0)
    across = np.abs(np.arange(size) - size / 2) < width / 2
    codes = np.broadcast_to(np.where(across, legend.THIN, legend.THICK).astype(np.uint8), (size, size)).copy()
    ground = replace(
        uniform(codes),
        thickness=np.clip(0.10 + 0.02 * smooth(1, place, codes.shape, 60, 4), 0.05, 0.2).astype(np.float32),
        grain=np.exp(-1.6 + 0.3 * smooth(2, place, codes.shape, 60, 4)).astype(np.float32),
        height=0.16 * smooth(3, place, codes.shape, 14, 2),
    )
    return observe(4, ground, clear(codes.shape), Geometry(sun_zenith=62.0))


def recall_by_width(ceiling: float) -> dict[int, float]:
    """Recall of thin ice by the published filter, for strips of each width, pixels."""
    answer = {}
    for width in WIDTHS:
        image = strip(width)
        labels = iqrah2024(true_colour(image, ceiling), image.valid, **KERNELS)
        thin = image.truth == legend.THIN
        answer[width] = round(float((labels[thin] == legend.THIN).mean()), 3)
    return answer


def contradiction(rgb: NDArray[np.uint8], valid: NDArray[np.bool_], *, per_crop: bool) -> float:
    """Share of pixels covered more than once that overlapping crops (half a crop apart) label differently."""
    crop = min(256, valid.shape[0] // 2)
    whole = iqrah2024(rgb, valid, **KERNELS)
    lowest, highest = np.full(valid.shape, 255, np.uint8), np.zeros(valid.shape, np.uint8)
    covered = np.zeros(valid.shape, np.uint8)
    for top in range(0, valid.shape[0] - crop + 1, crop // 2):
        for left in range(0, valid.shape[1] - crop + 1, crop // 2):
            cut = np.s_[top : top + crop, left : left + crop]
            labels = iqrah2024(rgb[cut], valid[cut], **KERNELS) if per_crop else whole[cut]
            lowest[cut], highest[cut] = np.minimum(lowest[cut], labels), np.maximum(highest[cut], labels)
            covered[cut] += 1
    several = (covered > 1) & valid
    return float((lowest != highest)[several].mean())


def histograms(image: Image) -> NDArray[np.int64]:
    """(6, 3, bins) pixels per reflectance bin and class for the five bands and V = max(B04, B03, B02)."""
    values = np.concatenate([image.reflectance, image.reflectance[:3].max(axis=0)[None]])
    bins = np.clip(values / STEP, 0, BINS - 1).astype(np.int64)
    masks = [image.valid & (image.truth == code) for code in legend.CLASSES]
    return np.stack([[np.bincount(band[mask], minlength=BINS) for mask in masks] for band in bins])


def best_thresholds(counts: NDArray[np.int64]) -> dict[str, Any]:
    """The two thresholds, and the order of classes between them, of the highest macro-F1 for (3, bins) counts."""
    below = np.concatenate([np.zeros((3, 1), np.int64), counts.cumsum(axis=1)], axis=1)
    total = counts.sum(axis=1)
    best: dict[str, Any] = {"macro_f1": -1.0}
    for order in permutations(range(3)):
        low, high = np.meshgrid(np.arange(BINS + 1), np.arange(BINS + 1), indexing="ij")
        parts = (below[:, low], below[:, high] - below[:, low], total[:, None, None] - below[:, high])
        f1 = [2 * part[k] / np.maximum(total[k] + part.sum(axis=0), 1) for k, part in zip(order, parts, strict=True)]
        macro = np.where(low <= high, np.mean(f1, axis=0), 0)
        if macro.max() > best["macro_f1"]:
            i, j = np.unravel_index(int(macro.argmax()), macro.shape)
            best = {
                "macro_f1": round(float(macro.max()), 4),
                "below": round(float(i) * STEP, 3),
                "above": round(float(j) * STEP, 3),
            }
    return best


def real_brightness(path: Path) -> NDArray[np.float64]:
    """Histogram (256 bins) of V of the real scene without its black wedge."""
    rgb = cv2.imread(str(path))
    if rgb is None:
        sys.exit(f"cannot read {path}; set SEAICE_TEST_DATA")
    v = rgb.max(axis=2)
    _, parts, sizes, _ = cv2.connectedComponentsWithStats((v <= 2).astype(np.uint8))
    wedge = parts == 1 + int(np.argmax(sizes[1:, cv2.CC_STAT_AREA]))
    return np.bincount(v[~wedge], minlength=256) / (~wedge).sum()


def to_scale(v_counts: NDArray[np.int64], real: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """The ceiling that gives snow (a high percentile) the real scene's grey, and the histogram of V at it."""
    reflectance = (np.arange(BINS) + 0.5) * STEP
    share = v_counts / v_counts.sum()
    snow = reflectance[np.searchsorted(share.cumsum(), SNOW_PERCENTILE / 100)]
    ceiling = snow * 255 / float(np.searchsorted(real.cumsum(), SNOW_PERCENTILE / 100))
    greys = np.clip(np.rint(reflectance * 255 / ceiling), 0, 255).astype(int)
    return float(ceiling), np.bincount(greys, weights=share, minlength=256)


def label_scores(images: Iterable[Image], ceilings: Sequence[float]) -> dict[str, dict[str, float]]:
    """Macro-F1 on truth, over all images, of both methods with their default thresholds and kernels (in metres)."""
    defaults = LabelSettings()
    kernels = {"dilate": kernel(defaults.dilate_m, 10.0), "median": kernel(defaults.median_m, 10.0)}
    totals = {c: {method: np.zeros((3, 3), np.int64) for method in ("colour", "iqrah2024")} for c in ceilings}
    for image in images:
        for ceiling, total in totals.items():
            rgb = true_colour(image, ceiling)
            total["colour"] += metrics.confusion(image.truth, colour(rgb, image.valid))
            total["iqrah2024"] += metrics.confusion(image.truth, iqrah2024(rgb, image.valid, **kernels))
    return {
        str(c): {method: round(metrics.scores(matrix)["macro_f1"], 4) for method, matrix in total.items()}
        for c, total in totals.items()
    }


def deep_cloud(*, ice: bool) -> float:
    """Reflectance at 1.61 um relative to red of cloud of optical depth 20 over water, the sun at 50 degrees."""
    geometry, codes = Geometry(sun_zenith=50.0), np.full((32, 32), legend.WATER, np.uint8)
    seen = observe(5, uniform(codes), overcast(codes.shape, 20.0, ice=ice, geometry=geometry), geometry).reflectance
    return round(float(seen[4].mean() / seen[2].mean()), 3)


def real_cloud(path: Path) -> float:
    """The same of the brightest quarter of real cloud (class 4 of the hand-made mask; bands B G R NIR SWIR1 SWIR2)."""
    with np.load(path) as data:
        cloud = data["img"][data["msk"][..., 0] == 4]
    bright = cloud[cloud[:, 2] >= np.percentile(cloud[:, 2], 75)]
    return round(float(np.median(bright[:, 4] / bright[:, 2])), 3)


def cloud_counts(examples: Iterable[Example]) -> NDArray[np.int64]:
    """(2, bins) pixels per bin of B11: clear ice and water, and cloud from the thinnest that counts."""
    counts = np.zeros((2, BINS), np.int64)
    for example in examples:
        b11 = np.clip(example.reflectance[4] / (10_000 * STEP), 0, BINS - 1).astype(np.int64)
        veiled = example.conditions & conditions.THIN_CLOUD > 0
        bare = np.isin(example.truth, legend.CLASSES) & ~veiled
        for row, mask in enumerate((bare, veiled | (example.truth == legend.CLOUD))):
            counts[row] += np.bincount(b11[mask & example.valid], minlength=BINS)
    return counts


def least_error(counts: NDArray[np.int64]) -> float:
    """Smallest mean of missed cloud and false cloud, as shares, of any threshold."""
    share = counts.cumsum(axis=1) / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return round(float(((1 - share[0]) + share[1]).min() / 2), 4)


def condition_shares(examples: Iterable[Example]) -> dict[str, float]:
    """Share of the classed pixels of all examples that each condition has, and of all pixels that is opaque cloud."""
    found, classed, cloud, seen = dict.fromkeys(conditions.NAMES, 0), 0, 0, 0
    for example in examples:
        for bit in found:
            found[bit] += int((example.conditions & bit > 0).sum())
        classed += int(np.isin(example.truth, legend.CLASSES).sum())
        cloud, seen = cloud + int((example.truth == legend.CLOUD).sum()), seen + int(example.valid.sum())
    return {
        **{conditions.NAMES[bit]: round(n / classed, 4) for bit, n in found.items()},
        "cloud": round(cloud / seen, 4),
    }


def measure(size: int, acquisitions: int, examples: Sequence[Example], data: Path) -> dict[str, Any]:
    """All figures: contradictions over every fourth acquisition, the rest over the whole season or the examples."""
    real_scene = data / "ross_sea_s2" / "ross_B_rgb.png"
    counts = np.zeros((len(BANDS) + 1, 3, BINS), np.int64)
    real, simulated, ceilings = real_brightness(real_scene), np.zeros(256), []
    for image in season(size, acquisitions):
        counts += histograms(image)
        v = np.clip(image.reflectance[:3].max(axis=0)[image.valid] / STEP, 0, BINS - 1).astype(np.int64)
        ceiling, greys = to_scale(np.bincount(v, minlength=BINS), real)
        ceilings.append(ceiling)
        simulated += greys * image.valid.sum()
    ceiling, simulated = float(np.median(ceilings)), simulated / simulated.sum()
    shares = counts[0].sum(axis=1) / counts[0].sum()
    pictures = [(true_colour(image, ceiling), image.valid) for image in season(size, acquisitions, every=4)]
    return {
        "class_shares": {
            legend.SLUGS[code]: round(float(s), 4) for code, s in zip(legend.CLASSES, shares, strict=True)
        },
        "ceiling": round(ceiling, 4),
        "recall_by_width": recall_by_width(ceiling),
        "contradiction_per_crop": round(float(np.mean([contradiction(*p, per_crop=True) for p in pictures])), 4),
        "contradiction_per_scene": round(float(np.mean([contradiction(*p, per_crop=False) for p in pictures])), 4),
        "single_band": {name: best_thresholds(band) for name, band in zip((*BANDS, "V"), counts, strict=True)},
        "distance": round(float(np.abs((simulated - real).cumsum()).sum()), 2),
        "tv": round(float(np.abs((simulated - real).reshape(16, 16).sum(axis=1)).sum() / 2), 4),
        "labels": label_scores(season(size, acquisitions), (SceneSettings().ceiling, round(ceiling, 4))),
        "swir_to_red": {
            "water cloud": deep_cloud(ice=False),
            "ice cloud": deep_cloud(ice=True),
            "real cloud": real_cloud(data / "cloud_mask" / "sentinel2.npz"),
        },
        "cloud_by_b11_error": least_error(cloud_counts(examples)),
        "conditions": condition_shares(examples),
    }


def checks(figures: dict[str, Any]) -> dict[str, bool]:
    """What must hold of the figures, each with its bound."""
    recall, swir, bound = figures["recall_by_width"], figures["swir_to_red"], BOUNDS
    return {
        f"thin ice 60 px wide is found (recall >= {bound['recall_60']})": recall[60] >= bound["recall_60"],
        f"from 100 px it is lost (recall <= {bound['recall_100']})": max(recall[w] for w in WIDTHS if w >= 100)
        <= bound["recall_100"],
        f"fitted per crop, labels contradict (> {bound['contradiction']})": figures["contradiction_per_crop"]
        > bound["contradiction"],
        "fitted per scene, they do not (0)": figures["contradiction_per_scene"] == 0,
        f"no band labels it well (macro-F1 < {bound['single_band']})": all(
            band["macro_f1"] < bound["single_band"] for band in figures["single_band"].values()
        ),
        f"brightness: distance <= {bound['distance']}": figures["distance"] <= bound["distance"],
        f"brightness: total variation <= {bound['tv']}": figures["tv"] <= bound["tv"],
        f"deep water cloud is as bright at 1.61 um as real cloud (within {bound['swir']})": abs(
            swir["water cloud"] - swir["real cloud"]
        )
        <= bound["swir"],
        "ice cloud is darker there": swir["ice cloud"] < swir["water cloud"],
        f"no B11 threshold finds all cloud (error > {bound['cloud_error']})": figures["cloud_by_b11_error"]
        > bound["cloud_error"],
        f"every condition occurs (> {bound['condition']})": min(figures["conditions"].values()) > bound["condition"],
    }


def main() -> int:
    """Measure, print, and say with the exit status whether every check holds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=1024, help="edge of a tile, pixels")
    parser.add_argument("--acquisitions", type=int, default=24, help="acquisitions a tile")
    parser.add_argument("--examples", type=int, default=24, help="single acquisitions of all kinds")
    parser.add_argument("--pictures", type=Path, help="folder for the pictures")
    parser.add_argument("--json", action="store_true", help="print JSON only")
    options = parser.parse_args()
    data = Path(os.environ.get("SEAICE_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    examples = [acquisition(seed, options.size) for seed in range(options.examples)]
    figures = measure(options.size, options.acquisitions, examples, data)
    held = checks(figures)
    if options.json:
        print(json.dumps({**figures, "checks": held}, indent=1))
    else:
        for name, figure in figures.items():
            print(f"{name:25} {figure}")
        for name, ok in held.items():
            print(f"{'ok    ' if ok else 'FAILED'} {name}")
    if options.pictures:
        import simulator_pictures

        for path in simulator_pictures.draw(options.pictures, examples, data):
            print(path, file=sys.stderr)
    return 0 if all(held.values()) else 1


if __name__ == "__main__":
    sys.exit(main())

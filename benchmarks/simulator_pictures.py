"""Pictures for `simulator_realism.py`: what the simulator's numbers look like beside published values and real data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from numpy.typing import NDArray

from seaice_ops.classes import conditions, legend
from seaice_ops.simulate import spectra
from seaice_ops.simulate.example import Example

matplotlib.use("Agg")
from matplotlib import pyplot as plt

#: Ranges of spectral albedo read off published curves (low, high per band), not used by the simulator: snow of 0.05 to
#: 0.2 mm and of 1 mm grains (Wiscombe and Warren 1980), young ice by type (Brandt et al. 2005; Zatko and Warren 2015;
#: Perovich 1996), water.
PUBLISHED = {
    "new snow": ((0.95, 1.0), (0.95, 1.0), (0.93, 0.99), (0.86, 0.96), (0.08, 0.30)),
    "coarse wet snow": ((0.90, 1.0), (0.90, 1.0), (0.87, 0.97), (0.70, 0.85), (0.01, 0.05)),
    "FIRST_YEAR": ((0.55, 0.75), (0.55, 0.75), (0.50, 0.70), (0.38, 0.55), (0.02, 0.08)),
    "GREY_WHITE": ((0.36, 0.55), (0.36, 0.55), (0.33, 0.52), (0.24, 0.42), (0.02, 0.07)),
    "GREY": ((0.26, 0.42), (0.26, 0.42), (0.24, 0.40), (0.16, 0.30), (0.02, 0.06)),
    "NILAS": ((0.10, 0.26), (0.10, 0.26), (0.09, 0.24), (0.07, 0.20), (0.01, 0.05)),
    "GREASE": ((0.06, 0.14), (0.06, 0.14), (0.06, 0.13), (0.04, 0.10), (0.005, 0.04)),
    "WATER": ((0.02, 0.05), (0.015, 0.04), (0.01, 0.03), (0.003, 0.025), (0.0, 0.02)),
}
_LONGEST_UM = 1.75


def draw(folder: Path, examples: Sequence[Example], data: Path) -> list[Path]:
    """Write the three pictures below `folder`; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        spectra_picture(folder / "spectra.png"),
        distributions(folder / "cloud_and_ice.png", examples, data),
        contact_sheet(folder / "examples.png", examples, data),
    ]


def simulated(name: str) -> Sequence[float]:
    """The simulator's reflectance per band of a surface of `PUBLISHED`."""
    radius = {"new snow": 0.1, "coarse wet snow": 1.0}.get(name)
    return getattr(spectra, name) if radius is None else list(spectra.snow_albedo(np.array([radius]))[:, 0])


def spectra_picture(path: Path) -> Path:
    """Each surface's bands as points, the published range as a bar behind them."""
    figure, axes = plt.subplots(figsize=(9, 6))
    for number, (name, ranges) in enumerate(PUBLISHED.items()):
        colour = f"C{number}"
        axes.plot(spectra.WAVELENGTH_UM, simulated(name), "o-", color=colour, label=name.lower().replace("_", "-"))
        for um, (low, high) in zip(spectra.WAVELENGTH_UM, ranges, strict=True):
            axes.vlines(um + 0.006 * (number - 4), low, high, color=colour, alpha=0.35, linewidth=5)
    axes.set(xlim=(0.4, _LONGEST_UM), ylim=(0, 1.02), xlabel="wavelength, um", ylabel="reflectance",
             title="Simulated spectra (points) and published ranges (bars)")  # fmt: skip
    axes.legend(fontsize=8)
    return _saved(figure, path)


def groups(examples: Sequence[Example]) -> dict[str, NDArray[np.float64]]:
    """(5, n) reflectance of clear pixels by class, of veiled ones, and of opaque cloud; every 17th pixel."""
    found: dict[str, list[NDArray[np.float64]]] = {}
    for example in examples:
        unclear = example.conditions & (conditions.THIN_CLOUD | conditions.SHADOW | conditions.MIXED) > 0
        masks = {legend.NAMES[code]: (example.truth == code) & ~unclear for code in legend.CLASSES}
        masks["thin cloud over ice or water"] = example.conditions & conditions.THIN_CLOUD > 0
        masks["opaque cloud"] = example.truth == legend.CLOUD
        for name, mask in masks.items():
            found.setdefault(name, []).append(example.reflectance[:, mask & example.valid][:, ::17] / 10_000)
    return {name: np.concatenate(parts, axis=1) for name, parts in found.items()}


def distributions(path: Path, examples: Sequence[Example], data: Path) -> Path:
    """Histograms of B11 and of the snow index (B03 - B11) / (B03 + B11), with real cloud of a hand-made mask."""
    with np.load(data / "cloud_mask" / "sentinel2.npz") as real:
        cloud = real["img"][real["msk"][..., 0] == 4].T[[0, 1, 2, 3, 4]]
    parts = {**groups(examples), "real cloud (farmland)": cloud[:, cloud[2] > 0.4]}
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 5))
    for number, (name, bands) in enumerate(parts.items()):
        index = (bands[1] - bands[4]) / np.maximum(bands[1] + bands[4], 1e-3)
        for axes, values, limits in ((left, bands[4], (0, 0.8)), (right, index, (-0.3, 1))):
            share, edges = np.histogram(np.clip(values, *limits), bins=80, range=limits)
            axes.plot(edges[:-1], share / max(share.sum(), 1), color=f"C{number}", label=name)
    left.set(xlabel="reflectance at 1.61 um (B11)", ylabel="share of pixels", ylim=(0, 0.2))
    right.set(xlabel="(B03 - B11) / (B03 + B11)", ylim=(0, 0.2))
    right.legend(fontsize=8)
    return _saved(figure, path)


def contact_sheet(path: Path, examples: Sequence[Example], data: Path, edge: int = 480) -> Path:
    """The first twelve examples in true colour, each above its truth, and the real Ross Sea scene last."""
    columns = [np.vstack([picture(example, edge), classes(example, edge)]) for example in examples[:12]]
    real = cv2.imread(str(data / "ross_sea_s2" / "ross_B_rgb.png"))
    real = cv2.resize(real, (edge, edge), interpolation=cv2.INTER_AREA)
    columns += [np.vstack([real, np.zeros_like(real)])] + [np.zeros_like(columns[0])] * (-(len(columns) + 1) % 5)
    rows = [np.hstack(columns[start : start + 5]) for start in range(0, len(columns), 5)]
    cv2.imwrite(str(path), np.vstack(rows))
    return path


def picture(example: Example, edge: int) -> NDArray[np.uint8]:
    """(edge, edge, 3) blue, green, red; the brightest tenth at grey 240, as the real scene's is."""
    rgb = example.reflectance[:3] / 10_000
    snow = max(float(np.percentile(rgb[:, example.valid].max(axis=0), 90)), 0.65)  # or what snow would be
    ceiling = snow * 255 / 240
    image = np.where(example.valid, np.clip(rgb / ceiling * 255, 0, 255), 0).astype(np.uint8).transpose(1, 2, 0)
    return cv2.resize(np.ascontiguousarray(image), (edge, edge), interpolation=cv2.INTER_AREA)


def classes(example: Example, edge: int) -> NDArray[np.uint8]:
    """(edge, edge, 3) the truth in the legend's colours, blue first."""
    table = np.zeros((256, 3), np.uint8)
    for code, colour in legend.COLOURS.items():
        table[code] = colour[2::-1]
    return cv2.resize(table[example.truth], (edge, edge), interpolation=cv2.INTER_NEAREST)


def _saved(figure: plt.Figure, path: Path) -> Path:
    figure.tight_layout()
    figure.savefig(path, dpi=90)
    plt.close(figure)
    return path

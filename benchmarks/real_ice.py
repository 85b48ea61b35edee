"""Labels on real pixels whose class a person sees: right, wrong and left out by every method.

    make real-ice [ARGS="--sheets build/real-ice --json"]

The chips and the rectangles drawn on them by eye are outside test data (SEAICE_TEST_DATA, default ../shared/data; its
its README says what each is). The published methods get the true colour of an L1C product (white at 0.3558), as
does `reflectance, true colour`. `--sheets` writes one picture a chip: the true colour, and the labels of each method.

A chip of surface reflectance is put below the air of our own model first: it tests the surfaces and not the air. Where
a sensor has no short-wave infrared band, B11 is taken as 0.01 + 0.06 B08.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from seaice_ops.classes import legend
from seaice_ops.labels.methods import label_pixels
from seaice_ops.labels.picture.true_colour import reflectance_rgb
from seaice_ops.labels.reflectance import optics
from seaice_ops.labels.reflectance.label import reflectance
from seaice_ops.labels.reflectance.surfaces import BANDS
from seaice_ops.labels.result import Labels
from seaice_ops.pixels import radiometry
from seaice_ops.sensors.sentinel2 import TRUE_COLOUR
from seaice_ops.settings import LabelSettings
from seaice_ops.versions import Method

Codes = NDArray[np.uint8]
CEILING = 0.3558
OURS, OF_PICTURE = "reflectance", "reflectance, true colour"
PUBLISHED: tuple[Method, ...] = ("colour", "iqrah2024")
METHODS = (OURS, OF_PICTURE, *PUBLISHED)

#: The classes that are right where a person named a rectangle so. A melt pond lies on thick ice, which it is part of.
RIGHT = {
    "open_water": (legend.WATER,),
    "thin_ice": (legend.THIN,),
    "thick_ice": (legend.THICK,),
    "dark_lead": (legend.WATER, legend.THIN),
    "grey_white_ice": (legend.THIN, legend.THICK),
    "melt_pond": (legend.THICK,),
    "cloud_opaque": (legend.CLOUD,),
}


@dataclass(frozen=True)
class Chip:
    """One real picture: top-of-atmosphere `bands` (4, rows, columns) int16 x 10000 in BANDS order, None where there is
    only the true colour `rgb` (rows, columns, 3) u8; `valid` (rows, columns); the sun's zenith distance in degrees; and
    the rectangles drawn on it."""

    name: str
    bands: NDArray[np.int16] | None
    rgb: Codes
    valid: NDArray[np.bool_]
    sun_zenith: float
    pixel_m: float
    rectangles: Sequence[dict[str, object]]

    @property
    def source(self) -> str:
        """The name without its date and number."""
        return "_".join(part for part in self.name.split("_") if not part.isdigit() and len(part) > 1)


def data_folder() -> Path:
    """The folder of real chips."""
    root = Path(os.environ.get("SEAICE_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    return root / "real_ice"


def chips(folder: Path) -> Iterator[Chip]:
    """Every chip of the folder that has rectangles."""
    drawn = json.loads((folder / "visual_labels.json").read_text())["images"]
    for name, rectangles in drawn.items():
        with np.load(folder / f"{name}.npz") as stored:
            yield _chip(name, {key: stored[key] for key in stored.files}, rectangles)


def _chip(name: str, stored: dict[str, NDArray[np.generic]], rectangles: Sequence[dict[str, object]]) -> Chip:
    zenith, level = float(stored["sun_zenith"]), str(stored["level"])
    planes = {band: np.asarray(stored[band], np.int16) for band in ("B02", "B03", "B04", "B08", "B11")}
    valid = planes["B04"] != radiometry.UNOBSERVED
    if "tci" in stored:
        rgb = np.ascontiguousarray(np.moveaxis(np.asarray(stored["tci"], np.uint8), 0, -1))
        return Chip(name, None, rgb, (rgb > 0).any(axis=2), zenith, float(stored["pixel_size"]), rectangles)
    if (planes["B11"] == radiometry.UNOBSERVED).all():
        planes["B11"] = np.where(valid, 100 + 0.06 * planes["B08"], radiometry.UNOBSERVED).astype(np.int16)
    if level != "TOA":
        planes = {band: _below_air(plane, band, zenith) for band, plane in planes.items()}
    bands = np.stack([planes[band] for band in BANDS])
    valid &= (bands != radiometry.UNOBSERVED).all(axis=0)
    rgb = radiometry.true_colour(np.stack([planes[band] for band in TRUE_COLOUR]), CEILING)
    rgb[~valid] = 0
    return Chip(name, bands, rgb, valid, zenith, float(stored["pixel_size"]), rectangles)


def _below_air(plane: NDArray[np.int16], band: str, zenith: float) -> NDArray[np.int16]:
    """Stored surface reflectance as a satellite would see it."""
    seen = optics.at_satellite(plane / radiometry.SCALE, optics.air(band, zenith))
    return np.where(plane == radiometry.UNOBSERVED, plane, np.rint(seen * radiometry.SCALE)).astype(np.int16)


def labels(chip: Chip) -> dict[str, Labels]:
    """The labels of a chip by each method; a chip without infrared has no answer of OURS but the true colour's."""
    settings = LabelSettings()
    found = {method: Labels(label_pixels(chip.rgb, chip.valid, chip.pixel_m, method, settings)) for method in PUBLISHED}
    found[OF_PICTURE] = reflectance_rgb(chip.rgb, chip.valid)
    found[OURS] = found[OF_PICTURE] if chip.bands is None else reflectance(chip.bands, chip.sun_zenith)
    return found


Cell = tuple[str, str, str]


def count(found: dict[str, Labels], chip: Chip) -> dict[Cell, dict[str, NDArray[np.int64]]]:
    """By source, class and condition: pixels right, wrong and left out by each method."""
    cells: dict[Cell, dict[str, NDArray[np.int64]]] = {}
    for each in chip.rectangles:
        rows, columns = slice(each["y0"], each["y1"]), slice(each["x0"], each["x1"])
        cell = cells.setdefault((chip.source, str(each["cls"]), str(each["condition"])), {})
        for method, said in found.items():
            codes = said.classes[rows, columns][chip.valid[rows, columns]]
            right, out = np.isin(codes, RIGHT[str(each["cls"])]), codes > legend.THICK
            tally = np.array([right.sum(), (~right & ~out).sum(), (~right & out).sum()], np.int64)
            cell[method] = cell.get(method, np.zeros(3, np.int64)) + tally
    return cells


def reliability(found: Labels, chip: Chip) -> NDArray[np.int64]:
    """(101, 2) pixels of the rectangles that were given each confidence in %, and how many of them are right."""
    counts = np.zeros((101, 2), np.int64)
    if found.confidence is None:
        return counts
    for each in chip.rectangles:
        where = np.s_[each["y0"] : each["y1"], each["x0"] : each["x1"]]
        codes, said = found.classes[where].ravel(), found.confidence[where].ravel()
        classed = codes <= legend.THICK
        right = np.isin(codes, RIGHT[str(each["cls"])])
        counts[:, 0] += np.bincount(said[classed], minlength=101)
        counts[:, 1] += np.bincount(said[classed & right], minlength=101)
    return counts


def measured(folder: Path, sheets: Path | None = None) -> tuple[dict[Cell, dict[str, list[float]]], NDArray[np.int64]]:
    """The table: shares in % right, wrong, left out by cell and method; and how often confidences of OURS are right."""
    total: dict[Cell, dict[str, NDArray[np.int64]]] = {}
    sure = np.zeros((101, 2), np.int64)
    for chip in chips(folder):
        found = labels(chip)
        sure += reliability(found[OURS], chip)
        for cell, tallies in count(found, chip).items():
            held = total.setdefault(cell, {})
            for method, tally in tallies.items():
                held[method] = held.get(method, np.zeros(3, np.int64)) + tally
        if sheets:
            write_sheet(sheets / f"{chip.name}.png", chip, found)
    shares = {
        cell: {method: (100 * tally / tally.sum()).round(1).tolist() for method, tally in tallies.items()}
        for cell, tallies in sorted(total.items())
    }
    return shares, sure


def write_sheet(path: Path, chip: Chip, found: dict[str, Labels]) -> None:
    """The true colour and each method's labels beside each other, with the rectangles."""
    colours = np.zeros((256, 3), np.uint8)
    for code, colour in legend.COLOURS.items():
        colours[code] = colour[:3]
    panels = [chip.rgb.copy(), *(colours[found[method].classes] for method in METHODS)]
    for panel in panels:
        for each in chip.rectangles:
            corners = (int(str(each["x0"])), int(str(each["y0"]))), (int(str(each["x1"])), int(str(each["y1"])))
            cv2.rectangle(panel, *corners, (255, 120, 0), 1)
    scale = max(1, 400 // chip.rgb.shape[1])
    sheet = np.hstack(panels).repeat(scale, axis=0).repeat(scale, axis=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))


def table(shares: dict[Cell, dict[str, list[float]]]) -> Table:
    shown = Table(
        title="right / wrong / left out, %", title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0)
    )
    for head in ("source", "class", "condition", *METHODS):
        shown.add_column(head)
    for cell, by_method in shares.items():
        told = ["/".join(f"{share:.0f}" for share in by_method[method]) for method in METHODS]
        shown.add_row(*cell, *told)
    means = [f"{np.mean([by_method[method][0] for by_method in shares.values()]):.0f}" for method in METHODS]
    shown.add_row("mean over cells", "", "", *means)
    return shown


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sheets", type=Path, help="folder for one picture a chip")
    parser.add_argument("--json", action="store_true", help="JSON on standard output instead of a table")
    options = parser.parse_args()
    folder = data_folder()
    if not folder.is_dir():
        sys.exit(f"no real chips at {folder}; set SEAICE_TEST_DATA")
    shares, sure = measured(folder, options.sheets)
    if options.json:
        json.dump({"cells": [[*cell, told] for cell, told in shares.items()], "confidence": sure.tolist()}, sys.stdout)
    else:
        out = Console()
        out.print(table(shares))
        for low in range(30, 100, 10):
            said, right = sure[low : low + 10 + (low == 90)].sum(axis=0)
            out.print(f"confidence {low} to {low + 9 + (low == 90)} %: right {right / max(said, 1):.0%} of {said:,}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

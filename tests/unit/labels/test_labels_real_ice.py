"""The table of real pixels runs, and holds what it reached."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).parents[3]

#: Least share in % right of `reflectance`, by source, class and condition; a few points below what was reached.
REACHED = {
    ("jamtland_annsjon", "open_water", "clean"): 95,
    ("jamtland_annsjon", "thin_ice", "clean"): 72,
    ("jamtland_annsjon", "thin_ice", "dark"): 85,
    ("jamtland_west", "thick_ice", "clean"): 95,
    ("lake", "thick_ice", "low_sun"): 98,
    ("laptev_olci", "dark_lead", "low_sun"): 92,
    ("laptev_olci", "thick_ice", "low_sun"): 98,
    ("laptev_olci", "thin_ice", "low_sun"): 85,
    ("nares", "melt_pond", "clean"): 95,
    ("nares", "open_water", "clean"): 95,
    ("nares", "thick_ice", "clean"): 95,
    ("negreenland_modis_terra", "thick_ice", "clean"): 92,
    ("wandel", "melt_pond", "clean"): 95,
    ("wandel", "thick_ice", "melting"): 95,
    ("wrangel_s2tci", "dark_lead", "low_sun"): 95,
    ("wrangel_s2tci", "thick_ice", "low_sun"): 98,
}


def test_real_pixels_keep_the_class_that_a_person_sees(outside_data: Path, tmp_path: Path) -> None:
    command = [sys.executable, "benchmarks/real_ice.py", "--json", "--sheets", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SEAICE_TEST_DATA": str(outside_data)}
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, env=environment)
    assert answer.returncode == 0, answer.stderr
    told = json.loads(answer.stdout)
    found = {tuple(cell[:3]): cell[3]["reflectance"][0] for cell in told["cells"]}
    below = {cell: found[cell] for cell, least in REACHED.items() if found[cell] < least}
    assert not below
    assert np.mean(list(found.values())) > 85
    sheets = sorted(tmp_path.glob("*.png"))
    assert len(sheets) == 12
    assert all(cv2.imread(str(sheet)) is not None for sheet in sheets)

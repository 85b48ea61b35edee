"""The layers of docs/architecture.md, held against the imports of the code."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "seaice_ops"

FOUNDATION = {
    "__init__",
    "classes",
    "configuration",
    "errors",
    "validation",
    "files",
    "geo",
    "sensors",
    "settings",
    "shipped",
    "summary",
    "versions",
}
STORES = {"ledger", "storage"}
SHARED = {"models", "pixels"}
STAGES = {"archive", "labels", "mapping", "quality", "scenes", "simulate", "training"}
OPERATORS = {"airflow", "backfill", "cli", "demo", "ops", "paper"}

ALLOWED: dict[str, set[str]] = {
    **dict.fromkeys(FOUNDATION, FOUNDATION),
    "sensors": set(),
    **dict.fromkeys(STORES, FOUNDATION | STORES),
    **dict.fromkeys(SHARED, FOUNDATION | STORES | SHARED),
    **dict.fromkeys(STAGES, FOUNDATION | STORES | SHARED),
    **dict.fromkeys(OPERATORS, FOUNDATION | STORES | SHARED | STAGES | OPERATORS),
}


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        found |= set(names)
    return found


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_downwards(path: Path) -> None:
    mine = part_of(path)
    used = {name.split(".")[1] for name in imports(path) if name.startswith("seaice_ops.")}
    known = {part_of(p) for p in PACKAGE.rglob("*.py")}
    assert (used & known) - {mine} <= ALLOWED[mine]


#: Rules inside rooms: what a folder may import of its own room. Loose modules of a room may import its folders.
INSIDE: dict[str, set[str]] = {
    "archive/limits": set(),
    "archive/providers": {"product", "times", "transport"},
    "archive/transport": {"product"},
    "labels/picture": {"methods", "output", "published", "reflectance", "result", "scene"},
    "labels/published": set(),
    "labels/reflectance": {"result"},
    "labels/spark": {"scene", "stage"},
    "ledger/migrations": {"tables"},
    "mapping/catalogue": {"product"},
    "mapping/change": {"due", "sequence", "window"},
    "mapping/drift": {"due"},
    "mapping/due": {"window"},
    "mapping/product": {"due", "window"},
    "mapping/window": {"due", "evidence"},
    "models/families": {"card"},
    "ops/account": set(),
    "ops/housekeeping": set(),
    "ops/overview": {"inactive", "notify"},
    "ops/pages": {"account", "change_pictures", "overview", "viewer"},
    "ops/viewer": set(),
    "scenes/sentinel2": {"bands", "source"},
    "training/data": set(),
    "training/fit": {"data", "judge", "ranks"},
    "training/judge": {"data"},
    "training/ranks": {"fit"},
}


def folders() -> set[str]:
    """The folders of rooms that hold code, for example ``labels/picture``."""
    inside = {path.parent.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py")}
    return {folder.as_posix() for folder in inside if len(folder.parts) == 2 and folder.parts[0] != "shipped"}


def test_each_folder_of_a_room_has_its_rule() -> None:
    assert folders() == set(INSIDE)


@pytest.mark.parametrize("folder", sorted(INSIDE))
def test_imports_inside_a_room_keep_its_rule(folder: str) -> None:
    room, mine = folder.split("/")
    beside = {path.stem for path in (PACKAGE / room).iterdir() if path.suffix == ".py" or path.is_dir()}
    for path in (PACKAGE / folder).rglob("*.py"):
        prefix = f"seaice_ops.{room}."
        used = {name.split(".")[2] for name in imports(path) if name.startswith(prefix)}
        assert (used & beside) - {mine} <= INSIDE[folder], path


def test_only_the_airflow_wing_knows_airflow() -> None:
    for path in PACKAGE.rglob("*.py"):
        if part_of(path) != "airflow":
            assert not {name for name in imports(path) if name.split(".")[0] == "airflow"}, path


def modules(folder: str) -> list[str]:
    """All modules of a folder of array functions, by their dotted names."""
    names = [path.relative_to(PACKAGE.parent).with_suffix("") for path in sorted((PACKAGE / folder).glob("*.py"))]
    return [".".join(name.parts).removesuffix(".__init__") for name in names]


#: Modules whose functions take arrays and give arrays: they know neither ledger nor store nor raster files.
ARRAYS = [
    *modules("classes"),
    *modules("labels/published"),
    *modules("labels/reflectance"),
    "seaice_ops.labels.picture.sky_light",
    "seaice_ops.labels.picture.true_colour",
    "seaice_ops.labels.result",
    "seaice_ops.mapping.change.chip",
    "seaice_ops.mapping.change.components",
    "seaice_ops.mapping.change.match",
    "seaice_ops.mapping.change.pixels",
    "seaice_ops.mapping.sequence",
    "seaice_ops.mapping.window.current",
    "seaice_ops.mapping.window.painted",
    "seaice_ops.mapping.window.steady",
    "seaice_ops.mapping.window.vote",
    "seaice_ops.pixels.picture",
    "seaice_ops.pixels.radiometry",
    "seaice_ops.quality.canvas",
    "seaice_ops.quality.flags",
    "seaice_ops.quality.panels",
    "seaice_ops.quality.ssim",
    "seaice_ops.quality.tables",
    "seaice_ops.quality.targets",
    "seaice_ops.scenes.bands",
]


def test_array_functions_can_be_imported_without_ledger_store_and_rasters() -> None:
    heavy = {"sqlalchemy", "obstore", "rasterio"}
    assert len(ARRAYS) > 25
    code = f"""
import importlib, sys
for name in {ARRAYS}:
    importlib.import_module(name)
    if loaded := {heavy} & set(sys.modules):
        sys.exit(f"{{name}} loads {{', '.join(sorted(loaded))}}")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

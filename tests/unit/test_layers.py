"""The layers of docs/architecture.md, held against the imports of the code."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "seaice_ops"

FOUNDATION = {
    "__init__",
    "classes",
    "configuration",
    "errors",
    "files",
    "geo",
    "sensors",
    "settings",
    "shipped",
    "summary",
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


def test_only_the_airflow_wing_knows_airflow() -> None:
    for path in PACKAGE.rglob("*.py"):
        if part_of(path) != "airflow":
            assert not {name for name in imports(path) if name.split(".")[0] == "airflow"}, path


def test_array_functions_import_only_the_legend() -> None:
    for name in (
        "labels/published/colour.py",
        "labels/published/iqrah2024.py",
        "mapping/window/vote.py",
        "mapping/window/current.py",
    ):
        used = {n for n in imports(PACKAGE / name) if n.startswith("seaice_ops.")}
        assert all(n.startswith(("seaice_ops.classes.legend", "seaice_ops.labels.published.colour")) for n in used), (
            name,
            used,
        )

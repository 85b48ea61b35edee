"""Dotted names and paths of modules in docstrings, comments and pages name what is there."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

from pydantic import BaseModel

from seaice_ops.settings import Settings

ROOT = Path(__file__).parents[2]
FOLDERS = ("seaice_ops", "dags", "plugins", "tests", "benchmarks", "scripts", "config")
SOURCES = sorted((ROOT / "seaice_ops").rglob("*.py"))
PROSE = [*SOURCES, ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

DOTTED = re.compile(r"(?<!`)`([a-z_]\w*(?:\.[A-Za-z_]\w*)+)(?:\([^`]*\))?`")
MODULE = re.compile(r"(?<![\w/.<>*-])((?:\w+/)+\w+\.py)\b")
FILE = re.compile(r"\.(?:py|png|json|html|txt|md|tif|geojson|yaml|npy|xml|sqlite|parquet|zip)$")


def defined(path: Path) -> set[str]:
    """What a module defines, imports or has as a member of a class."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in node.names}
    return found


def known() -> dict[str, set[str]]:
    """The names in modules and packages, by each ending of their dotted names."""
    names: dict[str, set[str]] = defaultdict(set)
    for path in SOURCES:
        parts = path.relative_to(ROOT).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        inside = defined(path)
        for first in range(len(parts)):
            names[".".join(parts[first:])] |= inside
            for last in range(first + 1, len(parts)):  # a package has its modules, and what they define
                names[".".join(parts[first:last])] |= {parts[last], *inside}
    return names


def is_setting(parts: list[str], model: type[BaseModel] = Settings) -> bool:
    field = model.model_fields.get(parts[0])
    kind = field.annotation if field else None
    if len(parts) == 1 or not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return field is not None
    return is_setting(parts[1:], kind)


def stale(text: str, names: dict[str, set[str]]) -> list[str]:
    """The dotted names in `text` that begin with a module or package and go on with nothing that it has."""
    found = []
    for dotted in DOTTED.findall(text):
        parts = dotted.split(".")
        heads = [n for n in range(1, len(parts)) if ".".join(parts[:n]) in names]
        there = dotted in names or any(parts[n] in names[".".join(parts[:n])] for n in heads[-1:])
        if heads and not there and not FILE.search(dotted) and not is_setting(parts):
            found.append(dotted)
    return found


def test_a_stale_name_is_found() -> None:
    names = known()
    assert stale("`imagery.NODATA`, `quota.Meter`, `scenes.ceiling`, `np.zeros`", names) == ["imagery.NODATA"]
    assert stale("`archive.limits.quota.Meters` of `archive.quota`", names) == ["archive.limits.quota.Meters"]


def test_names_and_paths_are_there() -> None:
    names, modules = known(), {str(path) for each in FOLDERS for path in (ROOT / each).rglob("*.py")}
    for page in PROSE:
        text = page.read_text()
        assert stale(text, names) == [], page
        assert [path for path in MODULE.findall(text) if not any(m.endswith(f"/{path}") for m in modules)] == [], page

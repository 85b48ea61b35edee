"""A built wheel works outside a checkout, in an environment that holds only what its metadata asks for."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
SHIPPED = ("pyproject.toml", "README.md", "LICENSE", "NOTICE", "config", "dags", "plugins", "seaice_ops")
EXTRAS = set(
    [
        "airflow",
        "cryptography",
        "fastapi",
        "horovod",
        "jinja2",
        "morecantile",
        "py4j",
        "pyspark",
        "rio_tiler",
        "safetensors",
        "torch",
    ]
)
"""What is imported at the top of modules that belong to an extra; sentinelsat is not among them."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in SHIPPED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source)
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", target, source]
    subprocess.run(build, check=True)
    [built] = target.glob("*.whl")
    return built


def asked(requirements: list[str], extra: str = "") -> list[Requirement]:
    """The `requirements` of an extra, or of none; each allows the version that is installed here."""
    found = [Requirement(text) for text in requirements]
    found = [each for each in found if (each.marker.evaluate({"extra": extra}) if each.marker else not extra)]
    for each in found:
        assert each.specifier.contains(metadata.version(each.name), prereleases=True), str(each)
    return found


def closure(requirements: list[Requirement]) -> set[str]:
    """Names of the installed distributions that `requirements` ask for, directly or not."""
    found: set[tuple[str, tuple[str, ...]]] = set()
    todo = [(each.name, tuple(sorted(each.extras))) for each in requirements]
    while todo:
        name, extras = todo.pop()
        if (name, extras) not in found:
            found.add((name, extras))
            for each in map(Requirement, metadata.requires(name) or ()):
                if not each.marker or any(each.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                    todo.append((each.name, tuple(sorted(each.extras))))
    return {name for name, _ in found}


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment of the wheel and links to its dependencies, without anything else."""
    folder = tmp_path_factory.mktemp("environment") / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    uv = shutil.which("uv", path=Path(sys.executable).parent)
    assert uv, "uv comes with requirements/bootstrap.lock"
    subprocess.run([uv, "-q", "pip", "install", "--python", python, "--no-deps", "--offline", wheel], check=True)
    [site] = folder.glob("lib/python*/site-packages")
    here = Path(sysconfig.get_path("purelib"))
    for name in closure(asked(installed(folder).requires or [])):
        for file in metadata.distribution(name).files or ():
            top = file.parts[0]
            if top not in ("..", "__pycache__") and not (site / top).exists():
                (site / top).symlink_to(here / top)
    return folder


def installed(environment: Path) -> metadata.Distribution:
    [site] = environment.glob("lib/python*/site-packages")
    [found] = [each for each in metadata.distributions(path=[str(site)]) if each.name == "seaice_ops"]
    return found


def run(environment: Path, home: Path, *words: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SEAICE_", "PYTHON", "AIRFLOW"))}
    answer = subprocess.run(
        [environment / "bin" / words[0], *words[1:]], cwd=home, env=kept, capture_output=True, text=True
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def test_a_season_becomes_labels_outside_a_checkout(environment: Path, tmp_path: Path) -> None:
    run(environment, tmp_path, "seaice", "init")
    run(environment, tmp_path, "seaice", "simulate", "--size", "128", "--acquisitions", "2")
    run(environment, tmp_path, "seaice", "ingest", "--from", "2026-01-01", "--to", "2026-12-31")
    run(environment, tmp_path, "seaice", "label")
    state = json.loads(run(environment, tmp_path, "seaice", "status", "--json"))
    assert state["home"] == str(tmp_path / ".seaice") and state["labels"][0]["method"] == "reflectance"
    assert state["labels"][0]["scenes"] == state["scenes"]["by_state"]["ready"] >= 2
    where = "import seaice_ops, seaice_ops.shipped as s; print(s.shipped('dags'), seaice_ops.__version__)"
    dags, version = run(environment, tmp_path, "python", "-c", where).split()
    assert Path(dags).is_relative_to(environment) and (Path(dags) / "seaice_ingest.py").exists()
    assert version == state["version"]


def test_every_module_can_be_imported_without_the_extras_or_names_the_one_it_lacks(
    environment: Path, tmp_path: Path
) -> None:
    code = """
import importlib, json, pkgutil, seaice_ops
lacks = {}
for found in pkgutil.walk_packages(seaice_ops.__path__, "seaice_ops.", onerror=lambda name: None):
    if "__main__" in found.name or found.name.startswith(("seaice_ops.shipped.", "seaice_ops.ledger.migrations")):
        continue
    try:
        importlib.import_module(found.name)
    except ModuleNotFoundError as error:
        lacks[found.name] = error.name.partition(".")[0]
print(json.dumps(lacks))
"""
    lacks = json.loads(run(environment, tmp_path, "python", "-c", code).splitlines()[-1])
    assert set(lacks.values()) <= EXTRAS
    rooms = {name.split(".")[1] for name in lacks}
    assert rooms <= {"airflow", "labels", "mapping", "models", "ops", "paper", "training"}
    assert not [
        name for name in lacks if name.startswith("seaice_ops.labels") and "spark" not in name and "teach" not in name
    ]


def test_the_extras_fit_what_is_installed_and_licences_are_in_the_wheel(environment: Path) -> None:
    found = installed(environment)
    extras = {extra: asked(found.requires or [], extra) for extra in ("", "airflow", "dhus", "spark", "train")}
    assert [extra for extra, each in extras.items() if "sentinelsat" in {one.name for one in each}] == ["dhus"]
    texts = [str(file) for file in found.files or () if re.search(r"licenses/(LICENSE|NOTICE)$", str(file))]
    assert len(texts) == 2 and found.metadata["License-Expression"] == "Apache-2.0"


def test_what_the_package_asks_for_is_locked() -> None:
    named = set(re.findall(r"^([a-z0-9][\w.-]*)", (ROOT / "requirements" / "runtime.in").read_text(), re.MULTILINE))
    pyproject = (ROOT / "pyproject.toml").read_text().partition("[project.scripts]")[0]
    asked = set(
        re.findall(r'^(?:\s+|dhus = \[|spark = \[|train = \[)"([a-z0-9][\w.-]*?)[\[>]', pyproject, re.MULTILINE)
    )
    assert len(asked) > 25 and asked - named <= {"jinja2", "safetensors", "torch"} | named

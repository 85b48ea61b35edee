"""What the documentation names exists: pages, pictures, verbs, settings, decisions."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from seaice_ops.cli import app
from seaice_ops.cli.common import ORDER
from seaice_ops.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
CODE = [file for folder in ("seaice_ops", "dags", "plugins", "benchmarks") for file in (ROOT / folder).rglob("*.py")]


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)", prose(page))
    missing = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert missing == []


def test_pages_that_code_and_configuration_name_are_there() -> None:
    files = [
        *CODE,
        *(ROOT / "config").iterdir(),
        ROOT / "docker-compose.yaml",
        ROOT / "Makefile",
        ROOT / ".env.example",
    ]
    named = {(file.name, found) for file in files for found in re.findall(r"[\w/-]+\.md\b(?!5|\()", file.read_text())}
    assert named
    assert [(f, n) for f, n in named if not (ROOT / n).exists() and not (ROOT / "docs" / n).exists()] == []


def test_decisions_are_numbered_once_and_listed() -> None:
    folder = ROOT / "docs" / "decisions"
    pages = sorted(page for page in folder.glob("*.md") if page.name != "README.md")
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    assert all(page.read_text().startswith(f"# {int(page.name[:4])}. ") for page in pages)
    assert re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", (folder / "README.md").read_text()) == [p.name for p in pages]


def test_decisions_have_a_status_and_are_a_page_at_most() -> None:
    for page in sorted((ROOT / "docs" / "decisions").glob("0*.md")):
        title, _, status, *_ = lines = page.read_text().splitlines()
        assert re.match(r"\*\*Status\.\*\* (Proposed|Accepted|Superseded by \[\d+\]).* 20\d\d", status), title
        assert len(lines) <= 65 and len(page.read_text().split()) <= 800, f"{title} is longer than a page"


def test_files_that_decisions_and_contributing_name_exist() -> None:
    pages = [ROOT / "CONTRIBUTING.md", *(ROOT / "docs" / "decisions").glob("*.md")]
    named = {(page.name, path) for page in pages for path in re.findall(r"`([\w./-]+/[\w.-]+\.py)`", page.read_text())}
    assert len(named) > 4
    places = (ROOT, ROOT / "seaice_ops")
    assert [(page, path) for page, path in named if not any((place / path).exists() for place in places)] == []


def test_the_glossary_is_in_order_and_one_line_a_word() -> None:
    rows = re.split(r"^## .*$", (ROOT / "docs" / "glossary.md").read_text(), flags=re.MULTILINE)[1:]
    for part in rows:
        words = re.findall(r"^\| (?!word |---)([^|]+) \|", part, re.MULTILINE)
        assert len(words) > 10 and len(set(words)) == len(words)
        assert words == sorted(words, key=str.lower)


def test_pre_commit_runs_what_lint_runs() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    lint = re.search(r"^lint:.*\n\t@(.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert lint and [hook["entry"] for hook in hooks][:3] == lint[1].split(" && ")


def test_every_benchmark_is_run_by_a_test() -> None:
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__))
    files = sorted((ROOT / "benchmarks").glob("*.py"))
    others = {file.stem: "".join(each.read_text() for each in files if each != file) for file in files}
    assert [
        name for name in others if not re.search(rf"\b{name}\b", tests) and not re.search(rf"\b{name}\b", others[name])
    ] == []


def test_the_readme_links_every_page_and_names_every_verb() -> None:
    text = (ROOT / "README.md").read_text()
    assert [page.name for page in (ROOT / "docs").glob("*.md") if f"(docs/{page.name})" not in text] == []
    listed = re.search(r"Commands: `seaice ([^`]+)`", text)
    assert listed and listed[1].replace("\n", " ").split(" | ") == list(ORDER)
    verbs = {c.name or c.callback.__name__ for c in app.registered_commands if c.callback}  # type: ignore[union-attr]
    assert verbs | {group.name for group in app.registered_groups} == set(ORDER)


def test_every_setting_that_a_page_names_exists() -> None:
    schema = Settings.model_json_schema()
    parts = "archive|scenes|labels|training|mapping"
    names = {name for page in PAGES for name in re.findall(rf"`((?:{parts})(?:\.[a-z0-9_]+)+)`", page.read_text())}
    wrong = {name for name in names if not known(schema, name.split("."))}
    assert len(names - wrong) > 15
    # A stage's module may bear the name of a section of settings; a section's own field may not be wrong.
    assert [name for name in sorted(wrong) if not module(name) or known(schema, name.split(".")[:2])] == []


def module(name: str) -> bool:
    path = ROOT / "seaice_ops" / Path(*name.split(".")[:2])
    return path.with_suffix(".py").exists()


def known(schema: dict[str, Any], path: list[str]) -> bool:
    node = schema
    for name in path:
        node = schema["$defs"][node["$ref"].split("/")[-1]] if "$ref" in node else node
        if name not in node.get("properties", {}):
            return False
        node = node["properties"][name]
    return True


def test_our_configurations_load_and_the_one_for_copernicus_does_when_uncommented(tmp_path: Path) -> None:
    for name in ("seaice", "demo"):
        Settings.load(ROOT / "config" / f"{name}.yaml")
    text = (ROOT / "config" / "seaice.yaml").read_text().replace("# land_mask", "land_mask")
    example = re.sub(r"^# (archive:|  \w+: [^\n]*)$", r"\1", text, flags=re.MULTILINE)
    data = yaml.safe_load(example)  # the later section of one name counts
    assert data["archive"]["kind"] == "cdse"
    file = tmp_path / "seaice.yaml"
    file.write_text(yaml.safe_dump(data))
    settings = Settings.load(file)
    assert settings.archive.kind == "cdse" and settings.scenes.land_mask == "coastline"
    assert settings.archive.quota == type(settings.archive.quota)()


def test_the_sensor_of_its_page_can_be_added(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "add-a-sensor.md").read_text()
    code, config = (re.search(rf"```{kind}\n(.*?)```", page, re.DOTALL) for kind in ("python", "yaml"))
    assert code and config
    (tmp_path / "pelican.py").write_text(code[1])
    (tmp_path / "c.yaml").write_text(f"regions: {{test: {{title: Test, tiles: [01CCV]}}}}\n{config[1]}")
    program = (
        "import sys; sys.path.insert(0, '.'); from pathlib import Path; import numpy as np\n"
        "from seaice_ops.settings import Settings; from seaice_ops.ledger.tables import Scene\n"
        "from seaice_ops.scenes.decoders import open_scene\n"
        "np.save('pixels.npy', np.full((4, 2, 3), 180, np.uint8))\n"
        "scene = Scene(id='P', details={'kind': 'pelican', 'files': [{'path': 'pixels.npy'}]})\n"
        "(_, values), = (Settings.load('c.yaml') and open_scene(scene, Path('.'), 0.4)).strips()\n"
        "print(Settings.load('c.yaml').training.bands, values.shape, values.max())"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.stdout == "('violet', 'lime', 'crimson', 'heat') (4, 2, 3) 9000\n", done.stderr

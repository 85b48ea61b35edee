"""The command line answers `--help` at once: nothing heavy is imported until a verb runs."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import make_url
from typer.testing import CliRunner

from seaice_ops.cli import app
from seaice_ops.cli.common import ORDER
from seaice_ops.settings import Settings


def test_every_verb_is_there_in_order_and_says_what_it_does() -> None:
    shown = CliRunner().invoke(app, ["--help"])
    assert shown.exit_code == 0
    assert tuple(re.findall(r"^│ ([a-z][a-z-]+)  ", shown.output, re.MULTILINE)) == ORDER
    for verb in ORDER:
        assert CliRunner().invoke(app, [verb, "--help"]).exit_code == 0


def test_nothing_heavy_is_imported_for_help() -> None:
    heavy = ("torch", "cv2", "rasterio", "numpy", "sqlalchemy", "pyspark", "airflow", "PIL", "obstore")
    code = f"import sys, seaice_ops.cli; print([m for m in {heavy!r} if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert answer.stdout.strip() == "[]"


def test_the_package_runs_as_a_module() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "seaice_ops.cli", "model", "--help"], capture_output=True, text=True, timeout=60
    )
    assert answer.returncode == 0
    assert "rollback" in answer.stdout


@pytest.fixture
def home(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    config = tmp_path / "seaice.yaml"
    config.write_text(json.dumps({"regions": {"test": {"title": "Test", "tiles": ["01CCV"]}}}))
    monkeypatch.setenv("SEAICE_HOME", str(settings.home))
    monkeypatch.setenv("SEAICE_CONFIG", str(config))
    return settings


def test_nothing_to_do_is_json_where_json_was_asked_for(home: Settings) -> None:
    said = CliRunner().invoke(app, ["train", "--json"])
    assert said.exit_code == 0 and "training waits for" in json.loads(said.stdout)["nothing_to_do"]
    assert CliRunner().invoke(app, ["train"]).stdout.startswith("nothing to do: 0 scenes have")


def test_init_says_on_one_line_what_is_wrong(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEAICE_LEDGER_URL", "nonsense")
    said = CliRunner().invoke(app, ["init"])
    assert said.exit_code == 1 and said.stderr.startswith("error (ConfigError): SEAICE_LEDGER_URL")


def test_programs_of_this_environment_are_found_where_it_is_not_active(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin")
    assert CliRunner().invoke(app, ["settings"]).exit_code == 0
    assert os.environ["PATH"].split(":") == [str(Path(sys.executable).parent), "/usr/bin"]
    assert CliRunner().invoke(app, ["settings"]).exit_code == 0
    assert os.environ["PATH"].count(str(Path(sys.executable).parent)) == 1


def test_env_names_airflows_database_in_a_home_of_any_name(
    home: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    odd = tmp_path / "feature%2Fx?y"
    odd.mkdir()
    monkeypatch.setenv("SEAICE_HOME", str(odd))
    said = CliRunner().invoke(app, ["env"]).stdout
    found = re.search(r"^export AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=(.*)$", said, re.MULTILINE)
    assert found and make_url(shlex.split(found[1])[0]).database == f"{odd}/airflow/airflow.db"


def test_env_prints_no_credentials_that_the_shell_has(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEAICE_ARCHIVE_PASSWORD", "s3cret-of-ours")
    monkeypatch.setenv("AIRFLOW_CONN_SEAICE_ARCHIVE", "aws://key:s3cret-of-ours@/")
    said = CliRunner().invoke(app, ["env"]).stdout
    assert f"export AIRFLOW_HOME={home.home}/airflow\n" in said and "s3cret" not in said

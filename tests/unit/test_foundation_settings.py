"""Settings: where they come from, what they refuse, and that they can travel."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seaice_ops import versions
from seaice_ops.errors import ConfigError
from seaice_ops.settings import Settings, redact
from seaice_ops.versions import METHODS

REGIONS = "regions: {ross_sea: {title: Ross Sea, tiles: [60CWS, 01CCV, 60CWS]}}\n"
#: By method: with the defaults, and with a ceiling of 0.9 and the coastline.
PLAIN_VERSIONS = ["1-85be957c", "2-7b4f87aa", "8-1e7e3779"]
OUR_VERSIONS = ["1-88269d73", "2-c33655f0", "8-ca56bcfa"]
VARIABLES = ("SEAICE_CONFIG", "SEAICE_HOME", "SEAICE_LEDGER_URL", "SEAICE_STORE_URL", "SEAICE_ARCHIVE")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def written(folder: Path, text: str) -> Path:
    path = folder / "seaice.yaml"
    path.write_text(text)
    return path


def test_defaults_lie_below_home(tmp_path: Path) -> None:
    settings = Settings.load(written(tmp_path, f"{REGIONS}home: {tmp_path}/h\nreference: archive/truth\n"))
    assert settings.ledger == f"sqlite:///{tmp_path}/h/ledger.sqlite"
    assert settings.store == f"{tmp_path}/h/objects"
    assert settings.archive_path == tmp_path / "h/archive" and settings.work == tmp_path / "h/work"
    assert settings.reference_path == tmp_path / "h/archive/truth"
    assert settings.tiles == ("01CCV", "60CWS")


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEAICE_CONFIG", str(written(tmp_path, f"{REGIONS}home: /elsewhere\nstore: /file\n")))
    monkeypatch.setenv("SEAICE_HOME", "relative")
    monkeypatch.setenv("SEAICE_LEDGER_URL", "postgresql+psycopg://ice:secret@db/seaice")
    monkeypatch.setenv("SEAICE_STORE_URL", "s3://bucket/prefix")
    monkeypatch.setenv("SEAICE_ARCHIVE", str(tmp_path / "archive"))
    monkeypatch.chdir(tmp_path)
    settings = Settings.load()
    assert settings.home == tmp_path / "relative" and settings.store == "s3://bucket/prefix"
    assert settings.archive_path == tmp_path / "archive"
    assert settings.redacted()["ledger"] == "postgresql+psycopg://ice:***@db/seaice"
    assert "secret" not in str(settings.redacted())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "regions"),
        ("regions: {}", "regions"),
        ("- a\n- b", "must hold a mapping"),
        ("regions: [", "is not YAML"),
        (REGIONS + "lables: {}", "lables"),
        (REGIONS + "mapping: {window: 0}", "mapping.window"),
        (REGIONS + "labels: {method: magic}", "labels.method"),
        ("regions: {a: {title: A, tiles: [T01CCV]}}", "'T01CCV' is not an MGRS tile"),
        ("regions: {a: {title: A, tiles: [01ICV]}}", "'01ICV' is not an MGRS tile"),
    ],
)
def test_what_is_wrong_is_named_with_its_file(tmp_path: Path, text: str, words: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError, match=re.escape(words)) as caught:
        Settings.load(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read the configuration .*none\.yaml"):
        Settings.load(tmp_path / "none.yaml")


def test_settings_are_frozen_and_survive_a_journey_as_json(tmp_path: Path) -> None:
    settings = Settings.load(written(tmp_path, f"{REGIONS}home: {tmp_path}\nnotify: {{email_to: [a@example.org]}}\n"))
    assert Settings.model_validate_json(settings.model_dump_json()) == settings
    assert Settings.model_validate(settings.model_dump()) == settings
    with pytest.raises(ValueError, match="frozen"):
        settings.store = "x"  # type: ignore[misc]


def test_the_version_of_labels_changes_with_what_they_depend_on(tmp_path: Path) -> None:
    def both(labels: str, scenes: str = "{}") -> tuple[str, str]:
        settings = Settings.load(written(tmp_path, f"{REGIONS}labels: {labels}\nscenes: {scenes}\n"))
        return settings.label_version("colour"), settings.label_version("iqrah2024")

    colour, filtered = both("{}")
    assert both("{method: iqrah2024}") == (colour, filtered)
    assert both("{dilate_m: 100}")[0] == colour and both("{dilate_m: 100}")[1] != filtered
    bright, masked = both("{}", "{ceiling: 0.9}"), both("{}", "{land_mask: coastline}")
    assert len({colour, bright[0], masked[0]}) == len({filtered, bright[1], masked[1]}) == 3


def test_published_label_versions_stay(tmp_path: Path) -> None:
    """As version 0.1 wrote them into keys, for the same values."""
    scenes = "{ceiling: 0.9, land_mask: coastline}"
    plain = Settings.load(written(tmp_path, REGIONS))
    ours = Settings.load(written(tmp_path, f"{REGIONS}scenes: {scenes}\n"))
    assert [plain.label_version(method) for method in METHODS] == PLAIN_VERSIONS
    assert [ours.label_version(method) for method in METHODS] == OUR_VERSIONS


def test_every_method_has_a_version() -> None:
    assert tuple(versions.LABELS) == METHODS


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ("{mask: coastline}", "labels.mask is scenes.land_mask now"),
        ("{ceiling: 0.9}", "labels.ceiling is scenes.ceiling now"),
    ],
)
def test_a_field_that_moved_is_named_with_its_new_name(tmp_path: Path, labels: str, said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        Settings.load(written(tmp_path, f"{REGIONS}labels: {labels}\n"))


@given(
    user=st.text("abcxyz0189_-", min_size=1),
    password=st.text(min_size=1).filter(lambda p: "\n" not in p),
    host=st.text("abcxyz0189.-", min_size=1),
)
def test_no_password_survives_redaction(user: str, password: str, host: str) -> None:
    assert redact(f"postgresql+psycopg://{user}:{password}@{host}/seaice") == (
        f"postgresql+psycopg://{user}:***@{host}/seaice"
    )


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:////home/a/ledger.sqlite", "sqlite:////home/a/ledger.sqlite"),
        ("postgresql:///d?host=/run&password=p&user=u", "postgresql:///d?host=/run&password=***&user=u"),
        ("postgresql://user@host/d", "postgresql://user@host/d"),
    ],
)
def test_redaction_leaves_the_rest(url: str, shown: str) -> None:
    assert redact(url) == shown


def test_loading_settings_imports_nothing_heavy() -> None:
    heavy = ("torch", "rasterio", "sqlalchemy", "numpy", "airflow")
    code = f"import sys, seaice_ops.settings; print([m for m in {heavy} if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"

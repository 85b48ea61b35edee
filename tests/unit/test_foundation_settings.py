"""Settings: where they come from, what they refuse, and that they can travel."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from seaice_ops import configuration, versions
from seaice_ops.errors import ConfigError, SeaIceError
from seaice_ops.ledger.session import open_ledger
from seaice_ops.settings import Settings, redact
from seaice_ops.shipped import shipped
from seaice_ops.storage.store import open_store
from seaice_ops.versions import METHODS

REGIONS = "regions: {ross_sea: {title: Ross Sea, tiles: [60CWS, 01CCV, 60CWS]}}\n"
#: By method: with the defaults, and with a ceiling of 0.9 and the coastline.
PLAIN_VERSIONS = ["1-85be957c", "2-7b4f87aa", "9-1e7e3779"]
OUR_VERSIONS = ["1-88269d73", "2-c33655f0", "9-ca56bcfa"]
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
        ("", "regions is missing"),
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


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "regions:\n  a: {title: A, tiles: [01CCV]}\n  a: {title: B, tiles: [60CWS]}\n",
            "line 3: regions.a is given twice",
        ),
        (REGIONS + "labels: {}\ntraining: {}\nlabels: {}\n", "line 4: labels is given twice, first in line 2"),
        (REGIONS + "archive: {quota: {connections: 1, connections: 2}}", "line 2: archive.quota.connections is given"),
        (REGIONS + "archive:\n", "line 2: archive has no value"),
        (REGIONS + "scenes:\n  land_mask:\n", "line 3: scenes.land_mask has no value"),
        (REGIONS + "archive: [folder]\n", "line 2, archive must be a section"),
        (REGIONS + "archive: null\n", "line 2, archive must be a section"),
        (REGIONS + "training:\n  epochs: 0\n", "line 3, training.epochs must be 1 or more"),
        (REGIONS + "a: &a [*a]\n", "line 2, a is not known here"),
        (REGIONS + "home: [here]\n", "line 2, home must be a path"),
        (REGIONS + "store: [here]\n", "line 2, store must be text"),
        (REGIONS + "training: {bands: [B02, B03, B02]}\n", "line 2, training.bands: names B02 more than once"),
        (REGIONS + "training: {epochs: 1000000000}\n", "line 2, training.epochs must be 10000 or less"),
        ("regions:\n\ta: {}\n", "line 2: this is not YAML"),
        (b"\n" + REGIONS.replace("Ross", "Ross\u00d8").encode("latin-1"), "line 2: byte 0xd8 is not UTF-8"),
        (REGIONS.encode("utf-16"), "is not UTF-8"),
    ],
)
@pytest.mark.parametrize("archive", ["", "/archive"])
def test_what_yaml_would_pass_over_is_named_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | bytes, words: str, archive: str
) -> None:
    monkeypatch.setenv("SEAICE_ARCHIVE", archive)
    path = tmp_path / "seaice.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match=re.escape(words)) as caught:
        Settings.load(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("def broken(:\n", "SyntaxError"),
        ("raise RuntimeError('https://me:hush@host/')\n", "RuntimeError: https://me:***@host/"),
        ("import no_such_thing\n", "ModuleNotFoundError"),
        ("from seaice_ops.sensors import known, sentinel2\nimport dataclasses\n"
         "known.register(dataclasses.replace(sentinel2.SENSOR, name='copy'))\n", "has bands that sentinel2 has: B02"),
    ],
)  # fmt: skip
def test_a_sensor_module_that_fails_is_named_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, words: str
) -> None:
    (tmp_path / "odd_sensor.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "odd_sensor", raising=False)
    with pytest.raises(ConfigError) as caught:
        Settings.load(written(tmp_path, REGIONS + "sensors: [odd_sensor]\n"))
    told = str(caught.value)
    assert "sensors: the module odd_sensor cannot be imported" in told and words in told and "hush" not in told


@pytest.mark.parametrize("path", ["/dev/zero", "/tmp"])
def test_a_configuration_that_is_no_file_is_refused_at_once(path: str) -> None:
    with pytest.raises(ConfigError, match="is no file"):
        Settings.load(path)


def test_words_that_yaml_1_1_reads_as_something_else_are_words(tmp_path: Path) -> None:
    text = (
        "regions: {NO: {title: 2026-01-01, tiles: [33XVG]}, 12:30: {title: on, tiles: [01CCV]}}\n"
        "archive: {quota: {connections: 010, bytes_per_30_days: 12_000_000_000_000}, stac: {requester_pays: yes}}\n"
        "training: {learning_rate: 1e-3}\n"
    )
    settings = Settings.load(written(tmp_path, text))
    assert {name: region.title for name, region in settings.regions.items()} == {"NO": "2026-01-01", "12:30": "on"}
    assert settings.archive.quota.connections == 10 and settings.archive.quota.bytes_per_30_days == 12 * 10**12
    assert settings.archive.stac.requester_pays is True and settings.training.learning_rate == 0.001


@given(
    st.dictionaries(
        st.text("abcnoNOyY_", min_size=1), st.integers(-(10**12), 10**12) | st.booleans() | st.floats(-1e9, 1e9)
    )
)
def test_what_yaml_writes_is_read_back(data: dict[str, object]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.yaml"
        path.write_text(yaml.safe_dump(data))
        found, lines = configuration.read(path)
    assert found == data and set(lines) == {(key,) for key in data}


def test_a_byte_order_mark_is_no_part_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "seaice.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + REGIONS.encode())
    assert Settings.load(path).tiles == ("01CCV", "60CWS")


def test_without_any_file_the_packages_own_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings.load().regions["ross_sea"].title == "Ross Sea" and Settings.load().home == tmp_path / ".seaice"
    assert all(shipped(name).exists() for name in ("seaice.yaml", "pools.json", "dags", "plugins"))


@pytest.mark.parametrize("folder", ["feature%2Fx", "50% off", "what?", "a#b", "a b&c=d", "a:b@c", "[b]é"])
def test_a_ledger_lies_in_a_home_of_any_name(tmp_path: Path, folder: str) -> None:
    settings = Settings.load(written(tmp_path, f"{REGIONS}home: '{tmp_path}/{folder}'\n"))
    open_ledger(settings).migrate()
    assert (tmp_path / folder / "ledger.sqlite").is_file() and open_ledger(settings).schema_revision()[0]


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
        ("{mask: coastline}", "line 2, labels.mask is scenes.land_mask now"),
        ("{ceiling: 0.9}", "line 2, labels.ceiling is scenes.ceiling now"),
    ],
)
def test_a_field_that_moved_is_named_with_its_new_name(tmp_path: Path, labels: str, said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        Settings.load(written(tmp_path, f"{REGIONS}labels: {labels}\n"))


@given(
    user=st.text("abcxyz0189_-", min_size=1),
    password=st.text(min_size=1),
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
        ("postgresql://DOMAIN/u:pass@word@host/d", "postgresql://DOMAIN/u:***@host/d"),
        (
            "https://u:p@ss@host/b?X-Amz-Signature=ab&part=1&SSLPassword=x",
            "https://u:***@host/b?X-Amz-Signature=***&part=1&SSLPassword=***",
        ),
    ],
)
def test_redaction_leaves_the_rest(url: str, shown: str) -> None:
    assert redact(url) == shown


def test_loading_settings_imports_nothing_heavy() -> None:
    heavy = ("torch", "rasterio", "sqlalchemy", "numpy", "airflow")
    code = f"import sys, seaice_ops.settings; print([m for m in {heavy} if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("url", "secret", "advice"),
    [
        ("postgresql+psycopg://u:secret@w0rd@127.0.0.1:9/d", "w0rd", "percent-encode"),
        ("postgresql+psycopg://DOM/u:secretword@127.0.0.1:9/d", "secretword", "percent-encode"),
        ("postgresql+psycopg://127.0.0.1:9/d?password=secretword", "secretword", "does not answer"),
        ("postgresql+psycopg://u:secret%40word@127.0.0.1:9/d", "secret", "does not answer"),
        ("mysteriousql://u:secretword@host/d", "secretword", "begins with postgresql+psycopg://"),
    ],
)
def test_no_message_about_the_ledger_holds_the_password(tmp_path: Path, url: str, secret: str, advice: str) -> None:
    settings = Settings.load(written(tmp_path, f"{REGIONS}home: {tmp_path}\nledger: '{url}'\n"))
    with pytest.raises(SeaIceError) as caught, open_ledger(settings).begin() as session:
        session.connection()
    assert advice in str(caught.value) and secret not in str(caught.value)


@pytest.mark.parametrize("url", ["https://u:s3cret@host/b", "s3://key:s3cret@bucket/prefix", "gs://h/b?token=s3cret"])
def test_no_message_about_the_store_holds_the_password(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_store(url)
    assert "SEAICE_STORE_URL" in str(caught.value) and "s3cret" not in str(caught.value)

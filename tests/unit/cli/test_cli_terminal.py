"""The text of others is shown as it is: no markup, no terminal escapes, one line each."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text
from typer.testing import CliRunner

from seaice_ops.cli import app
from seaice_ops.cli.common import out, progress_bar, report
from seaice_ops.cli.terminal import Terminal
from seaice_ops.settings import Settings
from seaice_ops.summary import Summary

HOSTILE = "[red]x[/b] \x1b]0;title\x07\x1b[31m\r\x9b2J\u202etxt"


def shown(*renderables: object) -> str:
    terminal = Terminal(file=io.StringIO(), force_terminal=True, width=400)
    terminal.print(*renderables)
    return terminal.file.getvalue()  # type: ignore[attr-defined]


@given(st.text())
def test_whatever_is_printed_has_one_line_and_no_control_character(text: str) -> None:
    table = Table("a", box=None)
    table.add_row(text)
    for found in (shown(text), shown(Text(text.replace("\n", " "))), shown(table).split("\n", 1)[1]):
        assert found.count("\n") <= 1
        assert not [sign for sign in found if (ord(sign) < 32 and sign != "\n") or 0x7F <= ord(sign) < 0xA0]


def test_brackets_stay_and_escapes_are_seen() -> None:
    table = Table("a", box=None)
    table.add_row(HOSTILE)
    for found in (shown(HOSTILE), shown(Text(HOSTILE)), shown(table)):
        assert "[red]x[/b]" in found and "\N{SYMBOL FOR ESCAPE}[31m" in found
        assert not {"\x1b]", "\x07", "\r", "\x9b", "\u202e"} & {
            found[n : n + k] for n in range(len(found)) for k in (1, 2)
        }


def test_own_styles_are_left() -> None:
    assert "\x1b[31m" in shown(Text("fix", "red")) and "\x1b" not in shown("fix")


def test_a_summary_of_hostile_items_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    summary = Summary("ingest", skipped={"[north]": "[/b]\nall is well"}, done={"scenes [x]": 1})  # type: ignore[arg-type]
    report(summary, as_json=False)
    printed = capsys.readouterr().out
    assert "1 scenes [x]" in printed and "[north]" in printed and "[/b] \N{SYMBOL FOR NEWLINE} all is well" in printed


def test_a_progress_bar_shows_an_items_name_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal(file=io.StringIO(), force_terminal=True, width=200)
    monkeypatch.setattr("seaice_ops.cli.common.err", terminal)
    with progress_bar("ingest") as bar:
        bar(1, 2, "[north]/x [/b]")
    assert "[north]/x [/b]" in terminal.file.getvalue()  # type: ignore[attr-defined]


@pytest.fixture
def home(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    config = settings.home / "seaice.yaml"
    config.write_text(json.dumps({"regions": {"[a]": {"title": "[b]A[/c]", "tiles": ["01CCV"]}}}))
    monkeypatch.setenv("SEAICE_HOME", str(settings.home))
    monkeypatch.setenv("SEAICE_CONFIG", str(config))
    return settings


def test_errors_and_paths_keep_their_brackets(home: Settings, tmp_path: Path) -> None:
    run = CliRunner().invoke
    assert "[north].json" in run(app, ["validate", str(tmp_path / "[north].json")]).stderr
    assert "[/x].png" in run(app, ["label-image", "[/x].png", "o.tif"]).stderr
    assert "[a]" in run(app, ["region", "elsewhere"]).stderr
    said = run(app, ["region", "--", "175,70,-175,95"]).stderr
    assert said == "error (ConfigError): a box is west, south, east, north in degrees: there is no latitude 95\n"


def test_the_log_is_one_line_a_message(home: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    from rich.logging import RichHandler

    from seaice_ops.cli.terminal import OneLine

    handler = RichHandler(console=Terminal(file=(file := io.StringIO()), width=400), show_path=False)
    handler.setFormatter(OneLine("%(message)s"))
    handler.handle(
        logging.makeLogRecord({"msg": "%s", "args": (f"a\n{HOSTILE}",), "levelno": 30, "levelname": "WARNING"})
    )
    assert file.getvalue().count("\n") == 1 and "[red]x[/b] \N{SYMBOL FOR ESCAPE}" in file.getvalue()


def test_settings_are_json_in_a_pipe_and_sentences_on_a_terminal(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert json.loads(CliRunner().invoke(app, ["settings"]).stdout)["settings"]["regions"]["[a]"]["tiles"] == ["01CCV"]
    monkeypatch.setattr(out, "_force_terminal", True)
    monkeypatch.setattr(out, "_color_system", None)
    monkeypatch.setattr(out, "_width", 80)
    lines = CliRunner().invoke(app, ["settings"]).stdout.splitlines()
    assert "regions.[a]: [b]A[/c], tiles 01CCV" in lines and 'archive.kind: "folder"' in lines
    assert [line for line in lines if line.startswith("    ") and len(line) > 80] == []
    assert f'ledger: "{home.ledger}"' in lines

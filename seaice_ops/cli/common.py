"""The application, its two consoles, the options that verbs share, and how errors and results are told."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.logging import RichHandler
from rich.text import Text
from typer.core import TyperGroup

from seaice_ops.cli.terminal import OneLine, Terminal
from seaice_ops.errors import ExpectedSkip, SeaIceError
from seaice_ops.settings import Settings
from seaice_ops.summary import Summary

#: The verbs as `seaice --help` lists them: set up and look, the stages in the order of the data, then the rest.
ORDER = (
    "init",
    "doctor",
    "status",
    "account",
    "housekeeping",
    "up",
    "down",
    "region",
    "ingest",
    "backfill",
    "label",
    "label-quality",
    "train",
    "encode",
    "map",
    "catalogue",
    "changes",
    "drift",
    "model",
    "simulate",
    "label-image",
    "paper-protocol",
    "settings",
    "validate",
    "env",
)


class _Ordered(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(super().list_commands(ctx), key=ORDER.index)


app = typer.Typer(
    cls=_Ordered,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help=(
        "Keeps maps of polar sea ice up to date from Sentinel-2. Settings: config/seaice.yaml (SEAICE_CONFIG), "
        "data: .seaice/ (SEAICE_HOME)."
    ),
)

out = Terminal()
err = Terminal(stderr=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Tiles = Annotated[list[str] | None, typer.Option("--tile", help="MGRS tile; repeatable. Default: all configured.")]


@app.callback()
def main(verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the log.")] = False) -> None:
    """Set up logging, and put the programs of this environment (spark-submit) on PATH where it is not active."""
    here = str(Path(sys.executable).parent)
    if here not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join(filter(None, [here, os.environ.get("PATH", "")]))
    handler = RichHandler(console=err, show_path=False)
    handler.setFormatter(OneLine("%(message)s"))
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, handlers=[handler])


def load_settings() -> Settings:
    """The settings in force."""
    with readable_errors():
        return Settings.load()


@contextmanager
def readable_errors(as_json: bool = False) -> Iterator[None]:
    """Turn an error raised on purpose into one line and exit status 1.

    An expected skip is a success: its reason is printed, as JSON where that was asked for.
    """
    try:
        yield
    except ExpectedSkip as reason:
        say(as_json, {"nothing_to_do": str(reason)}, f"nothing to do: {reason}")
        raise typer.Exit(0) from None
    except SeaIceError as error:
        err.print(Text("error", "red"), f"({type(error).__name__}): {error}")
        raise typer.Exit(1) from None


def report(summary: Summary, as_json: bool) -> None:
    """Print a stage's Summary; exit status 2 where an item failed."""
    say(as_json, summary.to_dict(), f"{summary.sentence()} ({summary.seconds:.1f} s)")
    for title, group in (("skipped", summary.skipped), ("failed", summary.failed)):
        if group and not as_json:
            out.print(title, style="bold")
            for item, reason in group.items():
                out.print(f"  {item}", f"    {reason}", sep="\n")
    if summary.failed:
        raise typer.Exit(2)


def say(as_json: bool, data: Any, *lines: str) -> None:
    """Print `data` as one line of JSON, or `lines`."""
    if as_json:
        sys.stdout.write(json.dumps(data) + "\n")
    else:
        out.print(*lines, sep="\n")


def tracked(items: list[str], what: str) -> Iterator[str]:
    """`items` one by one, with a progress bar."""
    with progress_bar(what) as bar:
        for done, item in enumerate(items):
            bar(done, len(items), f"{what} {item}")
            yield item


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int, str], None]]:
    """A progress bar that is moved by calling it with (done, total, name of the item in hand)."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    # Rich's own column would read the item's name as markup.
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total, item: bar.update(task, completed=done, total=total, description=item)


def busy(what: str) -> AbstractContextManager[object]:
    """A spinner on the terminal while something runs that reports no progress."""
    return err.status(f"{what} (-v shows the log)")


def utc(value: datetime) -> datetime:
    """`value` in UTC; a time without a zone is taken as UTC."""
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def as_tiles(tiles: list[str] | None) -> tuple[str, ...] | None:
    """The value of a `Tiles` option as a request takes it."""
    return tuple(tiles) if tiles else None

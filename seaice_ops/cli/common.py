"""What all verbs share: the application, its two consoles, common options, and how errors and results are told."""

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
from rich.console import Console
from rich.logging import RichHandler
from rich.table import Table
from typer.core import TyperGroup

from seaice_ops.errors import ExpectedSkip, SeaIceError
from seaice_ops.settings import Settings, default_config
from seaice_ops.summary import Summary

#: The verbs as `seaice --help` lists them: set up and look, the stages in the order of the data, then the rest.
ORDER = (
    "init", "doctor", "status", "up", "down", "region", "ingest", "backfill", "label", "label-quality", "train",
    "encode", "map", "model", "simulate", "label-image", "paper-protocol", "settings", "validate", "env",
)  # fmt: skip


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

out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Tiles = Annotated[list[str] | None, typer.Option("--tile", help="MGRS tile; repeatable. Default: all configured.")]


@app.callback()
def main(verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the log.")] = False) -> None:
    """Set up logging.

    Programs of the environment that runs this (spark-submit) are found even where it is not active.
    """
    here = str(Path(sys.executable).parent)
    if here not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join(filter(None, [here, os.environ.get("PATH", "")]))
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(message)s",
        handlers=[RichHandler(console=err, show_path=False)],
    )


def load_settings() -> Settings:
    """The settings in force."""
    with readable_errors():
        return Settings.load()


def config_path() -> Path:
    """The configuration file in force."""
    return Path(os.environ.get("SEAICE_CONFIG") or default_config())


@contextmanager
def readable_errors(as_json: bool = False) -> Iterator[None]:
    """Errors raised on purpose become one readable line; an expected skip is a success that says why, told as
    JSON where that was asked for."""
    try:
        yield
    except ExpectedSkip as reason:
        say(as_json, {"nothing_to_do": str(reason)}, f"nothing to do: {reason}")
        raise typer.Exit(0) from None
    except SeaIceError as error:
        err.print(f"[red]error[/] ({type(error).__name__}): {error}")
        raise typer.Exit(1) from None


def report(summary: Summary, as_json: bool) -> None:
    """Tell a stage's Summary; exit status 2 where something in it failed."""
    say(as_json, summary.to_dict(), f"{summary.sentence()} ({summary.seconds:.1f} s)")
    if not as_json:
        for title, group in (("skipped", summary.skipped), ("failed", summary.failed)):
            if group:
                table = Table(title, "reason", box=None)
                for item, reason in group.items():
                    table.add_row(item, reason)
                out.print(table)
    if summary.failed:
        raise typer.Exit(2)


def say(as_json: bool, data: Any, text: str) -> None:
    """`data` as one line of JSON, or `text`."""
    if as_json:
        sys.stdout.write(json.dumps(data) + "\n")
    else:
        out.print(text)


def tracked(items: list[str], what: str) -> Iterator[str]:
    """`items` behind a progress bar."""
    from rich.progress import track

    yield from track(items, description=what, console=err, transient=True)


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int, str], None]]:
    """A progress bar that is moved by calling it with (done, total, what is in hand)."""
    from rich.progress import Progress

    with Progress(console=err, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total, item: bar.update(task, completed=done, total=total, description=item)


def busy(what: str) -> AbstractContextManager[object]:
    """A sign of life on the terminal while something runs that tells no progress."""
    return err.status(f"{what} (-v shows the log)")


def utc(value: datetime) -> datetime:
    """`value` in UTC, which a time without zone is already."""
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def as_tiles(tiles: list[str] | None) -> tuple[str, ...] | None:
    """The tiles of a `Tiles` option as a request takes them."""
    return tuple(tiles) if tiles else None

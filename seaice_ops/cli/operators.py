"""The verbs of an operator: set-up, state, checks, and the ops console."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from rich.text import Text

from seaice_ops.cli.common import Json, app, err, load_settings, out, readable_errors, say
from seaice_ops.errors import SeaIceError
from seaice_ops.settings import Settings, config_path, redact


@app.command()
def init(as_json: Json = False) -> None:
    """Create the ledger, or bring its schema up to date, and the object store. Safe to repeat."""
    from seaice_ops.ledger.stores import initialise

    settings = load_settings()
    with readable_errors():
        revision = initialise(settings).schema_revision()[0]
    ledger, store = redact(settings.ledger), redact(settings.store)
    data = {"home": str(settings.home), "ledger": ledger, "store": store, "schema": revision}
    say(as_json, data, f"the ledger is ready: {ledger}", f"the object store is ready: {store}")


@app.command("settings")
def show_settings(as_json: Json = False) -> None:
    """Print the settings in force and the meaning of each (passwords removed); into a pipe as JSON."""
    settings = load_settings()
    if as_json or not out.is_terminal:
        data = {"settings": settings.redacted(), "schema": Settings.model_json_schema()}
        sys.stdout.write(json.dumps(data, indent=2) + "\n")
    else:
        for name, value, meaning in _fields(settings, settings.redacted()):
            out.print(Text(f"{name}: ", "bold"), value, sep="")
            for line in textwrap.wrap(meaning, max(out.width - 4, 40), break_on_hyphens=False):
                out.print(f"    {line}")


def _fields(part: BaseModel, shown: dict[str, Any], path: str = "") -> Iterator[tuple[str, str, str]]:
    """(name, value, meaning) of each field; `shown` holds the values as they may be printed."""
    for name, field in type(part).model_fields.items():
        value = getattr(part, name)
        if isinstance(value, BaseModel):
            yield from _fields(value, shown[name], f"{path}{name}.")
        elif name == "regions":
            for key, region in value.items():
                yield f"regions.{key}", f"{region.title}, tiles {' '.join(region.tiles)}", ""
        else:
            yield f"{path}{name}", json.dumps(shown[name], ensure_ascii=False), field.description or ""


@app.command()
def status(as_json: Json = False) -> None:
    """Print the state of everything: scenes, labels, models, newest maps, runs, last errors."""
    from seaice_ops.ops.overview.collect import overview
    from seaice_ops.ops.overview.to_json import to_json
    from seaice_ops.ops.overview.to_text import to_text

    with readable_errors():
        found = overview(load_settings())
    if as_json:
        sys.stdout.write(json.dumps(to_json(found), indent=2) + "\n")
    else:
        out.print(*to_text(found, min(out.width, 120)), sep="\n")


@app.command()
def doctor(as_json: Json = False) -> None:
    """Say what is missing or wrong in this environment, and what to do. Exit status 1 if anything is."""
    from seaice_ops.ops.doctor import check

    try:
        settings, problem = Settings.load(), None
    except SeaIceError as error:
        settings, problem = None, str(error)
    checks = check(settings, problem)
    if as_json:
        sys.stdout.write(json.dumps([asdict(each) for each in checks], indent=2) + "\n")
    else:
        for each in checks:
            out.print(Text("ok  ", "green") if each.ok else Text("fix ", "red"), f"{each.name}: {each.what}")
            if not each.ok:
                out.print(f"       -> {each.advice}")
    raise typer.Exit(0 if all(each.ok for each in checks) else 1)


@app.command()
def validate(
    sidecar: Annotated[Path, typer.Argument(help="The <scene>.json beside a plain true-colour scene.")],
) -> None:
    """Check the sidecar of a plain scene, and name every wrong field."""
    from seaice_ops.pixels.sidecar import read_sidecar

    with readable_errors():
        scene = read_sidecar(sidecar)
    out.print(f"{sidecar} is valid:")
    out.print_json(scene.model_dump_json())


@app.command()
def up(
    port: Annotated[int, typer.Option(help="Port of the Airflow UI.")] = 8080,
) -> None:
    """Start the ops console (Airflow UI, scheduler) in the background and print its address and login."""
    from seaice_ops.airflow import console

    settings = load_settings()
    with readable_errors():
        found = console.running(settings)
        if found is None:
            with err.status("starting Airflow (about half a minute)") as line:
                found = console.start(
                    settings, config_path(), port, detach=True, tell=lambda at: line.update(f"starting Airflow: {at}")
                )
    out.print(
        f"ops console: {found.url}",
        f"login: {found.user} / {found.password}",
        "stop it with: seaice down (or make down)",
        sep="\n",
    )


@app.command()
def env() -> None:
    """Print shell lines that point `airflow` and `seaice` at the running console's data: eval "$(seaice env)"."""
    import shlex

    from seaice_ops.airflow import console

    settings = load_settings()
    found = console.running(settings)
    port = int(found.url.rpartition(":")[2]) if found else 8080
    wanted = console.environment(settings, config_path(), port)
    for key in sorted(key for key in wanted if key.startswith(("AIRFLOW", "SEAICE_")) or key == "PATH"):
        if key in os.environ and key.startswith(("AIRFLOW_CONN_", "SEAICE_AIRFLOW_", "SEAICE_ARCHIVE_")):
            continue  # credentials, which the shell has already
        sys.stdout.write(f"export {key}={shlex.quote(wanted[key])}\n")


@app.command()
def down() -> None:
    """Stop the ops console and everything it started."""
    from seaice_ops.airflow import console

    settings = load_settings()
    out.print("ops console stopped" if console.stop(settings) else "no ops console is running")

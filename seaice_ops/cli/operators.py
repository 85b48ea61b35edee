"""The verbs of an operator: set up, look, check, and the ops console."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from seaice_ops.cli.common import Json, app, config_path, err, load_settings, out, readable_errors, say
from seaice_ops.errors import SeaIceError
from seaice_ops.settings import Settings


@app.command()
def init(as_json: Json = False) -> None:
    """Create the ledger (or bring its schema up to date) and the object store. Safe to repeat."""
    from seaice_ops.ledger.stores import initialise

    settings = load_settings()
    with readable_errors():
        revision = initialise(settings).schema_revision()[0]
    say(
        as_json,
        {"home": str(settings.home), "schema": revision},
        f"ledger and object store are ready below {settings.home}",
    )


@app.command("settings")
def show_settings() -> None:
    """Print the settings in force as JSON (passwords removed) and the meaning of each field."""
    settings = load_settings()
    out.print_json(data={"settings": settings.redacted(), "schema": Settings.model_json_schema()})


@app.command()
def status(as_json: Json = False) -> None:
    """What is known: scenes by state, labels, models, maps a tile, last errors."""
    from seaice_ops.ops.status import collect, render

    with readable_errors():
        found = collect(load_settings())
    if as_json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    else:
        out.print(render(found))


@app.command()
def doctor(as_json: Json = False) -> None:
    """Say in plain words what is missing or wrong in this environment. Exit status 1 if anything is."""
    from seaice_ops.ops.doctor import check

    try:
        settings, problem = Settings.load(), None
    except SeaIceError as error:
        settings, problem = None, str(error)
    checks = check(settings, problem)
    if as_json:
        sys.stdout.write(json.dumps([c.__dict__ for c in checks], indent=2) + "\n")
    else:
        for item in checks:
            out.print(
                f"[green]ok  [/] {item.name}: {item.what}"
                if item.ok
                else f"[red]fix [/] {item.name}: {item.what}\n       -> {item.advice}"
            )
    raise typer.Exit(0 if all(item.ok for item in checks) else 1)


@app.command()
def validate(
    sidecar: Annotated[Path, typer.Argument(help="The <scene>.json beside a plain true-colour scene.")],
) -> None:
    """Check the sidecar of a plain scene; every wrong field is named."""
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
            with err.status("starting Airflow (about half a minute)"):
                found = console.start(settings, config_path(), port, detach=True)
    out.print(
        f"ops console: {found.url}\nlogin: {found.user} / {found.password}\nend it with: seaice down (or make down)",
        highlight=False,
    )


@app.command()
def env() -> None:
    """Print shell lines that let `airflow` and `seaice` work on the running console's data: eval "$(seaice env)"."""
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
    """End the ops console and everything it started."""
    from seaice_ops.airflow import console

    settings = load_settings()
    out.print("ops console ended" if console.stop(settings) else "no ops console is running")

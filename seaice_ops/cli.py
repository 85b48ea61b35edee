"""The command line: one verb a stage, and the verbs of an operator."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.table import Table

from seaice_ops.errors import ExpectedSkip, SeaIceError
from seaice_ops.settings import Settings
from seaice_ops.summary import Summary

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help=(
        "Keeps maps of polar sea ice up to date from Sentinel-2. Settings: config/seaice.yaml (SEAICE_CONFIG), "
        "data: .seaice/ (SEAICE_HOME)."
    ),
)
model_app = typer.Typer(no_args_is_help=True, help="The model registry: promote, roll back, export, import.")
app.add_typer(model_app, name="model")

out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Tiles = Annotated[list[str] | None, typer.Option("--tile", help="MGRS tile; repeatable. Default: all configured.")]


@app.callback()
def main(verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the log.")] = False) -> None:
    """Set up logging; SEAICE_CALLER names the caller in the ledger's run rows."""
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(message)s",
        handlers=[RichHandler(console=err, show_path=False)],
    )
    os.environ.setdefault("SEAICE_CALLER", "cli")


@app.command()
def init(as_json: Json = False) -> None:
    """Create the ledger (or bring its schema up to date) and the folders. Safe to repeat."""
    from seaice_ops.ledger.session import migrate, schema_revision
    from seaice_ops.storage.store import open_store

    settings = _settings()
    migrate(settings)
    open_store(settings)
    _say(
        as_json,
        {"home": str(settings.home), "schema": schema_revision(settings)[0]},
        f"ledger and object store are ready below {settings.home}",
    )


@app.command("settings")
def show_settings() -> None:
    """Print the settings in force as JSON (passwords removed) and the meaning of each field."""
    settings = _settings()
    out.print_json(data={"settings": settings.redacted(), "schema": Settings.model_json_schema()})


@app.command()
def ingest(
    start: Annotated[datetime, typer.Option("--from", help="Start of the interval, UTC.")],
    end: Annotated[datetime, typer.Option("--to", help="End of the interval (not included), UTC.")],
    by: Annotated[str, typer.Option(help="published or sensed")] = "sensed",
    tile: Tiles = None,
    as_json: Json = False,
) -> None:
    """Search the archive, fetch what is new and decode it into scenes."""
    from seaice_ops.archive import fetch, search
    from seaice_ops.scenes import decode

    settings = _settings()
    if by not in ("published", "sensed"):
        raise typer.BadParameter("--by is 'published' or 'sensed'")
    with _stage():
        found = search.run(settings, search.SearchRequest(by, _utc(start), _utc(end), _tiles(tile)))  # type: ignore[arg-type]
        summaries = [found]
        for scene_id in _progress(found.items, "ingest"):
            fetched = fetch.run(settings, fetch.FetchRequest((scene_id,)))
            summaries.append(fetched)
            if scene_id not in fetched.failed:
                summaries.append(decode.run(settings, decode.DecodeRequest((scene_id,))))
    _report(_merged(summaries), as_json)


@app.command()
def label(
    method: Annotated[str | None, typer.Option(help="colour or iqrah2024; default: labels.method")] = None,
    spark: Annotated[
        str | None, typer.Option(help="Spark master, for example local[2]; default: in this process")
    ] = None,
    as_json: Json = False,
) -> None:
    """Auto-label the ready scenes that have no labels yet."""
    from seaice_ops.labels import stage

    settings = _settings()
    if spark:
        from seaice_ops.labels.package import spark_conf, zip_package

        code = zip_package(settings.work / "spark" / "seaice_ops.zip")
        conf = [word for key, value in spark_conf().items() for word in ("--conf", f"{key}={value}")]
        os.execvp(  # noqa: S606
            "spark-submit",
            [
                "spark-submit",
                "--master",
                spark,
                *conf,
                "--py-files",
                str(code),
                str(Path(stage.__file__).with_name("spark_job.py")),
                *(["--method", method] if method else []),
            ],
        )
    with _stage():
        _report(stage.run(settings, stage.LabelRequest(method)), as_json)


@app.command()
def train(
    promote: Annotated[bool, typer.Option(help="Let the gate promote the model if it is good enough.")] = True,
    as_json: Json = False,
) -> None:
    """Train on the labelled scenes with Horovod, evaluate on held-out acquisitions, and let the gate decide."""
    from seaice_ops.training import stage

    with _stage():
        _report(stage.run(_settings(), stage.TrainRequest(promote=promote)), as_json)


@app.command()
def encode(tile: Tiles = None, as_json: Json = False) -> None:
    """Keep the champion's class probabilities of every scene that a due map needs."""
    from seaice_ops.mapping import encode as stage

    with _stage():
        _report(stage.run(_settings(), stage.EncodeRequest(tiles=_tiles(tile))), as_json)


@app.command("map")
def publish(tile: Tiles = None, as_json: Json = False) -> None:
    """Shift the window and publish every map that is due."""
    from seaice_ops.mapping import publish as stage

    with _stage():
        _report(stage.run(_settings(), stage.MapRequest(tiles=_tiles(tile))), as_json)


@app.command()
def simulate(
    folder: Annotated[Path | None, typer.Argument(help="Archive folder; default: archive.path.")] = None,
    seed: int = 1,
    size: Annotated[int, typer.Option(help="Edge of a product, pixels of 10 m.")] = 1024,
    acquisitions: Annotated[int, typer.Option(help="Acquisitions a tile.")] = 24,
    start: Annotated[datetime, typer.Option(help="First day.")] = datetime(2026, 2, 1),
    publish_until: Annotated[datetime | None, typer.Option(help="Only what is published by then, UTC.")] = None,
    as_json: Json = False,
) -> None:
    """Write a Copernicus-like archive of an ocean with drifting ice, with its truth."""
    from seaice_ops.simulate import stage

    request = stage.SimulateRequest(
        out=folder,
        seed=seed,
        size=size,
        acquisitions=acquisitions,
        start=start.date(),
        publish_until=_utc(publish_until) if publish_until else None,
    )
    with _stage(), _bar("simulate") as progress:
        _report(stage.run(_settings(), request, progress=progress), as_json)


@app.command()
def status(as_json: Json = False) -> None:
    """What is known: scenes by state, labels, models, maps a tile, last errors."""
    from seaice_ops.status import collect, render

    with _stage():
        found = collect(_settings())
    if as_json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    else:
        out.print(render(found))


@app.command()
def doctor(as_json: Json = False) -> None:
    """Say in plain words what is missing or wrong in this environment. Exit status 1 if anything is."""
    from seaice_ops.doctor import check

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
    from seaice_ops.sidecar import read_sidecar

    with _stage():
        scene = read_sidecar(sidecar)
    out.print(f"{sidecar} is valid:")
    out.print_json(scene.model_dump_json())


@app.command("label-image")
def label_image(
    source: Annotated[Path, typer.Argument(help="PNG or GeoTIFF, 8-bit true colour.")],
    target: Annotated[Path, typer.Argument(help="GeoTIFF or PNG of class codes to write.")],
    method: Annotated[str, typer.Option(help="colour or iqrah2024")] = "colour",
    ceiling: Annotated[float | None, typer.Option(help="Reflectance that 255 stands for; default: ours.")] = None,
    pixel_size: Annotated[float | None, typer.Option(help="Metres; default: the file's.")] = None,
    nodata: Annotated[int | None, typer.Option(help="Value of pixels that were not observed.")] = None,
    preview: Annotated[bool, typer.Option(help="Also write a coloured <target>.png.")] = False,
) -> None:
    """Label one image on its own: 1 water, 2 thin, 3 thick, 255 no data."""
    from seaice_ops.labels.image import label_image as run

    with _stage():
        shares = run(
            source, target, method=method, ceiling=ceiling, pixel_size=pixel_size, nodata=nodata, preview=preview
        )
    out.print(f"{target}: " + ", ".join(f"{name} {100 * share:.1f} %" for name, share in shares.items()))


@app.command()
def up(
    port: Annotated[int, typer.Option(help="Port of the Airflow UI.")] = 8080,
) -> None:
    """Start the ops console (Airflow UI, scheduler) in the background and print its address and login."""
    from seaice_ops import console

    settings = _settings()
    with _stage():
        found = console.running(settings)
        if found is None:
            with err.status("starting Airflow (about half a minute)"):
                found = console.start(settings, _config_path(), port, detach=True)
    out.print(
        f"ops console: {found.url}\nlogin: {found.user} / {found.password}\nend it with: make down", highlight=False
    )


@app.command()
def env() -> None:
    """Print shell lines that let `airflow` and `seaice` work on the running console's data: eval "$(seaice env)"."""
    import shlex

    from seaice_ops import console

    settings = _settings()
    found = console.running(settings)
    port = int(found.url.rpartition(":")[2]) if found else 8080
    wanted = console.environment(settings, _config_path(), port)
    for key in sorted(key for key in wanted if key.startswith(("AIRFLOW", "SEAICE_")) or key == "PATH"):
        sys.stdout.write(f"export {key}={shlex.quote(wanted[key])}\n")


@app.command()
def down() -> None:
    """End the ops console and everything it started."""
    from seaice_ops import console

    settings = _settings()
    out.print("ops console ended" if console.stop(settings) else "no ops console is running")


@model_app.command("rollback")
def model_rollback() -> None:
    """Make the previous champion champion again."""
    from seaice_ops.models import registry

    with _stage():
        out.print(f"champion is now {registry.rollback(_settings())}")


@model_app.command("promote")
def model_promote(model_id: str, reason: Annotated[str, typer.Option(help="Kept in the ledger.")] = "by hand") -> None:
    """Make a model the champion."""
    from seaice_ops.models import registry

    with _stage():
        registry.promote(_settings(), model_id, reason)
    out.print(f"champion is now {model_id}")


@model_app.command("export")
def model_export(model: Annotated[str, typer.Argument(help="Id or alias.")], folder: Path) -> None:
    """Write a model's weights (safetensors) and card to a folder."""
    from seaice_ops.models import registry

    with _stage():
        registry.export_model(_settings(), model, folder)
    out.print(f"{model} exported to {folder}")


@model_app.command("import")
def model_import(
    folder: Path, champion: Annotated[bool, typer.Option(help="Also make it the champion.")] = False
) -> None:
    """Take a model from an exported folder; its checksum is verified and nothing is unpickled."""
    from seaice_ops.models import registry

    settings = _settings()
    with _stage():
        model_id = registry.import_model(settings, folder)
        if champion:
            registry.promote(settings, model_id, f"imported from {folder.name}")
    out.print(f"{model_id} imported{' as champion' if champion else ''}")


def _settings() -> Settings:
    with _stage():
        return Settings.load()


def _config_path() -> Path:
    from seaice_ops.settings import default_config

    return Path(os.environ.get("SEAICE_CONFIG") or default_config())


@contextmanager
def _stage() -> Iterator[None]:
    """Errors raised on purpose become one readable line; an expected skip is a success that says why."""
    try:
        yield
    except ExpectedSkip as reason:
        out.print(f"nothing to do: {reason}")
        raise typer.Exit(0) from None
    except SeaIceError as error:
        err.print(f"[red]error[/] ({type(error).__name__}): {error}")
        raise typer.Exit(1) from None


def _report(summary: Summary, as_json: bool) -> None:
    _say(as_json, summary.to_dict(), f"{summary.sentence()} ({summary.seconds:.1f} s)")
    if not as_json:
        for title, group in (("skipped", summary.skipped), ("failed", summary.failed)):
            if group:
                table = Table(title, "reason", box=None)
                for item, reason in group.items():
                    table.add_row(item, reason)
                out.print(table)
    if summary.failed:
        raise typer.Exit(2)


def _say(as_json: bool, data: Any, text: str) -> None:
    if as_json:
        sys.stdout.write(json.dumps(data) + "\n")
    else:
        out.print(text)


def _merged(parts: list[Summary]) -> Summary:
    """One Summary of search, fetches and decodes: what was found and what is ready now."""
    whole = Summary("ingest", items=parts[0].items)
    for part in parts:
        if part.stage != "fetch":
            whole.done += Counter({"ready" if part.stage == "decode" else "found": part.done.pop("scenes", 0)})
            whole.done += part.done
        whole.skipped |= part.skipped
        whole.failed |= part.failed
        whole.bytes_in += part.bytes_in
        whole.bytes_out += part.bytes_out
        whole.seconds += part.seconds
    return whole


def _progress(items: list[str], what: str) -> Iterator[str]:
    from rich.progress import track

    yield from track(items, description=what, console=err, transient=True)


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int, str], None]]:
    from rich.progress import Progress

    with Progress(console=err, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total, item: bar.update(task, completed=done, total=total, description=item)


def _utc(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _tiles(tiles: list[str] | None) -> tuple[str, ...] | None:
    return tuple(tiles) if tiles else None


if __name__ == "__main__":
    app()

"""The verbs of the stages: one each."""

from __future__ import annotations

import os
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from seaice_ops.cli.common import (
    Json,
    Tiles,
    app,
    as_tiles,
    busy,
    load_settings,
    out,
    progress_bar,
    readable_errors,
    report,
    tracked,
    utc,
)
from seaice_ops.errors import ConfigError
from seaice_ops.settings import Settings
from seaice_ops.summary import Summary


@app.command()
def ingest(
    start: Annotated[datetime | None, typer.Option("--from", help="Start of the interval, UTC.")] = None,
    end: Annotated[datetime | None, typer.Option("--to", help="End of the interval (not included), UTC.")] = None,
    by: Annotated[
        str, typer.Option(help="What the interval means: time of publication (published) or of sensing (sensed).")
    ] = "sensed",
    tile: Tiles = None,
    listed: Annotated[
        Path | None,
        typer.Option("--list", help="File with names of products, one a line: only these, also failed ones."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Search the archive, fetch what is new and decode it into scenes.

    Without --from and --to: what was published or withdrawn since the last run (the first time: in the last days),
    like the daily DAG. With them: a past period. With --list: what `seaice account` found to be missing.
    """
    from seaice_ops.archive import fetch
    from seaice_ops.scenes import decode

    settings = load_settings()
    if by not in ("published", "sensed"):
        raise typer.BadParameter("--by is 'published' or 'sensed'")
    with readable_errors(as_json):
        if listed and (start or end or tile):
            raise typer.BadParameter("--list names all that is meant; leave out --from, --to and --tile")
        if (start is None) != (end is None):
            raise typer.BadParameter("give --from and --to, or none of them")
        found = _listed(settings, listed) if listed else _searched(settings, by, start, end, as_tiles(tile))
        summaries = [found]
        for scene_id in tracked(found.items, "ingest"):
            fetched = fetch.run(settings, fetch.FetchRequest((scene_id,)), caller="cli")
            summaries.append(fetched)
            if scene_id not in fetched.failed:
                summaries.append(decode.run(settings, decode.DecodeRequest((scene_id,)), caller="cli"))
    if not (found.items or start or listed or as_json):
        out.print("Looked for what was published since the last run. For a past period give --from and --to.")
    report(_merged(summaries), as_json)


def _listed(settings: Settings, file: Path) -> Summary:
    from seaice_ops.archive import listed

    try:
        products = listed.read_list(file.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the list {file} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    return listed.run(settings, listed.ListedRequest(products), caller="cli")


def _searched(
    settings: Settings, by: str, start: datetime | None, end: datetime | None, tiles: tuple[str, ...] | None
) -> Summary:
    from seaice_ops.archive import search
    from seaice_ops.ledger.operations import now

    if start is None or end is None:
        request = search.SearchRequest("published", now() - timedelta(days=1), now(), tiles, catch_up=True)
    else:
        request = search.SearchRequest(by, utc(start), utc(end), tiles)  # type: ignore[arg-type]
    return search.run(settings, request, caller="cli")


@app.command()
def label(
    method: Annotated[str | None, typer.Option(help="colour, iqrah2024 or reflectance; default: labels.method")] = None,
    spark: Annotated[
        str | None, typer.Option(help="Spark master, for example local[2]; default: in this process")
    ] = None,
    as_json: Json = False,
) -> None:
    """Auto-label the ready scenes that have no labels yet."""
    from seaice_ops.labels import stage

    settings = load_settings()
    if spark:
        from seaice_ops.labels.spark.package import APPLICATION, spark_conf, zip_package

        code = zip_package(settings.work / "spark" / "seaice_ops.zip", settings.sensors)
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
                str(APPLICATION),
                *(["--method", method] if method else []),
            ],
        )
    with readable_errors(as_json):
        with busy("labelling"):
            summary = stage.run(settings, stage.LabelRequest(method), caller="cli")
        report(summary, as_json)


@app.command()
def train(
    promote: Annotated[bool, typer.Option(help="Let the gate promote the model where it passes.")] = True,
    as_json: Json = False,
) -> None:
    """Train on the labelled scenes with Horovod, evaluate on held-out acquisitions, and let the gate decide."""
    from seaice_ops.training import stage

    with readable_errors(as_json):
        with busy("training"):
            summary = stage.run(load_settings(), stage.TrainRequest(promote=promote), caller="cli")
        report(summary, as_json)


@app.command()
def encode(tile: Tiles = None, as_json: Json = False) -> None:
    """Compute and keep the champion's class probabilities of every scene that a due map needs."""
    from seaice_ops.mapping import encode as stage

    with readable_errors(as_json):
        with busy("encoding"):
            summary = stage.run(load_settings(), stage.EncodeRequest(tiles=as_tiles(tile)), caller="cli")
        report(summary, as_json)


@app.command("map")
def publish(
    tile: Tiles = None,
    again: Annotated[
        list[str] | None, typer.Option(help="Id of a map whose objects are lost: make those again; repeatable.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Publish every map that is due, and list it in the catalogue; or make again what was lost of published maps."""
    from seaice_ops.mapping import again as repair
    from seaice_ops.mapping import publish as stage
    from seaice_ops.mapping.catalogue import stage as catalogue

    with readable_errors(as_json):
        with busy("mapping"):
            if again:
                summary = repair.run(load_settings(), repair.AgainRequest(tuple(again)), caller="cli")
            else:
                summary = stage.run(load_settings(), stage.PublishRequest(tiles=as_tiles(tile)), caller="cli")
            listed = catalogue.run(load_settings(), catalogue.CatalogueRequest(), caller="cli")
            summary.failed |= listed.failed
        report(summary, as_json)


@app.command()
def drift(tile: Tiles = None, as_json: Json = False) -> None:
    """Track the ice between each labelled acquisition of a tile and the one before it."""
    from seaice_ops.mapping.drift import stage

    with readable_errors(as_json):
        with busy("tracking"):
            summary = stage.run(load_settings(), stage.DriftRequest(tiles=as_tiles(tile)), caller="cli")
        report(summary, as_json)


@app.command()
def simulate(
    folder: Annotated[Path | None, typer.Argument(help="Archive folder; default: archive.path.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the simulated ocean and sky.")] = 1,
    size: Annotated[int, typer.Option(help="Edge of a product, pixels of 10 m.")] = 1024,
    acquisitions: Annotated[int, typer.Option(help="Number of acquisitions of each tile.")] = 24,
    start: Annotated[datetime, typer.Option(help="First sensing day.")] = datetime(2026, 2, 1),
    publish_until: Annotated[
        datetime | None, typer.Option(help="Write only what is published until then, UTC.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write an archive like Copernicus' of a simulated ocean with drifting ice, and its truth."""
    from seaice_ops.simulate import stage

    request = stage.SimulateRequest(
        out=folder,
        seed=seed,
        size=size,
        acquisitions=acquisitions,
        start=start.date(),
        publish_until=utc(publish_until) if publish_until else None,
    )
    with readable_errors(as_json), progress_bar("simulate") as progress:
        report(stage.run(load_settings(), request, progress=progress), as_json)


def _merged(parts: list[Summary]) -> Summary:
    """One Summary of a search, its fetches and its decodes: what was found and what is ready now."""
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

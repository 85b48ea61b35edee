"""The verbs of the catalogue of maps: `seaice catalogue ...`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from seaice_ops.cli.common import Json, app, busy, load_settings, readable_errors, report, say, utc

catalogue_app = typer.Typer(no_args_is_help=True, help="The STAC catalogue of the published maps.")
app.add_typer(catalogue_app, name="catalogue")


@catalogue_app.command("build")
def build(as_json: Json = False) -> None:
    """Write the whole catalogue from the ledger and the maps' items; what is as it should be is left alone."""
    from seaice_ops.mapping.catalogue import stage

    with readable_errors(as_json):
        with busy("cataloguing"):
            summary = stage.run(load_settings(), stage.CatalogueRequest(anew=True), caller="cli")
        report(summary, as_json)


@catalogue_app.command("find")
def find(
    bbox: Annotated[
        str | None, typer.Option(help="west,south,east,north in degrees; west > east crosses the antimeridian.")
    ] = None,
    start: Annotated[
        datetime | None, typer.Option("--from", help="Only maps that show a time from then on, UTC.")
    ] = None,
    end: Annotated[datetime | None, typer.Option("--to", help="Only maps that show a time before then, UTC.")] = None,
    latest: Annotated[bool, typer.Option("--latest", help="Of each tile only the newest.")] = False,
    as_json: Json = False,
) -> None:
    """Find published maps by place and time, from the catalogue's files alone."""
    from seaice_ops.ledger.session import open_ledger
    from seaice_ops.ledger.stores import known_store
    from seaice_ops.mapping.catalogue.find import find as search

    box = _box(bbox) if bbox else None
    with readable_errors(as_json):
        settings = load_settings()
        store = known_store(open_ledger(settings), settings.store)
        maps = search(store, box, utc(start) if start else None, utc(end) if end else None, latest=latest)
    lines = [f"{each['datetime'][:16]}  {each['tile']}  revision {each['revision']}  {each['item']}" for each in maps]
    say(as_json, maps, *(lines or ["no map is there"]))


def _box(text: str) -> tuple[float, float, float, float]:
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter("--bbox is four numbers: west,south,east,north") from None
    if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= north <= 90):
        raise typer.BadParameter("--bbox is west,south,east,north in degrees, south not above north")
    return west, south, east, north

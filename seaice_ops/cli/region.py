"""The verb that lists the tiles of an area."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from seaice_ops.cli.common import app, load_settings, out, readable_errors


@app.command()
def region(
    area: Annotated[
        str,
        typer.Argument(help="GeoJSON file, box west,south,east,north, or the name of a region of the configuration."),
    ],
    picture: Annotated[Path | None, typer.Option("--map", help="Also draw the tiles: a PNG to write.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """List the Sentinel-2 tiles of an area, for config/seaice.yaml, and those left out with the reason."""
    from seaice_ops.geo import area as areas
    from seaice_ops.geo import tiling

    with readable_errors():
        rings = areas.rings(_area(area))
        found = tiling.select(rings)
        if picture:
            from seaice_ops.geo.tiling_map import draw

            draw(rings, found, picture)
    left_out = {tile.name: why for tile, why in found.left_out}
    if as_json:
        sys.stdout.write(json.dumps({"tiles": found.names, "left_out": left_out, "unseen": found.unseen}) + "\n")
        return
    for tile, why in left_out.items():
        out.print(f"{tile} is left out: {why}")
    words = f"{len(found.tiles)} tiles see the area, {len(found.left_out)} more touch it"
    unseen = f"; no tile sees {100 * found.unseen:.1f} % of it" if found.unseen else ""
    out.print(f"tiles: [{', '.join(found.names)}]", words + unseen, sep="\n")


def _area(text: str) -> Any:
    parts = text.split(",")
    if len(parts) == 4:
        try:
            return [float(part) for part in parts]
        except ValueError:
            raise typer.BadParameter("a box is west,south,east,north in degrees") from None
    if Path(text).exists():
        return text
    settings = load_settings()
    if text not in settings.regions:
        raise typer.BadParameter(
            f"{text!r} is no file, no box west,south,east,north, and none of the regions {', '.join(settings.regions)}"
        )
    named = settings.regions[text]
    if not named.area:
        raise typer.BadParameter(f"region {text} is given by its tiles: {', '.join(named.tiles)}")
    return named.area

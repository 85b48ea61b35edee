"""The verbs that label one image and judge labels."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seaice_ops.cli.common import (
    Json,
    Tiles,
    app,
    as_tiles,
    load_settings,
    out,
    progress_bar,
    readable_errors,
    report,
    say,
)

if TYPE_CHECKING:
    from seaice_ops.quality.stage import QualityRequest
    from seaice_ops.settings import Settings


@app.command("label-image")
def label_image(
    source: Annotated[Path, typer.Argument(help="PNG, GeoTIFF or JPEG: 8-bit grey, palette or true colour.")],
    target: Annotated[Path, typer.Argument(help="GeoTIFF or PNG of class codes to write.")],
    method: Annotated[str, typer.Option(help="Label method; a wrong name lists those that exist.")] = "colour",
    ceiling: Annotated[
        float | None, typer.Option(help="Reflectance that is shown as 255: 0.3558 in L1C (default), 0.2 in L2A.")
    ] = None,
    pixel_size: Annotated[float | None, typer.Option(help="Metres; default: the file's, else 54.")] = None,
    nodata: Annotated[
        int | None,
        typer.Option(help="Value of all bands where there is no data; default: the file's mask, else black edges."),
    ] = None,
    preview: Annotated[bool, typer.Option(help="Also write a PNG in the legend's colours.")] = False,
    as_json: Json = False,
) -> None:
    """Label one image on its own: 1 open water, 2 thin ice, 3 thick ice, 205 cloud or shadow, 210 low sun, 254 land,
    255 no data. The georeference is kept."""
    from seaice_ops.classes.legend import NAMES, SLUGS
    from seaice_ops.labels.picture.image import label_image as run

    with readable_errors(as_json):
        done = run(
            source, target, method=method, ceiling=ceiling, pixel_size=pixel_size, nodata=nodata, preview=preview
        )
    lines = [
        f"{100 * done.shares[slug]:6.1f} %  {code:3d}  {NAMES[code]}"
        for code, slug in SLUGS.items()
        if slug in done.shares
    ]
    text = [
        f"{target}: labels of {source} by {done.method}",
        *lines,
        f"pixel size {done.pixel_m:.4g} m ({done.pixel_from}); no data: {done.nodata_from}",
        *([f"{done.preview}: preview"] if done.preview else []),
    ]
    say(as_json, asdict(done) | {"preview": str(done.preview) if done.preview else None}, *text)


@app.command("label-quality")
def label_quality(
    scene: Annotated[list[str] | None, typer.Option("--scene", help="Scene id; repeatable. Default: all.")] = None,
    tile: Tiles = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method", help="Labels to judge; missing ones are made first. Repeatable. Default: all that exist."
        ),
    ] = None,
    sheets: Annotated[Path | None, typer.Option(help="Folder for one PNG a scene.")] = None,
    as_json: Json = False,
) -> None:
    """Judge labels: against truth or hand labels where there are any, against each other, and for plausibility."""
    from seaice_ops.quality import report as tables
    from seaice_ops.quality import stage

    settings = load_settings()
    request = stage.QualityRequest(
        tuple(scene) if scene else None, as_tiles(tile), tuple(method) if method else None, sheets
    )
    with readable_errors(as_json):
        for name in method or ():
            _label_missing(settings, request, name)
        with progress_bar("label-quality") as progress:
            quality, summary = stage.assess(settings, request, progress, caller="cli")
    if as_json:
        say(True, {**quality.to_dict(), "summary": summary.to_dict()})
        raise typer.Exit(2 if summary.failed else 0)
    out.print(tables.render(quality))
    report(summary, as_json)


def _label_missing(settings: Settings, request: QualityRequest, method: str) -> None:
    from seaice_ops.labels import stage
    from seaice_ops.ledger.operations import ready_scenes
    from seaice_ops.ledger.session import open_ledger

    with open_ledger(settings).begin() as session:
        chosen = tuple(scene.id for scene in ready_scenes(session, request.tiles))
    if request.scene_ids is not None:
        chosen = request.scene_ids
    stage.run(settings, stage.LabelRequest(method, chosen), caller="cli")

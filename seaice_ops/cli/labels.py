"""The verbs that label one image and judge labels."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

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
    say,
)
from seaice_ops.errors import ConfigError

if TYPE_CHECKING:
    from seaice_ops.labels.output import Labelled
    from seaice_ops.quality.stage import QualityRequest
    from seaice_ops.settings import Settings


@app.command("label-image")
def label_image(
    source: Annotated[
        Path,
        typer.Argument(
            help="8-bit picture (PNG, GeoTIFF, JPEG), raster of reflectance with bands named B02 ..., or .SAFE folder."
        ),
    ],
    target: Annotated[Path, typer.Argument(help="GeoTIFF or PNG of class codes to write.")],
    method: Annotated[
        str | None, typer.Option(help="Label method. Default: colour for a picture, else reflectance.")
    ] = None,
    ceiling: Annotated[
        float | None, typer.Option(help="Picture: reflectance shown as 255, 0.3558 in L1C (default), 0.2 in L2A.")
    ] = None,
    pixel_size: Annotated[float | None, typer.Option(help="Picture: metres; default: the file's, else 54.")] = None,
    nodata: Annotated[
        int | None,
        typer.Option(help="Picture: value of all bands without data; default: the file's mask, else black edges."),
    ] = None,
    scale: Annotated[
        float | None, typer.Option(help="Raster: reflectance of one stored unit; default: what the file states.")
    ] = None,
    offset: Annotated[
        float | None, typer.Option(help="Raster: reflectance of a stored 0; default: what the file states.")
    ] = None,
    sun_zenith: Annotated[
        float | None, typer.Option(help="Raster: sun zenith angle in degrees; default: the file's tag SUN_ZENITH.")
    ] = None,
    preview: Annotated[bool, typer.Option(help="Also write a PNG in the legend's colours.")] = False,
    as_json: Json = False,
) -> None:
    """Label one image on its own: 1 open water, 2 thin ice, 3 thick ice, 205 cloud or shadow, 210 low sun, 254 land,
    255 no data. The georeference is kept."""
    pictures = {"ceiling": ceiling, "pixel_size": pixel_size, "nodata": nodata}
    rasters = {"scale": scale, "offset": offset, "sun_zenith": sun_zenith}
    with readable_errors(as_json):
        done = _labelled(source, target, method, preview, _given(pictures), _given(rasters))
    text = [
        f"{target}: labels of {source} by {done.method}",
        *_share_lines(done.shares),
        f"pixel size {done.pixel_m:.4g} m ({done.pixel_from}); no data: {done.nodata_from}",
        *([_sun_line(done.sun_zenith)] if done.method == "reflectance" else []),
        *([f"{done.preview}: preview"] if done.preview else []),
    ]
    say(as_json, asdict(done) | {"preview": str(done.preview) if done.preview else None}, *text)


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _labelled(
    source: Path, target: Path, method: str | None, preview: bool, pictures: dict[str, Any], rasters: dict[str, Any]
) -> Labelled:
    """Label `source` as what it is; an option that its kind does not take is refused."""
    from seaice_ops.labels.bands_image import has_bands, label_bands
    from seaice_ops.labels.picture.image import label_image as label_picture
    from seaice_ops.scenes.raster import write_safe

    if source.is_dir():
        _refuse({**pictures, **rasters}, "a product's folder")
        with TemporaryDirectory(prefix="seaice-safe-") as folder:
            raster = Path(folder) / f"{source.name}.tif"
            with busy("decoding"):
                write_safe(raster, source)
            return label_bands(raster, target, method or "reflectance", preview=preview)
    if has_bands(source):
        _refuse(pictures, "a raster of reflectance")
        return label_bands(source, target, method or "reflectance", preview=preview, **rasters)
    _refuse(rasters, "an 8-bit picture")
    return label_picture(source, target, method or "colour", preview=preview, **pictures)


def _refuse(options: dict[str, Any], kind: str) -> None:
    if options:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in options)
        raise ConfigError(f"{names} cannot be given for {kind}")


def _share_lines(shares: dict[str, float]) -> list[str]:
    from seaice_ops.classes.legend import NAMES, SLUGS

    return [f"{100 * shares[slug]:6.1f} %  {code:3d}  {NAMES[code]}" for code, slug in SLUGS.items() if slug in shares]


def _sun_line(zenith: float | None) -> str:
    if zenith is None:
        return "sun zenith angle unknown: the usual one is assumed; --sun-zenith states it"
    return f"sun zenith angle {zenith:.4g} degrees"


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

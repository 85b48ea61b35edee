"""Verbs about labels beside the stage itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seaice_ops.cli.common import app, out, readable_errors


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

    with readable_errors():
        shares = run(
            source, target, method=method, ceiling=ceiling, pixel_size=pixel_size, nodata=nodata, preview=preview
        )
    out.print(f"{target}: " + ", ".join(f"{name} {100 * share:.1f} %" for name, share in shares.items()))

"""The verb that repeats the published protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seaice_ops.cli.common import Json, app, err, load_settings, out, readable_errors, say


@app.command("paper-protocol")
def paper_protocol(
    folder: Annotated[
        Path | None,
        typer.Argument(help="Scenes <name>.png|.tif with hand labels <name>.labels.png|.tif; default: simulated ones."),
    ] = None,
    scenes: Annotated[int, typer.Option(min=2, help="Simulated scenes.")] = 10,
    size: Annotated[int, typer.Option(min=256, help="Edge of a simulated scene, pixels of 10 m.")] = 768,
    width: Annotated[int | None, typer.Option(help="Channels of the U-Nets' first level; the paper's is 16.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training patches; the paper's are 50.")] = None,
    batch: Annotated[int | None, typer.Option(help="Patches a step; the paper's are 32.")] = None,
    seed: Annotated[int, typer.Option(help="First simulated scene; also draws the splits.")] = 1,
    full: Annotated[bool, typer.Option("--full", help="The paper's sizes: 66 scenes of 2048, 16, 50, 32.")] = False,
    as_json: Json = False,
) -> None:
    """Train U-Net-Auto and U-Net-Man as published, and with splits by scene: why 98.97 % is not accuracy."""
    from dataclasses import asdict, replace

    from rich.progress import Progress

    from seaice_ops.errors import writing
    from seaice_ops.paper import patches, protocol, report
    from seaice_ops.paper import scenes as sources

    settings = load_settings()
    base = protocol.FULL if full else protocol.SMALL
    given = {"width": width, "epochs": epochs, "batch": batch, "seed": seed}
    recipe = replace(base, **{name: value for name, value in given.items() if value is not None})
    count, edge = (66, 2048) if full else (scenes, size)
    with readable_errors(as_json), Progress(console=err, transient=True) as bar:
        if folder is not None:
            count, source = len(sources.names_in(folder)), sources.from_folder(folder)
        else:
            source = sources.simulated(seed, count, edge, settings.scenes.ceiling)
        cutting = bar.add_task("label and cut scenes", total=count)
        cut = patches.cut(source, settings.labels, lambda name: bar.advance(cutting))
        training = bar.add_task("train 8 U-Nets", total=8 * recipe.epochs)
        with writing(settings.work):
            settings.work.mkdir(parents=True, exist_ok=True)
        scores = protocol.run(cut, recipe, settings.work, lambda: bar.advance(training))
    if as_json:
        say(
            True,
            {"recipe": asdict(recipe), "patches": len(cut), "ssim": cut.similar, "scores": list(map(asdict, scores))},
        )
    else:
        out.print(report.render(scores, cut))

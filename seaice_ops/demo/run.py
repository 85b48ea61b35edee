"""`make demo`: a season through Airflow's real scheduler, from an empty home to published maps, and the proof.

It backfills the season's first part, trains the first model, then advances day by day: each simulated day publishes its
products and runs `seaice_ingest` for that day's interval. Everything after that follows by assets. Run again, every DAG
runs again and finds nothing new. Given `--archive` it does the same on a folder of real products or plain scenes.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import yaml
from rich.markup import escape

from seaice_ops.airflow import console, rest
from seaice_ops.airflow.supervisor import end_with_parent
from seaice_ops.archive.product import Product
from seaice_ops.demo import report as demo_report
from seaice_ops.demo.champion import need_champion
from seaice_ops.demo.play import Season, midnight, play
from seaice_ops.demo.progress import say, step, term
from seaice_ops.errors import ConfigError, SeaIceError
from seaice_ops.ledger.stores import initialise
from seaice_ops.sensors.sentinel2 import TILE_NAME
from seaice_ops.settings import Settings


def simulated(settings: Settings, size: int, acquisitions: int, seed: int, advance_days: int) -> Season:
    """The simulated season; the last `advance_days` days on which something is published are advanced one by one."""
    from seaice_ops.simulate import stage

    request = stage.SimulateRequest(seed=seed, size=size, acquisitions=acquisitions).resolved(settings)
    products = stage.plan(request)
    advance = tuple(stage.publication_days(request)[-advance_days:])
    sensed = [product.sensed.date() for product in products if product.published.date() < advance[0]]

    def publish(until: datetime) -> object:
        return stage.run(settings, replace(request, publish_until=until))

    return Season(min(sensed), max(sensed), advance, publish)


def given(settings: Settings) -> Season:
    """The products of a folder: all of them by one backfill."""
    days = sorted({product.sensed_at.date() for product in _products(settings.archive_path)})
    return Season(days[0], days[-1], (), lambda until: None)


def main() -> int:
    """Play the season; the exit status says whether everything that was promised is there."""
    arguments = _arguments()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(143))
    end_with_parent()
    os.environ.setdefault("SEAICE_RETRY_SECONDS", "5")
    settings, config = _settings(arguments)
    initialise(settings)
    say(f"home {settings.home}, configuration {config}")
    try:
        season = (
            given(settings)
            if arguments.archive
            else simulated(settings, arguments.size, arguments.acquisitions, arguments.seed, arguments.advance)
        )
        if arguments.archive:
            need_champion(settings, arguments.model, Path(arguments.config), arguments.seed, arguments.size)
        with step("archive: products of the season's first part"):
            season.publish(midnight(season.advance[0]) if season.advance else datetime.max.replace(tzinfo=UTC))
        started = datetime.now(UTC)
        with step("Airflow: API, scheduler, dag processor, triggerer") as tell:
            served = console.start(settings, config, tell=tell)
        try:
            with rest.connect(served) as client:
                play(settings, client, season, started)
        finally:
            with step("Airflow: ending every process"):
                console.stop(settings)
        return demo_report.show(settings, term, truth_expected=not arguments.archive, margin=arguments.margin)
    except SeaIceError as error:
        term.print(f"[red]demo failed[/]: {escape(str(error))}")
        return 1


def _settings(arguments: argparse.Namespace) -> tuple[Settings, Path]:
    """The demo's settings and the file that holds them for Airflow; a given archive brings its own tiles."""
    config = Path(arguments.config).absolute()
    if not arguments.archive:
        return Settings.load(config), config
    archive = Path(arguments.archive).absolute()
    products = _products(archive)
    tiles = sorted({product.tile for product in products})
    home = Path(os.environ.setdefault("SEAICE_HOME", ".seaice/archive-demo")).absolute()
    values = yaml.safe_load(config.read_text())
    values |= {"regions": {"given": {"title": f"tiles of {archive.name}", "tiles": tiles}}, "reference": None}
    values["archive"]["path"] = str(archive)
    plain = any(product.kind == "scene" for product in products)
    values["labels"]["mask"] = "" if plain else "coastline"
    if plain:  # they have a true colour only
        values["training"].pop("bands", None)
    home.mkdir(parents=True, exist_ok=True)
    made = home / "demo.yaml"
    made.write_text(yaml.safe_dump(values))
    return Settings.load(made), made


def _products(archive: Path) -> list[Product]:
    """What a folder holds whatever its tiles; raises `ConfigError` where that is nothing."""
    from seaice_ops.archive.providers.folder import FolderArchive

    eternity = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    found = [p for p in FolderArchive(archive, frozenset()).search((), "sensed", *eternity) if TILE_NAME.match(p.tile)]
    if not found:
        raise ConfigError(
            f"{archive} holds no product and no scene with a sidecar; docs/archive.md says what it may hold"
        )
    return found


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--config", default="config/demo.yaml")
    parser.add_argument("--archive", help="folder of real products or plain scenes instead of the simulated season")
    parser.add_argument("--model", type=Path, help="exported model to import as champion (with --archive)")
    parser.add_argument("--size", type=int, default=1024, help="edge of a simulated product, pixels")
    parser.add_argument("--acquisitions", type=int, default=24, help="simulated acquisitions a tile")
    parser.add_argument("--advance", type=int, default=5, help="days advanced one by one at the season's end")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--margin",
        type=float,
        default=demo_report.MARGIN,
        help="macro-F1 that maps may lose to their labels; a smaller season teaches a model less",
    )
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())

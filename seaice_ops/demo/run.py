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
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import yaml
from rich.markup import escape

from seaice_ops.airflow import console, rest
from seaice_ops.archive.product import Product
from seaice_ops.demo import report as demo_report
from seaice_ops.demo.play import Season, midnight, play
from seaice_ops.demo.progress import say, step, term
from seaice_ops.errors import ConfigError, SeaIceError
from seaice_ops.ledger.session import open_ledger
from seaice_ops.sensors.sentinel2 import TILE_NAME
from seaice_ops.settings import Settings
from seaice_ops.storage.store import open_store


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
    console.end_with_parent()
    os.environ.setdefault("SEAICE_RETRY_SECONDS", "5")
    settings, config = _settings(arguments)
    open_ledger(settings).migrate()
    say(f"home {settings.home}, configuration {config}")
    try:
        season = (
            given(settings)
            if arguments.archive
            else simulated(settings, arguments.size, arguments.acquisitions, arguments.seed, arguments.advance)
        )
        if arguments.archive:
            _need_champion(settings, arguments)
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


def _need_champion(settings: Settings, arguments: argparse.Namespace) -> None:
    """A folder of a few real scenes cannot train a model: import one, or train one on a simulated season first."""
    from seaice_ops.models import exchange, registry

    ledger, store = open_ledger(settings), open_store(settings.store)
    if registry.champion(ledger):
        return
    if arguments.model:
        registry.promote(ledger, exchange.import_model(ledger, store, arguments.model), "imported for the demo")
        return
    with step("no champion yet: training one on a simulated season (MODEL=<exported folder> imports one instead)"):
        trained = _pretrained(settings.home / "pretrain", arguments, settings.training.bands)
        theirs = open_ledger(trained), open_store(trained.store)
        folder = exchange.export_model(*theirs, "champion", trained.home / "export")
        registry.promote(ledger, exchange.import_model(ledger, store, folder), "trained on a simulated season")


def _pretrained(home: Path, arguments: argparse.Namespace, bands: Sequence[str]) -> Settings:
    """The settings of a home in which a champion was trained on half a simulated season, without Airflow."""
    from seaice_ops.archive import fetch, search
    from seaice_ops.labels import stage as labels
    from seaice_ops.scenes import decode
    from seaice_ops.simulate import stage as simulate
    from seaice_ops.training import stage as training

    values = yaml.safe_load(Path(arguments.config).read_text())
    values["training"]["bands"] = list(bands)
    settings = Settings.model_validate({**values, "home": str(home)})
    open_ledger(settings).migrate()
    simulate.run(settings, simulate.SimulateRequest(seed=arguments.seed, size=arguments.size, acquisitions=12))
    eternity = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    found = search.run(settings, search.SearchRequest("sensed", *eternity)).items
    fetch.run(settings, fetch.FetchRequest(tuple(found)))
    decode.run(settings, decode.DecodeRequest(tuple(found)))
    labels.run(settings, labels.LabelRequest())
    training.run(settings, training.TrainRequest())
    return settings


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

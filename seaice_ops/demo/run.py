"""`make demo`: a season through Airflow's real scheduler, from an empty home to published maps, and the proof.

Backfills the season's first part, trains the first model, then advances day by day: each simulated day publishes its
products and runs `seaice_ingest` for that day's interval; everything after that follows by assets. Run again, every
DAG runs again and finds nothing new. Given `--archive` it does the same on a folder of real products or plain scenes.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from pathlib import Path

import httpx
import yaml
from rich.console import Console as Terminal

from seaice_ops.airflow import console, rest
from seaice_ops.archive.product import Product
from seaice_ops.demo import report as demo_report
from seaice_ops.errors import ConfigError, SeaIceError, TransientError
from seaice_ops.geo.regions import TILE
from seaice_ops.ledger.operations import model_by_alias, unlabelled_scenes
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.stores import initialise
from seaice_ops.settings import Settings

DAY = timedelta(days=1)
PATIENCE = 900.0
ATTEMPTS = 8
# Where nobody watches (a log), lines are as wide as the final table needs.
term = Terminal(highlight=False, width=None if sys.stdout.isatty() else 190)


@dataclass(frozen=True)
class Season:
    """What the demo plays: how to publish up to a moment, and the days of both parts."""

    first: date
    backfill_end: date
    advance: tuple[date, ...]
    publish: Callable[[datetime], object]


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
    initialise(settings)
    _say(f"home {settings.home}, configuration {config}")
    try:
        season = (
            given(settings)
            if arguments.archive
            else simulated(settings, arguments.size, arguments.acquisitions, arguments.seed, arguments.advance)
        )
        if arguments.archive:
            _need_champion(settings, arguments)
        with _step("archive: products of the season's first part"):
            season.publish(_midnight(season.advance[0]) if season.advance else datetime.max.replace(tzinfo=UTC))
        started = datetime.now(UTC)
        with _step("Airflow: scheduler, dag processor, triggerer, UI"):
            served = console.start(settings, config)
        try:
            _play(settings, config, served, season, started)
        finally:
            with _step("Airflow: ending every process"):
                console.stop(settings)
        return demo_report.show(settings, term, truth_expected=not arguments.archive, margin=arguments.margin)
    except SeaIceError as error:
        term.print(f"[red]demo failed[/]: {error}")
        return 1


def _play(settings: Settings, config: Path, served: console.Console, season: Season, started: datetime) -> None:
    client = rest.connect(served)
    if left := rest.end_leftovers(client, started):
        _say(f"{left} runs that an earlier demo left unfinished are set aside; their work is taken up again")
    first, last = _midnight(season.first), _midnight(season.backfill_end)
    with _step(f"backfill {season.first} .. {season.backfill_end}: search, fetch, decode, label"):
        _backfill(settings, config, client, first, last)
        _settle(settings, client, started)
    if season.advance:
        with _step("retrain: snapshot, Horovod, evaluate, gate; then the first maps"):
            _finish(client, "seaice_retrain", rest.trigger(client, "seaice_retrain"), started)
            _settle(settings, client, started)
    for day in season.advance:
        with _step(f"day {day}: what was published, its labels, its maps"):
            season.publish(_midnight(day + DAY))
            run_id = f"day__{day}"
            rest.run_once(client, "seaice_ingest", run_id, _midnight(day), _midnight(day + DAY))
            _finish(client, "seaice_ingest", run_id, started)
            _settle(settings, client, started)


def _backfill(settings: Settings, config: Path, client: httpx.Client, first: datetime, last: datetime) -> None:
    env = console.environment(settings, config, int(str(client.base_url.port)))
    dates = ["--from-date", first.isoformat(), "--to-date", last.isoformat()]
    create = ["backfill", "create", "--dag-id", "seaice_ingest", *dates, "--reprocess-behavior", "completed"]
    for attempt in range(ATTEMPTS):
        rest.wait_until(lambda: not rest.active_runs(client), "the runs that Airflow starts by itself", PATIENCE)
        try:
            console.airflow(env, *create, "--max-active-runs", "2")
            break
        except ConfigError as error:
            # On SQLite the command and the scheduler may each hold what the other waits for; one of them gives up.
            if "database is locked" not in str(error) or attempt == ATTEMPTS - 1:
                raise
            rest.cancel_backfills(client)

    def completed() -> bool:
        found = rest.ask(client, "GET", "/backfills", params={"dag_id": "seaice_ingest"})["backfills"]
        return all(item["completed_at"] for item in found)

    rest.wait_until(completed, "backfill", PATIENCE)


def _finish(client: httpx.Client, dag_id: str, run_id: str, started: datetime) -> None:
    rest.wait_until(
        lambda: rest.run_state(client, dag_id, run_id) in ("success", "failed"), f"{dag_id} {run_id}", PATIENCE
    )
    if rest.run_state(client, dag_id, run_id) == "failed":
        raise SeaIceError(f"{dag_id} {run_id} failed: {', '.join(rest.failed_tasks(client, started))}")


def _settle(settings: Settings, client: httpx.Client, started: datetime) -> None:
    """Wait until the chain behind ingest is done: no run active, every scene labelled, every due map published."""
    quiet_since = None
    deadline = time.monotonic() + PATIENCE
    while True:
        active, waiting = rest.active_runs(client), _unfinished(settings)
        if not active and not waiting:
            return
        quiet_since = None if active else quiet_since or time.monotonic()
        if (quiet_since and time.monotonic() - quiet_since > 60) or time.monotonic() > deadline:
            failed = ", ".join(rest.failed_tasks(client, started)) or "none"
            raise TransientError(f"nothing moves any more, but {waiting or 'runs are active'}; failed tasks: {failed}")
        time.sleep(1.5)


def _unfinished(settings: Settings) -> str:
    from seaice_ops.mapping.due.survey import tiles_due

    method = settings.labels.method
    with open_ledger(settings).begin() as session:
        unlabelled = len(unlabelled_scenes(session, method, settings.label_version(method)))
        champion = model_by_alias(session, "champion")
    if unlabelled:
        return f"{unlabelled} scenes have no labels"
    due = tiles_due(settings) if champion else ()
    return f"maps of {', '.join(due)} are due" if due else ""


def _need_champion(settings: Settings, arguments: argparse.Namespace) -> None:
    """A folder of a few real scenes cannot train a model: import one, or train one on a simulated season first."""
    from seaice_ops.models import registry

    with open_ledger(settings).begin() as session:
        if model_by_alias(session, "champion"):
            return
    if arguments.model:
        registry.promote(settings, registry.import_model(settings, arguments.model), "imported for the demo")
        return
    with _step("no champion yet: training one on a simulated season (MODEL=<exported folder> imports one instead)"):
        trained = _pretrained(settings.home / "pretrain", arguments, settings.training.bands)
        folder = registry.export_model(trained, "champion", trained.home / "export")
        registry.promote(settings, registry.import_model(settings, folder), "trained on a simulated season")


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
    initialise(settings)
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
    found = [p for p in FolderArchive(archive, frozenset()).search((), "sensed", *eternity) if TILE.match(p.tile)]
    if not found:
        raise ConfigError(
            f"{archive} holds no product and no scene with a sidecar; docs/archive.md says what it may hold"
        )
    return found


@contextmanager
def _step(what: str) -> Iterator[None]:
    """Show a step while it runs and its seconds when it is done."""
    start = time.monotonic()
    if not term.is_terminal:
        _say(f"{what} ...")
    with term.status(what):
        yield
    _say(f"[green]done[/] {what} ({time.monotonic() - start:.0f} s)")


def _say(text: str) -> None:
    term.print(f"[dim]{datetime.now():%H:%M:%S}[/] {text}")


def _midnight(day: date) -> datetime:
    return datetime.combine(day, clock(), UTC)


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

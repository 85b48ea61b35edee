"""The model of a demo on a given folder: a few real scenes cannot train one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import yaml

from seaice_ops.demo.progress import step
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.stores import initialise, known_store
from seaice_ops.settings import Settings


def need_champion(settings: Settings, model: Path | None, config: Path, seed: int, size: int) -> None:
    """Where there is no champion, promote the exported `model`, or one trained on half a simulated season.

    That season has `config`, `seed` and products of `size` pixels. Raises `ConfigError` for a model that is refused.
    """
    from seaice_ops.models import exchange, registry

    ledger = open_ledger(settings)
    store = known_store(ledger, settings.store)
    if registry.champion(ledger):
        return
    if model:
        registry.promote(ledger, exchange.import_model(ledger, store, model), "imported for the demo")
        return
    with step("no champion yet: training one on a simulated season (MODEL=<exported folder> imports one instead)"):
        trained, model_id = _trained(settings.home / "pretrain", config, seed, size, settings.training.bands)
        theirs = open_ledger(trained)
        folder = exchange.export_model(theirs, known_store(theirs, trained.store), model_id, trained.home / "export")
        registry.promote(ledger, exchange.import_model(ledger, store, folder), "trained on a simulated season")


def _trained(home: Path, config: Path, seed: int, size: int, bands: Sequence[str]) -> tuple[Settings, str]:
    """The settings of a home in which a model that sees `bands` was trained, without Airflow, and its id."""
    from seaice_ops.archive import fetch, search
    from seaice_ops.labels import stage as labels
    from seaice_ops.scenes import decode
    from seaice_ops.simulate import stage as simulate
    from seaice_ops.training import stage as training

    values = yaml.safe_load(config.read_text())
    values["training"]["bands"] = list(bands)
    settings = Settings.model_validate({**values, "home": str(home)})
    initialise(settings)
    simulate.run(settings, simulate.SimulateRequest(seed=seed, size=size, acquisitions=12))
    eternity = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    found = search.run(settings, search.SearchRequest("sensed", *eternity)).items
    fetch.run(settings, fetch.FetchRequest(tuple(found)))
    decode.run(settings, decode.DecodeRequest(tuple(found)))
    labels.run(settings, labels.LabelRequest())
    (model_id,) = training.run(settings, training.TrainRequest()).items
    return settings, model_id

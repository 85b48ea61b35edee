"""Input of the mapping stages, made by hand: a champion, ready scenes, and their probabilities."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import select

from seaice_ops.classes.legend import LAND
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Evaluation, Map, Model, ModelAlias, Probabilities, Scene, SceneState
from seaice_ops.mapping.window.current import ashore, current
from seaice_ops.mapping.window.steady import fast_ice, steady
from seaice_ops.mapping.window.vote import COUNT, PLANES, shift
from seaice_ops.pixels import radiometry
from seaice_ops.sensors.sentinel2 import TRUE_COLOUR
from seaice_ops.settings import Settings
from seaice_ops.storage import keys
from seaice_ops.storage.rasters import Grid, cog_bytes
from seaice_ops.storage.store import make_folder, open_store

START = datetime(2026, 2, 1, 20, 15, 29, tzinfo=UTC)
CHAMPION = "unet-2/0123456789ab"


def day(number: float) -> datetime:
    return START + timedelta(days=number)


def shortened(settings: Settings, window: int) -> Settings:
    """The same settings with windows of that many acquisitions."""
    return settings.model_copy(update={"mapping": settings.mapping.model_copy(update={"window": window})})


def crown(settings: Settings, model_id: str = CHAMPION) -> str:
    """Make `model_id` champion: rows only, no weights."""
    name, version = model_id.split("/")
    with open_ledger(settings).begin() as session:
        session.add(Model(id=model_id, name=name, version=version, sha256="0" * 64, card={}, created_at=START))
        session.flush()
        session.merge(ModelAlias(alias="champion", model_id=model_id, reason="test", updated_at=START))
    prove(settings, model_id)
    return model_id


def prove(settings: Settings, model_id: str, score: float = 0.9, labels: float = 0.8) -> None:
    """Score a model and the labels in force on one reference set: with the better score the model makes the maps."""
    method = settings.labels.method
    subjects = {model_id: score, f"labels:{method}-{settings.label_version(method)}": labels}
    with open_ledger(settings).begin() as session:
        for subject, macro_f1 in subjects.items():
            metrics = {"macro_f1": macro_f1}
            row = Evaluation(subject=subject, dataset="proof", against="truth", metrics=metrics, created_at=START)
            session.merge(row)


def tiny_champion(settings: Settings, seed: int = 1, bands: tuple[str, ...] = TRUE_COLOUR) -> str:
    """Make a real U-Net of width 2 with random weights, which sees `bands`, champion."""
    import torch

    from seaice_ops.models import registry
    from seaice_ops.models.card import Architecture, Labels, Manifest, Preprocessing, Recipe
    from seaice_ops.models.families.build import build
    from seaice_ops.models.weights import describe, weights_bytes

    torch.manual_seed(seed)
    architecture, n = Architecture(width=2, bands=len(bands)), len(bands)
    weights = weights_bytes(build(architecture).state_dict())
    manifest = Manifest(
        algorithm=1,
        architecture=architecture,
        preprocessing=Preprocessing(bands=bands, ceiling=0.3558, mean=(0.5,) * n, std=(0.25,) * n),
        labels=Labels(method="colour", version="1-00000000"),
        recipe=Recipe(epochs=1, batch=1, chip=64, max_chips=1, learning_rate=1e-3, ranks=1, seed=seed),
        train=("a",),
        held_out=("b",),
    )
    card = describe(manifest, weights, ())
    registry.register(open_ledger(settings), open_store(settings.store), card, weights)
    registry.promote(open_ledger(settings), card.id, "test")
    prove(settings, card.id)
    return card.id


def reflectance(rows: int = 24, columns: int = 40, seed: int = 0) -> np.ndarray:
    """(5, rows, columns) of brightness between black water and snow, a wedge of it not observed."""
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 9000, (rows, columns)).astype(np.int16)
    bands = np.repeat(values[None], 5, axis=0)
    bands[:, np.add.outer(np.arange(rows), np.arange(columns)) < rows // 3] = radiometry.UNOBSERVED
    return bands


def likely(rows: int, columns: int, seed: int, valid: float = 0.7) -> np.ndarray:
    """(3, rows, columns) u8 probabilities that sum to about 255, (0, 0, 0) where not observed."""
    rng = np.random.default_rng(seed)
    values = np.rint(rng.dirichlet((1, 1, 1), (rows, columns)) * 255).astype(np.uint8)
    values[rng.random((rows, columns)) >= valid] = 0
    return np.ascontiguousarray(values.transpose(2, 0, 1))


def encoded(settings: Settings, scene: Scene, values: np.ndarray, model_id: str = CHAMPION) -> None:
    """Store `values` as the scene's probabilities by the model."""
    assert scene.crs and scene.transform and scene.width and scene.height
    grid = Grid(scene.crs, tuple(scene.transform), scene.width, scene.height)  # type: ignore[arg-type]
    key = keys.probabilities(model_id, scene.tile, scene.id)
    data = cog_bytes(values, grid, nodata=None)
    open_store(settings.store).put(key, data)
    row = Probabilities(
        scene_id=scene.id,
        model_id=model_id,
        scene_sha256=scene.sha256,
        key=key,
        sha256=hashlib.sha256(data).hexdigest(),
        seconds=0.1,
        created_at=scene.sensed_at + timedelta(hours=3),
    )
    with open_ledger(settings).begin() as session:
        session.add(row)


def from_nothing(
    series: Sequence[np.ndarray], times: Sequence[datetime], end: datetime, land: np.ndarray | None = None
) -> np.ndarray:
    """(5, rows, columns) layers of the map at `end` of exactly these acquisitions, whole arrays at once."""
    shore = np.zeros(series[0].shape[1:], bool) if land is None else land
    state, whole = np.zeros((PLANES, *shore.shape), np.uint16), range(len(series))
    shift(state, series.__getitem__, range(0), whole)
    stable, seen = steady(state, times[-1] - times[0]), state[COUNT].astype(np.uint8)
    fast = fast_ice(stable, shore)
    stable[shore], seen[shore] = LAND, 0
    now = ashore(current(series.__getitem__, times, whole, end, fast), shore)
    return np.stack([now[0], stable, seen, now[1], now[2]])


def season(
    settings: Settings, add_scene: Callable[..., Scene], days: list[float], shape: tuple[int, int] = (24, 40)
) -> dict[float, np.ndarray]:
    """Ready scenes on `days`, encoded by the champion; their probabilities by day."""
    made = {}
    for number in days:
        made[number] = likely(*shape, seed=round(number * 10))
        encoded(settings, add_scene(reflectance(*shape), sensed_at=day(number)), made[number])
    return made


def set_state(settings: Settings, scene_id: str, state: SceneState) -> None:
    with open_ledger(settings).begin() as session:
        session.get_one(Scene, scene_id).state = state


def scene_on(settings: Settings, number: float) -> Scene:
    with open_ledger(settings).begin() as session:
        return session.scalars(
            select(Scene).where(Scene.sensed_at == day(number), Scene.state == SceneState.READY)
        ).one()


def all_maps(settings: Settings) -> list[Map]:
    """Every map row, by window end and revision."""
    with open_ledger(settings).begin() as session:
        return list(session.scalars(select(Map).order_by(Map.tile, Map.window_end, Map.revision)))


def publish_maps(settings: Settings) -> dict[str, Any]:
    """Run the stage; callable by name in a process of its own."""
    from seaice_ops.mapping.publish import PublishRequest, run

    return run(settings, PublishRequest()).to_dict()


def with_store(settings: Settings, url: str) -> Settings:
    """The same settings with another, empty store that passes for the ledger's own."""
    make_folder(url)
    open_store(url).put(keys.MARKER, open_store(settings.store).get(keys.MARKER))
    return settings.model_copy(update={"store": url})

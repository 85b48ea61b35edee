"""A tile on which one thing changes: fast ice that breaks away, in drifting pack."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from helpers.mapped import crown, day, encoded
from seaice_ops.ledger.scenes import SceneState
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Change, Model, Scene
from seaice_ops.settings import Settings

SHAPE, WINDOW = (64, 64), 5

#: Rows and columns that change, and the day from which on they show the class after.
ICE, BREAKUP = (slice(8, 28), slice(10, 40)), 10


def probabilities(number: float, places: Sequence[tuple[slice, slice]] = (ICE,)) -> np.ndarray:
    """(3, rows, columns) u8 of day `number`: `places` are thick ice, and water from `BREAKUP` on; the rest drifts."""
    rng = np.random.default_rng(int(number * 10) + 500)
    codes = rng.integers(0, 3, SHAPE)
    for place in places:
        codes[place] = 2 if number < BREAKUP else 0
    values = np.full((3, *SHAPE), 20, np.uint8)
    np.put_along_axis(values, codes[None], 215, axis=0)
    return values


def reflectance(number: float) -> np.ndarray:
    """(5, rows, columns) int16 of the same day: bright ice, dark water."""
    best = np.argmax(probabilities(number), axis=0)
    return np.repeat(np.array([300, 2500, 8000], np.int16)[best][None], 5, axis=0)


def season(
    settings: Settings,
    add_scene: Callable[..., Scene],
    days: Sequence[float],
    places: Sequence[tuple[slice, slice]] = (ICE,),
) -> list[Scene]:
    """Ready scenes on `days`, told by a champion without weights."""
    with open_ledger(settings).begin() as session:
        first = session.query(Model).count() == 0
    if first:
        crown(settings)
    scenes = [add_scene(reflectance(number), sensed_at=day(number)) for number in days]
    for number, scene in zip(days, scenes, strict=True):
        encoded(settings, scene, probabilities(number, places))
    return scenes


def all_changes(settings: Settings) -> list[Change]:
    """Every change, by date and id."""
    with open_ledger(settings).begin() as session:
        return session.query(Change).order_by(Change.at, Change.id).all()


def withdraw(settings: Settings, scenes: Sequence[Scene]) -> None:
    """Take scenes out of what maps are made from."""
    with open_ledger(settings).begin() as session:
        for scene in scenes:
            session.get_one(Scene, scene.id).state = SceneState.WITHDRAWN

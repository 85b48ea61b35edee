"""A tile without a map is told with its reason."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from helpers.mapped import crown, tiny_champion
from seaice_ops.demo.report import why_no_map
from seaice_ops.ledger.tables import Scene
from seaice_ops.settings import Settings


def test_without_a_ready_scene_there_is_no_map(settings: Settings) -> None:
    assert why_no_map(settings, "01CCV") == "no scene of it is ready"


def test_scenes_that_lack_what_the_champion_sees_are_named(settings: Settings, add_scene: Callable[..., Scene]) -> None:
    champion = tiny_champion(settings, bands=("B02", "B03", "B04", "B08", "B11"))
    assert why_no_map(settings, "01CCV") == "no scene of it is ready"
    add_scene(np.full((3, 24, 40), 3000, np.int16), bands=("B02", "B03", "B04"))
    said = why_no_map(settings, "01CCV")
    assert said.startswith("no map can be made: none of its scenes has all the bands") and champion in said


def test_maps_that_nobody_published_are_due(settings: Settings, add_scene: Callable[..., Scene]) -> None:
    crown(settings)
    add_scene(np.full((5, 24, 40), 3000, np.int16))
    assert "due" in why_no_map(settings, "01CCV")

"""Which function opens a scene's files, by the kind of its product."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from seaice_ops.errors import ConfigError
from seaice_ops.ledger.tables import Scene
from seaice_ops.scenes.merged import open_merged
from seaice_ops.scenes.plain import open_plain
from seaice_ops.scenes.sentinel2.product import open_product
from seaice_ops.scenes.source import Source

#: (scene, folder of its files, reflectance shown as 255) -> what is to be decoded; raises `CorruptProduct`.
Decoder = Callable[[Scene, Path, float], Source]

#: A module that the setting `sensors` names adds its sensor's.
DECODERS: dict[str, Decoder] = {
    "product": lambda scene, inbox, _: open_product(scene, inbox),
    "merged": lambda scene, inbox, _: open_merged(scene, inbox),
    "scene": open_plain,
}


def open_scene(scene: Scene, inbox: Path, ceiling: float) -> Source:
    """The scene in `inbox`; raises `CorruptProduct`, and `ConfigError` where its kind has no decoder."""
    kind = (scene.details or {})["kind"]
    if kind not in DECODERS:
        raise ConfigError(f"{scene.id} is of the kind {kind!r}, which nothing decodes; does `sensors` lack its module?")
    return DECODERS[kind](scene, inbox, ceiling)

"""The function that opens a scene's files, by the kind of its product."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from seaice_ops.errors import UnknownSensor
from seaice_ops.ledger.tables import Scene
from seaice_ops.scenes.merged import open_merged
from seaice_ops.scenes.plain import open_plain
from seaice_ops.scenes.sentinel2.product import open_product
from seaice_ops.scenes.source import Source

#: (scene, folder of its files, reflectance shown as 255) -> the source to decode; raises `CorruptProduct`.
Decoder = Callable[[Scene, Path, float], Source]

#: Decoders by kind; a module named in the setting `sensors` adds those of its sensor.
DECODERS: dict[str, Decoder] = {
    "product": lambda scene, inbox, _: open_product(scene, inbox),
    "merged": lambda scene, inbox, _: open_merged(scene, inbox),
    "scene": open_plain,
}


def open_scene(scene: Scene, inbox: Path, ceiling: float) -> Source:
    """The source of `scene`, whose files are in `inbox`; `ceiling` is the reflectance that 8-bit images show as 255.

    Raises `CorruptProduct` for unusable files and `UnknownSensor` where its kind has no decoder.
    """
    kind = (scene.details or {})["kind"]
    if kind not in DECODERS:
        raise UnknownSensor(f"no decoder for {kind!r}, the kind of {scene.id}: add its sensor's module to `sensors`")
    return DECODERS[kind](scene, inbox, ceiling)

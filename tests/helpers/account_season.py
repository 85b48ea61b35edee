"""A season as rows of a ledger and entries of a catalogue, without pixels, and the holes that tests make in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from seaice_ops.archive.product import Product, Withdrawn
from seaice_ops.ledger.tables import Base, LabelSet, Map, Probabilities, Scene, SceneEvent, SceneState
from seaice_ops.mapping.product.release import FILES
from seaice_ops.sensors.sentinel2 import BANDS
from seaice_ops.settings import Settings
from seaice_ops.storage import keys
from seaice_ops.versions import MAPS

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PIXELS = b"pixels"
SHA = "a" * 64


@dataclass
class Season:
    """Rows and products; `model` is the champion that makes the maps, None where the labels do."""

    settings: Settings
    model: str | None = None
    rows: list[Base] = field(default_factory=list)
    offered: list[Product] = field(default_factory=list)
    items: dict[str, bytes] = field(default_factory=dict)

    def scene(self, tile: str, sensed: datetime, state: SceneState, **values: Any) -> Scene:
        """A scene that came into `state` six hours after it was sensed, with its last event."""
        since = values.pop("since", sensed + 6 * HOUR)
        before = values.pop("before", None)
        baseline = values.pop("baseline", "05.11")
        row = Scene(
            **{
                "id": name(tile, sensed, baseline),
                "identity": f"S2B_{sensed:%Y%m%dT%H%M%S}_T{tile}_R028",
                "tile": tile,
                "platform": "S2B",
                "sensed_at": sensed,
                "relative_orbit": 28,
                "baseline": baseline,
                "generated_at": sensed + HOUR,
                "published_at": sensed + 2 * HOUR,
                "href": "memory",
                "state": state,
                "moves": 3,
                "attempts": 0,
                "sha256": SHA,
                "key": keys.scene(tile, sensed, name(tile, sensed, baseline)) if state is SceneState.READY else None,
                "bytes": len(PIXELS),
                "bands": list(BANDS),
                "crs": "EPSG:32701",
                "transform": [10.0, 0.0, 399960.0, 0.0, -10.0, 1600020.0],
                "width": 8,
                "height": 8,
                "details": {"kind": "product", "files": []},
                "discovered_at": sensed + 4 * HOUR,
                "updated_at": since,
                **values,
            }
        )
        event = SceneEvent(scene_id=row.id, number=3, at=since, before=before, after=state, caller="test")
        self.rows += [row, event]
        return row

    def product(self, tile: str, sensed: datetime, baseline: str = "05.11", **values: Any) -> Product:
        """A product that the catalogue offers."""
        published = values.pop("published_at", sensed + 2 * HOUR)
        made = sensed + HOUR
        product = Product(
            name(tile, sensed, baseline), "product", "S2B", tile, sensed, 28, baseline, made, published, "memory"
        )
        self.offered.append(product)
        return product

    def label(self, scene: Scene) -> None:
        """The labels in force of a scene, made an hour after it was ready."""
        method = self.settings.labels.method
        version = self.settings.label_version(method)
        made = {"sha256": SHA, "seconds": 1.0, "created_at": scene.updated_at + HOUR}
        same = {"scene_id": scene.id, "scene_sha256": scene.sha256}
        self.rows.append(LabelSet(method=method, version=version, key=f"labels/{scene.id}", shares={}, **same, **made))
        if self.model:
            self.rows.append(Probabilities(model_id=self.model, key=f"probabilities/{scene.id}", **same, **made))

    def map(self, scene: Scene, before: Collection[Scene] = ()) -> Map:
        """The map that ends with a scene."""
        shown = [*before, scene]
        map_id = f"{scene.tile}_{scene.sensed_at:%Y%m%dT%H%M%S}_r1_00000000"
        row = Map(
            id=map_id,
            tile=scene.tile,
            window_start=shown[0].sensed_at,
            window_end=scene.sensed_at,
            revision=1,
            source=self.model or f"labels:colour-{self.settings.label_version('colour')}",
            scene_ids=[each.id for each in shown],
            scene_contents=[each.sha256 for each in shown],
            folder=f"maps/{scene.tile}/{scene.sensed_at:%Y/%m}/{map_id}",
            statistics={"method": MAPS},
            created_at=scene.updated_at + 2 * HOUR,
        )
        item = {"id": map_id, "assets": {name: asset(name) for name in FILES}}
        self.items[row.folder] = json.dumps(item).encode()
        row.statistics["item_sha256"] = hashlib.sha256(self.items[row.folder]).hexdigest()
        self.rows.append(row)
        return row

    def store(self) -> None:
        """Put the objects of all rows into the folder of the store."""
        for row in self.rows:
            if isinstance(row, (Scene, LabelSet)) and row.key:
                put(self.settings, row.key, PIXELS)
            elif isinstance(row, Map):
                for each in FILES:
                    put(self.settings, f"{row.folder}/{each}", each.encode())
                put(self.settings, f"{row.folder}/item.json", self.items[row.folder])

    def good(self, tile: str, sensed: datetime) -> tuple[Scene, Map]:
        """An acquisition of which everything was made."""
        self.product(tile, sensed)
        scene = self.scene(tile, sensed, SceneState.READY)
        self.label(scene)
        return scene, self.map(scene)


def put(settings: Settings, key: str, data: bytes) -> None:
    """Write an object of a folder store, without the time that a flush to the disk takes."""
    path = Path(settings.store) / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def asset(file: str) -> dict[str, Any]:
    """The asset of a map's file, whose content is its own name."""
    digest = hashlib.sha256(file.encode()).hexdigest()
    return {"href": f"./{file}", "file:size": len(file), "file:checksum": f"1220{digest}"}


def name(tile: str, sensed: datetime, baseline: str = "05.11") -> str:
    """A product's name without .SAFE."""
    number = baseline.replace(".", "")
    return f"S2B_MSIL1C_{sensed:%Y%m%dT%H%M%S}_N{number}_R028_T{tile}_{sensed + HOUR:%Y%m%dT%H%M%S}"


@dataclass
class Catalogue:
    """An archive that offers some products; it remembers what it was asked."""

    offered: Iterable[Product]
    gone: list[Withdrawn] = field(default_factory=list)
    asked: list[tuple[int, datetime, datetime]] = field(default_factory=list)

    def search(self, tiles: Collection[str], by: str, start: datetime, end: datetime) -> list[Product]:
        self.asked.append((len(tiles), start, end))
        return [each for each in self.offered if each.tile in tiles and start <= each.sensed_at < end]

    def withdrawn(self, start: datetime, end: datetime) -> list[Withdrawn]:
        return [each for each in self.gone if start <= each.at < end]

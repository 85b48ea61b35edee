"""The history of one pixel: what the maps and the labels of its tiles say there, acquisition by acquisition."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import rasterio
from sqlalchemy import select
from sqlalchemy.orm import Session

from seaice_ops.errors import ObjectMissing
from seaice_ops.geo.projections import from_globe, to_globe
from seaice_ops.ledger.tables import LabelSet, Scene
from seaice_ops.ops.viewer.shown import Shown
from seaice_ops.storage.rasters import RASTER_ERRORS, open_raster
from seaice_ops.storage.store import ObjectStore

log = logging.getLogger(__name__)

#: Layers of a map that a history gives. In each of them 255 says that nothing was seen.
_LAYERS, _UNSEEN = ("class", "age", "conf"), 255


@dataclass(frozen=True)
class Place:
    """A place on the Earth."""

    longitude: float
    """Degrees."""
    latitude: float
    """Degrees."""


def place_of(x: float, y: float, epsg: int) -> Place:
    """The place at `x`, `y` (metres) of the plane `epsg`."""
    longitude, latitude = to_globe(epsg).transform(x, y)
    return Place(float(longitude), float(latitude))


def maps_there(store: ObjectStore, maps: Sequence[Shown], place: Place) -> list[dict[str, object]]:
    """Id, tile, time, class, age (days) and conf (%; None where nothing was seen) of each of `maps` at `place`.

    Maps that do not reach `place` are left out.
    """
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda each: _map_there(store, each, place), maps))
    return [each for each in found if each]


def _map_there(store: ObjectStore, shown: Shown, place: Place) -> dict[str, object]:
    values = {layer: _value(store, f"{shown.folder}/{layer}.tif", 1, place) for layer in _LAYERS}
    if all(value is None for value in values.values()):
        return {}
    seen = {layer: None if value == _UNSEEN else value for layer, value in values.items()}
    return {"map": shown.id, "tile": shown.tile, "at": shown.at.isoformat(), **seen}


def label_keys(session: Session, scene_ids: Iterable[str], method: str, version: str) -> dict[str, tuple[str, str]]:
    """(key of the labels, sensing time) of each scene that has labels of `method` and `version`."""
    rows = session.execute(
        select(LabelSet.scene_id, LabelSet.key, Scene.sensed_at)
        .join(Scene, Scene.id == LabelSet.scene_id)
        .where(LabelSet.scene_id.in_(list(scene_ids)), LabelSet.method == method, LabelSet.version == version)
    )
    return {scene: (key, sensed.isoformat()) for scene, key, sensed in rows}


def labels_there(store: ObjectStore, keys: dict[str, tuple[str, str]], place: Place) -> list[dict[str, object]]:
    """Scene, time and label code at `place` of each of `keys` that reaches it, the oldest first."""
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda each: _value(store, each[0], 1, place), keys.values()))
    rows = zip(keys.items(), codes, strict=True)
    found = [{"scene": scene, "at": at, "class": code} for (scene, (_, at)), code in rows if code is not None]
    return sorted(found, key=lambda each: str(each["at"]))


def _value(store: ObjectStore, key: str, band: int, place: Place) -> int | None:
    """The raster's value at `place`; None where it does not reach or cannot be read."""
    try:
        with open_raster(store, key) as dataset:
            x, y = from_globe(dataset.crs.to_wkt()).transform(place.longitude, place.latitude)
            row, column = dataset.index(x, y)
            if not (0 <= row < dataset.height and 0 <= column < dataset.width):
                return None
            return int(dataset.read(band, window=rasterio.windows.Window(column, row, 1, 1))[0, 0])
    except (ObjectMissing, *RASTER_ERRORS) as error:
        log.warning("%s cannot be read: %s", key, error)
        return None

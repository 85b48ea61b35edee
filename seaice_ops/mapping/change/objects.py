"""The objects of a found change, in a folder named by their content: pixels, polygons, pictures before and after."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import cache
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window

from seaice_ops.classes.legend import NODATA, SLUGS
from seaice_ops.geo.grid import Grid, pixel_km2, pixel_metres
from seaice_ops.ledger.tables import Scene
from seaice_ops.mapping.change.chip import chip, window_of
from seaice_ops.mapping.change.components import Component, length
from seaice_ops.mapping.change.find import Told, classes_of
from seaice_ops.mapping.change.outline import box_of, polygons
from seaice_ops.mapping.due.tile_state import TileState
from seaice_ops.mapping.window.strips import Read, evidence_reader
from seaice_ops.pixels.imagery import colours_of
from seaice_ops.pixels.radiometry import UNOBSERVED, true_colour
from seaice_ops.storage import keys
from seaice_ops.storage.rasters import png_bytes
from seaice_ops.storage.store import ObjectStore
from seaice_ops.storage.verified import open_verified, readable

#: The objects in a change's folder, the pixels first.
PIXELS, POLYGONS, BEFORE, AFTER = "pixels.png", "change.geojson", "before.png", "after.png"
FILES = (PIXELS, POLYGONS, BEFORE, AFTER)

#: Acquisitions on each side of a change among which its pictures are chosen.
NEAREST = 8

#: Share of a change that a picture must see; the nearest acquisition that does is shown, else the one that sees most.
ENOUGH = 0.9


def pixels_png(mask: NDArray[np.bool_]) -> bytes:
    """The (rows, columns) pixels of a change's box as PNG, 255 where it is."""
    return png_bytes(mask.astype(np.uint8) * np.uint8(255))


def content_of(found: Component, tile: str, grid: Grid) -> str:
    """A hash of what was found: two findings of the same pixels, classes and dates have the same."""
    decisive = [
        tile,
        found.before,
        found.after,
        found.confirmed,
        found.confidence,
        [time.isoformat() for time in (found.since, found.date(0.1), found.date(), found.date(0.9))],
        found.box,
        hashlib.sha256(np.packbits(found.mask).tobytes()).hexdigest(),
        [grid.crs, grid.transform],
    ]
    return hashlib.sha256(json.dumps(decisive).encode()).hexdigest()[:24]


class Drawer:
    """Writes the objects of a tile's changes; rasters that it opens stay open until `stack` closes."""

    def __init__(self, stack: ExitStack, store: ObjectStore, tile: TileState, known: Told, ceiling: float) -> None:
        self.store, self.tile, self.known, self.ceiling = store, tile, known, ceiling
        self._evidence: Callable[[int], Read] = cache(lambda i: evidence_reader(stack, store, tile, {i}))
        self._colours: Callable[[int], Any] = cache(lambda i: _opened(stack, store, tile.scenes[i]))

    def write(self, found: Component, content: str) -> dict[str, Any]:
        """Write the objects; returns the columns of the ledger's row that describe them."""
        folder, grid = keys.change_folder(self.tile.tile, content), self.tile.grid
        top, left, height, width = found.box
        before, after = self._sides(found)
        geometry = polygons(found.mask, top, left, grid)
        about = {
            "before_class": found.before,
            "after_class": found.after,
            "at": found.date(),
            "since": found.since,
            "first_at": found.date(0.1),
            "last_at": found.date(0.9),
            "confidence": found.confidence,
            "pixels": len(found.pixels),
            "area_km2": round(len(found.pixels) * pixel_km2(grid), 4),
        }
        scenes = [self.tile.scenes[number].id for number in (before, after)]
        data = pixels_png(found.mask)
        self.store.put(keys.change_pixels(folder), data)
        feature = _feature(content, self.tile.tile, about, geometry, scenes, _metres(found, grid))
        self.store.put(f"{folder}/{POLYGONS}", json.dumps(feature, allow_nan=False).encode())
        for name, number in ((BEFORE, before), (AFTER, after)):
            self.store.put(f"{folder}/{name}", png_bytes(self._picture(found, number)))
        return {
            **about,
            "crs": grid.crs,
            "transform": list(grid.transform),
            "top": top,
            "left": left,
            "height": height,
            "width": width,
            "box": feature["bbox"],
            "content": content,
            "folder": folder,
            "pixels_sha256": hashlib.sha256(data).hexdigest(),
            "scene_ids": scenes,
        }

    def _sides(self, found: Component) -> tuple[int, int]:
        """The numbers of the scenes shown before and after the change."""
        times, numbers = self.known.times, self.known.numbers
        earlier = [n for n, time in zip(numbers, times, strict=True) if time <= found.since][::-1]
        later = [n for n, time in zip(numbers, times, strict=True) if time >= found.date(0.9)]
        return self._clearest(found, earlier[:NEAREST]), self._clearest(found, later[:NEAREST])

    def _clearest(self, found: Component, numbers: list[int]) -> int:
        top, left, height, width = found.box
        shares = []
        for number in numbers:
            codes = classes_of(self._evidence(number)(Window(left, top, width, height), number))
            shares.append(float((codes[found.mask] != NODATA).mean()))
            if shares[-1] >= ENOUGH:
                return number
        return numbers[int(np.argmax(shares))]

    def _picture(self, found: Component, number: int) -> NDArray[np.uint8]:
        grid, scene = self.tile.grid, self.tile.scenes[number]
        top, left, height, width = window_of(found.box, grid.height, grid.width)
        window = Window(left, top, width, height)
        bands = list(scene.bands or ())
        with readable(f"{self.store.url}/{scene.key}"):
            shown = [bands.index(band) + 1 for band in colours_of(scene)]
            values = self._colours(number).read(shown, window=window)
        mask = np.zeros((height, width), np.bool_)
        mask[found.pixels["row"] - top, found.pixels["column"] - left] = True
        codes = classes_of(self._evidence(number)(window, number))
        seen = (values != UNOBSERVED).all(axis=0)
        return chip(true_colour(np.ascontiguousarray(values), self.ceiling), seen, codes, mask)


def _opened(stack: ExitStack, store: ObjectStore, scene: Scene) -> rasterio.DatasetReader:
    return stack.enter_context(open_verified(store, scene.key or "", scene.sha256 or ""))


def _metres(found: Component, grid: Grid) -> float:
    return round(length(found.pixels) * (pixel_metres(grid) or 0.0), 1)


def _feature(
    content: str, tile: str, about: dict[str, Any], geometry: dict[str, Any], scenes: list[str], metres: float
) -> dict[str, Any]:
    """The GeoJSON Feature of a change; the ledger knows its state, which may change."""
    return {
        "type": "Feature",
        "id": content,
        "bbox": box_of(geometry),
        "geometry": geometry,
        "properties": {
            "tile": tile,
            "from": SLUGS[about["before_class"]],
            "to": SLUGS[about["after_class"]],
            "date": _utc(about["at"]),
            "after": _utc(about["since"]),
            "date_p10": _utc(about["first_at"]),
            "date_p90": _utc(about["last_at"]),
            "confidence_percent": about["confidence"],
            "pixels": about["pixels"],
            "area_km2": about["area_km2"],
            "length_m": metres,
            "scenes": scenes,
        },
    }


def _utc(time: datetime) -> str:
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")

"""The STAC item that commits a map: its bytes depend on the map's inputs alone, never on the clock."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import rasterio

import seaice_ops
from seaice_ops.classes.legend import COLOURS, NAMES, NODATA, SLUGS
from seaice_ops.geo.grid import Grid, pixel_metres
from seaice_ops.mapping.product.footprint import outline
from seaice_ops.mapping.product.layers import CODES, LAYER_NODATA
from seaice_ops.mapping.window.steady import NOT_STABLE
from seaice_ops.pixels import coastline

CAVEAT = (
    "The classes are optical brightness classes, not ice thickness: snow on young ice reads thick; melt ponds, "
    "wet ice and shadow read thin."
)

EXTENSIONS = [
    f"https://stac-extensions.github.io/{name}/schema.json"
    for name in (
        "classification/v2.0.0",
        "file/v2.1.0",
        "grid/v1.1.0",
        "processing/v1.2.0",
        "projection/v2.0.0",
        "version/v1.2.0",
    )
]

_COG = "image/tiff; application=geotiff; profile=cloud-optimized"

#: Title, unit and role of each layer.
_LAYERS = {
    "class": ("Sea-ice class now, from the newest evidence; no data where none is recent", None, "data"),
    "class_stable": ("Class that the pixel kept over the whole window (0: none)", None, "data"),
    "n_valid": ("Acquisitions of the window that saw the pixel", "1", "metadata"),
    "age": ("Days from the evidence that decided the class to the window's end (254: or more)", "d", "metadata"),
    "conf": ("Probability of the class", "%", "metadata"),
}


@dataclass(frozen=True)
class MapInputs:
    """All that one map is made from; scenes are oldest first."""

    tile: str
    """MGRS name."""
    window_start: datetime
    """Sensing time of the oldest scene."""
    window_end: datetime
    """The time that the map shows."""
    n: int
    """Acquisitions in a full window."""
    scene_ids: tuple[str, ...]
    """The scenes in the window."""
    contents: tuple[str, ...]
    """SHA-256 of their pixels."""
    checksums: tuple[str, ...]
    """SHA-256 of the rasters with their classes (probabilities or labels)."""
    source: str
    """Source of these classes: a model's id, or `labels:method-version`."""
    method: str
    """The version of the method and of the land mask: `plan.method_of`."""
    revision: int
    """1 for the first map of this window end."""
    supersedes: str | None
    """The id of the revision before."""
    complete_at: datetime
    """Time at which the last of those rasters was written."""
    grid: Grid
    """The tile's grid."""
    changes: tuple[str, ...] = ()
    """The approved changes that it shows: `Decision.mark` of each."""

    @property
    def map_id(self) -> str:
        """``{tile}_{window end}_r{revision}_{hash of what decides the bytes}``."""
        decisive: list[Any] = [self.scene_ids, self.checksums, self.source, self.n, self.method, software()]
        decisive += [self.changes] if self.changes else []
        digest = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:8]
        return f"{self.tile}_{self.window_end:%Y%m%dT%H%M%S}_r{self.revision}_{digest}"


def software() -> dict[str, str]:
    """The versions of everything that decides the bytes of a map."""
    versions = {"seaice_ops": seaice_ops.__version__, "gdal": rasterio.__gdal_version__}
    return {**versions, "roaring-landmask": coastline.edition()}


def item(inputs: MapInputs, statistics: Mapping[str, Any], files: Mapping[str, tuple[str, int]]) -> bytes:
    """The item as JSON; `files` maps each file's name to its SHA-256 (hex) and size.

    Hrefs are relative to the item. `created` is the moment when the last of the map's inputs was complete.
    """
    geometry, bbox = outline(inputs.grid)
    return encoded_json(
        {
            "type": "Feature",
            "stac_version": "1.1.0",
            "stac_extensions": EXTENSIONS,
            "id": inputs.map_id,
            "geometry": geometry,
            "bbox": bbox,
            "properties": _properties(inputs, statistics),
            "links": version_links(inputs.supersedes, inputs.revision),
            "assets": {name.split(".")[0]: _asset(name, *files[name]) for name in sorted(files)},
        }
    )


def _properties(inputs: MapInputs, statistics: Mapping[str, Any]) -> dict[str, Any]:
    start, end = inputs.window_start, inputs.window_end
    return {
        "title": f"Sea ice of tile {inputs.tile}, window to {end:%Y-%m-%d %H:%M} UTC",
        "description": CAVEAT,
        "datetime": _utc(end),
        "start_datetime": _utc(start),
        "end_datetime": _utc(end),
        "created": _utc(inputs.complete_at),
        "gsd": float(f"{pixel_metres(inputs.grid):.3g}"),
        "grid:code": f"MGRS-{inputs.tile}",
        "version": str(inputs.revision),
        "processing:software": software(),
        **_projection(inputs.grid),
        "seaice:tile": inputs.tile,
        "seaice:window_start": _utc(start),
        "seaice:window_centre": _utc(start + (end - start) / 2),
        "seaice:window_end": _utc(end),
        "seaice:window_length": inputs.n,
        "seaice:scene_count": len(inputs.scene_ids),
        "seaice:scene_ids": list(inputs.scene_ids),
        "seaice:source": inputs.source,
        "seaice:method": inputs.method,
        "seaice:revision": inputs.revision,
        "seaice:supersedes": inputs.supersedes,
        **({"seaice:changes": list(inputs.changes)} if inputs.changes else {}),
        **{f"seaice:{name}": value for name, value in statistics.items()},
    }


def _projection(grid: Grid) -> dict[str, Any]:
    named = grid.crs.upper().startswith("EPSG:")
    return {
        **({"proj:code": grid.crs.upper()} if named else {"proj:code": None, "proj:wkt2": grid.crs}),
        "proj:shape": [grid.height, grid.width],
        "proj:transform": [*grid.transform, 0.0, 0.0, 1.0],
    }


def version_links(supersedes: str | None, revision: int) -> list[dict[str, str]]:
    """The item's links to the map that it supersedes, whose folder lies beside its own."""
    if supersedes is None:
        return []
    href = f"../{supersedes}/item.json"
    return [
        {"rel": rel, "href": href, "type": "application/geo+json", "title": f"revision {revision - 1}"}
        for rel in ("predecessor-version", "supersedes")
    ]


def _asset(name: str, sha256: str, size: int) -> dict[str, Any]:
    checked = {"file:checksum": f"1220{sha256}", "file:size": size}
    if name == "quicklook.png":
        return {
            "href": f"./{name}",
            "type": "image/png",
            "title": "Classes in the legend's colours, for a first look",
            "roles": ["thumbnail", "overview"],
            **checked,
        }
    layer = name.removesuffix(".tif")
    title, unit, role = _LAYERS[layer]
    nodata = LAYER_NODATA[layer]
    return {
        "href": f"./{name}",
        "type": _COG,
        "title": title,
        "roles": [role],
        "data_type": "uint8",
        **({} if nodata is None else {"nodata": nodata}),
        **({} if unit is None else {"unit": unit}),
        **({"classification:classes": _classes()} if layer == "class" else {}),
        **({"classification:classes": _stable_classes()} if layer == "class_stable" else {}),
        **checked,
    }


def _classes() -> list[dict[str, Any]]:
    return [
        {
            "value": code,
            "name": SLUGS[code],
            "title": NAMES[code],
            **({"nodata": True} if code == NODATA else {"color_hint": bytes(COLOURS[code][:3]).hex().upper()}),
        }
        for code in CODES
    ]


def _stable_classes() -> list[dict[str, Any]]:
    none = {"value": NOT_STABLE, "name": "not_stable", "title": "No class was kept over the window"}
    return [none, *_classes()]


def _utc(time: datetime) -> str:
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def encoded_json(value: dict[str, Any]) -> bytes:
    """The bytes of an item."""
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()

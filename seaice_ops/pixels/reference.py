"""Reference labels (a simulator's truth, or labels by hand): for evaluation only, never for training.

In the folder that the setting `reference` names (`Settings.reference_path`), by scene id:

- `<scene_id>.tif`: u8 legend codes on the scene's own grid;
- `<scene_id>.geojson`: polygons with a property `class`, a legend code or its short name (`water`, `thin`, `thick`,
  `open_water`, ...). Used where there is no raster. Coordinates are longitude and latitude (WGS 84), or in the
  projected CRS that the file names in the older `crs` member. Edges are straight in longitude and latitude, or in that
  CRS's plane. A pixel belongs to a polygon if its centre lies inside; of polygons that overlap the later one in the
  file counts; pixels in none are no-data (255): not judged.
- `<scene_id>.conditions.tif` (optional): u8 bits of `seaice_ops.classes.conditions` on the same grid.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import CRSError, RasterioError
from rasterio.features import is_valid_geom, rasterize
from rasterio.transform import Affine
from rasterio.warp import transform_geom

from seaice_ops.classes.legend import NODATA, SLUGS, THICK, THIN, WATER
from seaice_ops.errors import ConfigError, CorruptProduct
from seaice_ops.geo import area
from seaice_ops.geo.onto_grid import onto_grid
from seaice_ops.storage.rasters import Grid

_WORDS: dict[str, int] = {
    **{slug: code for code, slug in SLUGS.items()},
    "water": WATER,
    "thin": THIN,
    "thick": THICK,
}
_POLYGONS = ("Polygon", "MultiPolygon")


def has_reference(folder: Path | None, scene_id: str) -> bool:
    """True if `folder` has a reference for the scene."""
    return reference_file(folder, scene_id) is not None


def reference_file(folder: Path | None, scene_id: str) -> Path | None:
    """The file that holds the scene's reference: its raster, else its polygons, else None."""
    if folder is None:
        return None
    return next((path for s in ("tif", "geojson") if (path := folder / f"{scene_id}.{s}").exists()), None)


def read_reference(folder: Path | None, scene_id: str, grid: Grid) -> NDArray[np.uint8] | None:
    """(rows, columns) u8 class codes on `grid`, the scene's; None where there is no reference for the scene.

    Raises `CorruptProduct` where the file cannot be read, names no class, or has another number of pixels.
    """
    path = reference_file(folder, scene_id)
    if path is None:
        return None
    return polygons(path, grid) if path.suffix == ".geojson" else _raster(path, grid)


def read_conditions(folder: Path | None, scene_id: str, grid: Grid) -> NDArray[np.uint8] | None:
    """(rows, columns) u8 bits of `seaice_ops.classes.conditions` on `grid`; None where the reference has none."""
    path = folder / f"{scene_id}.conditions.tif" if folder else None
    return _raster(path, grid) if path and path.exists() else None


def fingerprint(reference: Path | None, scene_id: str) -> dict[str, str]:
    """SHA-256 of the files of a scene's reference: `truth` and `conditions`; empty without a reference."""
    found, path = {}, reference_file(reference, scene_id)
    for name, file in (("truth", path), ("conditions", path and path.with_name(f"{scene_id}.conditions.tif"))):
        if file and file.exists():
            with file.open("rb") as opened:
                found[name] = hashlib.file_digest(opened, "sha256").hexdigest()
    return found


def polygons(path: Path, grid: Grid) -> NDArray[np.uint8]:
    """(rows, columns) u8 class codes of a GeoJSON file of polygons, by the rules in this module's docstring."""
    try:
        text = json.loads(path.read_text())
        features = list(text["features"])
        source = CRS.from_user_input(text["crs"]["properties"]["name"]) if text.get("crs") else CRS.from_epsg(4326)
    except (OSError, ValueError, TypeError, KeyError, CRSError) as error:
        raise CorruptProduct(f"{path} is not a GeoJSON collection of features: {error!r}") from error
    if not grid.crs:
        raise CorruptProduct(f"{path}: its scene has no CRS, so polygons cannot be placed on it; give a raster instead")
    shapes = [
        shape for number, feature in enumerate(features, 1) for shape in _shapes(path, number, feature, source, grid)
    ]
    if not shapes:
        return np.full((grid.height, grid.width), NODATA, np.uint8)
    codes: NDArray[np.uint8] = rasterize(
        shapes, (grid.height, grid.width), fill=NODATA, transform=Affine(*grid.transform), dtype="uint8"
    )
    return codes


def _shapes(path: Path, number: int, feature: Any, source: CRS, grid: Grid) -> list[tuple[Any, int]]:
    try:
        geometry, word = feature["geometry"], feature["properties"]["class"]
    except (TypeError, KeyError) as error:
        raise CorruptProduct(f"{path}: feature {number} has no geometry or no property 'class'") from error
    code = _code(word)
    if code is None:
        raise CorruptProduct(f"{path}: feature {number} has the class {word!r}; known are {_known()}")
    if not is_valid_geom(geometry) or geometry["type"] not in _POLYGONS:
        raise CorruptProduct(f"{path}: feature {number} is no polygon")
    if source.is_projected:
        return [(transform_geom(source, CRS.from_string(grid.crs), geometry), code)]
    try:
        return [(part, code) for polygon in area.polygons(geometry) for part in onto_grid(polygon, grid)]
    except ConfigError as error:
        raise CorruptProduct(f"{path}: feature {number}: {error}") from error


def _code(word: Any) -> int | None:
    if isinstance(word, str) and not word.strip().isdigit():
        return _WORDS.get(word.strip().lower())
    try:
        code = int(word)
    except (TypeError, ValueError):
        return None
    return code if code in SLUGS and code == float(word) else None


def _known() -> str:
    return ", ".join([*map(str, SLUGS), *_WORDS])


def _raster(path: Path, grid: Grid) -> NDArray[np.uint8]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            with rasterio.open(path) as dataset:
                shape, kind = dataset.shape, dataset.dtypes[0]
                apart = np.abs(np.subtract(tuple(dataset.transform)[:6], grid.transform)).max() if dataset.crs else 0.0
                values: NDArray[np.uint8] = dataset.read(1)
    except RasterioError as error:
        raise CorruptProduct(f"{path} cannot be read: {error}") from error
    if kind != "uint8":
        raise CorruptProduct(f"{path} holds {kind}; legend codes are uint8")
    if shape != (grid.height, grid.width):
        raise CorruptProduct(f"{path} has {shape} pixels, the scene {(grid.height, grid.width)}")
    if apart > grid.pixel_size / 100:
        raise CorruptProduct(f"{path} is not on the scene's grid: its transform differs by up to {apart:g}")
    return values

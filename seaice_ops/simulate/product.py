"""One product on disk: the .SAFE folder, its reference labels, and its catalogue entry, which is written last."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine

from seaice_ops.classes import legend
from seaice_ops.geo.tiles import Tile, tile_of
from seaice_ops.sensors.sentinel2 import BANDS, CEILING, PRODUCT_METADATA
from seaice_ops.simulate import metadata
from seaice_ops.simulate.clouds import sky
from seaice_ops.simulate.geometry import seen_from
from seaice_ops.simulate.noise import derive
from seaice_ops.simulate.ocean import FULL, shelf, surface
from seaice_ops.simulate.season import TRUNCATED, Planned, SimulateRequest, season_of
from seaice_ops.simulate.sensor import Image, digital_numbers, observe
from seaice_ops.simulate.sun import sun_angles
from seaice_ops.storage.rasters import Grid, cog_bytes

#: Reflectance shown as 255 in a Level-1C true-colour image; then the band file that the `truncated` trap cuts, and the
#: share of it that is left.
TCI_CEILING = CEILING
_CUT_BAND, _CUT_SHARE = "B08", 0.6

_WORK = ".simulating"


def render(request: SimulateRequest, product: Planned) -> Image:
    """The product's image: a pure function of the request's seed, size and season, the tile and the sensing time.

    Both baselines of an acquisition have the same image.
    """
    tile = tile_of(product.tile)
    zenith, azimuth = sun_angles(*tile.centre(request.size), product.sensed)
    seed = derive(request.seed, product.identity)
    geometry = seen_from(seed, zenith, azimuth)
    ground = surface(request.seed, product.tile, request.size, season_of(request), product.sensed)
    above = sky(seed, ground.land.shape, geometry, request.size / FULL)
    return observe(seed, ground, above, geometry)


def is_published(out: Path, product: Planned) -> bool:
    """True if the product's catalogue entry is there."""
    return (out / f"{product.id}.json").exists()


def publish(out: Path, request: SimulateRequest, product: Planned) -> int:
    """Write one product below `out`; returns its size in bytes.

    A killed call leaves it unpublished, and the next call writes the same bytes again.
    """
    image = render(request, product)
    tile = tile_of(product.tile)
    work = out / _WORK / product.id
    shutil.rmtree(work, ignore_errors=True)
    safe = work / f"{product.id}.SAFE"
    _write_images(safe, product, tile, image)
    sun = sun_angles(*tile.centre(request.size), product.sensed)
    (safe / PRODUCT_METADATA).write_bytes(metadata.product_xml(product))
    granule = safe / "GRANULE" / metadata.granule(product)
    (granule / "MTD_TL.xml").write_bytes(metadata.granule_xml(product, tile, request.size, sun))
    files = _listing(safe)
    if product.kind == TRUNCATED:
        cut = safe / metadata.image_path(product, _CUT_BAND)
        os.truncate(cut, int(cut.stat().st_size * _CUT_SHARE))
    (out / "truth").mkdir(exist_ok=True)
    grid = _grid(tile, request.size)
    land = shelf(request.seed, product.tile, request.size).astype(np.uint8)
    _replace(out / "truth" / f"{product.tile}.land.tif", work, cog_bytes(land[None], grid, nodata=None))
    _replace(out / "truth" / f"{product.id}.conditions.tif", work, cog_bytes(image.conditions[None], grid, nodata=None))
    for name, codes in ((f"{product.id}.surface.tif", image.surface), (f"{product.id}.tif", image.truth)):
        _replace(out / "truth" / name, work, cog_bytes(codes[None], grid, nodata=legend.NODATA))
    shutil.rmtree(out / safe.name, ignore_errors=True)
    safe.replace(out / safe.name)
    entry = {
        "kind": "product",
        "name": product.id,
        "published": product.published.isoformat().replace("+00:00", "Z"),
        "files": files,
    }
    _replace(out / f"{product.id}.json", work, (json.dumps(entry, indent=1) + "\n").encode())
    shutil.rmtree(work)
    return sum(int(file["size"]) for file in files.values())


def tidy(out: Path) -> None:
    """Remove what an interrupted run left half-written."""
    shutil.rmtree(out / _WORK, ignore_errors=True)


def _write_images(safe: Path, product: Planned, tile: Tile, image: Image) -> None:
    (safe / metadata.image_path(product, "TCI")).parent.mkdir(parents=True)
    for band, values in stored(image, metadata.offset(product)).items():
        _write_jp2(safe / metadata.image_path(product, band), values[None], tile, metadata.PIXEL_M[band])
    _write_jp2(safe / metadata.image_path(product, "TCI"), _true_colour(image), tile, 10)


def stored(image: Image, offset: int) -> dict[str, NDArray[np.uint16]]:
    """(rows, columns) u16 digital numbers of each band's file, at the band's own pixel size."""
    numbers = dict(zip(BANDS, digital_numbers(image, offset), strict=True))
    return {band: values if metadata.PIXEL_M[band] == 10 else _halved(values) for band, values in numbers.items()}


def _halved(values: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Means of 2 x 2 pixels; 0 where any of the four was not observed."""
    blocks = values.reshape(values.shape[0] // 2, 2, values.shape[1] // 2, 2)
    seen = (blocks > 0).all(axis=(1, 3))
    return np.where(seen, np.rint(blocks.mean(axis=(1, 3))), 0).astype(np.uint16)


def _true_colour(image: Image) -> NDArray[np.uint8]:
    """(3, rows, columns) u8 red, green, blue; 0 where not observed and, as in real products, where very dark."""
    rgb = np.clip(np.rint(image.reflectance[[2, 1, 0]] * (255 / TCI_CEILING)), 0, 255)
    return np.where(image.valid, rgb, 0).astype(np.uint8)


def _write_jp2(path: Path, values: NDArray[np.uint16] | NDArray[np.uint8], tile: Tile, pixel: int) -> None:
    """Lossless JPEG 2000 of (bands, rows, columns)."""
    with rasterio.open(
        path,
        "w",
        driver="JP2OpenJPEG",
        count=values.shape[0],
        height=values.shape[1],
        width=values.shape[2],
        dtype=values.dtype,
        crs=f"EPSG:{tile.epsg}",
        transform=Affine(pixel, 0, tile.ulx, 0, -pixel, tile.uly),
        QUALITY="100",
        REVERSIBLE="YES",
        YCBCR420="NO",
    ) as target:
        target.write(values)


def _grid(tile: Tile, size: int) -> Grid:
    return Grid(f"EPSG:{tile.epsg}", (10.0, 0.0, float(tile.ulx), 0.0, -10.0, float(tile.uly)), size, size)


def _listing(safe: Path) -> dict[str, dict[str, int | str]]:
    files = sorted(path for path in safe.rglob("*") if path.is_file())
    return {
        path.relative_to(safe).as_posix(): {
            "size": path.stat().st_size,
            "md5": hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest(),
        }
        for path in files
    }


def _replace(path: Path, work: Path, data: bytes) -> None:
    """Write `path` by renaming a file in `work`, so that it is never there in part."""
    part = work / path.name
    part.write_bytes(data)
    part.replace(path)

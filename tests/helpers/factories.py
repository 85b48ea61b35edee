"""Archives made for a test: small Sentinel-2-like products and plain scenes, written as docs/architecture.md says."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from PIL import Image
from rasterio.transform import Affine

from seaice_ops.geo.tiles import tile_of
from seaice_ops.sensors.sentinel2 import tile_names
from seaice_ops.storage.rasters import Grid

SENSED = datetime(2026, 2, 1, 20, 15, 29, tzinfo=UTC)
BAND_IDS = {"B02": 1, "B03": 2, "B04": 3, "B08": 7, "B11": 11}
ORIGIN = (300000.0, 2000020.0)


def product_name(
    sensed: datetime = SENSED,
    tile: str = "01CCV",
    baseline: str = "0511",
    generated: datetime | None = None,
    platform: str = "S2B",
    orbit: int = 28,
    level: str = "L1C",
) -> str:
    generated = generated or sensed + timedelta(hours=1)
    version = f"N{baseline}_" if baseline else ""
    return f"{platform}_MSI{level}_{sensed:%Y%m%dT%H%M%S}_{version}R{orbit:03d}_T{tile}_{generated:%Y%m%dT%H%M%S}"


def numbers(size: int = 64, seed: int = 0) -> dict[str, np.ndarray]:
    """Digital numbers of the five bands: smooth, with a no-data wedge and one saturated pixel."""
    rng = np.random.default_rng(seed)
    bands = {}
    for band in BAND_IDS:
        edge = size // 2 if band == "B11" else size
        rows, columns = np.mgrid[:edge, :edge] / edge
        values = (
            1000 + 9000 * (0.5 + 0.5 * np.sin(6 * rows + seed) * np.cos(5 * columns)) + rng.integers(0, 50, (edge,) * 2)
        )
        values[rows + columns < 0.25] = 0
        values[-1, -1] = 65535
        bands[band] = values.astype(np.uint16)
    return bands


def make_product(
    archive: Path,
    name: str | None = None,
    bands: Mapping[str, np.ndarray] | None = None,
    *,
    published: datetime | None = None,
    entry: bool = True,
    offset: int | None = -1000,
    sun_zenith: float = 62.5,
    tile: str = "01CCV",
    sensed: datetime = SENSED,
    datastrip: datetime | None = None,
    **fields: Any,
) -> str:
    """Write one product (and its catalogue entry) and return its id; `fields` go into its name.

    `datastrip` is where the datastrip begins (default: at `sensed`): another one is another ground station's.
    """
    name = name or product_name(sensed=sensed, tile=tile, **fields)
    bands = numbers() if bands is None else bands
    safe = archive / f"{name}.SAFE"
    granule = safe / "GRANULE" / f"L1C_T{tile}_A012345_{datastrip or sensed:%Y%m%dT%H%M%S}"
    (granule / "IMG_DATA").mkdir(parents=True)
    size = bands["B02"].shape[0]
    (safe / "MTD_MSIL1C.xml").write_text(product_xml(name, sensed, offset))
    (granule / "MTD_TL.xml").write_text(tile_xml(tile, sensed, size, sun_zenith))
    for band, values in bands.items():
        write_jp2(
            granule / "IMG_DATA" / f"T{tile}_{sensed:%Y%m%dT%H%M%S}_{band}.jp2",
            values,
            20 if band == "B11" else 10,
            tile,
        )
    if entry:
        write_entry(archive, name, published or sensed + timedelta(hours=2))
    return name


def write_entry(archive: Path, name: str, published: datetime) -> None:
    """The catalogue entry of a product as its files are now."""
    safe = archive / f"{name}.SAFE"
    files = {
        path.relative_to(safe).as_posix(): {
            "size": path.stat().st_size,
            "md5": hashlib.md5(path.read_bytes()).hexdigest(),
        }
        for path in sorted(safe.rglob("*"))
        if path.is_file()
    }
    entry = {"kind": "product", "name": name, "published": published.isoformat(), "files": files}
    (archive / f"{name}.json").write_text(json.dumps(entry))


def withdraw(archive: Path, name: str, at: datetime, cause: str = "Corrupted") -> None:
    """Withdraw what was published of a product until `at`."""
    (archive / f"{name}.withdrawn.json").write_text(json.dumps({"cause": cause, "at": at.isoformat()}))


def band_path(archive: Path, name: str, band: str) -> Path:
    return next((archive / f"{name}.SAFE").glob(f"GRANULE/*/IMG_DATA/*_{band}.jp2"))


def write_mask(path: Path, land: np.ndarray, grid: Grid) -> None:
    """A land mask: (rows, columns), not 0 is land."""
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "height": grid.height, "width": grid.width}
    with rasterio.open(path, "w", **profile, crs=grid.crs, transform=Affine(*grid.transform)) as target:
        target.write(land.astype(np.uint8), 1)


def place_of(tile: str) -> tuple[str, int, int]:
    """CRS, left and top edge of a tile; those of 01CCV for a name that no tile has."""
    known = tile_of(tile if tile in tile_names() else "01CCV")
    return f"EPSG:{known.epsg}", known.ulx, known.uly


def write_jp2(path: Path, values: np.ndarray, pixel: int, tile: str = "01CCV") -> None:
    crs, left, top = place_of(tile)
    profile = {
        "driver": "JP2OpenJPEG",
        "count": 1,
        "dtype": values.dtype,
        "height": values.shape[0],
        "width": values.shape[1],
        "crs": crs,
        "transform": Affine(pixel, 0, left, 0, -pixel, top),
        "QUALITY": 100,
        "REVERSIBLE": "YES",
        "BLOCKXSIZE": 1024,
        "BLOCKYSIZE": 1024,
    }
    with rasterio.open(path, "w", **profile) as target:
        target.write(values, 1)


def product_xml(name: str, sensed: datetime, offset: int | None, quantification: int = 10000) -> str:
    platform, _, _, *rest = name.split("_")
    baseline = next((f"{p[1:3]}.{p[3:]}" for p in rest if p.startswith("N")), "05.11")
    orbit = next(int(part[1:]) for part in rest if part.startswith("R"))
    listed = "".join(f'<RADIO_ADD_OFFSET band_id="{band}">{offset}</RADIO_ADD_OFFSET>' for band in range(13))
    offsets = "" if offset is None else f"<Radiometric_Offset_List>{listed}</Radiometric_Offset_List>"
    return f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-1C_User_Product xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_Level-1C.xsd">
  <n1:General_Info><Product_Info>
    <PRODUCT_URI>{name}.SAFE</PRODUCT_URI>
    <PROCESSING_BASELINE>{baseline}</PROCESSING_BASELINE>
    <GENERATION_TIME>{sensed:%Y-%m-%dT%H:%M:%S}.000000Z</GENERATION_TIME>
    <Datatake><SPACECRAFT_NAME>Sentinel-{platform[1:]}</SPACECRAFT_NAME>
      <DATATAKE_SENSING_START>{sensed:%Y-%m-%dT%H:%M:%S}.024Z</DATATAKE_SENSING_START>
      <SENSING_ORBIT_NUMBER>{orbit}</SENSING_ORBIT_NUMBER></Datatake>
  </Product_Info>
  <Product_Image_Characteristics>
    <QUANTIFICATION_VALUE unit="none">{quantification}</QUANTIFICATION_VALUE>{offsets}
  </Product_Image_Characteristics></n1:General_Info>
</n1:Level-1C_User_Product>
"""


def tile_xml(tile: str, sensed: datetime, size: int, sun_zenith: float) -> str:
    crs, left, top = place_of(tile)
    grids = "".join(
        f"""<Size resolution="{r}"><NROWS>{size * 10 // r}</NROWS><NCOLS>{size * 10 // r}</NCOLS></Size>
        <Geoposition resolution="{r}"><ULX>{left}</ULX><ULY>{top}</ULY>
        <XDIM>{r}</XDIM><YDIM>-{r}</YDIM></Geoposition>"""
        for r in (10, 20, 60)
    )
    return f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-1C_Tile_ID xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/S2_PDI_Level-1C_Tile_Metadata.xsd">
  <n1:General_Info>
    <TILE_ID metadataLevel="Brief">S2B_OPER_MSI_L1C_TL_2BPS_{sensed:%Y%m%dT%H%M%S}_A012345_T{tile}_N05.11</TILE_ID>
    <SENSING_TIME metadataLevel="Standard">{sensed:%Y-%m-%dT%H:%M:%S}.758475Z</SENSING_TIME>
  </n1:General_Info>
  <n1:Geometric_Info>
    <Tile_Geocoding><HORIZONTAL_CS_CODE>{crs}</HORIZONTAL_CS_CODE>{grids}</Tile_Geocoding>
    <Tile_Angles><Mean_Sun_Angle>
      <ZENITH_ANGLE unit="deg">{sun_zenith}</ZENITH_ANGLE><AZIMUTH_ANGLE unit="deg">71.25</AZIMUTH_ANGLE>
    </Mean_Sun_Angle></Tile_Angles>
  </n1:Geometric_Info>
</n1:Level-1C_Tile_ID>
"""


def make_plain(archive: Path, name: str, rgb: np.ndarray, **fields: Any) -> str:
    """Write a PNG of (rows, columns, 3 or 4) u8 and its sidecar; returns the scene's id."""
    archive.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rgb).save(archive / f"{name}.png")
    write_sidecar(archive, name, **{"image": f"{name}.png", **fields})
    return name


def write_sidecar(archive: Path, name: str, **fields: Any) -> Path:
    sidecar = {
        "kind": "scene",
        "image": f"{name}.png",
        "tile": "01CCV",
        "sensed": SENSED.isoformat(),
        "platform": "S2A",
        "crs": "EPSG:32701",
        "transform": [43.5, 0, ORIGIN[0], 0, -43.5, ORIGIN[1]],
        "nodata": None,
        "published": SENSED.isoformat(),
        **fields,
    }
    path = archive / f"{name}.json"
    path.write_text(json.dumps(sidecar))
    return path

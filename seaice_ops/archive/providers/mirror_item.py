"""STAC items of mirrors as descriptions of Sentinel-2 products, whatever names a mirror gives to its properties.

Earth Search (Level-1C in the original JPEG 2000, Level-2A as COG), the Planetary Computer and the Copernicus Data
Space's own Level-2A are known. The radiometric offset needs care: since baseline 04.00 the stored numbers are 1000 too
high, unless the mirror has subtracted that already. Its item may state this in two ways, or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from seaice_ops.archive.product import ProductName, parse_name
from seaice_ops.archive.times import parse_time
from seaice_ops.errors import CorruptProduct
from seaice_ops.pixels.sidecar import MirrorGrid, MirrorSidecar
from seaice_ops.sensors.sentinel2 import BANDS, OFFSET, OFFSET_BASELINE

Item = Mapping[str, Any]

#: Asset names by what they are, in order of preference.
ASSETS: dict[str, tuple[str, ...]] = {
    "B02": ("B02", "B02_10m", "blue"),
    "B03": ("B03", "B03_10m", "green"),
    "B04": ("B04", "B04_10m", "red"),
    "B08": ("B08", "B08_10m", "nir"),
    "B11": ("B11", "B11_20m", "swir16"),
    "MTD_TL": ("granule_metadata", "granule-metadata"),
}

#: (orbit number - first) mod 143 + 1 is the relative orbit (seen in product names of both).
_FIRST_ORBIT = {"S2A": 141, "S2B": 27}
_DATATAKE = re.compile(r"GS2[A-D]_(\d{8}T\d{6})_(\d{6})_N(\d\d\.\d\d)")
_LEVELS = {"S2MSI1C": "L1C", "S2MSI2A": "L2A"}


def name(item: Item) -> ProductName:
    """The fields of the product's name, as the item gives the name, or composed from the item's properties.

    Raises `CorruptProduct` where one of them is missing.
    """
    properties = item.get("properties") or {}
    for given in (properties.get("s2:product_uri"), properties.get("title"), item.get("id")):
        try:
            found = parse_name(str(given))
        except CorruptProduct:
            continue
        return found if found.baseline else _with_baseline(found, properties)
    return _composed(item, properties)


def full_name(parsed: ProductName) -> str:
    """``S2B_MSIL1C_20260201T201529_N0511_R028_T01CCV_20260201T214500``."""
    version = f"N{parsed.baseline.replace('.', '')}_" if parsed.baseline else ""
    return (
        f"{parsed.platform}_MSI{parsed.level}_{parsed.sensed_at:%Y%m%dT%H%M%S}_{version}"
        f"R{parsed.relative_orbit:03d}_T{parsed.tile}_{parsed.generated_at:%Y%m%dT%H%M%S}"
    )


def with_tile_info(item: Item, told: Mapping[str, Any]) -> Item:
    """`item` with the names of its product and datastrip, which in the AWS layout only tileInfo.json holds."""
    strip = told.get("datastrip")
    names = {
        "s2:product_uri": told.get("productName"),
        "s2:datastrip_id": strip.get("id") if isinstance(strip, dict) else None,
    }
    known = {key: value for key, value in names.items() if isinstance(value, str)}
    return {**item, "properties": {**known, **(item.get("properties") or {})}}


def granule(item: Item, parsed: ProductName) -> str:
    """The granule's folder as the product has it: level, tile, absolute orbit, start of the datastrip."""
    properties = item.get("properties") or {}
    strip = re.search(r"_S(\d{8}T\d{6})", str(_first(properties, "s2:datastrip_id", "eopf:datastrip_id")))
    start = strip[1] if strip else f"{parsed.sensed_at:%Y%m%dT%H%M%S}"
    return f"{parsed.level}_T{parsed.tile}_A{_absolute_orbit(properties):06d}_{start}"


def asset(item: Item, what: str, names: Mapping[str, str]) -> Mapping[str, Any] | None:
    """The item's asset for a band or for MTD_TL, by its name in `names` (the settings), else in `ASSETS`."""
    assets = item.get("assets") or {}
    candidates = (names[what],) if what in names else ASSETS[what]
    found = next((assets[key] for key in candidates if key in assets), None)
    return found if isinstance(found, dict) and isinstance(found.get("href"), str) else None


def sidecar(item: Item, names: Mapping[str, str]) -> MirrorSidecar:
    """The metadata that the decoder needs; raises `CorruptProduct` where the item lacks some."""
    parsed, properties = name(item), item.get("properties") or {}
    radiometry = {band: _radiometry(item, band, names, parsed.baseline) for band in BANDS}
    scales = {scale for scale, _ in radiometry.values()}
    if len(scales) != 1:
        raise CorruptProduct(f"{item.get('id')}: the bands are scaled differently, {sorted(scales)}")
    elevation = _number(properties.get("view:sun_elevation"))
    return MirrorSidecar(
        level="L2A" if parsed.level == "L2A" else "L1C",
        platform=parsed.platform,
        relative_orbit=parsed.relative_orbit,
        baseline=parsed.baseline,
        sensed=parsed.sensed_at,
        generated=parsed.generated_at,
        tile=parsed.tile,
        quantification=round(1.0 / scales.pop(), 6),
        offsets={band: offset for band, (_, offset) in radiometry.items()},
        grid=_grid(item, names),
        sun_zenith=_number(properties.get("s2:mean_solar_zenith")) if elevation is None else 90.0 - elevation,
        sun_azimuth=_number(_first(properties, "view:sun_azimuth", "s2:mean_solar_azimuth")),
    )


def _radiometry(item: Item, band: str, names: Mapping[str, str], baseline: str) -> tuple[float, float]:
    """(scale, offset in stored numbers) of a band.

    Numbers of a baseline before 04.00 have no offset. A mirror that states that it has applied the offset, or gives an
    offset of 0, has subtracted it. A mirror that gives none has left the numbers as they were.
    """
    properties, described = item.get("properties") or {}, asset(item, band, names) or {}
    scale = _raster(described, "scale") or 1e-4
    if not baseline:
        raise CorruptProduct(f"{item.get('id')} has no processing baseline: its offsets are unknown")
    if baseline < OFFSET_BASELINE or _applied(properties):
        return scale, 0.0
    told = _raster(described, "offset")
    return scale, OFFSET if told is None else float(round(told / scale))


def _applied(properties: Mapping[str, Any]) -> bool:
    return any(str(key).endswith("boa_offset_applied") and value is True for key, value in properties.items())


def _raster(described: Mapping[str, Any], what: str) -> float | None:
    """`raster:scale` or `raster:offset` of an asset, in the raster extension's old or new form."""
    bands = described.get("raster:bands") or described.get("bands") or [{}]
    first = bands[0] if isinstance(bands, list) and bands and isinstance(bands[0], dict) else {}
    return _number(_first({**first, **described}, f"raster:{what}", what))


def _grid(item: Item, names: Mapping[str, str]) -> MirrorGrid | None:
    properties, band = item.get("properties") or {}, asset(item, "B04", names) or {}
    told = {**properties, **band}
    code, transform, shape = _first(told, "proj:code", "proj:epsg"), told.get("proj:transform"), told.get("proj:shape")
    if not code or not isinstance(transform, list) or not isinstance(shape, list) or len(shape) != 2:
        return None
    crs = str(code) if ":" in str(code) else f"EPSG:{code}"
    a, b, c, d, e, f = (float(value) for value in transform[:6])
    return MirrorGrid(crs=crs, transform=(a, b, c, d, e, f), width=shape[1], height=shape[0])


def _with_baseline(found: ProductName, properties: Mapping[str, Any]) -> ProductName:
    """`found`, whose name is of the older form without a baseline, with the baseline of the properties."""
    return ProductName(**{**vars(found), "baseline": _baseline(properties)})


def _baseline(properties: Mapping[str, Any]) -> str:
    told = _first(properties, "s2:processing_baseline", "processing:version")
    if told is None:
        take = _DATATAKE.search(str(_first(properties, "s2:datatake_id", "eopf:datatake_id")))
        told = take[3] if take else ""
    return str(told) if re.fullmatch(r"\d\d\.\d\d", str(told)) else ""


def _composed(item: Item, properties: Mapping[str, Any]) -> ProductName:
    take = _DATATAKE.search(str(_first(properties, "s2:datatake_id", "eopf:datatake_id")))
    level = _LEVELS.get(str(_first(properties, "s2:product_type", "product:type")))
    platform = f"S{str(properties.get('platform', '')).lower().removeprefix('sentinel-').upper()}"
    tile = tile_of(properties)
    if not take or not level or not tile or platform not in ("S2A", "S2B", "S2C", "S2D"):
        raise CorruptProduct(f"{item.get('id')} does not hold its product's name, nor platform, tile and datatake")
    generated = _first(properties, "s2:generation_time", "processing:datetime", "created")
    return ProductName(
        platform=platform,
        level=level,
        sensed_at=parse_time(f"{datetime.strptime(take[1], '%Y%m%dT%H%M%S').isoformat()}"),
        baseline=_baseline(properties),
        relative_orbit=_relative_orbit(item, properties, platform),
        tile=tile,
        generated_at=parse_time(generated).replace(microsecond=0),
    )


def _relative_orbit(item: Item, properties: Mapping[str, Any], platform: str) -> int:
    told, absolute = properties.get("sat:relative_orbit"), _absolute_orbit(properties)
    if isinstance(told, int):
        return told
    if not absolute or platform not in _FIRST_ORBIT:
        raise CorruptProduct(f"{item.get('id')} has no relative orbit")
    return (absolute - _FIRST_ORBIT[platform]) % 143 + 1


def _absolute_orbit(properties: Mapping[str, Any]) -> int:
    take = _DATATAKE.search(str(_first(properties, "s2:datatake_id", "eopf:datatake_id")))
    named = re.search(r"_A(\d{6})_", str(_first(properties, "s2:granule_id", "s2:tile_id")))
    told = properties.get("sat:absolute_orbit")
    return int(take[2]) if take else int(named[1]) if named else told if isinstance(told, int) else 0


def tile_of(properties: Mapping[str, Any]) -> str:
    """The item's tile, by any of the names that mirrors have for it; empty where it has none."""
    parts = [properties.get(f"mgrs:{part}") for part in ("utm_zone", "latitude_band", "grid_square")]
    joined = f"{parts[0]:02d}{parts[1]}{parts[2]}" if isinstance(parts[0], int) and all(parts) else ""
    told = str(_first(properties, "grid:code", "s2:mgrs_tile") or joined)
    return told.removeprefix("MGRS-").removeprefix("T").zfill(5) if told else ""


def _first(values: Mapping[str, Any], *keys: str) -> Any:
    return next((values[key] for key in keys if values.get(key) is not None), None)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

"""Sidecars: the JSON files that say what an image's own format or a product's metadata would say.

`Sidecar` stands beside a plain true-colour scene; `MirrorSidecar` among the bands of a product whose mirror does not
hold the product's own metadata.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from seaice_ops.errors import CorruptProduct
from seaice_ops.geo.regions import TILE

#: Names that are safe as a file's and as a part of an object's key.
PLAIN_NAME = r"^[A-Za-z0-9_][A-Za-z0-9._-]*$"


def _utc(value: datetime) -> datetime:
    return value.astimezone(UTC)


def _north_up(value: tuple[float, ...]) -> tuple[float, ...]:
    a, b, _, d, e, _ = value
    if b or d or a <= 0 or e >= 0:
        raise ValueError("must be north-up: [pixel width, 0, left edge, 0, -pixel height, top edge]")
    return value


def _crs(value: str) -> str:
    from rasterio.crs import CRS  # heavy, and only needed where a sidecar is read
    from rasterio.errors import CRSError

    try:
        known = CRS.from_string(value)
    except CRSError as error:
        raise ValueError(f"is not a coordinate reference system: {error}") from None
    if not known.is_projected:
        raise ValueError("must be a projected system in metres, such as EPSG:32701")
    return value


Model = TypeVar("Model", bound=BaseModel)
Transform = tuple[float, float, float, float, float, float]
Utc = Annotated[AwareDatetime, AfterValidator(_utc)]


class Sidecar(BaseModel):
    """`<scene>.json` beside a PNG or GeoTIFF of 8-bit red, green and blue."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["scene"]
    image: str = Field(pattern=PLAIN_NAME, description="file name of the image, in the same folder")
    tile: str = Field(pattern=TILE.pattern, description="MGRS tile, for example 01CCV")
    sensed: Utc = Field(description="sensing start, ISO 8601 with its offset to UTC")
    platform: str = Field(pattern=r"^[A-Za-z0-9-]{1,16}$", description="for example S2A")
    crs: Annotated[str, AfterValidator(_crs)] = Field(description="EPSG:n or WKT of a projected system")
    transform: Annotated[Transform, AfterValidator(_north_up)] = Field(description="GDAL's a b c d e f, north-up")
    nodata: float | None = Field(description="value of all three channels where nothing was observed, or null")
    ceiling: float | None = Field(
        None,
        ge=0.05,
        le=1.5,
        description="reflectance shown as 255; default: scenes.ceiling, that is, colours as they are",
    )
    published: Utc | None = Field(None, description="when it became available; default: the sidecar's file time")
    relative_orbit: int = Field(0, ge=0, le=143)
    sun_zenith: float | None = Field(None, ge=0, le=180, description="degrees")
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$", description="of the image")


#: File name of a `MirrorSidecar` in a scene's inbox.
MIRROR = "mirror.json"


class MirrorGrid(BaseModel):
    """The 10 m grid, where the mirror tells it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    crs: Annotated[str, AfterValidator(_crs)]
    transform: Annotated[Transform, AfterValidator(_north_up)]
    width: int = Field(ge=2)
    height: int = Field(ge=2)


class MirrorSidecar(BaseModel):
    """`mirror.json`: what MTD_MSIL1C.xml says, and of MTD_TL.xml what is needed where the mirror has none.

    reflectance = (DN + offsets[band]) / quantification, with the offsets that the stored numbers still need.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["mirror"] = "mirror"
    level: Literal["L1C", "L2A"]
    platform: str
    relative_orbit: int = Field(ge=0, le=143)
    baseline: str
    sensed: Utc
    generated: Utc
    tile: str = Field(pattern=TILE.pattern)
    quantification: float = Field(gt=0)
    offsets: dict[str, float]
    grid: MirrorGrid | None = None
    sun_zenith: float | None = Field(None, ge=0, le=180, description="degrees")
    sun_azimuth: float | None = Field(None, ge=-360, le=360, description="degrees")


def read_sidecar(path: Path) -> Sidecar:
    """The sidecar at `path`; raises `CorruptProduct` naming the file and each wrong field."""
    return read_model(Sidecar, path)


def read_model(schema: type[Model], path: Path) -> Model:
    """The JSON file at `path` as `schema`; raises `CorruptProduct` naming the file and each wrong field."""
    try:
        return schema.model_validate_json(path.read_bytes())
    except ValidationError as error:
        lines = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'the file'}: {e['msg']}" for e in error.errors())
        raise CorruptProduct(f"{path}: {lines}") from None
    except OSError as error:
        raise CorruptProduct(f"{path} cannot be read: {error.strerror}") from error

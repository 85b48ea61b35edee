"""Sidecars: JSON files with the metadata that an image's own format or a mirror of an archive lacks.

`Sidecar` lies beside a plain true-colour scene. `MirrorSidecar` lies among the bands of a product whose mirror does not
hold the product's own metadata.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from seaice_ops.errors import ConfigError, CorruptProduct, unreadable
from seaice_ops.geo.projections import require_projections
from seaice_ops.pixels.checks import Transform, check_crs, check_size, check_time, check_transform
from seaice_ops.sensors.sentinel2 import TILE_NAME
from seaice_ops.validation import wrong

#: Names that are safe as a file's and as a part of an object's key.
PLAIN_NAME = r"^[A-Za-z0-9_][A-Za-z0-9._-]*$"


#: A JSON file of ours has a few kilobytes (bytes).
_LARGEST = 16 << 20

Model = TypeVar("Model", bound=BaseModel)
Utc = Annotated[AwareDatetime, AfterValidator(check_time)]
Crs = Annotated[str, AfterValidator(check_crs)]
NorthUp = Annotated[Transform, AfterValidator(check_transform)]
Size = Annotated[int, AfterValidator(check_size)]


#: Hexadecimal digests. Some tools write capitals; small letters are kept.
Md5 = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{32}$"), AfterValidator(str.lower)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$"), AfterValidator(str.lower)]


class Sidecar(BaseModel):
    """`<scene>.json` beside a PNG or GeoTIFF of 8-bit red, green and blue."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["scene"]
    image: str = Field(pattern=PLAIN_NAME, description="file name of the image, in the same folder")
    tile: str = Field(pattern=TILE_NAME.pattern, description="MGRS tile, for example 01CCV")
    sensed: Utc = Field(description="sensing start, ISO 8601 with its offset to UTC")
    platform: str = Field(pattern=r"^[A-Za-z0-9-]{1,16}$", description="for example S2A")
    crs: Crs = Field(description="EPSG:n or WKT of a projected system")
    transform: NorthUp = Field(description="GDAL's a b c d e f, north-up")
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
    sha256: Sha256 | None = Field(None, description="of the image")


#: File name of a `MirrorSidecar` in a scene's inbox.
MIRROR = "mirror.json"


class MirrorGrid(BaseModel):
    """The 10 m grid, where the mirror gives it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    crs: Crs
    transform: NorthUp
    width: Size
    height: Size


class MirrorSidecar(BaseModel):
    """`mirror.json`: the content of MTD_MSIL1C.xml, and of MTD_TL.xml what is needed where the mirror has none.

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
    tile: str = Field(pattern=TILE_NAME.pattern)
    quantification: float = Field(gt=0)
    offsets: dict[str, float]
    grid: MirrorGrid | None = None
    sun_zenith: float | None = Field(None, ge=0, le=180, description="degrees")
    sun_azimuth: float | None = Field(None, ge=-360, le=360, description="degrees")


def read_sidecar(path: Path) -> Sidecar:
    """The sidecar at `path`; raises `CorruptProduct` naming the file and each wrong field."""
    return read_model(Sidecar, path)


def read_model(schema: type[Model], path: Path) -> Model:
    """The JSON file at `path` as `schema`; raises `CorruptProduct` naming the file and each wrong field.

    The file may begin with a byte order mark, or be UTF-16, as Windows tools write it. Raises `ConfigError` where PROJ
    cannot look up any coordinate system.
    """
    text = _text(path)
    _refuse_twice(path, text)
    require_projections()  # else a sound file would be refused for its CRS
    try:
        return schema.model_validate_json(text)
    except ValidationError as error:
        causes = [e.get("ctx", {}).get("error") for e in error.errors()]
        if environment := next((cause for cause in causes if isinstance(cause, ConfigError)), None):
            raise environment from None
        raise CorruptProduct(f"{path}: {'; '.join(map(wrong, error.errors()))}") from None


def _refuse_twice(path: Path, text: str) -> None:
    """Raise `CorruptProduct` where an object of the JSON `text` has a key twice: which one is meant is not known."""
    twice: set[str] = set()

    def look(pairs: list[tuple[str, object]]) -> None:
        names = [name for name, _ in pairs]
        twice.update(name for name in names if names.count(name) > 1)

    with suppress(ValueError, RecursionError):  # what is no JSON is refused with its place by the schema
        json.loads(text, object_pairs_hook=look)
    if twice:
        raise CorruptProduct(f"{path}: {', '.join(sorted(twice))} is given more than once; keep one")


def _text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            data = stream.read(_LARGEST + 1)
    except OSError as error:
        raise unreadable(path, error) from error
    if len(data) > _LARGEST:
        raise CorruptProduct(f"{path} has more than {_LARGEST >> 20} MiB, which no such file has")
    try:
        return data.decode(json.detect_encoding(data))
    except UnicodeDecodeError as error:
        raise CorruptProduct(f"{path} is not UTF-8 text (byte {error.start + 1}); save it as UTF-8") from None

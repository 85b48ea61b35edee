"""Products as the archive holds them: a name, the files below it, and what its name says."""

from __future__ import annotations

import hashlib
import io
import re
import uuid
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import blake3

NAME = re.compile(
    r"(?P<platform>S2[A-D])_MSI(?P<level>L1C|L2A)_(?P<sensed>\d{8}T\d{6})(?:_N(?P<baseline>\d{4}))?"
    r"_R(?P<orbit>\d{3})_T(?P<tile>\w{5})_(?P<generated>\d{8}T\d{6})"
)
#: Pixel sizes in metres of the bands of a Level-1C product.
PIXELS = {
    **dict.fromkeys(("B02", "B03", "B04", "B08"), 10),
    **dict.fromkeys(("B05", "B06", "B07", "B8A", "B11", "B12"), 20),
    **dict.fromkeys(("B01", "B09", "B10"), 60),
}
#: What a scene is made from; the only files of a tiny product that are not fillers.
NEEDED = ("B02", "B03", "B04", "B08", "B11")


@dataclass(frozen=True)
class Product:
    """One published product. `files` are bytes, or where they lie, by path below the .SAFE folder."""

    name: str
    files: Mapping[str, bytes | Path]
    published: datetime
    checksums: tuple[str, ...] = ("MD5", "BLAKE3")
    cache: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    def __getattr__(self, part: str) -> str:
        match = NAME.fullmatch(self.name)
        assert match, self.name
        try:
            return match[part] or ""
        except IndexError:
            raise AttributeError(part) from None

    @cached_property
    def id(self) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, self.name))

    @cached_property
    def sensed_at(self) -> datetime:
        return _time(self.sensed)

    @cached_property
    def generated_at(self) -> datetime:
        return _time(self.generated)

    @cached_property
    def identity(self) -> tuple[str, str, str, str]:
        """The acquisition: platform, sensing start, tile, relative orbit."""
        return self.platform, self.sensed, self.tile, self.orbit

    @cached_property
    def granule(self) -> str:
        """Name of the granule folder; its last part is the start of the datastrip."""
        return next(path.split("/")[1] for path in self.files if path.startswith("GRANULE/"))

    @property
    def datastrip(self) -> str:
        return self.granule.rsplit("_", 1)[1]

    @property
    def absolute_orbit(self) -> int:
        return int(self.granule.split("_")[2][1:])

    @property
    def datastrip_id(self) -> str:
        version = f"N{self.baseline[:2]}.{self.baseline[2:]}"
        return f"{self.platform}_OPER_MSI_{self.level}_DS_2BPS_{self.generated}_S{self.datastrip}_{version}"

    @property
    def prefix(self) -> str:
        """The product's folder in the bucket eodata, without a slash at either end."""
        return f"Sentinel-2/MSI/{self.level}/{self.sensed_at:%Y/%m/%d}/{self.name}.SAFE"

    def read(self, path: str) -> bytes:
        content = self.files[path]
        return content if isinstance(content, bytes) else content.read_bytes()

    def size(self, path: str) -> int:
        content = self.files[path]
        return len(content) if isinstance(content, bytes) else content.stat().st_size

    def digest(self, path: str, algorithm: str) -> str:
        key = algorithm, path
        if key not in self.cache:
            self.cache[key] = digest(self.read(path), algorithm)
        return str(self.cache[key])

    @property
    def archive(self) -> bytes:
        """The product as one zip, whose members lie below <name>.SAFE."""
        if "zip" not in self.cache:
            buffer = io.BytesIO()
            with zipfile.ZipFile(buffer, "w") as target:
                for path in sorted(self.files):
                    member = zipfile.ZipInfo(f"{self.name}.SAFE/{path}", (2026, 1, 1, 0, 0, 0))
                    target.writestr(member, self.read(path))
            self.cache["zip"] = buffer.getvalue()
        return bytes(self.cache["zip"])


def digest(data: bytes, algorithm: str) -> str:
    """Hex digest by "MD5", "BLAKE3" or "SHA3-256"."""
    if algorithm == "BLAKE3":
        return blake3.blake3(data).hexdigest()
    return hashlib.new(algorithm.lower().replace("-", "_"), data).hexdigest()


def tiny_product(
    sensed: datetime = datetime(2026, 2, 1, 20, 15, 29, tzinfo=UTC),
    tile: str = "01CCV",
    baseline: str = "0511",
    platform: str = "S2B",
    orbit: int = 28,
    generated: datetime | None = None,
    published: datetime | None = None,
    station: int = 0,
    files: Mapping[str, bytes] | None = None,
    **fields: Any,
) -> Product:
    """A product whose files are a few bytes; `station` 1, 2, ... is another ground station's part of the pass."""
    generated = generated or sensed + timedelta(hours=1)
    strip = sensed + timedelta(seconds=3 + 40 * station)
    name = f"{platform}_MSIL1C_{sensed:%Y%m%dT%H%M%S}_N{baseline}_R{orbit:03d}_T{tile}_{generated:%Y%m%dT%H%M%S}"
    granule = f"GRANULE/L1C_T{tile}_A012345_{strip:%Y%m%dT%H%M%S}"
    image = f"{granule}/IMG_DATA/T{tile}_{sensed:%Y%m%dT%H%M%S}"
    paths = ["MTD_MSIL1C.xml", f"{granule}/MTD_TL.xml", *(f"{image}_{band}.jp2" for band in NEEDED)]
    own = {path: f"{name}/{path}".encode() for path in paths} | dict(files or {})
    return complete(name, own, published or generated + timedelta(hours=1), **fields)


def folder_product(safe: Path, published: datetime, **fields: Any) -> Product:
    """The product in the folder `safe`, its files left where they are."""
    files = {path.relative_to(safe).as_posix(): path for path in sorted(safe.rglob("*")) if path.is_file()}
    return complete(safe.name.removesuffix(".SAFE"), files, published, **fields)


def with_files(product: Product, changes: Mapping[str, bytes], published: datetime | None = None) -> Product:
    """`product` with other contents of some files (by the end of their path), its manifest and checksums fitting."""
    files = {path: content for path, content in product.files.items() if path != "manifest.safe"}
    for ending, content in changes.items():
        path = next((path for path in files if path.endswith(ending)), ending)
        files[path] = content
    return complete(product.name, files, published or product.published)


def complete(name: str, files: Mapping[str, bytes | Path], published: datetime, **fields: Any) -> Product:
    """A product with fillers for what every real one has and nobody reads, and with its manifest."""
    granule = next(path.split("/")[1] for path in files if path.startswith("GRANULE/"))
    level, tile, _, strip = granule.split("_")
    sensed = name.split("_")[2]
    suffixes = [*PIXELS, "TCI"] if level == "L1C" else []
    fillers = [f"GRANULE/{granule}/IMG_DATA/{tile}_{sensed}_{band}.jp2" for band in suffixes]
    fillers += ["INSPIRE.xml", f"DATASTRIP/DS_2BPS_{name.split('_')[-1]}_S{strip}/MTD_DS.xml", f"{name}-ql.jpg"]
    whole = {**{path: b"filler" for path in fillers}, **files}
    whole.setdefault("manifest.safe", _manifest(whole))
    return Product(name, whole, published, **fields)


def _manifest(files: Mapping[str, bytes | Path]) -> bytes:
    """manifest.safe as far as clients read it: the files, their sizes and MD5 sums."""
    rows = []
    for number, (path, content) in enumerate(sorted(files.items())):
        data = content if isinstance(content, bytes) else content.read_bytes()
        rows.append(
            f'<dataObject ID="object_{number}"><byteStream mimeType="application/octet-stream" size="{len(data)}">'
            f'<fileLocation locatorType="URL" href="./{path}"/>'
            f'<checksum checksumName="MD5">{digest(data, "MD5")}</checksum></byteStream></dataObject>'
        )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<xfdu:XFDU xmlns:xfdu="urn:ccsds:schema:xfdu:1">'
        f"<dataObjectSection>{''.join(rows)}</dataObjectSection></xfdu:XFDU>\n"
    ).encode()


def _time(text: str) -> datetime:
    return datetime.strptime(text, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)

"""Products and plain scenes as archives offer them: names, identity, and the files that a scene needs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, Literal

from seaice_ops.errors import CorruptProduct
from seaice_ops.ledger.operations import scene_rank
from seaice_ops.ledger.tables import Scene
from seaice_ops.pixels.checks import check_time
from seaice_ops.sensors.sentinel2 import BANDS, PRODUCT_METADATA, PRODUCT_NAME

Kind = Literal["product", "scene", "merged"]
By = Literal["published", "sensed"]

#: The files of a product that a scene is made from, each exactly once. A product's own names hold letters, digits and
#: underscores: what else lies beside them (``._x.jp2`` of a Mac, ``Copy of x.jp2``) is none of its files.
_NEEDED = (
    re.escape(PRODUCT_METADATA),
    r"GRANULE/\w+/MTD_TL\.xml",
    *(rf"GRANULE/\w+/IMG_DATA/\w+_{band}\.jp2" for band in BANDS),
)

#: GRANULE/L1C_T01CCV_A012345_20260201T201530/...: tile, absolute orbit, start of the datastrip.
_GRANULE = re.compile(r"GRANULE/L(?:1C|2A)_T[0-9A-Z]{5}_A\d{6}_(\d{8}T\d{6})/")


@dataclass(frozen=True)
class ProductFile:
    """A file of a product: its path below the product, its size in bytes and ``md5:<hex>`` where they are known."""

    path: str
    size: int | None = None
    checksum: str | None = None


@dataclass(frozen=True)
class Product:
    """One product, or one plain scene, as an archive offers it; or products of one acquisition to be merged.

    Times are aware and in UTC.
    """

    id: str
    """The product's name without .SAFE, or the plain scene's."""
    kind: Kind
    platform: str
    """For example ``S2B``; empty where the name cannot be read."""
    tile: str
    """MGRS tile without the T; empty where it is not known."""
    sensed_at: datetime
    """Start of the datatake, as the product's name has it."""
    relative_orbit: int
    baseline: str
    """Processing baseline, ``05.11``; empty for the older form of names and for plain scenes."""
    generated_at: datetime
    published_at: datetime
    href: str
    """Address by which the archive finds the product again."""
    files: tuple[ProductFile, ...] = ()
    """The files that a scene needs."""
    problem: str | None = None
    """The reason for which the product cannot be ingested, or None."""
    parts: tuple[str, ...] = ()
    """Ids of the products that a merged one is made of (`archive.merge`), newest first."""

    @property
    def identity(self) -> str:
        """The acquisition: platform, sensing start, tile, relative orbit."""
        return f"{self.platform}_{self.sensed_at:%Y%m%dT%H%M%S}_T{self.tile}_R{self.relative_orbit:03d}"

    @property
    def rank(self) -> tuple[Any, ...]:
        """Orders the versions of one acquisition, best last."""
        return scene_rank(self.baseline, self.generated_at, self.id)

    @property
    def datastrip(self) -> str:
        """Start of the datastrip as the granule's folder names it (``20260201T201530``); empty where it does not."""
        starts = {match[1] for file in self.files if (match := _GRANULE.match(file.path))}
        return starts.pop() if len(starts) == 1 else ""


@dataclass(frozen=True)
class Withdrawn:
    """A product that its archive has withdrawn: its id, why, and when (aware UTC)."""

    id: str
    cause: str
    at: datetime


@dataclass(frozen=True)
class ProductName:
    """The fields of a Sentinel-2 product name."""

    platform: str
    level: str
    sensed_at: datetime
    baseline: str
    relative_orbit: int
    tile: str
    generated_at: datetime


def parse_name(name: str) -> ProductName:
    """The fields of `name` (with or without .SAFE), of the current and of the older form without a baseline.

    Raises `CorruptProduct` where it is not a Sentinel-2 MSI product name.
    """
    match = PRODUCT_NAME.fullmatch(name.removesuffix(".SAFE"))
    if not match:
        raise CorruptProduct(
            f"{name} is not a Sentinel-2 product name such as S2B_MSIL1C_<time>_N0511_R028_T01CCV_<time>"
        )
    baseline = match["baseline"] or ""
    return ProductName(
        platform=match["platform"],
        level=match["level"],
        sensed_at=_time(name, match["sensed"]),
        baseline=f"{baseline[:2]}.{baseline[2:]}" if baseline else "",
        relative_orbit=int(match["orbit"]),
        tile=match["tile"],
        generated_at=_time(name, match["generated"]),
    )


def is_product_name(name: str) -> bool:
    """True for the name (without .SAFE) of a Sentinel-2 product of any level."""
    return bool(PRODUCT_NAME.fullmatch(name))


def named(name: ProductName, id_: str, href: str, published: datetime | None) -> Product:
    """The product of that name, without files. By default it counts as published when it was generated."""
    return Product(
        id=id_,
        kind="product",
        platform=name.platform,
        tile=name.tile,
        sensed_at=name.sensed_at,
        relative_orbit=name.relative_orbit,
        baseline=name.baseline,
        generated_at=name.generated_at,
        published_at=published or name.generated_at,
        href=href,
    )


def files_json(files: Iterable[ProductFile]) -> list[dict[str, Any]]:
    """The files that a scene needs, as the ledger keeps them in `Scene.details["files"]`."""
    return [{"path": file.path, "size": file.size, "checksum": file.checksum} for file in files]


def same_files(one: Sequence[ProductFile], other: Sequence[ProductFile]) -> bool:
    """True where both lists name the same files. A size or checksum that one of them lacks is no difference."""
    if [file.path for file in one] != [file.path for file in other]:
        return False
    given = [pair for a, b in zip(one, other, strict=True) for pair in ((a.size, b.size), (a.checksum, b.checksum))]
    return all(None in pair or pair[0] == pair[1] for pair in given)


def from_row(scene: Scene) -> Product:
    """The product as the search found it, from its row in the ledger."""
    details = scene.details or {}
    return Product(
        id=scene.id,
        kind=details.get("kind", "product"),
        platform=scene.platform,
        tile=scene.tile,
        sensed_at=scene.sensed_at,
        relative_orbit=scene.relative_orbit,
        baseline=scene.baseline,
        generated_at=scene.generated_at,
        published_at=scene.published_at,
        href=scene.href,
        files=tuple(ProductFile(**file) for file in details.get("files", ())),
        parts=tuple(details.get("parts", ())),
    )


def needed_files(product: str, files: Iterable[ProductFile]) -> tuple[ProductFile, ...]:
    """The files of `product` that a scene is made from: five bands and two metadata files, in a fixed order.

    Raises `CorruptProduct` where one is missing or ambiguous, or where any name would lead out of the product.
    """
    files = tuple(files)
    for file in files:
        check_path(product, file.path)
    return tuple(_only(product, pattern, files) for pattern in _NEEDED)


def check_path(product: str, path: str) -> None:
    """Raise `CorruptProduct` unless `path` is a plain relative path that stays below the product."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\\" in path or not path.isprintable():
        raise CorruptProduct(f"{product} names a file {path!r} outside itself; it was refused")


def _only(product: str, pattern: str, files: tuple[ProductFile, ...]) -> ProductFile:
    found = [file for file in files if re.fullmatch(pattern, file.path)]
    if len(found) != 1:
        readable = pattern.replace(r"\w+", "*").replace("\\", "")
        raise CorruptProduct(f"{product} has {len(found) or 'no'} files {readable}; exactly one is needed")
    return found[0]


def _time(name: str, text: str) -> datetime:
    try:
        return check_time(datetime.strptime(text, "%Y%m%dT%H%M%S").replace(tzinfo=UTC))
    except ValueError:
        raise CorruptProduct(f"{name} holds {text}, which is not a time") from None

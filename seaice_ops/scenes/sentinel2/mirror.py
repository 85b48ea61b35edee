"""The metadata of a product that was fetched from a mirror: its sidecar, and MTD_TL.xml where the mirror has it."""

from __future__ import annotations

from pathlib import Path

from seaice_ops.errors import CorruptProduct
from seaice_ops.pixels.sidecar import MIRROR, MirrorSidecar, read_model
from seaice_ops.scenes.sentinel2.metadata import ProductMetadata, TileMetadata, read_tile
from seaice_ops.sensors.sentinel2 import BANDS
from seaice_ops.storage.rasters import Grid


def read_mirror(inbox: Path) -> tuple[ProductMetadata, TileMetadata]:
    """The metadata of the product in `inbox`; the granule's own MTD_TL.xml counts before the mirror's sidecar.

    Raises `CorruptProduct` where something is missing or wrong.
    """
    path = inbox / MIRROR
    sidecar = read_model(MirrorSidecar, path)
    missing = sorted(set(BANDS) - set(sidecar.offsets))
    if missing:
        raise CorruptProduct(f"{path}: offsets: {', '.join(missing)} are missing")
    product = ProductMetadata(
        platform=sidecar.platform,
        relative_orbit=sidecar.relative_orbit,
        baseline=sidecar.baseline,
        sensed_at=sidecar.sensed,
        generated_at=sidecar.generated,
        quantification=sidecar.quantification,
        offsets=sidecar.offsets,
    )
    granule = next(inbox.glob("GRANULE/*/MTD_TL.xml"), None)
    return product, read_tile(granule) if granule else _tile(path, sidecar)


def _tile(path: Path, sidecar: MirrorSidecar) -> TileMetadata:
    if sidecar.grid is None or sidecar.sun_zenith is None:
        raise CorruptProduct(f"{path} holds no grid or no sun angle, and there is no MTD_TL.xml")
    pixel, _, left, _, down, top = sidecar.grid.transform
    width, height = sidecar.grid.width, sidecar.grid.height
    coarse = (2 * pixel, 0.0, left, 0.0, 2 * down, top)
    return TileMetadata(
        tile=sidecar.tile,
        sensed_at=sidecar.sensed,
        grids={
            10: Grid(sidecar.grid.crs, sidecar.grid.transform, width, height),
            20: Grid(sidecar.grid.crs, coarse, width // 2, height // 2),
        },
        sun_zenith=sidecar.sun_zenith,
        sun_azimuth=sidecar.sun_azimuth or 0.0,
    )

"""The grid of a raster: the place of its pixels, and their size on the ground."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyproj
from numpy.typing import NDArray

from seaice_ops.errors import CorruptProduct
from seaice_ops.geo.projections import require_projections, to_globe

#: Points an edge of a grid's border: a straight edge in UTM is a curve in longitude and latitude.
POINTS = 32

_GEOID = pyproj.Geod(ellps="WGS84")


@dataclass(frozen=True)
class Grid:
    """Place of pixels: CRS (WKT or EPSG:n), affine transform (a, b, c, d, e, f of rasterio), size in pixels."""

    crs: str
    transform: tuple[float, float, float, float, float, float]
    width: int
    height: int

    @property
    def pixel_size(self) -> float:
        """Edge of a pixel in the CRS's unit; its size on the ground may differ (`pixel_metres`)."""
        return float(abs(self.transform[0]))

    @classmethod
    def of(cls, dataset: Any) -> Grid:
        """The grid of an open rasterio dataset; raises `ConfigError` where projections cannot be looked up."""
        require_projections()
        crs = dataset.crs.to_string() if dataset.crs else ""
        return cls(crs, tuple(dataset.transform)[:6], dataset.width, dataset.height)

    def places(self, columns: NDArray[Any], rows: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Longitudes and latitudes, degrees, of places in pixels from the upper left corner.

        (0.5, 0.5) is the centre of the first pixel. Raises `CorruptProduct` for a place outside the projection's range.
        """
        a, b, c, d, e, f = self.transform
        lon, lat = to_globe(self.crs).transform(a * columns + b * rows + c, d * columns + e * rows + f)
        if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
            raise CorruptProduct(f"pixels at {self.transform} of {self.crs} lie nowhere on the globe")
        return lon, lat

    def border(self) -> NDArray[np.float64]:
        """The border from the upper left corner on, float64 (n, 2) longitudes and latitudes, not closed.

        Raises `CorruptProduct` where it lies nowhere on the globe.
        """
        t, ones = np.arange(POINTS) / POINTS, np.ones(POINTS)
        x, y = np.concatenate([t, ones, 1 - t, 0 * t]), np.concatenate([0 * t, t, ones, 1 - t])
        return np.column_stack(self.places(x * self.width, y * self.height))


def pixel_metres(grid: Grid) -> float | None:
    """Height of the middle pixel on the ground, metres, in any projection; None without a CRS."""
    if not grid.crs:
        return None
    _, down, _ = _steps(grid, np.array([grid.width / 2]), np.array([grid.height / 2]))
    return float(down[0])


def pixel_km2(grid: Grid) -> float:
    """Mean area of a pixel on the ground, km2, from 16 x 16 places, because a projection's scale varies."""
    columns, rows = (
        mesh.ravel() for mesh in np.meshgrid(*((np.arange(16) + 0.5) / 16 * size for size in (grid.width, grid.height)))
    )
    across, down, turn = _steps(grid, columns, rows)
    return float(np.mean(across * down * np.abs(np.sin(turn)))) / 1e6


def _steps(grid: Grid, columns: NDArray[Any], rows: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Lengths on the ground of a step of one pixel across and one down, metres, and the angle between, radians."""
    here = grid.places(columns, rows)
    to_right, _, across = _GEOID.inv(*here, *grid.places(columns + 1, rows))
    to_below, _, down = _GEOID.inv(*here, *grid.places(columns, rows + 1))
    if not (np.min(across) > 0 and np.min(down) > 0):
        raise CorruptProduct(f"pixels at {grid.transform} of {grid.crs} have no size on the globe")
    return np.asarray(across), np.asarray(down), np.radians(np.subtract(to_below, to_right))

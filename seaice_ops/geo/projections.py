"""Transformers between CRSs, and a clear error where the libraries find another installation's data."""

from __future__ import annotations

import os
from functools import lru_cache

import pyproj
import rasterio.crs
import rasterio.errors

from seaice_ops.errors import ConfigError

#: Variables by which another installation (conda, QGIS, PostGIS) points the libraries to its own data.
VARIABLES = ("PROJ_DATA", "PROJ_LIB", "GDAL_DATA")


@lru_cache(maxsize=1)
def require_projections() -> None:
    """Raise `ConfigError`, naming the variable to blame, where the libraries cannot look up any projection."""
    try:
        rasterio.crs.CRS.from_epsg(32701).to_wkt()
        pyproj.CRS.from_epsg(32701)
    except (rasterio.errors.CRSError, pyproj.exceptions.ProjError) as error:
        raise ConfigError(f"no projection can be looked up: {_advice()} ({error})") from error


def _advice() -> str:
    blamed = [f"{name}={os.environ[name]}" for name in VARIABLES if os.environ.get(name)]
    if not blamed:
        return "the data of pyproj or rasterio are damaged; install both again"
    return f"{' and '.join(blamed)} points to the data of another installation; unset it for seaice"


@lru_cache(maxsize=512)
def to_globe(crs: int | str) -> pyproj.Transformer:
    """The transformer from `crs` (an EPSG code or WKT) to longitude and latitude in degrees.

    Raises `ConfigError` where projections cannot be looked up.
    """
    require_projections()
    return pyproj.Transformer.from_crs(crs, 4326, always_xy=True)


@lru_cache(maxsize=512)
def from_globe(crs: int | str) -> pyproj.Transformer:
    """The transformer from longitude and latitude in degrees to `crs`; raises `ConfigError` as `to_globe` does."""
    require_projections()
    return pyproj.Transformer.from_crs(4326, crs, always_xy=True)

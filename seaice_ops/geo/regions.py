"""Regions: named lists of MGRS tiles that are kept up to date together."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from seaice_ops.sensors.sentinel2 import TILE_NAME, tile_names


class Region(BaseModel):
    """A named list of tiles, for example ``ross_sea: {tiles: [01CCV, 60CWS]}``, or an area whose tiles are computed.

    An area takes up to a second each time the settings are read. `seaice region` prints its tiles, to list instead.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = Field(description="name shown to people")
    area: str | list[Any] | dict[str, Any] | None = Field(
        None,
        description="instead of tiles: a box [west, south, east, north], corners [[lon, lat], ...], a GeoJSON object, "
        "or a GeoJSON file (relative to the configuration file)",
    )
    tiles: tuple[str, ...] = Field((), description="MGRS tiles, five characters, without the T")

    @model_validator(mode="before")
    @classmethod
    def _tiles_of_area(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("area") and not data.get("tiles"):
            return {**data, "tiles": list(_tiles_of(json.dumps(data["area"])))}
        return data

    @model_validator(mode="after")
    def _some(self) -> Region:
        if not self.tiles:
            raise ValueError("a region has tiles, or an area in which there are some")
        return self

    @field_validator("tiles")
    @classmethod
    def _tiles(cls, tiles: tuple[str, ...]) -> tuple[str, ...]:
        for tile in tiles:
            if not TILE_NAME.match(tile):
                raise ValueError(f"{tile!r} is not an MGRS tile such as 01CCV")
            if tile not in tile_names():
                raise ValueError(f"Sentinel-2 has no tile {tile!r}: `seaice region` lists the tiles of an area")
        return tuple(sorted(set(tiles)))


@lru_cache(maxsize=32)
def _tiles_of(area: str) -> tuple[str, ...]:
    from seaice_ops.geo import area as areas
    from seaice_ops.geo import tiling

    return tiling.select(areas.rings(json.loads(area))).names

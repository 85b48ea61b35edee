"""Regions: named lists of MGRS tiles that are kept up to date together."""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict, Field, field_validator

TILE = re.compile(r"^\d{2}[C-HJ-NP-X][A-HJ-NP-Z][A-HJ-NP-V]$")


class Region(BaseModel):
    """A named list of tiles, for example ``ross_sea: {tiles: [01CCV, 60CWS]}``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = Field(description="name shown to people")
    tiles: tuple[str, ...] = Field(min_length=1, description="MGRS tiles, five characters, without the T")

    @field_validator("tiles")
    @classmethod
    def _tiles(cls, tiles: tuple[str, ...]) -> tuple[str, ...]:
        for tile in tiles:
            if not TILE.match(tile):
                raise ValueError(f"{tile!r} is not an MGRS tile such as 01CCV")
        return tuple(sorted(set(tiles)))

"""What is said of a sensor, in words and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Sensor:
    """A sensor whose scenes are kept: names of bands are its own, no two sensors share one."""

    name: str
    """As the configuration calls it, for example ``sentinel2``."""
    bands: tuple[str, ...]
    """The bands of a scene's COG, in order."""
    true_colour: tuple[str, str, str]
    """The bands shown as red, green and blue."""
    micrometres: Mapping[str, float]
    """Centre wavelength of each band."""
    metres: Mapping[str, int]
    """Pixel size of each band as it is delivered."""

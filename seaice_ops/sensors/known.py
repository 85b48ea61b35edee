"""The sensors that are known. A module that the setting `sensors` names adds its own with `register`."""

from __future__ import annotations

from collections.abc import Collection

from seaice_ops.sensors import sentinel2
from seaice_ops.sensors.sensor import Sensor

_SENSORS: dict[str, Sensor] = {sentinel2.SENSOR.name: sentinel2.SENSOR}

#: Centre wavelengths from which on snow and ice are dark, micrometres.
_SHORTWAVE = 1.4


def register(sensor: Sensor) -> None:
    """Make `sensor` known, in place of one of the same name."""
    _SENSORS[sensor.name] = sensor


def band_sets() -> dict[str, tuple[str, ...]]:
    """Bands by the name of their set: ``sentinel2`` for all of a sensor, ``sentinel2-true-colour`` for three."""
    return {
        **{name: sensor.bands for name, sensor in _SENSORS.items()},
        **{f"{name}-true-colour": sensor.true_colour for name, sensor in _SENSORS.items()},
    }


def true_colour_of(bands: Collection[str]) -> tuple[str, str, str]:
    """The red, green and blue among a scene's `bands`; Sentinel-2's where no sensor's are there."""
    found = (sensor.true_colour for sensor in _SENSORS.values() if set(sensor.true_colour) <= set(bands))
    return next(found, sentinel2.TRUE_COLOUR)


def is_shortwave(band: str) -> bool:
    """Whether snow and ice are dark in `band`, as they are at 1.6 micrometres."""
    return any(sensor.micrometres.get(band, 0.0) > _SHORTWAVE for sensor in _SENSORS.values())

"""The sensors that are known. A module that the setting `sensors` names adds its own with `register`."""

from __future__ import annotations

from collections.abc import Collection

from seaice_ops.sensors import sentinel2
from seaice_ops.sensors.sensor import Sensor

_SENSORS: dict[str, Sensor] = {sentinel2.SENSOR.name: sentinel2.SENSOR}

#: Centre wavelengths from which on snow and ice are dark, micrometres.
_SHORTWAVE = 1.4


def register(sensor: Sensor) -> None:
    """Make `sensor` known, in place of one of the same name.

    Raises `ValueError` where another sensor has a band of the same name, or its true colour is not among its bands:
    nothing could tell whose scene it is.
    """
    others = [each for each in _SENSORS.values() if each.name != sensor.name]
    shared = sorted(set(sensor.bands) & {band for each in others for band in each.bands})
    if shared:
        owners = ", ".join(each.name for each in others if set(shared) & set(each.bands))
        raise ValueError(f"the sensor {sensor.name} has bands that {owners} has: {', '.join(shared)}; rename them")
    if not set(sensor.true_colour) <= set(sensor.bands):
        raise ValueError(f"the sensor {sensor.name} shows {', '.join(sensor.true_colour)}, which are not all its bands")
    _SENSORS[sensor.name] = sensor


def band_sets() -> dict[str, tuple[str, ...]]:
    """Bands by the name of their set: ``sentinel2`` for all of a sensor, ``sentinel2-true-colour`` for three."""
    return {
        **{name: sensor.bands for name, sensor in _SENSORS.items()},
        **{f"{name}-true-colour": sensor.true_colour for name, sensor in _SENSORS.items()},
    }


def true_colour_of(bands: Collection[str]) -> tuple[str, str, str] | None:
    """The red, green and blue among a scene's `bands`; None where no known sensor has them."""
    found = (sensor.true_colour for sensor in _SENSORS.values() if set(sensor.true_colour) <= set(bands))
    return next(found, None)


def is_shortwave(band: str) -> bool:
    """Whether snow and ice are dark in `band`, as they are at 1.6 micrometres."""
    return any(sensor.micrometres.get(band, 0.0) > _SHORTWAVE for sensor in _SENSORS.values())

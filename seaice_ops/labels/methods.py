"""Label a true colour by a method's name. Kernel sizes are set in metres and brought to pixels here."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seaice_ops.errors import ConfigError
from seaice_ops.labels.picture.true_colour import reflectance_rgb
from seaice_ops.labels.published.colour import colour
from seaice_ops.labels.published.iqrah2024 import iqrah2024, kernel
from seaice_ops.labels.result import Labels
from seaice_ops.settings import LabelSettings
from seaice_ops.versions import METHODS, Method


def known_method(name: str) -> Method:
    """`name` as a method; raises `ConfigError` that lists the methods."""
    for method in METHODS:
        if name == method:
            return method
    raise ConfigError(f"there is no labelling method {name!r}; the methods are {', '.join(METHODS)}")


def label_pixels(
    rgb: NDArray[np.uint8], valid: NDArray[np.bool_], pixel_m: float, method: Method, settings: LabelSettings
) -> NDArray[np.uint8]:
    """Label a whole scene's (rows, columns, 3) u8 true colour whose pixels are `pixel_m` metres wide.

    Returns (rows, columns) u8 legend codes, NODATA exactly where not `valid`.
    """
    return labels_of_picture(rgb, valid, pixel_m, method, settings).classes


def labels_of_picture(
    rgb: NDArray[np.uint8], valid: NDArray[np.bool_], pixel_m: float, method: Method, settings: LabelSettings
) -> Labels:
    """`label_pixels`, with confidence and quality flags where the method gives them."""
    limits = {"water_max": settings.water_max, "thin_max": settings.thin_max}
    if method == "reflectance":
        return reflectance_rgb(rgb, valid)
    if method == "colour":
        return Labels(colour(rgb, valid, **limits))
    dilate, median = kernel(settings.dilate_m, pixel_m), kernel(settings.median_m, pixel_m)
    return Labels(iqrah2024(rgb, valid, dilate=dilate, median=median, **limits))

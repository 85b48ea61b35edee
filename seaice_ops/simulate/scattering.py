"""Two-stream reflectance and transmittance of a cloud layer, tabulated over optical depth.

Delta-Eddington (Joseph, Wiscombe and Weinman 1976, J. Atmos. Sci. 33) in the form of Meador and Weaver 1980 (J. Atmos.
Sci. 37): light in the forward peak counts as not scattered.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seaice_ops.simulate.noise import Field

_STEPS, _DEEPEST = 2048, 40.0


@dataclass(frozen=True)
class Optics:
    """Optical properties of a layer, (2048,) tables over optical depth 0..40, finely spaced where it is thin.

    `direct`: transmittance of the unscattered beam, forward peak included; `passed`: total transmittance for the beam;
    `back`: reflectance for the beam; `back_diffuse`: reflectance for diffuse light.
    """

    direct: NDArray[np.float32]
    passed: NDArray[np.float32]
    back: NDArray[np.float32]
    back_diffuse: NDArray[np.float32]

    def at(self, table: NDArray[np.float32], depth: Field) -> Field:
        """(rows, columns) float32 values of `table` at the optical depths `depth` (rows, columns)."""
        index = np.sqrt(np.minimum(depth, np.float32(_DEEPEST)) * np.float32(1 / _DEEPEST)) * np.float32(_STEPS - 1)
        return table[(index + np.float32(0.5)).astype(np.intp)]


def two_stream(albedo: float, asymmetry: float, mu: float) -> Optics:
    """Delta-Eddington properties of a layer for a beam of zenith cosine `mu`.

    `albedo` is the single-scattering albedo of its particles, `asymmetry` their asymmetry parameter.
    """
    depth = _DEEPEST * np.linspace(0, 1, _STEPS) ** 2
    peak = asymmetry**2
    tau = (1 - albedo * peak) * depth
    w, g = (1 - peak) * albedo / (1 - albedo * peak), asymmetry / (1 + asymmetry)
    g1, g2, g3 = (7 - w * (4 + 3 * g)) / 4, -(1 - w * (4 - 3 * g)) / 4, (2 - 3 * g * mu) / 4
    g4, k = 1 - g3, np.sqrt(g1**2 - g2**2)
    a1, a2 = g1 * g4 + g2 * g3, g1 * g3 + g2 * g4
    beam, up, down = np.exp(-tau / mu), np.exp(k * tau), np.exp(-k * tau)
    scale = w / ((1 - (k * mu) ** 2) * ((k + g1) * up + (k - g1) * down))
    back = scale * (
        (1 - k * mu) * (a2 + k * g3) * up - (1 + k * mu) * (a2 - k * g3) * down - 2 * k * (g3 - a2 * mu) * beam
    )
    turned = scale * (
        beam * ((1 + k * mu) * (a1 + k * g4) * up - (1 - k * mu) * (a1 - k * g4) * down) - 2 * k * (g4 + a1 * mu)
    )
    passed = np.clip(beam - turned, beam, 1)
    diffuse = g2 * (1 - np.exp(-2 * k * tau)) / (k + g1 + (k - g1) * np.exp(-2 * k * tau))
    tables = (beam, passed, np.clip(back, 0, 1 - passed), diffuse)
    return Optics(*(np.asarray(table, np.float32) for table in tables))

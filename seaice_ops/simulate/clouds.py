"""The sky of one acquisition: layers of water and ice cloud, their reflectance and transmittance, and their shadows.

- Layers: fog and sea smoke near the surface, low stratus and broken cumulus of droplets, ice cloud at middle height,
  fibrous cirrus. Heights and optical depths are those usual over sea ice (Shupe and Intrieri 2004, J. Climate 17;
  Lachlan-Cope 2010, Polar Research 29); many skies hold one layer, some none, some two.
- Scattering: two streams, delta-Eddington (Joseph, Wiscombe and Weinman 1976, J. Atmos. Sci. 33; formulas of Meador and
  Weaver 1980, J. Atmos. Sci. 37), asymmetry 0.85 of droplets (Hansen and Travis 1974, Space Sci. Rev. 16), 0.77 of
  rough ice crystals (Baum et al. 2011, J. Appl. Meteorol. Climatol. 50). In the visible neither absorbs, so that cloud
  above snow is hardly brighter than the snow. At 1.61 um particles of radius r absorb 0.85 x 4 pi k r / wavelength of
  what they scatter (k of ice: Warren and Brandt 2008; of water: Kou, Labrie and Chylek 1993, Appl. Opt. 32): deep
  cloud of droplets then reflects about 0.6, of crystals about 0.35, as Pilewskie and Twomey 1987 (Atmos. Res. 21)
  and King et al. 2004 (IEEE Trans. Geosci. Remote Sens. 42) saw, against snow's 0.02 to 0.3.
- Shadows: the same optical depth stands in the sun's slanting beam. The loss of direct light is the shadow, with a
  penumbra as wide as the sun's disc makes it; forward-scattered light is spread around it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import cv2
import numpy as np
from numpy.typing import NDArray

from seaice_ops.simulate.geometry import Geometry
from seaice_ops.simulate.noise import Field, derive, smooth
from seaice_ops.simulate.scattering import two_stream

#: Cloud optical depth above which the surface cannot be known: such pixels are cloud in the reference. It is the bound
#: between thin and medium cloud of ISCCP (Rossow and Schiffer 1999, Bull. Am. Meteorol. Soc. 80).
OPAQUE = 3.6

_PIXEL_M = 10.0
_SUN_DIAMETER = 0.0093  # radians
_SWIR_UM = 1.610
_BETWEEN_PX = 60.0  # reach, pixels, of light reflected between ground and cloud
_MAX_LIGHT = 1.1  # light beside broken cloud relative to a clear sky's (Schade et al. 2007, Meteorol. Z. 16)


@dataclass(frozen=True)
class Kind:
    """A kind of cloud; pairs are (least, largest) of what is drawn for a sky, unless said otherwise."""

    ice: bool
    """True for ice crystals, False for droplets."""
    heights: tuple[float, float]
    """Height above the surface, metres."""
    depth: tuple[float, float]
    """Scale of the optical depth."""
    spacing: tuple[float, float]
    """Size of the largest features, pixels."""
    stretch: tuple[float, float]
    """Stretch of the features along x and y, or in half of the skies along y and x."""
    persistence: float
    """Amplitude of each octave of the noise relative to the one before."""
    amount: tuple[float, float]
    """Offset of the noise, of unit spread, from which cloud begins: larger means more cloud."""
    radius_um: tuple[float, float]
    """Effective radius of the particles, micrometres."""


KINDS = {
    "fog": Kind(False, (30, 150), (0.5, 3), (200, 500), (1.0, 1.6), 0.40, (-0.9, 0.1), (4, 8)),
    "stratus": Kind(False, (300, 1500), (1.5, 8), (250, 600), (0.7, 1.8), 0.50, (-0.8, 0.5), (6, 12)),
    "cumulus": Kind(False, (500, 2000), (5, 14), (60, 200), (0.8, 1.3), 0.60, (-1.7, -0.7), (7, 12)),
    "ice": Kind(True, (1500, 4000), (0.8, 4), (250, 600), (0.7, 2.2), 0.55, (-0.9, 0.4), (20, 50)),
    "cirrus": Kind(True, (5000, 8000), (0.2, 1.2), (150, 400), (2.0, 4.5), 0.60, (-0.8, 0.5), (15, 40)),
}

#: Frequency of each combination of layers.
SKIES: tuple[tuple[float, tuple[str, ...]], ...] = (
    (0.22, ()), (0.14, ("cirrus",)), (0.13, ("stratus",)), (0.13, ("cumulus",)), (0.13, ("ice",)), (0.07, ("fog",)),
    (0.06, ("stratus", "cirrus")), (0.05, ("cumulus", "cirrus")), (0.04, ("fog", "ice")), (0.03, ("cumulus", "ice")),
)  # fmt: skip


@dataclass(frozen=True)
class Layer:
    """A layer of cloud: (rows, columns) vertical optical depth, and properties of its particles.

    `albedo` is the single-scattering albedo below 1 um and at 1.61 um, `asymmetry` the asymmetry parameter.
    """

    depth: Field
    albedo: tuple[float, float]
    asymmetry: float


@dataclass(frozen=True)
class Sky:
    """The sky above a tile.

    `layers` from the lowest up; `light` (rows, columns) transmittance of all cloud for sunlight, below 1 um and at
    1.61 um; `unseen` (rows, columns) pixels that were not observed.
    """

    layers: tuple[Layer, ...]
    light: tuple[Field, Field]
    unseen: NDArray[np.bool_]

    @property
    def depth(self) -> Field:
        """(rows, columns) vertical optical depth of all cloud."""
        return np.asarray(sum((layer.depth for layer in self.layers), np.zeros(self.unseen.shape)), np.float32)


def clear(shape: tuple[int, int]) -> Sky:
    """A cloudless sky, everything observed."""
    ones = np.ones(shape, np.float32)
    return Sky((), (ones, ones), np.zeros(shape, bool))


def overcast(shape: tuple[int, int], depth: float, *, ice: bool, geometry: Geometry) -> Sky:
    """A sky of one even layer of optical depth `depth`, of droplets of 9 um or ice crystals of 30 um."""
    layer = _layer(np.full(shape, depth, np.float32), ice, 30.0 if ice else 9.0)
    return Sky((layer,), _transmittance(layer, layer.depth, 100.0, geometry), np.zeros(shape, bool))


def sky(seed: int, shape: tuple[int, int], geometry: Geometry, scale: float = 1.0) -> Sky:
    """The sky of one acquisition, its layers drawn from `SKIES`; the swath's edge cuts one in three.

    `scale` is the size of cloud features relative to a tile that shows 10 km in 1024 pixels.
    """
    rng = np.random.default_rng(derive(seed, "sky"))
    chances = np.array([share for share, _ in SKIES])
    kinds = SKIES[int(rng.choice(len(SKIES), p=chances / chances.sum()))][1]
    layers, lights = [], [np.ones(shape, np.float32), np.ones(shape, np.float32)]
    for kind in kinds:
        layer, down = _cloud(derive(seed, kind), KINDS[kind], shape, geometry, scale)
        layers.append(layer)
        lights = [light * passed for light, passed in zip(lights, down, strict=True)]
    return Sky(tuple(layers), (lights[0], lights[1]), _wedge(rng, shape))


def _cloud(
    seed: int, kind: Kind, shape: tuple[int, int], geometry: Geometry, scale: float
) -> tuple[Layer, tuple[Field, Field]]:
    """A layer, and its transmittance for sunlight at each pixel, below 1 um and at 1.61 um."""
    rng = np.random.default_rng(seed)
    height, thick, amount = (float(rng.uniform(*bounds)) for bounds in (kind.heights, kind.depth, kind.amount))
    spacing = float(rng.uniform(*kind.spacing)) * scale
    stretch = kind.stretch if rng.uniform() < 0.5 else (kind.stretch[1], kind.stretch[0])
    origin = rng.uniform(0, 1e5, 2)
    reach = height * geometry.slant / _PIXEL_M * scale

    def depth(east: float, south: float) -> Field:
        place = float(origin[0]) - east, float(origin[1]) - south
        pattern = smooth(derive(seed, "depth"), place, shape, max(spacing, 16), 6, stretch, kind.persistence)
        return np.asarray(np.float32(thick) * np.maximum(pattern + np.float32(amount), 0) ** 1.3, np.float32)

    layer = _layer(depth(0.0, 0.0), kind.ice, float(rng.uniform(*kind.radius_um)))
    shaded = depth(geometry.away[0] * reach, geometry.away[1] * reach)
    return layer, _transmittance(layer, shaded, height * scale, geometry)


def _layer(depth: Field, ice: bool, radius_um: float) -> Layer:
    absorption = 2.9e-4 if ice else 8.6e-5
    coalbedo = 0.85 * 4 * pi * absorption * radius_um / _SWIR_UM
    return Layer(depth, (1 - 1e-6, 1 - coalbedo), 0.77 if ice else 0.85)


def _transmittance(layer: Layer, depth: Field, height: float, geometry: Geometry) -> tuple[Field, Field]:
    """(rows, columns) transmittance for sunlight, below 1 um and at 1.61 um.

    `depth` is the layer's vertical optical depth where the sun's beam to each pixel crosses it, `height` in metres.
    """
    penumbra = max(_SUN_DIAMETER / 4 * height / geometry.mu_sun / _PIXEL_M, 0.4)
    beam = 1 / (1 + geometry.slant**2) ** 0.5
    found = []
    for albedo in layer.albedo:
        optics = two_stream(albedo, layer.asymmetry, beam)
        direct = blurred(optics.at(optics.direct, depth), penumbra)
        spread = blurred(optics.at(optics.passed - optics.direct, depth), height / _PIXEL_M)
        found.append(np.minimum(direct + spread, np.float32(_MAX_LIGHT)))
    return found[0], found[1]


def through(layer: Layer, swir: bool, below: Field, around: Field, geometry: Geometry) -> Field:
    """(rows, columns) reflectance above `layer`.

    `below` is the reflectance of the lit ground, `around` its mean over the reach of the adjacency effect. Light that
    the layer scatters on its way up comes from `around`, and light that it reflects down again is spread evenly.
    """
    albedo = layer.albedo[int(swir)]
    sun = two_stream(albedo, layer.asymmetry, geometry.mu_sun)
    view = two_stream(albedo, layer.asymmetry, geometry.mu_view)
    sharp, passed = view.at(view.direct, layer.depth), view.at(view.passed, layer.depth)
    back = sun.at(sun.back, layer.depth) * np.float32(geometry.bright)
    seen = sharp * below + (passed - sharp) * around
    again = blurred(sun.at(sun.back_diffuse, layer.depth), _BETWEEN_PX) * np.minimum(around, 1)
    return np.asarray(back + seen / (1 - again), np.float32)


def blurred(field: Field, sigma: float) -> Field:
    """(rows, columns) Gaussian blur of standard deviation `sigma` pixels; wide ones are made on a coarser grid."""
    step = 1
    while sigma / step > 4:
        step *= 2
    if sigma < 0.3:
        return field
    high, wide = field.shape
    small = cv2.resize(field, (max(wide // step, 1), max(high // step, 1)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / step, borderType=cv2.BORDER_REFLECT)
    return np.asarray(cv2.resize(small, (wide, high), interpolation=cv2.INTER_LINEAR), np.float32)


def _wedge(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """(rows, columns) pixels beyond the swath's edge: a corner in one acquisition of three, else none."""
    cut, corner = rng.uniform(), int(rng.integers(4))
    offset, lean = rng.uniform(0.15, 0.75), rng.uniform(0.5, 1.6)
    across = np.linspace(0, 1, shape[1], dtype=np.float32)[None, :]
    down = np.linspace(0, 1, shape[0], dtype=np.float32)[:, None]
    across = 1 - across if corner % 2 else across
    down = 1 - down if corner // 2 else down
    return (across + lean * down < offset) if cut < 1 / 3 else np.zeros(shape, bool)

"""The pack: floes of three sizes with leads between them, new ice of every thickness, brash, snow, relief.

Floe sizes and lead widths span those of aerial surveys (Weiss and Marsan 2004; Marcq and Weiss 2012, The Cryosphere 6,
for leads from metres to kilometres). Edges are computed as distances, so that a pixel on an edge is mixed.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sin

import numpy as np

from seaice_ops.simulate.noise import Field
from seaice_ops.simulate.view import View, covered, ramp


@dataclass(frozen=True)
class Floes:
    """(rows, columns) share of each pixel under floes, and their snow cover: from 0 (blown bare) to 1 (deep)."""

    share: Field
    snowy: Field


def floes(view: View, offshore: Field) -> Floes:
    """Floes of three sizes, fewer across the young-ice belt; `offshore` is the distance from the coast."""
    big = view.floes("big", max(210 * view.scale, 40))
    middle = view.floes("middle", max(62 * view.scale, 22))
    small = view.floes("small", max(20 * view.scale, 11))
    ragged = view.moving("edge", 36, 3)
    pack = ramp(offshore + 0.035 * view.fixed("pack edge", 300, 4), 0.335, 0.42)
    wide = max(view.scale, 0.4) * view.world.leads
    gap = np.maximum(5.5 + 4.5 * view.moving("gap", 300, 3), 1.2) * np.float32(wide)
    levels = [
        np.where(big.value < 0.06 + 0.80 * pack, big.edge - gap - 1.5 * ragged, -9),
        np.where(middle.value < 0.03 + 0.54 * pack, middle.edge - 2.5 - 1.2 * ragged, -9),
        np.where(small.value < 0.02 + 0.36 * pack, small.edge - 1.6 - 0.6 * ragged, -9),
    ]
    away = covered((offshore - 0.02 * (1 + ragged)) * np.float32(view.shape[0]))
    share = covered(np.maximum.reduce(levels)) * away * (1 - _cracks(view))
    age = np.where(levels[0] > 0, big.value / 0.86, np.where(levels[1] > 0, middle.value / 0.57, small.value / 0.38))
    blown = ramp(view.moving("bare", 180, 6), 0.9, 2.0)
    rim = 0.35 * ((levels[0] > 0) & (levels[0] < 3))
    snowy = 0.97 - 0.90 * age**4 + 0.07 * view.moving("snow", 90, 5) - 0.75 * blown - rim
    return Floes(share.astype(np.float32), snowy.astype(np.float32))


def _cracks(view: View) -> Field:
    """(rows, columns) share of each pixel in cracks through floes; many are narrower than a pixel."""
    crack = view.floes("crack", max(270 * view.scale, 60))
    half = np.maximum(1.5 + 1.5 * view.moving("crack width", 240, 3), 0)
    return np.asarray(np.minimum(covered(half - crack.edge), 2 * half), np.float32)


def new_ice(view: View, offshore: Field) -> tuple[Field, Field]:
    """(rows, columns) share of new ice between floes, and its thickness in metres: polynya, young-ice belt, leads."""
    breath = 0.02 * sin(2 * np.pi * view.days / 5.2 + view.seed % 6)
    frazil = view.moving("streaks", 40, 3, stretch=(0.5, 3.0))
    edge = offshore - 0.10 - breath + 0.025 * view.fixed("polynya", 260, 5) + 0.006 * frazil
    belt = 0.010 + 1.25 * np.maximum(edge, 0) + 0.03 * view.moving("belt", 210, 5) * ramp(edge, 0.0, 0.06)
    belt = np.maximum(belt + 0.05 * (view.moving("rafts", 46, 3) > 1.3), 0.006)
    openings = 2.2 * view.moving("leads", 150, 4)  # what opened at one time has one thickness, with a sharp edge
    leads = 0.10 + 0.037 * (0.75 * np.floor(openings + 0.5) + 0.25 * openings)
    pack = ramp(offshore, 0.335, 0.44)
    thickness = (belt * (1 - pack) + leads * pack) * np.float32(view.world.growth)
    frozen = covered(np.minimum(edge, thickness) * np.float32(view.shape[0]))
    return frozen, np.clip(thickness, 0.006, 0.28).astype(np.float32)


def brash(view: View) -> Field:
    """(rows, columns) share of small broken pieces between the floes, most of them smaller than a pixel."""
    where = ramp(view.moving("brash", 130, 3), 0.7, 1.6)
    return np.asarray(where * np.clip(0.30 + 0.25 * view.moving("pieces", 8, 1), 0, 0.9), np.float32)


def drifts(view: View, thickness: Field) -> Field:
    """(rows, columns) share of the new ice hidden by snow: patches on ice that bears it (grey ice and thicker)."""
    bound = 1.75 - 0.5 * view.world.drifts - 5.0 * thickness
    patch = np.clip(0.5 + 1.3 * (view.moving("dusting", 130, 6) - bound), 0, 1)
    return np.asarray(patch * ramp(thickness, 0.05, 0.12), np.float32)


def frost(view: View, thickness: Field) -> Field:
    """(rows, columns) cover of the new ice by frost flowers and thin dusting, 0 to 0.6; none on grease ice."""
    patch = np.clip(0.35 + 0.35 * view.moving("flowers", 60, 5), 0, 0.6)
    return np.asarray(np.float32(view.world.frost) * patch * ramp(thickness, 0.02, 0.12), np.float32)


def relief(view: View) -> Field:
    """(rows, columns) relief of snow and ice, metres: sastrugi everywhere, ridges in bands."""
    sastrugi = view.moving("sastrugi", 14, 2, stretch=(2.0, 0.6))
    lines = np.exp(-((view.moving("ridges", 130, 3) / 0.035) ** 2))
    deformed = ramp(view.moving("deformed", 320, 2), -0.2, 1.4)
    return np.asarray(0.16 * sastrugi + 0.8 * lines * deformed, np.float32)

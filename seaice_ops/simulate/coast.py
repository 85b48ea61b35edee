"""The coast: ice shelf and fast ice, the final break-up of the outer fast ice, and a lead that opens for some days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from seaice_ops.simulate.noise import Field, derive
from seaice_ops.simulate.season import Season
from seaice_ops.simulate.view import View, covered, ramp

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Coast:
    """The coast at one time, (rows, columns) each.

    `shelf`: the ice shelf; `fast`: share of fast ice; `broken`: where fast ice broke away; `offshore`: distance
    seaward of the fast ice's front, in tile heights.
    """

    shelf: Mask
    fast: Field
    broken: Mask
    offshore: Field


def coast(view: View, season: Season, when: datetime) -> Coast:
    """The coast at `when`. Worlds without a coast get a distance offshore that varies with the drifting ice."""
    if not view.world.coast:
        nothing = np.zeros(view.shape, bool)
        middle, change = view.world.shore
        offshore = np.float32(middle) + np.float32(change) * view.moving("shore", 420, 4)
        return Coast(nothing, nothing.astype(np.float32), nothing, offshore.astype(np.float32))
    down, across = _rows(view), _columns(view)
    ragged = view.fixed("front", 330, 5) * np.float32(0.012)
    shelf_front = _shelf_front(view)
    reach = np.maximum(0.19 / (1 + np.exp((across - 0.47) * 14)) - 0.02, 0)
    fast_front = shelf_front - reach * (1 - 10 * ragged)
    shelf = down > shelf_front
    fast = covered((down - fast_front) * np.float32(view.shape[0])) * ~shelf
    outer = (
        (fast > 0) & (down < fast_front + 0.62 * reach + ragged) & (across > 0.05 + 0.5 * (down - fast_front) + ragged)
    )
    broken = outer & (when >= season.breakup)
    return Coast(shelf, (fast * ~broken).astype(np.float32), broken, (fast_front - down).astype(np.float32))


def shelf(view: View) -> Mask:
    """(rows, columns) bool: the ice shelf. It never changes, and does not follow the tile's real coast."""
    return np.asarray(_rows(view) > _shelf_front(view)) if view.world.coast else np.zeros(view.shape, bool)


def lead(view: View, season: Season, when: datetime) -> tuple[Field, Field]:
    """The lead that opens for some days: (rows, columns) share of each pixel, and metres of new ice in it."""
    opens, closes = season.lead
    nothing = np.zeros(view.shape, np.float32)
    if not (view.world.coast and opens <= when < closes):
        return nothing, nothing
    share = min(1.0, 4 * (when - opens) / (closes - opens), 4 * (closes - when) / (closes - opens))
    across = _columns(view)
    centre = 0.24 + 0.10 * (across - 0.5) + 0.012 * view.fixed("lead", 260, 4)
    taper = np.sqrt(np.clip(1 - (2 * across - 1) ** 4, 0, 1))
    half = max(0.013 * share + 0.004, 1.5 / view.shape[0]) * taper
    inside = np.asarray(half - np.abs(_rows(view) - centre), np.float32)
    rim = (inside > 0) & (inside < 0.35 * half)
    return covered(inside * np.float32(view.shape[0])), np.where(rim, 0.03, 0).astype(np.float32)


def refreeze(view: View, season: Season, when: datetime) -> Field:
    """(rows, columns) thickness, metres, of the new ice that grows in patches after the fast ice broke away."""
    age = max((when - season.breakup).total_seconds() / 86400, 0.0)
    patches = view.fixed("refreeze", 90, 4, stretch=(1.5, 0.7))
    return np.where(patches > 1.3 - 0.13 * age, 0.008 + 0.006 * age, 0).astype(np.float32)


def bare_patches(view: View) -> Field:
    """(rows, columns) loss of snow cover in tide cracks and wind-blown patches of the fast ice."""
    crack = np.abs(view.fixed("tide cracks", 260, 3)) < 0.012
    return (0.5 * crack + 0.6 * ramp(view.fixed("fast bare", 150, 6), 1.0, 2.4)).astype(np.float32)


def _shelf_front(view: View) -> Field:
    ragged = view.fixed("front", 330, 5) * np.float32(0.012)
    return np.asarray(0.925 + 0.02 * np.sin(5 * _columns(view) + view.seed % 7) + ragged, np.float32)


def _rows(view: View) -> Field:
    """Distance from the upper edge, in tile heights."""
    return (np.arange(view.shape[0], dtype=np.float32) / np.float32(view.shape[0]))[:, None]


def _columns(view: View) -> Field:
    """Distance, in tile heights, from the left edge, or from the right one in half of the tiles."""
    across = (np.arange(view.shape[1], dtype=np.float32) / np.float32(view.shape[1]))[None, :]
    return np.asarray(1 - across if derive(view.seed, "side") % 2 else across, np.float32)

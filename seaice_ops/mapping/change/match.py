"""Which found changes are known already, so that nobody is asked twice. Pure: pixels and dates only.

A rebuilt sequence finds the same change with a few other pixels and dates. Two are the same where they go from the
same class to the same other one, the times in which they lie meet, and their places overlap:

- What a person has decided keeps its pixels. A found change that lies in such pixels for the greater part is that
  change. Of any other one, only what lies outside is new, and only if that is large enough by itself.
- What nobody has decided yet takes the pixels and dates of the found change that shares most with it, at least half of
  the smaller of the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from seaice_ops.mapping.change.components import NEAR, Component, components

#: Least share of pixels that two findings of one change have in common.
SHARE = 0.5


@dataclass(frozen=True)
class Known:
    """A change in the ledger, on the tile's present grid."""

    id: str
    decided: bool
    before: int
    after: int
    since: datetime
    last_at: datetime
    places: NDArray[np.int64]
    """Its pixels as row * columns of the tile + column, ascending."""


@dataclass(frozen=True)
class Settled:
    """What a finding means for the ledger."""

    new: tuple[Component, ...]
    """Changes to add."""
    again: tuple[tuple[str, Component], ...]
    """Changes that were found again and are not decided, with their ids."""
    decided: tuple[str, ...]
    """Changes that were found again and are decided."""
    gone: tuple[str, ...]
    """Changes that were not found and are not decided."""


def settle(found: Sequence[Component], known: Sequence[Known], width: int) -> Settled:
    """Compare the changes `found` in a tile of `width` columns with all those that are `known`."""
    decided: set[str] = set()
    rest: list[Component] = []
    for each in found:
        rest += _undecided(each, [one for one in known if one.decided], width, decided)
    places = [places_of(each, width) for each in rest]
    shared = sorted(
        (-_shared(places[i], one.places), one.id, i)
        for i, each in enumerate(rest)
        for one in known
        if not one.decided and _alike(each, one) and _shared(places[i], one.places) >= SHARE
    )
    pairs: dict[str, int] = {}
    for _, name, i in shared:
        if name not in pairs and i not in pairs.values():
            pairs[name] = i
    return Settled(
        tuple(each for i, each in enumerate(rest) if i not in pairs.values()),
        tuple((name, rest[i]) for name, i in pairs.items()),
        tuple(sorted(decided)),
        tuple(one.id for one in known if not one.decided and one.id not in pairs),
    )


def places_of(found: Component, width: int) -> NDArray[np.int64]:
    """The pixels of a change as `Known.places`."""
    return np.sort(found.pixels["row"].astype(np.int64) * width + found.pixels["column"])


def _undecided(each: Component, decisions: Sequence[Known], width: int, met: set[str]) -> list[Component]:
    """The parts of a found change that no decision is about; the ids of the decisions go into `met`."""
    place = each.pixels["row"].astype(np.int64) * width + each.pixels["column"]
    covered = np.zeros(len(place), np.bool_)
    for one in decisions:
        if _alike(each, one) and (here := np.isin(place, one.places)).any():
            covered |= here
            met.add(one.id)
    if not covered.any():
        return [each]
    if covered.mean() >= SHARE:
        return []
    return components(each.pixels[~covered], each.times, width)


def _alike(each: Component, one: Known) -> bool:
    same = (each.before, each.after) == (one.before, one.after)
    return same and each.since <= one.last_at + NEAR and one.since <= each.date(0.9) + NEAR


def _shared(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
    """Number of common places as a share of the smaller of the two sets."""
    return len(np.intersect1d(a, b, assume_unique=True)) / min(len(a), len(b))

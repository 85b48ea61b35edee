"""Signs that a scene's labels are wrong, each with its reason. They need no truth, and they prove nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from seaice_ops.classes.legend import CLASSES, CLOUD, LOW_SUN, NAMES, SLUGS

#: Share of the labelled pixels from which on a scene counts as one class.
ONE_CLASS = 0.999

#: Share of the observed pixels without a class (cloud, low sun) above which a method abstains too much.
ABSTAINS = 0.5

#: Share of the pixels at the end of the scale above which brightness no longer separates the classes.
SATURATED = 0.2

#: A threshold counts as out of reach where fewer than this share of the pixels pass it.
BRIGHTEST = 0.001

#: Share of the pixels with the same class below which two methods disagree about a scene.
AGREES = 0.7

#: A class's share is out of season where it differs from the median of the tile's other scenes of the season by more
#: than both: this share, and this many standard deviations (1.4826 times the median absolute deviation).
USUAL_SHARE, USUAL_DEVIATIONS = 0.25, 4.0

#: Scenes of a tile that a comparison with the season needs; days of the year (circular) that count as one season.
HISTORY, SEASON_DAYS = 5, 45

_SIGMA = 1.4826
_CLASS_SLUGS = tuple(SLUGS[code] for code in CLASSES)


@dataclass(frozen=True)
class Flag:
    """`method` (``a / b`` for two), a `name` of two or three words, and the `reason` with its figures."""

    method: str
    name: str
    reason: str


def of_shares(method: str, shares: Mapping[str, float], history: Sequence[Mapping[str, float]] = ()) -> list[Flag]:
    """Flags from a scene's class shares (by slug, of all pixels) and from those of the tile's season (`history`)."""
    labelled = sum(shares.get(slug, 0.0) for slug in _CLASS_SLUGS)
    silent = sum(shares.get(SLUGS[code], 0.0) for code in (CLOUD, LOW_SUN))
    if labelled == 0:
        return [Flag(method, "nothing labelled", "no pixel got a class")] if silent else []
    found = []
    if silent > ABSTAINS * (labelled + silent):
        share = silent / (labelled + silent)
        found.append(
            Flag(method, "abstains", f"{share:.0%} of the pixels got no class; more than {ABSTAINS:.0%} is much")
        )
    largest = max(_CLASS_SLUGS, key=lambda slug: shares.get(slug, 0.0))
    if shares[largest] >= ONE_CLASS * labelled:
        found.append(
            Flag(method, "one class", f"{shares[largest] / labelled:.1%} of the labelled pixels are {_name(largest)}")
        )
    return found + _unusual(method, shares, history)


def _unusual(method: str, shares: Mapping[str, float], history: Sequence[Mapping[str, float]]) -> list[Flag]:
    mine, others = class_parts(shares), [part for each in history if (part := class_parts(each)) is not None]
    if mine is None or len(others) < HISTORY:
        return []
    past = np.array(others)
    median = np.median(past, axis=0)
    spread = _SIGMA * np.median(np.abs(past - median), axis=0)
    return [
        Flag(
            method,
            "out of season",
            f"{mine[i]:.0%} {_name(slug)}; the tile's {len(others)} scenes of this season have {median[i]:.0%} "
            f"(spread {spread[i]:.0%})",
        )
        for i, slug in enumerate(_CLASS_SLUGS)
        if abs(mine[i] - median[i]) > max(USUAL_SHARE, USUAL_DEVIATIONS * spread[i])
    ]


def class_parts(shares: Mapping[str, float]) -> NDArray[np.float64] | None:
    """Each class's share (3,) of the pixels that got a class, or None where none did."""
    parts = np.array([shares.get(slug, 0.0) for slug in _CLASS_SLUGS], np.float64)
    return parts / parts.sum() if parts.sum() > 0 else None


def same_season(first: datetime, second: datetime) -> bool:
    """True if the days of the year lie within `SEASON_DAYS` of each other, across New Year too."""
    apart = abs(first.timetuple().tm_yday - second.timetuple().tm_yday)
    return min(apart, 365 - apart) <= SEASON_DAYS


def of_brightness(method: str, counts: NDArray[np.int64], thin_max: int) -> list[Flag]:
    """Flags from the (256,) counts of V = max(red, green, blue), for a method that cuts V at thresholds."""
    total = int(counts.sum())
    if not total:
        return []
    found, top = [], counts[255] / total
    if top > SATURATED:
        reason = (
            f"{top:.0%} of the pixels are at 255, where snow, cloud and thick ice look the same; raise scenes.ceiling"
        )
        found.append(Flag(method, "saturated", reason))
    if counts[thin_max + 1 :].sum() < BRIGHTEST * total:
        brightest = int(np.searchsorted(np.cumsum(counts), (1 - BRIGHTEST) * total))
        reason = f"only {BRIGHTEST:.1%} of the pixels pass V = {brightest}, the threshold of thick ice is {thin_max}"
        found.append(Flag(method, "too dark", reason))
    return found


def of_saturation(method: str, share: float) -> list[Flag]:
    """Flags from the share of labelled pixels that have a band at the end of its scale."""
    return [Flag(method, "saturated", f"{share:.0%} of the pixels have a saturated band")] if share > SATURATED else []


def of_agreement(first: str, second: str, same: float | None) -> list[Flag]:
    """Flags from the share of pixels to which two methods give the same class."""
    if same is None or same >= AGREES:
        return []
    reason = f"the two give the same class on {same:.0%} of the pixels that both label, less than {AGREES:.0%}"
    return [Flag(f"{first} / {second}", "disagreement", reason)]


def text(flags: Iterable[Flag]) -> list[str]:
    """The flags as lines."""
    return [f"{flag.method}: {flag.name}: {flag.reason}" for flag in flags]


def _name(slug: str) -> str:
    return next(NAMES[code] for code in CLASSES if SLUGS[code] == slug)

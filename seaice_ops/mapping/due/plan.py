"""The maps of a tile that are due, from its ready scenes and the maps issued so far. Pure: no ledger, no store.

- One map an acquisition: its window ends at that sensing time and holds the newest n acquisitions not later.
- A map whose list of scenes is no longer the right one (a late arrival, a newer baseline of a scene, a scene
  withdrawn), or one of whose scenes has other pixels now (a product published again under its name), is re-issued as
  the next revision and supersedes the last; one acquisition is in at most n maps.
- Where an acquisition was withdrawn, the map that ended with it is kept right too: at the same window end, of the
  acquisitions that remain. With none left it is withdrawn itself, by a revision that holds nothing but the cause.
- A map dated on or after an approved change is made with it, and re-issued where a decision is made, corrected or taken
  back.
- A new source of classes (a champion, new labels), method or land mask re-issues the newest map only. Older maps keep
  the source they were made with until their scenes change; then they are made with the present one.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Any

from seaice_ops.ledger.tables import Map, Scene
from seaice_ops.mapping.due.decided import Decision, until
from seaice_ops.mapping.window.vote import span
from seaice_ops.versions import MAPS

#: Bound on the numbers of a transform: coordinates in metres stay below twice the Earth's circumference.
FAR = 1e8


@dataclass(frozen=True)
class Due:
    """A map to issue: `window` indexes the tile's scenes in time order; `supersedes` is the map it replaces.

    An empty window withdraws that map.
    """

    window_end: datetime
    window: range
    revision: int
    supersedes: str | None


def method_of(mask: str) -> str:
    """The version of how maps are made with the land mask `mask`: another mask is another method."""
    return f"{MAPS}-{hashlib.sha256(mask.encode()).hexdigest()[:8]}" if mask else MAPS


def one_grid(scenes: Sequence[Scene]) -> tuple[list[Scene], dict[str, str]]:
    """The scenes on the tile's grid, in time order (ties by id), and the reason against each of the others by id.

    The tile's grid is the one of most of its scenes; where two are equally common, that of the newest scene.
    """
    unusable = {s.id: f"{_words(_grid(s))} is no grid; decode the scene again" for s in scenes if not _is_grid(s)}
    ordered = sorted((s for s in scenes if s.id not in unusable), key=lambda scene: (scene.sensed_at, scene.id))
    if not ordered:
        return [], unusable
    counts = Counter(_grid(scene) for scene in ordered)
    grid = max(counts, key=lambda g: (counts[g], max(s.sensed_at for s in ordered if _grid(s) == g)))
    reason = (
        f"its grid is not that of its tile ({_words(grid)}): fix the scene's CRS, transform or size, or withdraw it"
    )
    unusable |= {s.id: f"{_words(_grid(s))}: {reason}" for s in ordered if _grid(s) != grid}
    return [s for s in ordered if s.id not in unusable], unusable


def due_maps(
    scenes: Sequence[Scene],
    issued: Mapping[datetime, Map],
    n: int,
    source: str,
    method: str = MAPS,
    decisions: Sequence[Decision] = (),
) -> list[Due]:
    """The maps to issue, oldest window end first.

    `scenes` are in time order, on one grid, one an acquisition; `issued` holds the newest revision at each window
    end; `n` is the length of a full window, `source` what tells the classes, `method` how maps are made
    (`method_of`), `decisions` the approved changes.
    """
    times = [scene.sensed_at for scene in scenes]
    ends = sorted({*times, *issued})
    due = []
    for end in ends:
        window, last = span(times, end, n), issued.get(end)
        if last and _stands(last, [scenes[i] for i in window], (source, method), newest=end == ends[-1]):
            marks = [each.mark for each in until(decisions, end)] if window else []
            if last.statistics.get("changes", []) == marks:
                continue
        due.append(Due(end, window, last.revision + 1 if last else 1, last.id if last else None))
    return due


def same_pixels(last: Map, scenes: Sequence[Scene]) -> bool:
    """True if a map was made from exactly these scenes with the pixels that they have now."""
    contents = [scene.sha256 for scene in scenes]
    return last.scene_ids == [scene.id for scene in scenes] and last.scene_contents in (None, contents)


def _stands(last: Map, scenes: list[Scene], maker: tuple[str, str], newest: bool) -> bool:
    same_maker = (last.source, last.statistics.get("method")) == maker
    return same_pixels(last, scenes) and (same_maker or not newest or not scenes)


def _is_grid(scene: Scene) -> bool:
    transform = scene.transform or []
    finite = len(transform) == 6 and all(isfinite(value) and abs(value) < FAR for value in transform)
    return bool(finite and transform[0] * transform[4] and scene.crs and scene.width and scene.height)


def _grid(scene: Scene) -> tuple[Any, ...]:
    return (scene.crs, tuple(scene.transform or ()), scene.width, scene.height)


def _words(grid: tuple[Any, ...]) -> str:
    crs, transform, width, height = grid
    return f"{width} x {height} pixels of {str(crs)[:60]}, transform {list(transform)}"

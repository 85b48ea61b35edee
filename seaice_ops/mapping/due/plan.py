"""Which maps of a tile are due, from its ready scenes and the maps issued so far. Pure: no ledger, no store.

- One map an acquisition: its window ends at that sensing time and holds the newest n acquisitions not later.
- A map whose list of scenes is no longer the right one (a late arrival, a newer baseline of a scene, a scene
  withdrawn) is re-issued as the next revision and supersedes the last; one acquisition is in at most n maps.
- Where an acquisition was withdrawn, the map that ended with it is kept right too: at the same window end, of the
  acquisitions that remain. With none left it is withdrawn itself, by a revision that holds nothing but the cause.
- A new champion, method or land mask re-issues the newest map only. Older maps keep the model they were made with
  until their scenes change; then they are made with the champion.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from seaice_ops.ledger.tables import Map, Scene
from seaice_ops.mapping.window.vote import span
from seaice_ops.versions import MAPS


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
    """How maps are made with the land mask that the setting `scenes.land_mask` names: another mask, another method."""
    return f"{MAPS}-{hashlib.sha256(mask.encode()).hexdigest()[:8]}" if mask else MAPS


def one_grid(scenes: Sequence[Scene]) -> tuple[list[Scene], dict[str, str]]:
    """The scenes on the tile's grid, in time order (ties by id), and why each of the others is refused.

    The tile's grid is the one that most of its scenes have, the newest scene's where two are as common.
    """
    ordered = sorted(scenes, key=lambda scene: (scene.sensed_at, scene.id))
    if not ordered:
        return [], {}
    counts = Counter(_grid(scene) for scene in ordered)
    grid = max(counts, key=lambda g: (counts[g], max(s.sensed_at for s in ordered if _grid(s) == g)))
    reason = (
        f"its grid is not that of its tile ({_words(grid)}): fix the scene's CRS, transform or size, or withdraw it"
    )
    refused = {s.id: f"{_words(_grid(s))}: {reason}" for s in ordered if _grid(s) != grid}
    return [s for s in ordered if s.id not in refused], refused


def due_maps(
    scenes: Sequence[Scene], issued: Mapping[datetime, Map], n: int, model_id: str, method: str = MAPS
) -> list[Due]:
    """The maps to issue, oldest window end first.

    `scenes` are in time order, on one grid, one an acquisition; `issued` holds the newest revision at each window
    end; `n` is the length of a full window, `model_id` the champion and `method` how it makes them (`method_of`).
    """
    times = [scene.sensed_at for scene in scenes]
    ends = sorted({*times, *issued})
    due = []
    for end in ends:
        window, last = span(times, end, n), issued.get(end)
        if last and _stands(last, [scenes[i].id for i in window], (model_id, method), newest=end == ends[-1]):
            continue
        due.append(Due(end, window, last.revision + 1 if last else 1, last.id if last else None))
    return due


def _stands(last: Map, scene_ids: list[str], maker: tuple[str, str], newest: bool) -> bool:
    same_maker = (last.model_id, last.statistics.get("method")) == maker
    return last.scene_ids == scene_ids and (same_maker or not newest or not scene_ids)


def _grid(scene: Scene) -> tuple[Any, ...]:
    return (scene.crs, tuple(scene.transform or ()), scene.width, scene.height)


def _words(grid: tuple[Any, ...]) -> str:
    crs, transform, width, height = grid
    return f"{width} x {height} pixels of {str(crs)[:60]}, transform {list(transform)}"

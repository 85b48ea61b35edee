"""What the ledger says about one tile: the champion, the scenes, and the maps that are due."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from seaice_ops.errors import ConfigError, ExpectedSkip
from seaice_ops.ledger.operations import model_by_alias, newest_maps, ready_scenes
from seaice_ops.ledger.session import open_ledger
from seaice_ops.ledger.tables import Map, Model, Probabilities, Scene
from seaice_ops.mapping.due.plan import Due, due_maps, method_of, one_grid
from seaice_ops.pixels.radiometry import RGB_BANDS
from seaice_ops.settings import Settings
from seaice_ops.storage.rasters import Grid

_STANDS = "it holds acquisitions that the champion cannot see; this revision stands"


@dataclass(frozen=True)
class Survey:
    """One tile at one moment.

    `scenes` are in time order on one grid; `due` index them; `encoded` holds the champion's probabilities by scene
    id; `skipped` says why a scene is left out; `standing` counts the maps to leave.
    """

    tile: str
    champion: Model
    scenes: list[Scene]
    due: list[Due]
    encoded: dict[str, Probabilities]
    skipped: dict[str, str]
    standing: int

    @property
    def grid(self) -> Grid:
        """The tile's grid; there is one wherever a due map has a window."""
        scene = self.scenes[-1]
        if not (scene.crs and scene.transform and scene.width and scene.height):
            raise ConfigError(f"the ledger holds no grid for the ready scene {scene.id}; decode it again")
        a, b, c, d, e, f = scene.transform
        return Grid(scene.crs, (a, b, c, d, e, f), scene.width, scene.height)

    def window(self, due: Due) -> list[Scene]:
        """The scenes of a due map, oldest first."""
        return [self.scenes[i] for i in due.window]

    def missing(self, due: Due) -> list[str]:
        """The ids of the scenes of a due map that the champion has not encoded."""
        return [scene.id for scene in self.window(due) if scene.id not in self.encoded]


def survey(settings: Settings, tile: str) -> Survey:
    """Look at `tile` in one transaction; raises `ExpectedSkip` where there is no champion."""
    n, method = settings.mapping.window, method_of(settings.scenes.land_mask)
    with open_ledger(settings).begin() as session:
        champion = model_by_alias(session, "champion")
        if champion is None:
            raise ExpectedSkip("no champion yet: maps follow when a first model is trained or imported and promoted")
        ready = ready_scenes(session, [tile])
        able, unable = _with_bands(champion, ready)
        scenes, skipped = one_grid(able)
        issued = newest_maps(session, tile)
        unseen = _unseen(issued, {scene.id for scene in ready}, unable)
        due = [each for each in due_maps(scenes, issued, n, champion.id, method) if each.window_end not in unseen]
        encoded = _encoded(session, tile, champion.id)
    reissued = {item.window_end for item in due}
    return Survey(
        tile,
        champion,
        scenes,
        due,
        encoded,
        unable | skipped | {issued[end].id: _STANDS for end in unseen},
        len(issued.keys() - reissued),
    )


def tiles_due(settings: Settings) -> tuple[str, ...]:
    """The tiles with maps to issue, sorted; raises `ExpectedSkip` where there is no champion."""
    return tuple(tile for tile in settings.tiles if survey(settings, tile).due)


def _with_bands(champion: Model, scenes: Iterable[Scene]) -> tuple[list[Scene], dict[str, str]]:
    """The scenes that have what the champion sees, and why each of the others is left out."""
    needed = champion.card.get("manifest", {}).get("preprocessing", {}).get("bands", RGB_BANDS)
    able, unable = [], {}
    for scene in scenes:
        missing = [band for band in needed if band not in (scene.bands or ())]
        if missing:
            unable[scene.id] = f"it has no {', '.join(missing)}, which the champion {champion.id} sees"
        else:
            able.append(scene)
    return able, unable


def _unseen(issued: Mapping[datetime, Map], ready: Collection[str], unable: Collection[str]) -> set[datetime]:
    """The window ends of maps that stand although the champion could not make them: all of their acquisitions are
    ready still, and some of them lack a band that it sees. An earlier champion saw them; nothing is wrong with them."""
    return {
        end
        for end, last in issued.items()
        if set(last.scene_ids) <= set(ready) and not set(last.scene_ids).isdisjoint(unable)
    }


def _encoded(session: Session, tile: str, model_id: str) -> dict[str, Probabilities]:
    rows = session.scalars(
        select(Probabilities).join(Scene).where(Scene.tile == tile, Probabilities.model_id == model_id)
    )
    return {row.scene_id: row for row in rows}


def chosen_tiles(settings: Settings, tiles: Iterable[str] | None) -> tuple[str, ...]:
    """`tiles`, or all tiles of all regions; raises `ConfigError` for a tile of no region."""
    if tiles is None:
        return settings.tiles
    unknown = sorted(set(tiles) - set(settings.tiles))
    if unknown:
        raise ConfigError(f"{', '.join(unknown)}: in no region of the configuration; add the tile to a region")
    return tuple(sorted(set(tiles)))
